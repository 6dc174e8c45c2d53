"""Curves and areas are those of scikit-learn, ties included, and thinning keeps the area."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from teliti.errors import UserError
from teliti.metrics.curves import (
    average_precision_score,
    curve_record,
    pr_curve,
    rank_scores,
    roc_auc_score,
    roc_curve,
    score_histogram,
)

TIED = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=40).filter(
    lambda pairs: len({flag for flag, _ in pairs}) == 2
)


def _arrays(pairs):
    return np.array([flag for flag, _ in pairs]), np.array([score / 6 for _, score in pairs])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(TIED)
def test_areas_and_points_equal_scikit_learn(pairs):
    positives, scores = _arrays(pairs)
    assert roc_auc_score(positives, scores) == pytest.approx(oracle.roc_auc_score(positives, scores), abs=1e-12)
    assert average_precision_score(positives, scores) == pytest.approx(
        oracle.average_precision_score(positives, scores), abs=1e-12
    )
    fpr, tpr, thresholds = oracle.roc_curve(positives, scores, drop_intermediate=False)
    roc = roc_curve(positives, scores)
    np.testing.assert_allclose([roc.x, roc.y], [fpr, tpr], atol=1e-12)
    np.testing.assert_array_equal(roc.thresholds, thresholds)
    precision, recall, _ = oracle.precision_recall_curve(positives, scores)
    pr = pr_curve(positives, scores)
    np.testing.assert_allclose([pr.x, pr.y], [recall[::-1], precision[::-1]], atol=1e-12)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(TIED, st.randoms(use_true_random=False))
def test_counting_a_photo_twice_is_giving_it_twice(pairs, random):
    positives, scores = _arrays(pairs)
    counts = np.array([random.randint(1, 3) for _ in pairs])
    ranking = rank_scores(positives, scores)
    repeated = np.repeat(positives, counts), np.repeat(scores, counts)
    assert ranking.roc_auc(counts[None])[0] == pytest.approx(roc_auc_score(*repeated), abs=1e-12)
    assert ranking.average_precision(counts[None])[0] == pytest.approx(average_precision_score(*repeated), abs=1e-12)


def test_perfect_is_one_inverted_is_zero_and_chance_is_half():
    positives = np.array([False, False, True, True])
    assert roc_auc_score(positives, np.array([0.1, 0.2, 0.3, 0.4])) == 1.0
    assert average_precision_score(positives, np.array([0.1, 0.2, 0.3, 0.4])) == 1.0
    assert roc_auc_score(positives, np.array([0.4, 0.3, 0.2, 0.1])) == 0.0
    assert roc_auc_score(positives, np.full(4, 0.7)) == 0.5
    assert average_precision_score(positives, np.full(4, 0.7)) == 0.5


def test_area_of_the_curve_is_the_area():
    rng = np.random.default_rng(0)
    positives, scores = rng.random(200) < 0.3, rng.random(200).round(1)
    assert roc_curve(positives, scores).area() == pytest.approx(roc_auc_score(positives, scores), abs=1e-12)


def test_a_draw_without_one_kind_is_undefined():
    ranking = rank_scores(np.array([True, False]), np.array([0.2, 0.1]))
    np.testing.assert_array_equal(ranking.roc_auc(np.array([[1, 0], [0, 1], [1, 1]])), [np.nan, np.nan, 1.0])
    np.testing.assert_array_equal(ranking.average_precision(np.array([[0, 1], [1, 0]])), [np.nan, 1.0])


def test_one_kind_of_photo_has_no_curve():
    good = np.zeros(3, dtype=bool)
    scores = np.array([0.1, 0.5, 0.9])
    assert roc_auc_score(good, scores) is None
    assert roc_curve(good, scores) is None
    assert roc_curve(~good, scores) is None
    assert average_precision_score(good, scores) is None
    assert pr_curve(good, scores) is None
    assert curve_record(good, scores, threshold=0.5) == {}


@pytest.mark.parametrize("curve", [roc_curve, pr_curve])
@pytest.mark.parametrize("share", [0.01, 0.3])
@pytest.mark.parametrize("shift", [0.0, 1.5])
@pytest.mark.parametrize("decimals", [1, 12])
def test_thinning_keeps_the_area_and_the_ends(curve, share, shift, decimals):
    rng = np.random.default_rng(5)
    positives = rng.random(4000) < share
    whole = curve(positives, (rng.normal(size=4000) + shift * positives).round(decimals))
    thin = whole.thin()
    assert len(thin.x) <= 500
    assert thin.area() == pytest.approx(whole.area(), abs=1e-3)
    assert (thin.x[0], thin.y[0], thin.x[-1], thin.y[-1]) == (whole.x[0], whole.y[0], whole.x[-1], whole.y[-1])
    assert set(zip(thin.x, thin.y, strict=True)) <= set(zip(whole.x, whole.y, strict=True))


def test_a_perfect_curve_needs_three_points():
    positives = np.arange(2000) >= 1500
    thin = roc_curve(positives, np.arange(2000) / 2000).thin()
    assert list(zip(thin.x, thin.y, strict=True)) == [(0.0, 0.0), (0.0, 1.0), (1.0, 1.0)]


def test_record_marks_the_point_of_the_threshold_and_is_json():
    positives = np.array([False, False, False, True, True])
    record = curve_record(positives, np.array([0.1, 0.2, 0.6, 0.55, 0.9], dtype=np.float32), threshold=0.5)
    assert record["roc"]["at_threshold"] == pytest.approx([1 / 3, 1.0])
    assert record["pr"]["at_threshold"] == pytest.approx([1.0, 2 / 3])
    assert record["roc"]["fpr"][0] == 0.0
    json.dumps(record, allow_nan=False)


def test_record_above_all_scores_and_without_threshold():
    positives, scores = np.array([False, True]), np.array([0.1, 0.2])
    assert curve_record(positives, scores, threshold=0.9)["roc"]["at_threshold"] == [0.0, 0.0]
    assert curve_record(positives, scores)["pr"]["at_threshold"] is None


def test_histogram_counts_every_photo_once():
    labels = np.array([0, 0, 1, 1, 1])
    record = score_histogram(labels, np.array([0.0, 0.24, 0.25, 0.99, 1.0]), classes=("ok", "def"), bins=4)
    assert record == {"edges": [0.0, 0.25, 0.5, 0.75, 1.0], "counts": {"ok": [2, 0, 0, 0], "def": [0, 1, 0, 2]}}


def test_unusable_scores_are_named():
    flags = np.array([True, False])
    with pytest.raises(UserError, match=r"must have shape \(N,\) with as many labels, got \(3,\) and \(2,\)"):
        roc_auc_score(flags, np.zeros(3))
    with pytest.raises(UserError, match=r"got \(0,\) and \(0,\). Give at least one photo"):
        rank_scores(np.empty(0, bool), np.empty(0))
    with pytest.raises(UserError, match="Scores must be finite, got 1 that are not"):
        pr_curve(flags, np.array([np.nan, 1.0]))
    with pytest.raises(UserError, match="points must be at least 2, got 1"):
        roc_curve(flags, np.zeros(2)).thin(1)
    with pytest.raises(UserError, match=r"Scores of a histogram must be in \[0, 1\]"):
        score_histogram(np.array([0, 1]), np.array([0.5, 1.5]), classes=("a", "b"))
