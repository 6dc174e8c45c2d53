"""Intervals over repeats: SciPy is the oracle where the correction is off, a simulation where it is on."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from teliti.workflow.shared.paired import adjust_for_many, estimate


def test_without_overlap_it_is_students_interval() -> None:
    values = np.random.default_rng(0).normal(0.02, 0.01, 8)
    found = estimate(values, test_to_train=0.0)
    oracle = stats.ttest_1samp(values, 0.0)
    assert found.mean == pytest.approx(values.mean())
    assert found.interval == pytest.approx(tuple(oracle.confidence_interval(0.95)))
    assert found.p == pytest.approx(oracle.pvalue)


def test_the_overlap_widens_it_as_nadeau_and_bengio_say() -> None:
    values = [0.01, 0.03, 0.02, 0.05, 0.04]
    plain, corrected = estimate(values, test_to_train=0.0), estimate(values, test_to_train=0.25)
    widening = math.sqrt((1 / 5 + 1 / 4) / (1 / 5))
    assert (corrected.interval[1] - corrected.mean) == pytest.approx(widening * (plain.interval[1] - plain.mean))
    assert corrected.p > plain.p


def test_interval_and_p_value_agree_about_zero() -> None:
    random = np.random.default_rng(1)
    for _ in range(50):
        found = estimate(random.normal(0.01, 0.01, 5), test_to_train=0.25)
        assert (found.interval[0] > 0 or found.interval[1] < 0) == (found.p < 0.05)


def test_learners_that_are_alike_are_called_different_at_most_as_often_as_promised() -> None:
    """Two equally good guesses at labels, measured on folds: the corrected test keeps its level."""
    random, photos, folds, trials = np.random.default_rng(2), 100, 5, 400
    wrong = 0
    for _ in range(trials):
        fold = random.permutation(photos) % folds
        hits = random.random((2, photos)) < 0.8
        differences = [hits[0, fold == k].mean() - hits[1, fold == k].mean() for k in range(folds)]
        p = estimate(differences, test_to_train=1 / (folds - 1)).p
        wrong += p is not None and p < 0.05
    assert wrong / trials <= 0.05


def test_repeats_that_do_not_vary_give_no_interval() -> None:
    assert (estimate([0.0] * 5, test_to_train=0.25).interval, estimate([0.0] * 5, test_to_train=0.25).p) == (None, 1.0)
    same = estimate([0.1] * 5, test_to_train=0.25)
    assert (same.mean, same.interval, same.p) == (pytest.approx(0.1), None, None)
    one = estimate([0.3], test_to_train=0.25)
    assert (one.mean, one.interval, one.p) == (0.3, None, None)


def test_holm_by_hand() -> None:
    assert adjust_for_many({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})
    assert adjust_for_many({"a": 0.6, "b": 0.7}) == {"a": 1.0, "b": 1.0}
    assert adjust_for_many({}) == {}
