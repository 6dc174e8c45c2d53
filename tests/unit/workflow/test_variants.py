"""Variants from one line of words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from parts import draw_part
from teliti.errors import RecipeError
from teliti.recipe import Recipe, parse_recipe
from teliti.transforms.prepare import build_chain
from teliti.workflow.searches.variants import parse_variants


def steps_of(recipe: Recipe) -> list[str]:
    return [step.step for step in recipe.prepare]


def test_steps_by_name_joined_ones_and_none_first() -> None:
    base = parse_recipe({"prepare": [{"step": "gamma"}], "model": {"head": "logistic"}})
    variants = parse_variants("clahe, clahe+median ,clahe", base)
    assert {name: steps_of(recipe) for name, recipe in variants.items()} == {
        "none": [], "clahe": ["clahe"], "clahe+median": ["clahe", "median"],
    }  # fmt: skip
    assert next(iter(variants)) == "none"
    assert all(recipe.model == base.model for recipe in variants.values())


def test_none_stays_where_it_was_named() -> None:
    assert list(parse_variants("clahe,none", Recipe())) == ["clahe", "none"]


def test_segment_shows_the_photo_under_its_mask_and_not_the_mask() -> None:
    recipe = parse_variants("segment", Recipe())["segment"]
    chain = build_chain((step.model_dump() for step in recipe.prepare), image_size=(48, 48), fit="stretch")
    photo = np.full((48, 48, 3), 12, dtype=np.uint8)
    photo[12:36, 12:36] = draw_part(1, scratched=False, side=24)
    prepared = chain(photo)
    inside = np.zeros((48, 48), dtype=bool)
    inside[12:36, 12:36] = True
    assert not prepared[~inside].any()
    np.testing.assert_array_equal(prepared[inside], photo[inside])
    assert len(np.unique(prepared)) > 20  # no binary picture


def test_a_later_mask_puts_the_segmentation_on() -> None:
    recipe = parse_variants("segment+fill_holes+mask", Recipe())["segment+fill_holes+mask"]
    assert [step.model_dump() for step in recipe.prepare] == [
        {"step": "segment"}, {"step": "fill_holes"}, {"step": "mask"},
    ]  # fmt: skip


def test_a_recipe_file_gives_its_steps_with_their_parameters(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[model]\nhead = "svr"\n[[prepare]]\nstep = "clahe"\nclip_limit = 4.0\n')
    recipe = parse_variants(f"none,{path}", Recipe())[str(path)]
    assert [step.model_dump() for step in recipe.prepare] == [{"step": "clahe", "clip_limit": 4.0}]
    assert recipe.model.head == "auto"  # only the preparation is taken


@pytest.mark.parametrize("words", ["", " , ", "none", "none,none"])
def test_something_must_be_compared(words: str) -> None:
    with pytest.raises(RecipeError, match="must name something beside none") as caught:
        parse_variants(words, Recipe())
    assert 'joined by + ("clahe+median")' in caught.value.hint


def test_mistakes_name_the_variant(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r'Variant "clahe[+]medain": prepare step must be one of') as caught:
        parse_variants("clahe+medain", Recipe())
    assert caught.value.hint == 'Did you mean "median"?'
    with pytest.raises(RecipeError, match=r'Variant "mask": prepare step 1 \(mask\) takes a binary') as caught:
        parse_variants("mask", Recipe())
    assert "put the steps into a recipe file" in caught.value.hint
    with pytest.raises(RecipeError, match=r'Variant "binarize[+]clahe": prepare step 2 \(clahe\) takes'):
        parse_variants("binarize+clahe", Recipe())
    empty = tmp_path / "empty.toml"
    empty.write_text("seed = 1\n")
    with pytest.raises(RecipeError, match=r"must have \[\[prepare\]\] steps to be a variant, got none"):
        parse_variants(str(empty), Recipe())
    with pytest.raises(RecipeError, match="does not exist"):
        parse_variants("nowhere.toml", Recipe())
