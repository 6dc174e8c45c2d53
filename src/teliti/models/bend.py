"""A rising curve of straight pieces that log-odds go through: the last step of a head whose calibration is isotonic.

The same arithmetic as a torch module stands in `head_layers`; what fits the knots in `metrics.isotonic`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_Float64 = NDArray[np.float64]
FAR = -1e9
"""Log-odds in the place of minus infinity, which not every engine adds up."""


def bend(values: _Float64, knots: NDArray[np.float32]) -> _Float64:
    """The curve at some values; outside the knots its outermost pieces go on.

    Args:
        values: Any shape, float64.
        knots: (2, M) float32, M >= 2: places and heights, both rising.

    Returns:
        The same shape.
    """
    start, slope, places, turns = pieces(knots)
    bent: _Float64 = start + slope * values
    bent = bent + (np.maximum(values[..., None] - places, 0.0) * turns).sum(axis=-1)
    return bent


def pieces(knots: NDArray[np.float32]) -> tuple[float, float, _Float64, _Float64]:
    """Height at 0 and slope of the first piece; the places where the slope changes, and by how much."""
    x, y = knots.astype(np.float64)
    slopes = np.diff(y) / np.diff(x)
    return float(y[0] - slopes[0] * x[0]), float(slopes[0]), x[1:-1], np.diff(slopes)


def bend_logits(logits: NDArray[np.float32], knots: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits of classes whose log-odds went through the curve.

    Two classes: column 0 is 0, column 1 the log-odds. More: each class's log-odds against the rest, then the logarithm
    of the probability that they become, so that a softmax brings the probabilities to the sum 1.

    Args:
        logits: (N, K) float32.
        knots: As of `bend`.
    """
    exact = logits.astype(np.float64)
    if exact.shape[1] == 2:
        log_odds = bend(exact[:, 1] - exact[:, 0], knots)
        return np.stack([np.zeros_like(log_odds), log_odds], axis=1).astype(np.float32)
    bent = bend(against_rest(exact), knots)
    return np.asarray(np.minimum(bent, 0.0) - np.log1p(np.exp(-np.abs(bent))), dtype=np.float32)


def against_rest(logits: _Float64) -> _Float64:
    """(N, K) log-odds of each class against all others together. Logits: (N, K) float64, K >= 2."""
    others = logits[:, None, :] + np.diag(np.full(logits.shape[1], FAR))  # (N, K, K) without the class itself
    most = others.max(axis=2)
    total: _Float64 = logits - most - np.log(np.exp(others - most[:, :, None]).sum(axis=2))
    return total
