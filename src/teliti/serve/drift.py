"""Does the line still look as it did? The population stability index of the scores.

Source: N. Siddiqi, Credit Risk Scorecards, Wiley 2006, section on stability: below 0.1 nothing moved, above 0.25 much
did. A bundle does not keep its validation scores, so the first scores after the start are what later ones are compared
with.
"""

from __future__ import annotations

import math
import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence

PHOTOS = 500
BINS = 10
_HALF = 0.5  # added to each count, so that an empty bin has a logarithm


def stability_index(before: Sequence[int], now: Sequence[int]) -> float:
    """Sum over bins of (q - p) ln(q / p), 0 for equal shares.

    Args:
        before: Photos in each bin then.
        now: Photos in each bin now.
    """
    total_before, total_now = sum(before) + _HALF * len(before), sum(now) + _HALF * len(now)
    index = 0.0
    for one, other in zip(before, now, strict=True):
        p, q = (one + _HALF) / total_before, (other + _HALF) / total_now
        index += (q - p) * math.log(q / p)
    return index


class Drift:
    """The index of the latest scores against the first ones. Safe to use from several threads.

    Args:
        photos: How many are the first, and the latest.
    """

    def __init__(self, *, photos: int = PHOTOS) -> None:
        self._photos = photos
        self._first: list[float] = []
        self._edges: list[float] = []
        self._before: list[int] = []
        self._latest: deque[int] = deque(maxlen=photos)
        self._lock = threading.Lock()

    def add(self, score: float) -> None:
        """Count one photo."""
        with self._lock:
            if self._edges:
                self._latest.append(bisect_right(self._edges, score))
                return
            self._first.append(score)
            if len(self._first) == self._photos:
                self._edges = _quantiles(self._first)
                self._before = _counts([bisect_right(self._edges, one) for one in self._first], len(self._edges) + 1)
                self._first = []

    def index(self) -> float:
        """The index; NaN until twice as many photos were seen."""
        with self._lock:
            if len(self._latest) < self._photos:
                return math.nan
            return stability_index(self._before, _counts(self._latest, len(self._edges) + 1))


def _quantiles(scores: Sequence[float]) -> list[float]:
    ranked = sorted(scores)
    return sorted({ranked[len(ranked) * number // BINS] for number in range(1, BINS)})


def _counts(bins: Sequence[int] | deque[int], number: int) -> list[int]:
    counts = [0] * number
    for one in bins:
        counts[one] += 1
    return counts
