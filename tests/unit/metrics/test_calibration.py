"""Decision values become honest probabilities, and the ranking stays what it was."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from teliti.errors import UserError
from teliti.metrics.calibration import (
    TemperatureScaling,
    expected_calibration_error,
    fit_platt,
    fit_temperature,
    softmax,
)


def _two_classes(n, *, seed=0):
    rng = np.random.default_rng(seed)
    positives = rng.random(n) < 0.3
    return (2.0 * positives + rng.normal(size=n)) * 3.0 + 7.0, positives


def _classes(n, num_classes, *, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, num_classes, n)
    decisions = rng.normal(size=(n, num_classes))
    decisions[np.arange(n), labels] += 2.0
    return 4.0 * decisions + np.arange(num_classes), labels


@pytest.mark.parametrize("n", [12, 100, 2000])
def test_platt_equals_logistic_regression_on_the_smoothed_targets(n):
    decisions, positives = _two_classes(n)
    found = positives.sum()
    targets = np.where(positives, (found + 1) / (found + 2), 1 / (n - found + 2))

    scaling = fit_platt(decisions, positives)

    oracle = LogisticRegression(C=1e12, tol=1e-12, max_iter=10_000).fit(
        np.concatenate([decisions, decisions])[:, None],
        np.repeat([1, 0], n),
        sample_weight=np.concatenate([targets, 1 - targets]),
    )
    assert scaling.slope == pytest.approx(oracle.coef_[0, 0], rel=1e-4)
    assert scaling.intercept == pytest.approx(oracle.intercept_[0], rel=1e-4)


def test_platt_probabilities_have_the_true_frequency_though_the_head_was_balanced():
    decisions, positives = _two_classes(4000)
    probs = softmax(fit_platt(decisions, positives).apply(decisions))
    assert probs.shape == (4000, 2)
    assert probs[:, 1].mean() == pytest.approx(positives.mean(), abs=1e-3)
    assert expected_calibration_error(positives.astype(int), probs) < 0.03


def test_platt_stays_finite_where_the_classes_separate():
    scaling = fit_platt(np.array([1.0, 2.0, 3.0, 4.0]), np.array([False, False, True, True]))
    assert 0 < scaling.slope < 10
    probs = softmax(scaling.apply(np.array([1.0, 4.0])))[:, 1]
    assert probs[0] == pytest.approx(1 - probs[1])
    assert probs[1] == pytest.approx(0.795, abs=0.01)  # Platt's target here is 3/4


@pytest.mark.parametrize("decisions", [[4.0, 3.0, 2.0, 1.0], [1.0, 1.0, 1.0, 1.0]])
def test_ranking_is_never_turned_round_even_when_the_data_say_so(decisions):
    scaling = fit_platt(np.array(decisions), np.array([0, 0, 1, 1]))
    assert scaling.slope > 0
    logits = scaling.apply(np.array([-1.0, 0.0, 1.0]))[:, 1]
    assert np.all(np.diff(logits) > 0)
    assert softmax(scaling.apply(np.array(decisions)))[:, 1].mean() == pytest.approx(0.5)


def test_two_columns_and_platt_are_the_same_problem():
    decisions, positives = _two_classes(300)
    platt = fit_platt(decisions, positives)
    pair = fit_temperature(np.stack([-decisions, decisions], axis=1), positives.astype(int))
    np.testing.assert_allclose(
        softmax(pair.apply(np.stack([-decisions, decisions], axis=1))), softmax(platt.apply(decisions)), atol=1e-9
    )


def test_temperature_is_the_minimum_of_the_smoothed_log_loss():
    decisions, labels = _classes(200, 4)
    fitted = fit_temperature(decisions, labels)
    counts = np.bincount(labels)[labels]
    targets = np.repeat(1 / (counts[:, None] + 2) / 3, 4, axis=1)
    targets[np.arange(200), labels] = (counts + 1) / (counts + 2)

    def loss(scaling):
        return -(targets * np.log(softmax(scaling.apply(decisions)))).sum(axis=1).mean()

    rng = np.random.default_rng(1)
    for _ in range(50):
        moved = np.asarray(fitted.biases) + rng.normal(scale=0.02, size=4)
        other = TemperatureScaling(scale=fitted.scale * (1 + rng.normal(scale=0.02)), biases=tuple(moved))
        assert loss(other) >= loss(fitted)


def test_temperature_undoes_a_known_distortion():
    decisions, labels = _classes(20_000, 3)
    fitted = fit_temperature(decisions, labels)
    # Unit-variance classes two apart: the true logits are 2 x the undistorted decisions.
    assert fitted.scale == pytest.approx(2.0 / 4.0, rel=0.05)
    np.testing.assert_allclose(fitted.biases, [0.5, 0.0, -0.5], atol=0.08)
    assert sum(fitted.biases) == pytest.approx(0.0, abs=1e-9)


def test_calibration_lowers_the_error_of_overconfident_decisions():
    decisions, labels = _classes(2000, 5)
    before = expected_calibration_error(labels, softmax(4 * decisions))
    after = expected_calibration_error(labels, softmax(fit_temperature(decisions, labels).apply(decisions)))
    assert after < 0.03 < before


def test_order_of_the_photos_does_not_matter_and_scale_is_absorbed():
    decisions, labels = _classes(150, 3)
    turned = fit_temperature(decisions[::-1], labels[::-1])
    fitted = fit_temperature(decisions, labels)
    assert turned.scale == pytest.approx(fitted.scale, rel=1e-9)
    assert fit_temperature(decisions * 1000, labels).scale == pytest.approx(fitted.scale / 1000, rel=1e-6)


def test_apply_keeps_float32():
    decisions, labels = _classes(60, 3)
    assert fit_temperature(decisions, labels).apply(decisions.astype(np.float32)).dtype == np.float32
    assert fit_platt(decisions[:, 0], labels == 0).apply(decisions[:, 0].astype(np.float32)).dtype == np.float32


def test_softmax_survives_large_logits():
    np.testing.assert_allclose(softmax(np.array([[1000.0, 0.0], [-1000.0, -1000.0]])), [[1.0, 0.0], [0.5, 0.5]])


def test_calibration_error_by_hand():
    probs = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.4, 0.6]])
    labels = np.array([0, 1, 1, 1])  # at 0.9 half are right, at 0.6 all are
    assert expected_calibration_error(labels, probs, bins=10) == pytest.approx((2 * 0.4 + 2 * 0.4) / 4)
    assert expected_calibration_error(np.array([0, 1]), np.eye(2)) == 0.0
    assert expected_calibration_error(np.empty(0, int), np.empty((0, 2))) is None


@pytest.mark.parametrize(
    ("decisions", "labels", "text"),
    [
        (np.zeros((3, 2)), np.array([0, 1]), r"must have shape \(N, K\) with N labels, got \(3, 2\) and \(2,\)"),
        (np.array([[0.0, np.nan], [1.0, np.inf]]), np.array([0, 1]), "must be finite, got 2 that are not"),
        (np.zeros((3, 2)), np.array([1, 1, 1]), "must see at least two classes, got 1"),
        (np.zeros((3, 2)), np.array([0, 1, 2]), r"Labels must be in 0..1, got 0..2"),
    ],
)
def test_unusable_input_is_named(decisions, labels, text):
    with pytest.raises(UserError, match=text):
        fit_temperature(decisions, labels)


def test_platt_wants_one_column():
    with pytest.raises(UserError, match=r"must have shape \(N,\), got \(4, 2\).*fit_temperature"):
        fit_platt(np.zeros((4, 2)), np.array([0, 1, 0, 1]))
