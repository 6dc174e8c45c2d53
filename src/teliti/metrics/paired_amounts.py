"""Two inspectors that predict numbers, on the same photos: whose errors are larger, told from the differences.

If neither is better, swapping old and new of a photo changes nothing: the sign of each difference is a coin's. How
often coins alone give so large a sum is the probability of R. Fisher's randomisation test ("The Design of Experiments",
1935), which assumes no distribution of the errors. The interval is the percentile bootstrap over photos.
"""

from __future__ import annotations

import math

import numpy as np

from teliti.metrics.intervals import affordable_draws, draw_counts, percentile_interval
from teliti.types import FloatArray, Record

_DRAWS = 9_999
_MOST_SIGNS = 20_000_000  # drawn; beyond it the sum of that many coins is normal to every digit that is told
_BLOCK = 1_000_000
_ROUNDING = 1e-12


def paired_amounts(old: FloatArray, new: FloatArray, *, seed: int) -> Record:
    """What two inspectors' absolute errors on the same photos say about their difference.

    Args:
        old: (N,) float >= 0, of the old one.
        new: (N,) float >= 0, of the new one.
        seed: Of the draws.

    Returns:
        {"photos", "old", "new", "smaller", "larger", "difference", "interval", "p"}: mean absolute error of each,
        photos whose error became smaller and larger, the new mean minus the old one with its 95 % interval (None where
        it cannot be told), and the two-sided probability of so large a difference if neither were better.
    """
    gain = np.asarray(new, np.float64) - np.asarray(old, np.float64)
    photos = len(gain)
    return {
        "photos": photos,
        "old": float(np.mean(old)) if photos else None,
        "new": float(np.mean(new)) if photos else None,
        "smaller": int((gain < 0.0).sum()),
        "larger": int((gain > 0.0).sum()),
        "difference": float(gain.mean()) if photos else None,
        "interval": _interval(gain, seed=seed) if photos else None,
        "p": randomisation_p(gain, seed=seed),
    }


def randomisation_p(differences: FloatArray, *, seed: int) -> float:
    """Two-sided p value of the sum of differences when the sign of each is a coin's; 1 where all are 0.

    Args:
        differences: (N,) float.
        seed: Of the coins.
    """
    moved = np.asarray(differences, np.float64)
    moved = moved[moved != 0.0]
    if not len(moved):
        return 1.0
    total, spread = abs(float(moved.sum())), math.sqrt(float(moved @ moved))
    if len(moved) * _DRAWS > _MOST_SIGNS:
        return math.erfc(total / spread / math.sqrt(2.0))
    rng, least, reached = np.random.default_rng(seed), total - _ROUNDING * float(np.abs(moved).sum()), 0
    rows = max(1, _BLOCK // len(moved))
    for start in range(0, _DRAWS, rows):
        signs = rng.integers(0, 2, size=(min(rows, _DRAWS - start), len(moved))) * 2.0 - 1.0
        reached += int((np.abs(signs @ moved) >= least).sum())
    return (reached + 1) / (_DRAWS + 1)  # what was seen is one of the draws


def _interval(gain: FloatArray, *, seed: int) -> list[float] | None:
    draws = draw_counts(np.zeros(len(gain), np.int64), draws=affordable_draws(len(gain)), seed=seed)
    found = percentile_interval(np.concatenate([rows @ gain / len(gain) for rows in draws]))
    return None if found is None else list(found)
