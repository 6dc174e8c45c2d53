"""Decision values to probabilities: Platt scaling for two classes, temperature and biases for more.

Both are fitted on out-of-fold decision values, so that a head is never calibrated on scores of photos it was
fitted on. Both keep the ranking that the head gave: the factor in front of a decision value is always positive.
Heads themselves are not here, and neither is the choice of a threshold.

Methods: J. Platt, "Probabilistic outputs for support vector machines" (1999), with his smoothed targets; the
temperature with class biases is the small member of the family in C. Guo et al., "On calibration of modern
neural networks" (2017). Two classes are the case K = 2 of the same convex problem, solved by Newton steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from teliti.errors import UserError
from teliti.types import FloatArray, IntArray

_MIN_SLOPE = 1e-3  # on decision values scaled to deviation 1; keeps the order where the best fit would turn it round
_MAX_STEPS = 100
_SMALLEST_STEP = 2.0**-40
_ARMIJO = 1e-4  # share of the promised decrease that a step must keep
_GRADIENT_TOLERANCE = 1e-10
_DAMPING = 1e-10  # the loss is flat along "the same amount on every bias"

_ALL, _SLOPE, _BIASES = slice(None), slice(0, 1), slice(1, None)  # of theta: what a fit may change

_Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PlattScaling:
    """Two classes: the positive class's log-odds are `slope * decision + intercept`.

    Attributes:
        slope: Above 0, so that a higher decision value never means a lower probability.
        intercept: Log-odds at decision value 0.
    """

    slope: float
    intercept: float

    def apply(self, decisions: FloatArray) -> FloatArray:
        """Logits whose softmax is the calibrated probability.

        Args:
            decisions: (N,) float, higher means more like class 1.

        Returns:
            (N, 2) logits in the dtype of `decisions`; column 0 is 0, column 1 the log-odds of class 1.
        """
        log_odds = self.slope * decisions + self.intercept
        return np.stack([np.zeros_like(log_odds), log_odds], axis=1)


@dataclass(frozen=True, slots=True)
class TemperatureScaling:
    """More classes: logits are `scale * decisions + biases`.

    Attributes:
        scale: Above 0; the inverse of the temperature.
        biases: One per class, summing to 0.
    """

    scale: float
    biases: tuple[float, ...]

    def apply(self, decisions: FloatArray) -> FloatArray:
        """Logits whose softmax is the calibrated probability.

        Args:
            decisions: (N, K) float, one column per class, higher means more like that class.

        Returns:
            (N, K) logits in the dtype of `decisions`.
        """
        return self.scale * decisions + np.asarray(self.biases, dtype=decisions.dtype)


def fit_platt(decisions: FloatArray, positives: NDArray[np.bool_] | IntArray) -> PlattScaling:
    """Platt scaling fitted on out-of-fold decision values of two classes.

    Args:
        decisions: (N,) float, finite, higher means more like class 1.
        positives: (N,) bool or 0/1, True for class 1.

    Raises:
        UserError: shapes differ, a decision value is not finite, or only one class is present.
    """
    column = np.asarray(decisions, dtype=np.float64)
    if column.ndim != 1:
        raise UserError(
            f"Decision values of two classes must have shape (N,), got {column.shape}.",
            hint="Use fit_temperature for one column per class.",
        )
    fitted = fit_temperature(np.stack([-column / 2, column / 2], axis=1), np.asarray(positives, dtype=np.int64))
    return PlattScaling(slope=fitted.scale, intercept=fitted.biases[1] - fitted.biases[0])


def fit_temperature(decisions: FloatArray, labels: IntArray) -> TemperatureScaling:
    """One scale and one bias per class, fitted on out-of-fold decision values.

    Platt's targets are spread over more classes: with n photos of its class a photo counts as (n + 1) / (n + 2)
    of that class, the rest in equal parts as the others. This keeps the fit finite where the classes separate.

    Args:
        decisions: (N, K) float, finite, one column per class, higher means more like that class.
        labels: (N,) int in 0..K-1, class index.

    Raises:
        UserError: shapes differ, a decision value is not finite, a label is outside 0..K-1, or only one class is
            present.
    """
    values = np.asarray(decisions, dtype=np.float64)
    _check(values, labels)
    centers = values.mean(axis=0)  # (K,)
    spread = float(np.sqrt(np.mean((values - centers) ** 2))) or 1.0
    unit = (values - centers) / spread
    targets = _smoothed_targets(labels, values.shape[1])
    theta = _minimise(unit, targets)
    if theta[0] < _MIN_SLOPE:
        theta = _minimise(unit, targets, free=_BIASES)
    scale = float(theta[0]) / spread
    biases = theta[1:] - scale * centers
    return TemperatureScaling(scale=scale, biases=tuple(float(bias) for bias in biases - biases.mean()))


def fit_scale(decisions: FloatArray, labels: IntArray) -> float:
    """One temperature alone (C. Guo et al. 2017), as the factor that decision values are multiplied with.

    Args:
        decisions: (N, K) float, finite, one column per class, higher means more like that class.
        labels: (N,) int in 0..K-1, class index.

    Returns:
        Above 0.

    Raises:
        UserError: as `fit_temperature`.
    """
    values = np.asarray(decisions, dtype=np.float64)
    _check(values, labels)
    spread = float(np.sqrt(np.mean((values - values.mean(axis=1, keepdims=True)) ** 2))) or 1.0
    theta = _minimise(values / spread, _smoothed_targets(labels, values.shape[1]), free=_SLOPE)
    return max(float(theta[0]), _MIN_SLOPE) / spread


def softmax(logits: FloatArray) -> FloatArray:
    """Probabilities of logits.

    Args:
        logits: (N, K) float.

    Returns:
        (N, K) in [0, 1], rows summing to 1, in the dtype of `logits`.
    """
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]


def expected_calibration_error(labels: IntArray, probs: FloatArray, *, bins: int = 15) -> float | None:
    """How far stated confidence and observed accuracy lie apart, on average over the photos.

    Photos fall into `bins` equal ranges of their largest probability; each range's gap between mean confidence
    and share of right answers is weighted with its photos (Guo et al. 2017).

    Args:
        labels: (N,) int, class index.
        probs: (N, K) float in [0, 1].
        bins: Number of ranges between 0 and 1.

    Returns:
        A value in [0, 1]; 0 is best; None without photos.
    """
    if not len(labels):
        return None
    confidence = probs.max(axis=1).astype(np.float64)
    hits = (probs.argmax(axis=1) == labels).astype(np.float64)
    places = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    gaps = np.bincount(places, weights=hits - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))


def _check(values: _Float64, labels: IntArray | NDArray[np.bool_]) -> None:
    if values.ndim != 2 or labels.shape != values.shape[:1]:
        raise UserError(
            f"Decision values must have shape (N, K) with N labels, got {values.shape} and {labels.shape}.",
            hint="Give one row of decision values per label.",
        )
    if not np.isfinite(values).all():
        raise UserError(
            f"Decision values must be finite, got {int((~np.isfinite(values)).sum())} that are not.",
            hint="Check the features of these photos.",
        )
    present = np.unique(labels)
    if len(present) < 2:
        raise UserError(
            f"Calibration must see at least two classes, got {len(present)}.",
            hint="Add photos of the missing class.",
        )
    if present[0] < 0 or present[-1] >= values.shape[1]:
        raise UserError(
            f"Labels must be in 0..{values.shape[1] - 1}, got {present[0]}..{present[-1]}.",
            hint="Give one column of decision values per class.",
        )


def _smoothed_targets(labels: IntArray, num_classes: int) -> _Float64:
    counts = np.bincount(labels, minlength=num_classes)[labels].astype(np.float64)  # (N,) photos of one's own class
    rest = 1.0 / (counts + 2.0)
    targets = np.repeat((rest / (num_classes - 1))[:, None], num_classes, axis=1)  # (N, K)
    targets[np.arange(len(labels)), labels] = 1.0 - rest
    return targets


def _minimise(unit: _Float64, targets: _Float64, *, free: slice = _ALL) -> _Float64:
    """Newton steps with step halving on the mean cross-entropy of softmax(theta[0] * unit + theta[1:])."""
    theta = np.zeros(unit.shape[1] + 1)
    theta[0] = _MIN_SLOPE
    loss, gradient, hessian = _cross_entropy(theta, unit, targets)
    for _ in range(_MAX_STEPS):
        if np.abs(gradient[free]).max() < _GRADIENT_TOLERANCE:
            break
        curvature = hessian[free, free] + _DAMPING * np.eye(len(gradient[free]))
        step = np.zeros_like(theta)
        step[free] = np.linalg.solve(curvature, gradient[free])
        theta = _descend(theta, step, start=(loss, float(gradient @ step)), problem=(unit, targets))
        loss, gradient, hessian = _cross_entropy(theta, unit, targets)
    return theta


def _descend(
    theta: _Float64, step: _Float64, *, start: tuple[float, float], problem: tuple[_Float64, _Float64]
) -> _Float64:
    """The first of theta - step, theta - step / 2, ... that lowers the loss enough, or a step too small to matter."""
    loss, decrease = start
    size = 1.0
    while size > _SMALLEST_STEP and _loss(theta - size * step, *problem) > loss - _ARMIJO * size * decrease:
        size /= 2.0
    return theta - size * step


def _log_probs(theta: _Float64, unit: _Float64) -> _Float64:
    logits = theta[0] * unit + theta[1:]
    logits -= logits.max(axis=1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))  # type: ignore[no-any-return]


def _loss(theta: _Float64, unit: _Float64, targets: _Float64) -> float:
    return float(-(targets * _log_probs(theta, unit)).sum() / len(unit))


def _cross_entropy(theta: _Float64, unit: _Float64, targets: _Float64) -> tuple[float, _Float64, _Float64]:
    """Mean cross-entropy with gradient (K + 1,) and Hessian (K + 1, K + 1) in (slope, biases)."""
    log_probs = _log_probs(theta, unit)
    probs = np.exp(log_probs)
    excess = probs - targets
    gradient = np.concatenate([[np.sum(excess * unit)], excess.sum(axis=0)]) / len(unit)
    deviation = unit - np.sum(probs * unit, axis=1, keepdims=True)  # (N, K) from the row's expected value
    cross = np.sum(probs * deviation, axis=0)
    hessian: NDArray[Any] = np.empty((len(theta), len(theta)))
    hessian[0, 0] = np.sum(probs * deviation**2)
    hessian[0, 1:] = hessian[1:, 0] = cross
    hessian[1:, 1:] = np.diag(probs.sum(axis=0)) - probs.T @ probs
    return float(-(targets * log_probs).sum() / len(unit)), gradient, hessian / len(unit)
