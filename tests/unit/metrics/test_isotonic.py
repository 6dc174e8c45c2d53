"""A rising curve of a few knots: it finds the true frequencies, keeps every order and never says certain."""

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression

from teliti.metrics.isotonic import fit_knots
from teliti.models.bend import against_rest, bend, bend_logits


def bent_world(n, *, seed=0):
    """Log-odds whose true probability is a step that no factor and intercept can follow."""
    rng = np.random.default_rng(seed)
    log_odds = rng.uniform(-4.0, 4.0, n)
    truth = np.where(log_odds < 1.0, 0.05, 0.8)
    return log_odds, rng.random(n) < truth, truth


def test_it_follows_a_shape_that_platt_cannot():
    log_odds, positives, truth = bent_world(4000)
    found = expit(bend(log_odds, fit_knots(log_odds, positives)))
    assert np.abs(found - truth).mean() < 0.03
    oracle = IsotonicRegression().fit_transform(log_odds, positives.astype(float))
    assert np.abs(found - oracle).mean() < 0.03


@pytest.mark.parametrize("n", [1, 5, 40, 700])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_rises_everywhere_and_is_never_certain(n, seed):
    log_odds, positives, _ = bent_world(n, seed=seed)
    knots = fit_knots(log_odds, positives)
    assert (np.diff(knots) > 0).all()
    places = np.linspace(-30.0, 30.0, 2000)
    assert (np.diff(bend(places, knots)) > 0).all()
    inside = expit(bend(log_odds, knots))
    assert inside.min() >= 0.5 / (len(positives) + 2)
    assert inside.max() <= 1.0 - 0.5 / (len(positives) + 2)


def test_the_same_log_odds_for_all_give_their_smoothed_share():
    knots = fit_knots(np.zeros(100), np.arange(100) < 30)
    assert expit(bend(np.zeros(1), knots))[0] == pytest.approx((30 * 31 / 32 + 70 / 72) / 100)


def test_the_curve_of_the_knots_runs_straight_between_them():
    knots = np.array([[-2.0, 0.0, 1.0, 4.0], [-1.0, 0.5, 3.0, 3.3]], dtype=np.float32)
    inside = np.linspace(-2.0, 4.0, 50)
    np.testing.assert_allclose(bend(inside, knots), np.interp(inside, *knots), atol=1e-6)
    np.testing.assert_allclose(bend(np.array([-4.0, 7.0]), knots), [-2.5, 3.6], atol=1e-6)


def test_two_classes_keep_their_zero_column_and_more_keep_their_order():
    knots = np.array([[-1.0, 0.0, 2.0], [-3.0, 0.5, 0.6]], dtype=np.float32)
    two = bend_logits(np.array([[0.0, 2.0], [0.0, -1.0]], dtype=np.float32), knots)
    np.testing.assert_allclose(two, [[0.0, 0.6], [0.0, -3.0]], atol=1e-6)
    logits = np.random.default_rng(0).normal(size=(50, 5)).astype(np.float32) * 4
    bent = bend_logits(logits, knots)
    np.testing.assert_array_equal(np.argsort(bent, axis=1), np.argsort(logits, axis=1))


def test_log_odds_against_the_rest_are_those_of_the_softmax():
    logits = np.random.default_rng(1).normal(size=(20, 4)) * 3
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(against_rest(logits), logit(probs), rtol=1e-9)
    assert np.isfinite(against_rest(np.array([[900.0, 0.0, -900.0]]))).all()
