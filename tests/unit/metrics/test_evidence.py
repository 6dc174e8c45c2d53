"""Views of photos judged: the background alone beats chance or it does not, or nothing can be said."""

from __future__ import annotations

import numpy as np
import pytest

from teliti.metrics.evidence import CHEATING, CLEAN, UNKNOWN, judge_views, measure_view
from teliti.metrics.intervals import wilson_interval

LABELS = np.arange(60) % 2


def view(strength: float) -> dict:
    """A view whose scores lie so many deviations apart."""
    scores = 1.0 / (1.0 + np.exp(-(np.random.default_rng(2).normal(0.0, 1.0, 60) + strength * LABELS)))
    return measure_view(LABELS, np.column_stack([1.0 - scores, scores]), positive=1, seed=7)


@pytest.mark.parametrize(
    ("whole", "background", "status"),
    [(3.0, 0.0, CLEAN), (3.0, 3.0, CHEATING), (3.0, 1.5, CHEATING), (3.0, -3.0, CLEAN), (0.0, 0.0, UNKNOWN)],
)
def test_the_background_is_judged_by_its_interval(whole: float, background: float, status: str) -> None:
    assert judge_views({"whole": view(whole), "background": view(background)}) == status


def test_a_view_where_all_is_in_order_has_the_interval_of_as_many_successes() -> None:
    found = view(50.0)
    assert found["roc_auc"] == 1.0
    assert found["interval"] == list(wilson_interval(30, 30))


def test_the_same_answer_for_every_photo_is_chance_itself() -> None:
    found = measure_view(LABELS, np.full((60, 2), 0.5), positive=1, seed=7)
    assert (found["roc_auc"], found["interval"]) == (0.5, [0.5, 0.5])
    assert judge_views({"whole": view(3.0), "background": found}) == CLEAN
