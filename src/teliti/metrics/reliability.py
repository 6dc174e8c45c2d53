"""Do probabilities mean what they say? The reliability diagram, and the calibration error with an interval.

Sources: M. DeGroot and S. Fienberg, "The comparison and evaluation of forecasters" (1983); C. Guo et al., "On
calibration of modern neural networks" (2017). The interval is a bootstrap; the binned error of few photos is too
large even where the probabilities are right, so `expected` says what it would then be.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from teliti.metrics.intervals import affordable_draws, draw_counts, percentile_interval, wilson_interval
from teliti.types import FloatArray, Record

BINS = 10
_DRAWS = 400


def reliability(scores: FloatArray, positives: NDArray[np.bool_], *, seed: int) -> Record:
    """Stated probability against observed share, in ten equal ranges of the score.

    Args:
        scores: (N,) float in [0, 1], the stated probability of the positive class.
        positives: (N,) bool.
        seed: Of the interval.

    Returns:
        {"bins", "error", "interval", "expected"}: a bin has "low", "high", "photos", "stated", "observed" and
        "interval" (Wilson, 95 %), empty ones are left out; the error is the mean gap over the photos, None without.
    """
    values, flags = np.asarray(scores, dtype=np.float64), np.asarray(positives, dtype=np.float64)
    if not len(values):
        return {"bins": [], "error": None, "interval": None, "expected": None}
    places = np.minimum((values * BINS).astype(np.int64), BINS - 1)
    gaps = _one_hot(places) * (flags - values)[:, None]  # (N, B)
    draws = affordable_draws(len(values) * BINS, draws=_DRAWS)
    blocks = [np.abs(counts @ gaps).sum(axis=1) for counts in draw_counts(flags.astype(int), draws=draws, seed=seed)]
    interval = percentile_interval(np.concatenate(blocks) / len(values))
    rng = np.random.default_rng(seed)
    right = [np.abs(((rng.random(len(values)) < values) - values) @ _one_hot(places)).sum() for _ in range(100)]
    return {
        "bins": [_bin(at, values, flags, places=places) for at in np.unique(places).tolist()],
        "error": float(np.abs(gaps.sum(axis=0)).sum() / len(values)),
        "interval": None if interval is None else list(interval),
        "expected": float(np.mean(right) / len(values)),
    }


def _one_hot(places: NDArray[np.int64]) -> NDArray[np.float64]:
    hot: NDArray[np.float64] = (places[:, None] == np.arange(BINS)).astype(np.float64)
    return hot


def _bin(at: int, scores: NDArray[np.float64], flags: NDArray[np.float64], *, places: NDArray[np.int64]) -> Record:
    inside = places == at
    photos, found = int(inside.sum()), int(flags[inside].sum())
    return {
        "low": at / BINS,
        "high": (at + 1) / BINS,
        "photos": photos,
        "stated": float(scores[inside].mean()),
        "observed": found / photos,
        "interval": list(wilson_interval(found, photos) or ()),
    }
