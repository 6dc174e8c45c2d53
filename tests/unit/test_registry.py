"""Name to factory: known names are found, unknown ones get the nearest as a suggestion."""

from __future__ import annotations

import pytest

from teliti.errors import RecipeError
from teliti.registry import Registry, closest


@pytest.fixture
def shapes() -> Registry[type]:
    registry: Registry[type] = Registry("shape")
    registry.register("square")(int)
    registry.register("circle")(float)
    return registry


def test_what_was_registered_is_found_under_its_name(shapes: Registry[type]) -> None:
    assert shapes.get("square") is int
    assert shapes.names() == ("circle", "square")


def test_the_decorator_gives_its_object_back() -> None:
    registry: Registry[object] = Registry("shape")
    thing = object()
    assert registry.register("thing")(thing) is thing


def test_an_unknown_name_lists_the_known_and_suggests_the_nearest(shapes: Registry[type]) -> None:
    with pytest.raises(RecipeError, match=r"^shape must be one of circle, square, got 'sqare'") as caught:
        shapes.get("sqare")
    assert caught.value.hint == 'Did you mean "square"?'


def test_without_a_near_name_there_is_no_suggestion(shapes: Registry[type]) -> None:
    with pytest.raises(RecipeError) as caught:
        shapes.get("zzz")
    assert caught.value.hint == "Choose one of them."


def test_two_things_cannot_share_a_name(shapes: Registry[type]) -> None:
    with pytest.raises(KeyError, match="shape 'square' is registered twice"):
        shapes.register("square")(str)


@pytest.mark.parametrize(
    ("word", "expected"), [("epoch", "epochs"), ("bach_size", "batch_size"), ("xyz", None), ("", None)]
)
def test_closest_finds_the_near_word_or_none(word: str, expected: str | None) -> None:
    assert closest(word, ["epochs", "batch_size", "lr"]) == expected
