"""Two inspectors that predict numbers, on the same photos: whose errors are larger, told from the differences.

If neither is better, swapping old and new of a photo changes nothing: the sign of each difference is a coin's. How
often coins alone give so large a sum is the probability of R. Fisher's randomisation test ("The Design of Experiments",
1935), which assumes no distribution of the errors. Where very many photos differ, the largest differences get a coin
each and the sum of the others is drawn from a normal of the same variance. The interval is the percentile bootstrap
over photos.
"""

from __future__ import annotations

import math

import numpy as np

from teliti.metrics.intervals import affordable_draws, draw_counts, percentile_interval
from teliti.types import FloatArray, Record

_DRAWS = 9_999
_MOST_COINS = (
    2_000  # a draw; each difference beyond them is at most 1/44 of the spread of theirs, so its own sign hardly shows
)
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

    Up to 2,000 differences get a coin each. Of more, the 2,000 that are largest by size do; the sum of the rest is one
    normal number a draw, with the variance that their coins would give it.

    Args:
        differences: (N,) float.
        seed: Of the draws.
    """
    moved = np.asarray(differences, np.float64)
    moved = moved[moved != 0.0]
    if not len(moved):
        return 1.0
    rng, reached = np.random.default_rng(seed), 0
    least = abs(float(moved.sum())) - _ROUNDING * float(np.abs(moved).sum())
    large, spread = _part_largest(moved)
    rows = max(1, _BLOCK // len(large))
    for start in range(0, _DRAWS, rows):
        signs = rng.integers(0, 2, size=(min(rows, _DRAWS - start), len(large))) * 2.0 - 1.0
        sums = signs @ large + (rng.normal(0.0, spread, len(signs)) if spread else 0.0)
        reached += int((np.abs(sums) >= least).sum())
    return (reached + 1) / (_DRAWS + 1)  # what was seen is one of the draws


def _part_largest(moved: FloatArray) -> tuple[FloatArray, float]:
    """The differences that get a coin each, and the standard deviation of the sum of the others' coins."""
    if len(moved) <= _MOST_COINS:
        return moved, 0.0
    order = np.argsort(-np.abs(moved), kind="stable")
    large, rest = moved[order[:_MOST_COINS]], moved[order[_MOST_COINS:]]
    return large, math.sqrt(float(rest @ rest))


def _interval(gain: FloatArray, *, seed: int) -> list[float] | None:
    draws = draw_counts(np.zeros(len(gain), np.int64), draws=affordable_draws(len(gain)), seed=seed)
    found = percentile_interval(np.concatenate([rows @ gain / len(gain) for rows in draws]))
    return None if found is None else list(found)
