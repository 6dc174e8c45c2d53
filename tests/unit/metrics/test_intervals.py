"""Intervals agree with scipy, and the bootstrap finds what is known from theory."""

import math
import time

import numpy as np
import pytest
from scipy.stats import binomtest

from teliti.errors import UserError
from teliti.metrics.curves import rank_scores, roc_auc_score
from teliti.metrics.intervals import (
    affordable_draws,
    balanced_interval,
    bootstrap_interval,
    clopper_pearson_interval,
    clopper_pearson_upper,
    draw_confusions,
    draw_counts,
    of_samples,
    percentile_interval,
    wilson_interval,
)

SHARES = [(k, n) for n in (1, 2, 7, 50, 525) for k in sorted({0, 1, n // 3, n - 1, n})]


@pytest.mark.parametrize(("successes", "trials"), SHARES)
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_intervals_of_a_share_equal_scipy(successes, trials, confidence):
    oracle = binomtest(successes, trials)
    wilson = wilson_interval(successes, trials, confidence=confidence)
    assert wilson == pytest.approx(tuple(oracle.proportion_ci(confidence, "wilson")), abs=1e-9)
    exact = clopper_pearson_interval(successes, trials, confidence=confidence)
    assert exact == pytest.approx(tuple(oracle.proportion_ci(confidence, "exact")), abs=1e-9)


def test_two_defects_prove_little():
    low, high = wilson_interval(1, 2)
    assert (round(low, 2), round(high, 2)) == (0.09, 0.91)


@pytest.mark.parametrize("trials", [1, 20, 1000, 50_000])
def test_no_miss_in_n_bounds_the_miss_rate(trials):
    assert clopper_pearson_upper(0, trials) == pytest.approx(1 - 0.05 ** (1 / trials), rel=1e-9)


def test_one_sided_bound_equals_scipy():
    oracle = binomtest(3, 150, alternative="less").proportion_ci(0.95, "exact").high
    assert clopper_pearson_upper(3, 150) == pytest.approx(oracle, abs=1e-9)


def test_nothing_is_known_without_trials():
    assert wilson_interval(0, 0) is None
    assert clopper_pearson_interval(0, 0) is None
    assert clopper_pearson_upper(0, 0) == 1.0


def _scored(n=300, seed=0):
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.4).astype(np.int64)
    return labels, rng.normal(size=n) + 1.2 * labels


def test_bootstrap_of_a_mean_has_the_width_of_theory():
    values = np.random.default_rng(0).normal(size=400)
    low, high = bootstrap_interval(
        lambda counts: counts @ values / counts.sum(axis=1), np.zeros(400, dtype=np.int64), seed=1, draws=4000
    )
    half = 1.96 * values.std() / math.sqrt(400)
    assert (low + high) / 2 == pytest.approx(values.mean(), abs=0.1 * half)
    assert (high - low) / 2 == pytest.approx(half, rel=0.06)


def test_bootstrap_of_the_area_agrees_with_hanley_and_mcneil():
    labels, scores = _scored()
    area = roc_auc_score(labels == 1, scores)
    low, high = bootstrap_interval(rank_scores(labels == 1, scores).roc_auc, labels, seed=1)
    found, others = labels.sum(), (1 - labels).sum()
    pair, triple = area / (2 - area), 2 * area**2 / (1 + area)
    variance = (area * (1 - area) + (found - 1) * (pair - area**2) + (others - 1) * (triple - area**2)) / (
        found * others
    )
    assert low < area < high
    assert (high - low) / 2 == pytest.approx(1.96 * math.sqrt(variance), rel=0.15)


def test_plain_functions_can_be_bootstrapped_too():
    labels, scores = _scored(60)
    fast = bootstrap_interval(rank_scores(labels == 1, scores).roc_auc, labels, seed=3, draws=200)
    plain = of_samples(lambda truth, values: roc_auc_score(truth == 1, values), labels, scores)
    assert bootstrap_interval(plain, labels, seed=3, draws=200) == pytest.approx(fast, abs=1e-12)


def test_same_seed_same_interval():
    labels, scores = _scored(60)
    measure = rank_scores(labels == 1, scores).roc_auc
    assert bootstrap_interval(measure, labels, seed=3) == bootstrap_interval(measure, labels, seed=3)
    assert bootstrap_interval(measure, labels, seed=3) != bootstrap_interval(measure, labels, seed=4)


def test_draws_keep_the_size_of_every_class():
    labels = np.array([0, 0, 0, 1, 1, 5])
    counts = np.concatenate(list(draw_counts(labels, draws=500, seed=0)))
    assert counts.shape == (500, 6)
    for label, size in ((0, 3), (1, 2), (5, 1)):
        assert (counts[:, labels == label].sum(axis=1) == size).all()
    np.testing.assert_allclose(counts.mean(axis=0), 1.0, atol=0.12)


def test_confusions_are_drawn_like_photos():
    matrix = np.array([[30, 10], [5, 55]])
    drawn = np.concatenate(list(draw_confusions(matrix, draws=4000, seed=0)))
    assert (drawn.sum(axis=2) == [40, 60]).all()
    np.testing.assert_allclose(drawn.mean(axis=0), matrix, atol=0.3)
    assert drawn[:, 0, 1].var() == pytest.approx(40 * 0.25 * 0.75, rel=0.1)


def test_draws_that_say_nothing_give_no_interval():
    labels = np.array([0, 0, 1, 1])
    perfect = rank_scores(labels == 1, np.array([0.1, 0.2, 0.8, 0.9]))
    assert bootstrap_interval(perfect.roc_auc, labels, seed=0) is None
    assert bootstrap_interval(perfect.roc_auc, np.empty(0, int), seed=0) is None
    assert percentile_interval(np.array([np.nan, np.nan])) is None
    assert percentile_interval(np.array([0.0, np.nan, 1.0]), confidence=0.5) == (0.25, 0.75)


def test_a_thousand_areas_of_525_photos_take_well_under_a_second():
    labels, scores = _scored(525)
    measure = rank_scores(labels == 1, scores).roc_auc
    bootstrap_interval(measure, labels, seed=0, draws=10)
    start = time.process_time()
    bootstrap_interval(measure, labels, seed=0)
    assert time.process_time() - start < 0.5


def test_huge_sets_get_fewer_draws():
    assert affordable_draws(525) == 1000
    assert affordable_draws(50_000) == 500
    assert affordable_draws(10**9) == 200
    assert affordable_draws(10**9, draws=50) == 50


def test_impossible_counts_and_confidences_are_named():
    with pytest.raises(UserError, match=r"successes must be in 0..4, got 5. Count both over the same photos"):
        wilson_interval(5, 4)
    with pytest.raises(UserError, match=r"successes must be in 0..4, got -1"):
        clopper_pearson_upper(-1, 4)
    with pytest.raises(UserError, match=r"confidence must be between 0 and 1, got 95"):
        clopper_pearson_interval(1, 4, confidence=95)
    with pytest.raises(UserError, match=r"confidence must be between 0 and 1, got 0"):
        bootstrap_interval(lambda counts: counts[:, 0], np.zeros(3, int), seed=0, confidence=0.0)


def test_the_interval_of_balanced_accuracy_has_a_width_where_all_are_right():
    """One class is Wilson's; more classes are surer together than one of them, since their errors are independent."""
    one = balanced_interval(np.array([40]), np.array([40]))
    six = balanced_interval(np.full(6, 40), np.full(6, 40))
    assert one == pytest.approx(wilson_interval(40, 40))
    assert one[0] < six[0] < 0.99
    assert six[1] == 1.0


@pytest.mark.parametrize(("recalls", "counts"), [((0.9, 0.7), (60, 20)), ((1.0, 0.95, 0.5), (40, 100, 30))])
def test_the_interval_of_balanced_accuracy_holds_the_truth(recalls, counts):
    rng = np.random.default_rng(0)
    truth = np.mean(recalls)
    held = [low <= truth <= high for low, high in (balanced_interval(rng.binomial(counts, recalls), np.array(counts))
                                                   for _ in range(2000))]  # fmt: skip
    assert 0.93 <= np.mean(held) <= 0.985
