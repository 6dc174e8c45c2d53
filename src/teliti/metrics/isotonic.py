"""Isotonic calibration: which log-odds a rising curve gives to each log-odds that a head gives, as a few knots.

The curve is found by pooling adjacent violators (M. Ayer and others, 1955; for probabilities B. Zadrozny and C. Elkan,
"Transforming classifier scores into accurate multiclass probability estimates", 2002). Each pool becomes one knot at
its middle, and the curve runs straight between them (A. Oron and N. Flournoy, "Centered isotonic regression", 2017):
so it rises everywhere, and no two photos that the head told apart become equal. Outside the knots it goes on
rising slowly. Targets are smoothed as Platt's, so that no photo is ever certain.

For more than two classes one curve serves all: J. Zhang, B. Kailkhura and T. Han, "Mix-n-Match: ensemble and
compositional methods for uncertainty calibration in deep learning" (2020), isotonic regression for multi-class: the
pairs of every photo and class are pooled, and the most probable class stays the most probable.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from teliti.types import FloatArray

MOST_BINS = 512
_FEWEST = 10  # photos of a knot
_GAP = 0.25  # of log-odds between knots: finer than that no set of photos can tell
_RISE = 1e-4  # of the share between knots, so that heights differ in float32 as well
_REACH, _TAIL = 1.0, 0.05  # how far out the outermost knots lie, and how slowly the curve rises there

_Float64 = NDArray[np.float64]


def fit_knots(log_odds: FloatArray, positives: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The knots of the rising curve that fits these photos best.

    Args:
        log_odds: (N,) float, finite, N >= 1.
        positives: (N,) bool.

    Returns:
        (2, M) float32, M >= 3: log-odds as the head gives them, rising, and what they become, rising.
    """
    centers, targets, weights = _bins(np.asarray(log_odds, dtype=np.float64), positives)
    middles, shares = _pool(centers, targets, weights)
    values = np.log(shares / (1.0 - shares))
    first = (middles[0] - _REACH, values[0] - _TAIL * _REACH)
    last = (middles[-1] + _REACH, values[-1] + _TAIL * _REACH)
    knots = np.array([first, *zip(middles, values, strict=True), last]).T
    return knots.astype(np.float32)


def _bins(log_odds: _Float64, positives: NDArray[np.bool_]) -> tuple[_Float64, _Float64, _Float64]:
    """Mean log-odds, smoothed share of positives and number of photos of neighbouring photos, in rising order."""
    order = np.argsort(log_odds, kind="stable")
    good, bad = int((~positives).sum()), int(positives.sum())
    smoothed = np.where(positives, (bad + 1.0) / (bad + 2.0), 1.0 / (good + 2.0))[order]
    _, ties = np.unique(log_odds[order], return_inverse=True)
    places = np.arange(len(order)) * min(MOST_BINS, len(order)) // len(order)
    edges = np.flatnonzero(np.concatenate([[True], (np.diff(ties) > 0) & (np.diff(places) > 0)]))
    weights = np.diff(np.concatenate([edges, [len(order)]])).astype(np.float64)
    return np.add.reduceat(log_odds[order], edges) / weights, np.add.reduceat(smoothed, edges) / weights, weights


def _pool(centers: _Float64, targets: _Float64, weights: _Float64) -> tuple[_Float64, _Float64]:
    """Middles and shares of the pools: rising, each of enough photos, and far enough from the last."""
    pools: list[tuple[float, float, float]] = []  # middle, share, weight
    for one in zip(centers.tolist(), targets.tolist(), weights.tolist(), strict=True):
        pools.append(one)
        while len(pools) > 1 and _belong(pools[-2], pools[-1]):
            pools[-2:] = [_together(pools[-2], pools[-1])]
    if len(pools) > 1 and pools[-1][2] < _FEWEST:
        pools[-2:] = [_together(pools[-2], pools[-1])]
    while len(pools) > 1 and _belong(pools[-2], pools[-1]):
        pools[-2:] = [_together(pools[-2], pools[-1])]
    return np.array([pool[0] for pool in pools]), np.array([pool[1] for pool in pools])


def _belong(first: tuple[float, float, float], second: tuple[float, float, float]) -> bool:
    return second[1] - first[1] < _RISE or first[2] < _FEWEST or second[0] - first[0] < _GAP


def _together(first: tuple[float, float, float], second: tuple[float, float, float]) -> tuple[float, float, float]:
    weight = first[2] + second[2]
    middle, share = ((first[at] * first[2] + second[at] * second[2]) / weight for at in (0, 1))
    return middle, share, weight
