"""The population stability index against numbers by hand, and what it says of a line that changes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from teliti.serve.drift import Drift, stability_index


def test_by_hand() -> None:
    index = stability_index([10, 90], [30, 70])
    p, q = np.array([10.5, 90.5]) / 101, np.array([30.5, 70.5]) / 101
    assert index == pytest.approx(float(((q - p) * np.log(q / p)).sum()))
    assert stability_index([5, 7, 9], [5, 7, 9]) == 0


def test_nothing_is_said_before_there_is_enough() -> None:
    drift = Drift(photos=10)
    for number in range(19):
        drift.add(number / 20)
        assert math.isnan(drift.index())
    drift.add(0.5)
    assert not math.isnan(drift.index())


@pytest.mark.parametrize(("shift", "moved"), [(0.0, False), (0.15, True)])
def test_a_line_that_moved_is_seen(shift: float, moved: bool) -> None:
    random = np.random.default_rng(3)
    drift = Drift()
    for score in random.beta(2, 8, 500):
        drift.add(score)
    for score in random.beta(2, 8, 500) + shift:
        drift.add(score)
    assert (drift.index() > 0.25) == moved
    assert moved or drift.index() < 0.1


def test_equal_scores_are_no_drift() -> None:
    drift = Drift(photos=20)
    for _ in range(40):
        drift.add(0.0)
    assert drift.index() == pytest.approx(0, abs=1e-9)
