"""Views of photos judged: the background alone beats chance or it does not, or nothing can be said."""

from __future__ import annotations

import numpy as np
import pytest

from teliti.metrics.evidence import (
    CHEATING,
    CLEAN,
    UNKNOWN,
    judge_views,
    labels_by_background,
    measure_labels_view,
    measure_view,
)
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


def labels_view(*strengths: float) -> dict:
    """Labels whose scores lie so many deviations apart."""
    draw = np.random.default_rng(3)
    targets = draw.integers(0, 2, (80, len(strengths)))
    scores = 1.0 / (1.0 + np.exp(-(draw.normal(size=targets.shape) + np.array(strengths) * targets)))
    names = [f"label {k}" for k in range(len(strengths))]
    return measure_labels_view(targets, scores, names=names, seed=7)


def test_of_labels_the_mean_counts_and_each_by_itself() -> None:
    found = labels_view(0.0, 3.0, 0.0)
    areas = [row["roc_auc"] for row in found["per_label"]]
    assert found["roc_auc"] == pytest.approx(np.mean(areas))
    assert found["interval"][0] < found["roc_auc"] < found["interval"][1]
    assert [row["label"] for row in labels_by_background(found)] == ["label 1"]


@pytest.mark.parametrize(
    ("whole", "background", "status"),
    [
        ((3.0, 3.0), (0.0, 0.0), CLEAN),
        ((3.0, 3.0), (3.0, 3.0), CHEATING),
        ((3.0,) * 6, (0.0, 0.0, 2.0, 0.0, 0.0, -1.0), CHEATING),  # one label of many is enough
        ((0.0, 0.0), (0.0, 0.0), UNKNOWN),
    ],
)
def test_labels_are_judged_by_the_mean_and_by_each(whole: tuple, background: tuple, status: str) -> None:
    views = {"whole": labels_view(*whole), "background": labels_view(*background)}
    assert judge_views(views) == status


def test_the_interval_of_one_label_is_wider_where_there_are_many() -> None:
    alone, many = labels_view(1.0)["per_label"][0], labels_view(1.0, 1.0, 1.0, 1.0, 1.0)["per_label"]
    widths = [row["interval"][1] - row["interval"][0] for row in many]
    assert np.mean(widths) > alone["interval"][1] - alone["interval"][0]
