"""Promises are kept as often as they claim, costs come near the best, intervals hold the truth."""

from __future__ import annotations

import numpy as np
import pytest

from coverage_of import bootstrap_coverage, cost_ratio, miss_rates, most_breaks, wilson_coverage
from teliti.recipe import Cost, DecideRecipe

RATES = [0.01, 0.05, 0.1]
SHARES = np.linspace(0.05, 0.95, 19)
COSTS = DecideRecipe(cost=Cost(miss=50, false_alarm=1, review=2))


def prove(rate: float, confidence: float = 0.95) -> DecideRecipe:
    return DecideRecipe(max_miss_rate=rate, guarantee="proven", confidence=confidence)


@pytest.mark.parametrize("rate", RATES)
def test_a_proof_is_wrong_no_more_often_than_it_says(rate):
    few = int(np.ceil(np.log(0.05) / np.log(1 - rate)))  # the fewest photos that prove it at all
    rates = miss_rates(prove(rate), positives=few, draws=150, seed=7)
    assert (rates > rate).mean() <= most_breaks(0.05, 150)


def test_without_enough_photos_the_fall_back_keeps_the_bound_that_it_states():
    rates = miss_rates(prove(0.01), positives=100, draws=200, seed=7)
    assert (rates > 0.0295).mean() <= most_breaks(0.05, 200)
    assert (rates > 0.01).mean() > 0.2  # and not the one that was asked for


def test_conformal_risk_control_keeps_the_rate_on_average_and_only_so():
    decide = DecideRecipe(max_miss_rate=0.05, guarantee="expected")
    rates = miss_rates(decide, positives=60, draws=300, seed=7)
    assert rates.mean() <= 0.05 + 2 * rates.std() / np.sqrt(300)
    assert (rates > 0.05).mean() > 0.2


def test_what_was_only_observed_is_broken_often():
    rates = miss_rates(DecideRecipe(max_miss_rate=0.05), positives=100, draws=100, seed=7)
    assert (rates > 0.05).mean() > 0.3


def test_the_chosen_threshold_costs_little_more_than_the_best():
    assert cost_ratio(COSTS, photos=5000, share=0.1, rate=0.1, draws=20, seed=7) <= 1.02


def test_wilson_and_the_bootstrap_hold_the_truth():
    for trials in (50, 200, 1000):
        assert wilson_coverage(trials, shares=SHARES, draws=2000, seed=7) == pytest.approx(0.95, abs=0.02)
    assert bootstrap_coverage(200, shares=SHARES[::6], draws=60, seed=7) == pytest.approx(0.95, abs=0.04)


@pytest.mark.slow
@pytest.mark.parametrize("confidence", [0.9, 0.95])
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("times", [1, 3])
def test_a_thousand_proofs(rate, confidence, times):
    few = int(np.ceil(np.log(1 - confidence) / np.log(1 - rate)))
    rates = miss_rates(prove(rate, confidence), positives=times * few, draws=1000, seed=11)
    assert (rates > rate).mean() <= most_breaks(1 - confidence, 1000)


@pytest.mark.slow
@pytest.mark.parametrize("review", [2.0, 0.2])
def test_the_chosen_band_costs_little_more_than_the_best(review):
    decide = DecideRecipe(cost=Cost(miss=50, false_alarm=1, review=review))
    assert cost_ratio(decide, photos=5000, share=0.1, rate=0.1, draws=200, seed=11) <= 1.02


@pytest.mark.slow
def test_the_chosen_threshold_costs_little_more_where_the_line_has_fewer_defects():
    decide = DecideRecipe(cost=Cost(miss=50, false_alarm=1, review=2), defect_rate=0.01)
    assert cost_ratio(decide, photos=5000, share=0.3, rate=0.01, draws=200, seed=11) <= 1.02


@pytest.mark.slow
@pytest.mark.parametrize("trials", [50, 200, 1000])
def test_intervals_hold_the_truth(trials):
    assert wilson_coverage(trials, shares=SHARES, draws=20_000, seed=11) == pytest.approx(0.95, abs=0.02)
    assert bootstrap_coverage(trials, shares=SHARES, draws=200, seed=11) == pytest.approx(0.95, abs=0.02)
