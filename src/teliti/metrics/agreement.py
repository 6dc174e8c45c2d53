"""How far people, or people and a net, agree on labels beyond what chance would give.

Cohen's kappa for two raters, Fleiss' kappa for several who all rated every photo, Krippendorff's alpha (nominal) where
ratings are missing. All are 1 for full agreement and 0 for the agreement of chance; intervals are percentile bootstraps
over photos. Sources: J. Cohen, "A coefficient of agreement for nominal scales" (1960); J. Fleiss, "Measuring nominal
scale agreement among many raters" (1971); K. Krippendorff, "Content Analysis" (2004), chapter 11.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from teliti.errors import UserError
from teliti.metrics.intervals import DRAWS, Interval, affordable_draws, draw_counts, percentile_interval
from teliti.types import IntArray

MISSING = -1
Weights = NDArray[np.float64]


def cohen_kappa(first: IntArray, second: IntArray, *, weights: Weights | None = None) -> float:
    """Agreement of two raters beyond chance; NaN where both always say the same one thing.

    Args:
        first: (N,) int class index of the first rater.
        second: (N,) int class index of the second.
        weights: (N,) how often each photo counts; None: once.

    Raises:
        UserError: different lengths, or no photo.
    """
    if len(first) != len(second) or not len(first):
        raise UserError(
            f"Two raters must label the same photos, got {len(first)} and {len(second)}.",
            hint="Give both labels of every photo.",
        )
    ones = np.ones(len(first)) if weights is None else weights
    classes = int(max(first.max(), second.max())) + 1
    counts = np.bincount(first * classes + second, weights=ones, minlength=classes**2).reshape(classes, classes)
    joint = counts.astype(np.float64) / counts.sum()
    return _beyond_chance(float(np.trace(joint)), float(joint.sum(axis=1) @ joint.sum(axis=0)))


def fleiss_kappa(ratings: IntArray, *, weights: Weights | None = None) -> float:
    """Agreement of several raters beyond chance; NaN where only one class is ever named.

    Args:
        ratings: (N, R) int class index, none missing, R at least 2.
        weights: (N,) how often each photo counts; None: once.

    Raises:
        UserError: fewer than two raters, no photo, or a missing rating.
    """
    counts = _counts_of(ratings)
    raters = ratings.shape[1]
    if (ratings == MISSING).any():
        raise UserError("Every rater must have labelled every photo, got a missing one.", hint="Use the alpha instead.")
    ones = np.ones(len(ratings)) if weights is None else weights
    agreeing = ((counts**2).sum(axis=1) - raters) / (raters * (raters - 1))
    shares = (ones @ counts) / (ones.sum() * raters)
    return _beyond_chance(float(ones @ agreeing / ones.sum()), float((shares**2).sum()))


def krippendorff_alpha(ratings: IntArray, *, weights: Weights | None = None) -> float:
    """Agreement beyond chance where ratings may be missing; nominal classes. NaN where nothing can be compared.

    Args:
        ratings: (N, R) int class index, `MISSING` where a rater did not see the photo; R at least 2.
        weights: (N,) how often each photo counts; None: once.

    Raises:
        UserError: fewer than two raters, or no photo.
    """
    counts = _counts_of(ratings)
    ones = np.ones(len(ratings)) if weights is None else weights
    seen = counts.sum(axis=1)
    pairable = seen >= 2
    counts, seen, ones = counts[pairable], seen[pairable], ones[pairable]
    total = float(ones @ seen)
    if total <= 1.0:
        return float("nan")
    agreeing = ((counts**2).sum(axis=1) - seen) / (seen - 1.0)
    observed = 1.0 - float(ones @ agreeing) / total
    of_class = ones @ counts
    expected = 1.0 - float((of_class * (of_class - 1.0)).sum()) / (total * (total - 1.0))
    return 1.0 - observed / expected if expected > 0.0 else float("nan")


def agreement_interval(measure: Callable[[Weights], float], photos: int, *, seed: int) -> Interval | None:
    """Percentile bootstrap over photos of a measure of weights.

    Args:
        measure: From weights (N,) to the measure; NaN where undefined.
        photos: N.
        seed: Same seed, same interval.

    Returns:
        Lower and upper end at 95 %; None where the draws say nothing.
    """
    strata = np.zeros(photos, dtype=np.int64)
    draws = affordable_draws(max(1, photos), draws=DRAWS)
    values = [measure(row) for block in draw_counts(strata, draws=draws, seed=seed) for row in block]
    return percentile_interval(np.array(values))


def _counts_of(ratings: IntArray) -> NDArray[np.float64]:
    """(N, K) how many raters named each class."""
    if ratings.ndim != 2 or ratings.shape[1] < 2 or not len(ratings):
        raise UserError(
            f"Ratings must be (photos, raters) with at least two raters, got {ratings.shape}.",
            hint="Give the labels of two people or more.",
        )
    classes = int(ratings.max()) + 1
    return np.stack([(ratings == label).sum(axis=1) for label in range(max(1, classes))], axis=1).astype(np.float64)


def _beyond_chance(observed: float, expected: float) -> float:
    return (observed - expected) / (1.0 - expected) if expected < 1.0 - 1e-12 else float("nan")
