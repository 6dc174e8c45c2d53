"""Two inspectors on the same photos: exact p values against scipy, and intervals that hold what they claim."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from teliti.metrics.line import Line, cost_change
from teliti.metrics.mcnemar import mcnemar_p, paired_errors, paired_interval
from teliti.recipe.decide import Cost


@pytest.mark.parametrize(("only_old", "only_new"), [(0, 0), (1, 0), (0, 6), (10, 3), (25, 25), (300, 250)])
def test_the_p_value_is_that_of_the_exact_binomial_test(only_old, only_new):
    total = only_old + only_new
    oracle = binomtest(only_old, total, 0.5).pvalue if total else 1.0
    assert mcnemar_p(only_old, only_new) == pytest.approx(oracle, rel=1e-9)
    assert mcnemar_p(only_new, only_old) == mcnemar_p(only_old, only_new)


def test_errors_are_counted_on_the_same_photos():
    old = np.array([1, 1, 1, 0, 0, 0, 0, 0, 0, 0], dtype=bool)
    new = np.array([1, 0, 0, 1, 0, 0, 0, 0, 0, 0], dtype=bool)
    record = paired_errors(old, new)
    assert (record["old"], record["new"], record["only_old"], record["only_new"]) == (3, 2, 2, 1)
    assert record["difference"] == pytest.approx(-0.1)
    low, high = record["interval"]
    assert low < -0.1 < high


def test_the_interval_is_the_published_one():
    # Newcombe (1998), table II, method 10: a matched table of 36 both, 12 and 2 discordant, 0 neither
    low, high = paired_interval(36, 12, 2, photos=50)
    assert (low, high) == (pytest.approx(0.0569, abs=5e-4), pytest.approx(0.3404, abs=5e-4))


def test_without_photos_or_without_errors_nothing_breaks():
    assert paired_interval(0, 0, 0, photos=0) is None
    low, high = paired_interval(0, 0, 0, photos=100)
    assert -0.05 < low < 0.0 < high < 0.05
    assert paired_errors(np.zeros(0, bool), np.zeros(0, bool))["difference"] is None


def test_the_interval_holds_the_true_difference_as_often_as_it_says():
    rng, held, draws = np.random.default_rng(3), 0, 1500
    cells = np.array([0.05, 0.06, 0.02, 0.87])  # both, only new, only old, neither
    for both, only_new, only_old, _ in rng.multinomial(120, cells, size=draws):
        low, high = paired_interval(int(both), int(only_new), int(only_old), photos=120)
        held += low <= 0.04 <= high
    assert held / draws >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / draws)


def test_the_cost_of_a_change_is_that_of_the_line():
    line = Line(Cost(miss=50, false_alarm=1, review=2), defect_rate=0.1, parts=1000)
    bad = np.array([True] * 10 + [False] * 90)
    old, new = np.where(bad, 2, 0), np.where(bad, 2, 0)
    new[0], new[10] = 0, 1  # one defect is missed now, one good part is looked at
    found = cost_change(old, new, bad, line=line, seed=1)
    assert (found["old"], found["new"]) == (0.0, pytest.approx(1000 * (0.1 * 0.1 * 50 + 0.9 * 2 / 90)))
    assert found["difference"] == pytest.approx(found["new"])
    assert cost_change(old, new, np.ones(100, bool), line=line, seed=1) is None


def test_without_a_change_the_interval_of_the_cost_is_on_both_sides_of_zero():
    line = Line(Cost(miss=50), parts=1000)
    bad = np.arange(200) % 2 == 0
    outcomes = np.where(bad, 2, 0)
    low, high = cost_change(outcomes, outcomes, bad, line=line, seed=1)["interval"]
    assert low < 0.0 < high


def test_many_new_misses_are_a_shown_cost():
    line = Line(Cost(miss=50), parts=1000)
    bad = np.arange(200) % 2 == 0
    old = np.where(bad, 2, 0)
    new = np.where(bad & (np.arange(200) < 30), 0, old)
    assert cost_change(old, new, bad, line=line, seed=1)["interval"][0] > 0.0
