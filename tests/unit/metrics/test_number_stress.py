"""A level of predicted numbers, counted by hand: what moves, what is lost, what a refused photo counts as."""

from __future__ import annotations

import numpy as np
import pytest

from teliti.metrics.number_stress import measure_number_level, number_errors
from teliti.metrics.stress import Bounds

TRUE = np.arange(20.0)[:, None]


def level(now: np.ndarray, *, tolerance: float = 1.0, changed: float = 0.1) -> dict:
    return measure_number_level(
        TRUE + 0.5, now, targets=TRUE, tolerance={"number": tolerance}, bounds=Bounds(changed=changed)
    )


def test_a_move_of_exactly_the_tolerance_is_inside() -> None:
    found = level(TRUE + 1.5)
    assert (found["unchanged"], found["holds"], found["loss"]) == (1.0, True, pytest.approx(1.0))
    assert found["errors"][0]["mae"] == pytest.approx(1.5)
    assert not level(TRUE + 1.6)["holds"]


@pytest.mark.parametrize(("moved", "holds"), [(2, True), (3, False)])
def test_a_tenth_of_the_numbers_may_move(moved: int, holds: bool) -> None:
    now = TRUE + 0.5
    now[:moved] += 3.0
    found = level(now)
    assert (found["unchanged"], found["holds"]) == (1.0 - moved / 20, holds)
    assert found["unchanged_interval"][0] < found["unchanged"]


def test_few_numbers_that_move_far_are_too_much() -> None:
    now = TRUE + 0.5
    now[0] += 100.0
    found = level(now)
    assert (found["unchanged"], found["holds"], found["loss"]) == (0.95, False, pytest.approx(5.0))


def test_a_refused_photo_counts_as_moved() -> None:
    now = TRUE + 0.5
    now[:4] = np.nan
    found = level(now)
    assert (found["unchanged"], found["refused"], found["loss"], found["holds"]) == (0.8, 4, pytest.approx(0.0), False)
    none = level(np.full_like(TRUE, np.nan))
    assert (none["loss"], none["errors"][0]["mae"], none["holds"]) == (None, None, False)


@pytest.mark.parametrize("refused_error", [0.0, 40.0])
@pytest.mark.parametrize(("moved", "holds"), [(0.0, True), (1.5, False)])
def test_the_error_rises_over_the_same_photos(refused_error: float, moved: float, holds: bool) -> None:
    clean = TRUE + 3.0
    clean[:8] = TRUE[:8] + refused_error
    now = clean + moved
    now[:8] = np.nan
    found = measure_number_level(clean, now, targets=TRUE, tolerance={"number": 1.0}, bounds=Bounds(changed=1.0))
    assert (found["refused"], found["loss"], found["holds"]) == (8, pytest.approx(moved), holds)


def test_of_several_numbers_each_has_its_tolerance() -> None:
    both = np.repeat(TRUE, 2, axis=1)
    found = measure_number_level(
        both, both + np.array([0.5, 5.0]), targets=both, tolerance={"x": 1.0, "y": 10.0}, bounds=Bounds()
    )
    assert (found["unchanged"], found["holds"], found["loss"]) == (1.0, True, pytest.approx(0.5))
    assert [row["name"] for row in found["errors"]] == ["x", "y"]


def test_the_interval_of_an_error_covers_it() -> None:
    rng = np.random.default_rng(2)
    (found,) = number_errors(rng.normal(size=(60, 1)), np.zeros((60, 1)), names=("number",))
    assert found["interval"][0] < 0.798 < found["interval"][1]  # the mean of |normal|
