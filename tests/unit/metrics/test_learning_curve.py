"""A power law is found again, and its forecast says how unsure it is."""

import numpy as np
import pytest

from teliti.errors import UserError
from teliti.metrics.learning_curve import PowerLaw, extrapolate, fit_power_law

SIZES = np.repeat([100.0, 200, 400, 600, 800, 1000], 3)


@pytest.mark.parametrize("law", [PowerLaw(2.0, 0.5, 0.02), PowerLaw(5.0, 1.0, 0.1), PowerLaw(1.0, 0.3, 0.0)])
def test_a_known_law_is_found_again(law):
    fitted = fit_power_law(SIZES, law.amplitude * SIZES**-law.exponent + law.floor)
    for size in (150.0, 1000.0, 2000.0):
        assert fitted.error(size) == pytest.approx(law.error(size), abs=2e-3)


def test_a_flat_curve_promises_nothing():
    fitted = fit_power_law(SIZES, np.full(len(SIZES), 0.12))
    assert fitted.error(2000.0) == pytest.approx(0.12)


def test_neither_part_is_ever_negative():
    rising = fit_power_law(SIZES, SIZES / 5000)
    assert (rising.amplitude, rising.floor) == (0.0, pytest.approx((SIZES / 5000).mean()))
    falling = fit_power_law(SIZES, np.maximum(0.0, 0.2 - SIZES / 4000))
    assert falling.floor >= 0.0 <= falling.amplitude


def test_the_forecast_covers_the_truth():
    law = PowerLaw(2.0, 0.5, 0.02)
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(20):
        errors = law.amplitude * SIZES**-law.exponent + law.floor + rng.normal(0, 0.004, len(SIZES))
        value, (low, high) = extrapolate(SIZES, errors, to=2000.0, seed=seed)
        assert low <= high
        assert value == pytest.approx(law.error(2000.0), abs=0.02)
        covered += low - 0.004 <= law.error(2000.0) <= high + 0.004
    assert covered >= 16


def test_two_sizes_are_too_few():
    with pytest.raises(UserError, match="at least 3 sizes, got 2"):
        fit_power_law(np.array([1.0, 2.0]), np.array([0.1, 0.2]))
