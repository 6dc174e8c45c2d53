"""Splits that all variants share: sealed photos out, groups whole, every photo measured once a round."""

from __future__ import annotations

import numpy as np
import pytest

from teliti.errors import SplitError
from teliti.recipe import Recipe, parse_recipe
from teliti.workflow.searches.repeats import plan_repeats
from teliti.workflow.shared.plan import plan_split

HOLD_OUT = parse_recipe({"data": {"folds": 0}})


def test_the_test_part_of_the_recipe_takes_no_part(make_photos) -> None:
    photos = make_photos(["good"] * 40 + ["ng"] * 40)
    repeats = plan_repeats(photos, HOLD_OUT, repeats=5)
    sealed = {photos.samples[place].name for place in plan_split(photos, HOLD_OUT).indices("test")}
    assert repeats.sealed == len(sealed) == 16
    assert {sample.name for sample in repeats.photos.samples}.isdisjoint(sealed)
    assert len(repeats.photos.samples) == len(repeats.photos.targets) == len(repeats.photos.fingerprints) == 64
    assert "The 16 photos of the test part stay sealed" in repeats.sentence


def test_a_round_of_folds_measures_every_photo_once_and_the_next_has_a_new_seed(make_photos) -> None:
    repeats = plan_repeats(make_photos(["good"] * 40 + ["ng"] * 40), HOLD_OUT, repeats=7)
    tests = [plan.indices("test").tolist() for plan in repeats.plans]
    assert sorted(place for test in tests[:5] for place in test) == list(range(64))
    assert repeats.seeds == (7, 7, 7, 7, 7, 8, 8)
    assert tests[5] != tests[0]
    for plan in repeats.plans:
        assert sorted([*plan.indices("train"), *plan.indices("test")]) == list(range(64))
        assert len(plan.indices("val")) == 0
        shares = np.bincount(repeats.photos.targets[plan.indices("test")])
        assert abs(int(shares[0]) - int(shares[1])) <= 1


def test_groups_stay_whole(make_photos) -> None:
    groups = [f"part {number // 4}" for number in range(160)]
    photos = make_photos(["good"] * 80 + ["ng"] * 80, groups=groups)
    repeats = plan_repeats(photos, HOLD_OUT, repeats=5)
    for plan in repeats.plans:
        names = [{repeats.photos.samples[place].group for place in plan.indices(part)} for part in ("train", "test")]
        assert names[0].isdisjoint(names[1])


def test_so_many_are_drawn_from_the_photos_that_are_not_sealed(make_photos) -> None:
    photos = make_photos(["a"] * 31 + ["b"] * 60 + ["c"] * 129)
    repeats = plan_repeats(photos, HOLD_OUT, repeats=2, most_photos=50)
    sealed = {photos.samples[place].name for place in plan_split(photos, HOLD_OUT).indices("test")}
    assert {sample.name for sample in repeats.photos.samples}.isdisjoint(sealed)
    assert repeats.photos.counts() == [7, 14, 29]  # 50 by the shares of 25, 48 and 103: 7.1, 13.6, 29.3
    assert (repeats.sealed, len(sealed)) == (44, 44)
    assert "50 photos drawn from 176, stratified" in repeats.sentence
    again = plan_repeats(photos, HOLD_OUT, repeats=2, most_photos=50)
    assert [sample.name for sample in again.photos.samples] == [sample.name for sample in repeats.photos.samples]
    everyone = plan_repeats(photos, HOLD_OUT, repeats=2, most_photos=176)
    assert len(everyone.photos.samples) == 176
    assert "drawn" not in everyone.sentence


def test_a_rare_class_keeps_four_photos_and_numbers_have_no_classes(make_photos) -> None:
    photos = make_photos(["a"] * 200 + ["b"] * 8)
    assert plan_repeats(photos, HOLD_OUT, repeats=2, most_photos=40).photos.counts()[1] == 4
    numbers = make_photos([float(number) for number in range(60)])
    assert len(plan_repeats(numbers, HOLD_OUT, repeats=2, most_photos=30).photos.samples) == 30


def test_a_given_split_keeps_its_test_part_sealed(make_photos) -> None:
    parts = (["train"] * 20 + ["val"] * 10 + ["test"] * 10) * 2
    photos = make_photos(["good"] * 40 + ["ng"] * 40, parts=parts)
    repeats = plan_repeats(photos, Recipe(), repeats=5)
    assert repeats.sealed == 20
    assert {sample.split for sample in repeats.photos.samples} == {"train", "val"}
    assert "20 photos of the given test part stay sealed" in repeats.sentence


def test_few_photos_all_take_part(make_photos) -> None:
    repeats = plan_repeats(make_photos(["good"] * 12 + ["ng"] * 12), Recipe(), repeats=5)
    assert (repeats.sealed, len(repeats.photos.samples), repeats.num_folds) == (0, 24, 5)
    assert "too few photos for a sealed test part" in repeats.sentence


def test_too_few_photos_are_one_sentence(make_photos) -> None:
    with pytest.raises(SplitError, match="ng"):
        plan_repeats(make_photos(["good"] * 12 + ["ng"] * 2), Recipe(), repeats=5)
