"""One menu over every registered prepare step: kind and size of the result, determinism, round trip of its record."""

from __future__ import annotations

import json

import numpy as np
import pytest

from teliti.errors import RecipeError
from teliti.transforms.prepare import STEPS, Step, build_chain, chain_from_record

PARAMETERS = {"clahe": [{}, {"clip_limit": 5.0, "tile_grid": [2, 3]}], "frame": [{"height": 20, "width": 31}]}
"""Every step with parameters to try; a new step must be added here."""

CHANGES_SIZE = {"frame"}
CASES = [(name, parameters) for name, several in PARAMETERS.items() for parameters in several]
SHAPES = [(1, 1), (5, 3), (33, 48), (300, 2)]


def make(name: str, parameters: dict) -> Step:
    return STEPS.get(name).model_validate({"step": name, **parameters})


def photo(shape: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(0, 256, (*shape, 3), dtype=np.uint8)


def test_no_step_is_left_out() -> None:
    assert set(PARAMETERS) == set(STEPS.names())


@pytest.mark.parametrize(("name", "parameters"), CASES)
@pytest.mark.parametrize("shape", SHAPES)
def test_uint8_rgb_in_uint8_rgb_out(name: str, parameters: dict, shape: tuple[int, int]) -> None:
    step = make(name, parameters)
    result = step.apply(photo(shape))
    assert result.dtype == np.uint8
    expected = (parameters["height"], parameters["width"]) if name in CHANGES_SIZE else shape
    assert result.shape == (*expected, 3)


@pytest.mark.parametrize(("name", "parameters"), CASES)
def test_the_same_photo_gives_the_same_pixels_and_is_not_written_to(name: str, parameters: dict) -> None:
    image = photo((33, 48))
    before = image.copy()
    first, second = make(name, parameters).apply(image), make(name, parameters).apply(image)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize(("name", "parameters"), CASES)
def test_grey_stays_grey(name: str, parameters: dict) -> None:
    grey = np.repeat(photo((33, 48))[..., :1], 3, axis=2)
    result = make(name, parameters).apply(grey)
    np.testing.assert_array_equal(result[..., 0], result[..., 1])
    np.testing.assert_array_equal(result[..., 0], result[..., 2])


@pytest.mark.parametrize(("name", "parameters"), CASES)
def test_the_record_has_every_parameter_and_builds_the_equal_step(name: str, parameters: dict) -> None:
    step = make(name, parameters)
    record = step.model_dump(mode="json")
    assert set(record) == set(type(step).model_fields)
    assert chain_from_record([json.loads(json.dumps(record))]).steps == (step,)


@pytest.mark.parametrize("name", STEPS.names())
def test_a_parameter_that_it_does_not_have_is_refused(name: str) -> None:
    with pytest.raises(RecipeError, match="no_such_parameter"):
        chain_from_record([{"step": name, **PARAMETERS[name][0], "no_such_parameter": 1}])


@pytest.mark.parametrize("name", sorted(set(STEPS.names()) - {"frame"}))
def test_it_works_in_a_chain(name: str) -> None:
    chain = build_chain([{"step": name, **PARAMETERS[name][0]}], image_size=(16, 24), fit="letterbox")
    assert chain(photo((33, 48))).shape == (16, 24, 3)
