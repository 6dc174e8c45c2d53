"""Errors of predicted numbers equal scikit-learn's, beside "always the mean"."""

import json
import math

import numpy as np
import pytest
from sklearn import metrics as oracle

from teliti.errors import UserError
from teliti.metrics.regression import measure_regression


def _random(n, *, seed):
    rng = np.random.default_rng(seed)
    targets = rng.random(n) + 1000.0
    return targets, targets + rng.normal(scale=0.1, size=n)


@pytest.mark.parametrize("seed", range(5))
def test_measures_equal_scikit_learn(seed):
    targets, preds = _random(40, seed=seed)
    record = measure_regression(targets, preds, seed=seed)
    assert record["n"] == 40
    assert record["mae"] == pytest.approx(oracle.mean_absolute_error(targets, preds))
    assert record["rmse"] == pytest.approx(oracle.root_mean_squared_error(targets, preds))
    assert record["r2"] == pytest.approx(oracle.r2_score(targets, preds), rel=1e-9)
    for name in ("mae", "rmse", "r2"):
        low, high = record["intervals"][name]
        assert low < record[name] < high
    json.dumps(record, allow_nan=False)


def test_interval_of_the_mean_error_has_the_width_of_theory():
    targets, preds = _random(400, seed=0)
    low, high = measure_regression(targets, preds, seed=0)["intervals"]["mae"]
    assert (high - low) / 2 == pytest.approx(1.96 * np.abs(targets - preds).std() / math.sqrt(400), rel=0.1)


def test_perfect_is_best_and_the_mean_explains_nothing():
    targets = np.array([1.0, 2.0, 4.0])
    perfect = measure_regression(targets, targets, seed=0)
    assert (perfect["mae"], perfect["rmse"], perfect["r2"]) == (0.0, 0.0, 1.0)
    assert perfect["intervals"] == {}
    mean = measure_regression(targets, np.full(3, targets.mean()), seed=0)
    assert mean["r2"] == pytest.approx(0.0)
    assert mean["mae"] == pytest.approx(mean["baseline_mae"])
    assert mean["rmse"] == pytest.approx(mean["baseline_rmse"])


def test_baseline_is_the_mean_of_the_training_part_when_given():
    record = measure_regression(np.array([1.0, 3.0]), np.array([1.0, 3.0]), seed=0, baseline=4.0)
    assert record["baseline"] == 4.0
    assert record["baseline_mae"] == 2.0
    assert record["baseline_rmse"] == pytest.approx(math.sqrt(5.0))


def test_order_of_the_photos_changes_no_bit():
    targets, preds = _random(30, seed=2)
    assert measure_regression(targets, preds, seed=1) == measure_regression(targets[::-1], preds[::-1], seed=1)


def test_equal_targets_have_no_r2_and_no_photos_have_nothing():
    record = measure_regression(np.full(5, 0.1), np.arange(5) / 10, seed=0)
    assert record["r2"] is None
    assert "r2" not in record["intervals"]
    assert record["mae"] == pytest.approx(0.14)
    empty = measure_regression(np.empty(0), np.empty(0), seed=0)
    assert empty["n"] == 0
    assert empty["mae"] is empty["r2"] is empty["baseline_mae"] is None


def test_unusable_input_is_named():
    with pytest.raises(UserError, match=r"must have one shape \(N,\), got \(2,\) and \(3,\)"):
        measure_regression(np.zeros(2), np.zeros(3), seed=0)
    with pytest.raises(UserError, match=r"must be finite, got 2 that are not. Check these photos and labels"):
        measure_regression(np.array([1.0, np.nan]), np.array([np.inf, 1.0]), seed=0)
