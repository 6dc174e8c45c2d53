"""Paired errors of numbers: the test against scipy's, its size where nothing differs, and the interval's coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from teliti.metrics.paired_amounts import paired_amounts, randomisation_p


@pytest.mark.parametrize(("photos", "shift"), [(9, 0.4), (40, 0.2), (40, 0.0), (300, 0.1)])
def test_the_probability_is_that_of_scipy(photos: int, shift: float) -> None:
    gain = np.random.default_rng(photos).normal(shift, 1.0, photos)
    expected = stats.permutation_test(
        (gain,), np.sum, permutation_type="samples", n_resamples=9_999, rng=np.random.default_rng(1)
    ).pvalue
    assert randomisation_p(gain, seed=3) == pytest.approx(expected, abs=0.02)


def test_of_many_photos_that_differ_alike_the_probability_is_near_that_of_the_normal() -> None:
    gain = np.random.default_rng(0).normal(0.03, 1.0, 2_500)
    expected = stats.ttest_1samp(gain, 0.0).pvalue
    assert randomisation_p(gain, seed=3) == pytest.approx(expected, rel=0.05)


def test_of_many_photos_four_that_carry_all_are_four_coins() -> None:
    gain = np.full(3_000, 1e-16)
    gain[-4:] = 1.0
    assert randomisation_p(gain, seed=3) == pytest.approx(2 / 16, abs=0.01)  # all four heads, or all four tails


def test_of_many_photos_what_the_small_differences_add_is_counted() -> None:
    gain = np.repeat([1.0, -1.0, 250.0], [1_490, 1_506, 4])
    few = 250.0 * (2.0 * np.arange(5) - 4.0)
    rest = 2.0 * np.arange(2_997) - 2_996.0
    chances = np.outer(stats.binom.pmf(np.arange(5), 4, 0.5), stats.binom.pmf(np.arange(2_997), 2_996, 0.5))
    exact = chances[np.abs(few[:, None] + rest) >= abs(gain.sum())].sum()
    assert randomisation_p(gain, seed=3) == pytest.approx(exact, abs=0.01)


def test_where_nothing_differs_few_are_called_different() -> None:
    rng = np.random.default_rng(5)
    called = np.mean([randomisation_p(rng.normal(size=20), seed=number) < 0.05 for number in range(120)])
    assert called < 0.12


def test_the_record_counts_what_it_says() -> None:
    found = paired_amounts(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 1.0, 5.0, 8.0]), seed=1)
    assert (found["photos"], found["old"], found["new"], found["difference"]) == (4, 2.5, 3.75, 1.25)
    assert (found["smaller"], found["larger"]) == (1, 2)
    low, high = found["interval"]
    assert low < 1.25 < high
    turned = paired_amounts(np.array([1.0, 1.0, 5.0, 8.0]), np.array([1.0, 2.0, 3.0, 4.0]), seed=1)
    assert turned["p"] == found["p"]


def test_nothing_and_no_difference_are_no_surprise() -> None:
    none = paired_amounts(np.zeros(0), np.zeros(0), seed=1)
    assert (none["photos"], none["old"], none["difference"], none["interval"], none["p"]) == (0, None, None, None, 1.0)
    same = paired_amounts(np.ones(5), np.ones(5), seed=1)
    assert (same["difference"], same["interval"], same["p"]) == (0.0, None, 1.0)
