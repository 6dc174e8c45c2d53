"""Levels of a sweep by hand: what changed, what was lost, what holds, and the last level in a row."""

from __future__ import annotations

import numpy as np
import pytest

from teliti.metrics.intervals import wilson_interval
from teliti.metrics.stress import Bounds, Verdicts, find_limit, is_over, measure_level, too_few_sentence

BAD = np.array([True] * 50 + [False] * 50)


def say(missed: int = 0, alarms: int = 0) -> Verdicts:
    """Of 50 bad and 50 good photos so many are wrong."""
    passes = np.array([True] * missed + [False] * (50 - missed) + [False] * alarms + [True] * (50 - alarms))
    said = tuple("pass" if one else "reject" for one in passes)
    return Verdicts(said, passes != BAD, passes & BAD)


def test_a_level_by_hand() -> None:
    found = measure_level(say(missed=2), say(missed=5, alarms=1), bad=BAD, bounds=Bounds())
    assert (found["photos"], found["bad"], found["missed"]) == (100, 50, 5)
    assert found["unchanged"] == 0.96
    assert found["unchanged_interval"] == list(wilson_interval(96, 100))
    assert (found["accuracy"], found["miss_rate"]) == (0.94, 0.1)
    assert found["miss_rate_interval"] == list(wilson_interval(5, 50))
    assert found["loss"] == pytest.approx(0.06)  # three more missed of fifty; accuracy lost 0.04
    assert not found["holds"]


@pytest.mark.parametrize(
    ("bounds", "holds"),
    [(Bounds(0.06, 0.1), True), (Bounds(0.05, 0.1), False), (Bounds(0.06, 0.03), False), (Bounds(0.06, 0.04), True)],
)
def test_a_level_holds_inside_both_bounds(bounds: Bounds, holds: bool) -> None:
    assert measure_level(say(missed=2), say(missed=5, alarms=1), bad=BAD, bounds=bounds)["holds"] is holds


def test_one_photo_alone_never_breaks_a_level_unless_nothing_may_be_lost() -> None:
    found = measure_level(say(), say(missed=1), bad=BAD, bounds=Bounds(0.001))
    assert (found["loss"], found["holds"]) == (0.02, True)
    assert not measure_level(say(), say(missed=1), bad=BAD, bounds=Bounds(0.0))["holds"]
    assert not measure_level(say(), say(missed=2), bad=BAD, bounds=Bounds(0.001))["holds"]


def test_a_gain_is_no_loss() -> None:
    found = measure_level(say(missed=5), say(), bad=BAD, bounds=Bounds())
    assert (found["loss"], found["holds"]) == (-0.05, True)


def test_without_bad_photos_nothing_is_said_about_misses() -> None:
    none = np.zeros(4, bool)
    one = Verdicts(("a", "b", "a", "b"), np.array([True, True, False, True]), none)
    found = measure_level(one, one, bad=none, bounds=Bounds())
    assert (found["bad"], found["missed"], found["miss_rate"], found["miss_rate_interval"]) == (0, None, None, None)
    assert (found["unchanged"], found["accuracy"], found["holds"]) == (1.0, 0.75, True)


@pytest.mark.parametrize(
    ("holds", "limit"),
    [([], None), ([False, True], None), ([True], 0), ([True, True, False, True], 1), ([True, True], 1)],
)
def test_the_limit_is_the_last_level_in_a_row(holds: list[bool], limit: int | None) -> None:
    assert find_limit(holds) == limit


def test_a_sweep_ends_after_two_broken_levels() -> None:
    assert not is_over([True, False])
    assert not is_over([False, True, False])
    assert is_over([True, False, False])


@pytest.mark.parametrize(
    ("photos", "bad", "said"),
    [
        (200, 36, "There are 36 photos that must not pass: one of them is 2.8 points, over the bound of 2, and is let "
         "pass. Give 50 or more, or a larger bound."),
        (20, 0, "There are 20 photos: one of them is 5.0 points, over the bound of 2, and is let pass. Give 50 or "
         "more, or a larger bound."),
        (200, 50, None),
    ],
)  # fmt: skip
def test_too_few_photos_are_named(photos: int, bad: int, said: str | None) -> None:
    assert too_few_sentence(photos, bad, bounds=Bounds()) == said


def test_where_nothing_may_be_lost_no_number_is_too_few() -> None:
    assert too_few_sentence(3, 1, bounds=Bounds(0.0)) is None
