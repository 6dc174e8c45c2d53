"""Two inspectors on the same photos: which of them errs more often, told from the photos where they differ.

Where both are right, or both are wrong, nothing is learnt about the difference. Of the others, each is as likely to
speak for the one as for the other if the two err equally often: Q. McNemar, "Note on the sampling error of the
difference between correlated proportions or percentages", Psychometrika 12 (1947), here with the exact binomial
distribution in the place of his approximation (A. Agresti, "Categorical Data Analysis", chapter on matched pairs;
recommended for one test set by T. Dietterich, "Approximate statistical tests for comparing supervised classification
learning algorithms", Neural Computation 10, 1998). The interval of the difference is R. Newcombe's method 10,
"Improved confidence intervals for the difference between binomial proportions based on paired data", Statistics in
Medicine 17 (1998).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from teliti.metrics.intervals import Interval, wilson_interval
from teliti.types import Record

_Flags = NDArray[np.bool_]


def paired_errors(old: _Flags, new: _Flags) -> Record:
    """What two inspectors' errors on the same photos say about their difference.

    Args:
        old: (N,) bool, True where the old one errs.
        new: (N,) bool, likewise.

    Returns:
        {"photos", "old", "new", "only_old", "only_new", "difference", "interval", "p"}: errors of each, errors that
        only one of them makes, the new rate minus the old one with its 95 % interval (None without photos), and the
        two-sided probability of so uneven a count if both err equally often.
    """
    photos, only_old, only_new = len(old), int((old & ~new).sum()), int((new & ~old).sum())
    both = int((old & new).sum())
    interval = paired_interval(both, only_new, only_old, photos=photos)
    return {
        "photos": photos,
        "old": both + only_old,
        "new": both + only_new,
        "only_old": only_old,
        "only_new": only_new,
        "difference": (only_new - only_old) / photos if photos else None,
        "interval": None if interval is None else list(interval),
        "p": mcnemar_p(only_old, only_new),
    }


def mcnemar_p(only_old: int, only_new: int) -> float:
    """Two-sided p value of the exact McNemar test: 1 where the two counts are as even as they can be.

    Args:
        only_old: Photos that only the old inspector gets wrong.
        only_new: Photos that only the new one gets wrong.
    """
    total, fewer = only_old + only_new, min(only_old, only_new)
    tail = sum(math.comb(total, count) for count in range(fewer + 1))
    return min(1.0, 2.0 * (tail / (1 << total)))  # whole numbers: exact for any count


def paired_interval(both: int, only_new: int, only_old: int, *, photos: int) -> Interval | None:
    """The 95 % interval of the new rate of errors minus the old one, by Newcombe's method 10.

    Args:
        both: Photos that both get wrong.
        only_new: Photos that only the new inspector gets wrong.
        only_old: Photos that only the old one gets wrong.
        photos: All of them.

    Returns:
        Lower and upper end in [-1, 1]; None without photos.
    """
    new, old = wilson_interval(both + only_new, photos), wilson_interval(both + only_old, photos)
    if new is None or old is None:
        return None
    new_rate, old_rate = (both + only_new) / photos, (both + only_old) / photos
    phi = _correlation(both, only_new, only_old, photos=photos)
    new_down, new_up = new_rate - new[0], new[1] - new_rate
    old_down, old_up = old_rate - old[0], old[1] - old_rate
    below = math.sqrt(max(0.0, new_down**2 - 2.0 * phi * new_down * old_up + old_up**2))
    above = math.sqrt(max(0.0, new_up**2 - 2.0 * phi * new_up * old_down + old_down**2))
    difference = new_rate - old_rate
    return max(-1.0, difference - below), min(1.0, difference + above)


def _correlation(both: int, only_new: int, only_old: int, *, photos: int) -> float:
    """Of the two kinds of errors; a positive one is corrected for continuity. 0 where an inspector never varies."""
    neither = photos - both - only_new - only_old
    margins = (both + only_new) * (only_old + neither) * (both + only_old) * (only_new + neither)
    if not margins:
        return 0.0
    product = both * neither - only_new * only_old
    return (max(product - photos / 2.0, 0.0) if product > 0 else product) / math.sqrt(margins)
