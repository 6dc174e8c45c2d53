"""How far a distribution has moved from another one: the population stability index over bins.

Source: N. Siddiqi, Credit Risk Scorecards, Wiley 2006, section on stability: below 0.1 nothing moved, above 0.25 much
did. Where nothing moved, B bins of n photos then and m now give about (B - 1)(1 / n + 1 / m) by chance alone
(B. Yurdakul, Statistical properties of population stability index, Western Michigan University 2018), so few photos
get few bins.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from teliti.types import Record

LATEST = 500
"""How many photos of a line are compared at a time."""
FEWEST = 20
"""Fewer values make no histogram."""
_MOST_BINS = 10
_BY_CHANCE = 0.05
_HALF = 0.5  # added to each count, so that an empty bin has a logarithm


@dataclass(frozen=True, slots=True)
class Histogram:
    """Values in bins: bin 0 lies below the first edge, the last one from the last edge on.

    Attributes:
        edges: (B - 1) growing.
        counts: (B) how many values lie in each.
        source: Which values those are.
    """

    edges: tuple[float, ...]
    counts: tuple[float, ...]
    source: str

    def bin(self, value: float) -> int:
        """In which bin a value lies."""
        return bisect_right(self.edges, value)

    def to_record(self) -> Record:
        """JSON-ready; `histogram_from_record` reads it back."""
        return {"edges": list(self.edges), "counts": list(self.counts), "source": self.source}


def fit_histogram(values: Iterable[float], *, source: str) -> Histogram | None:
    """Bins of equal shares, fewer where there are few values; None below 20 values.

    Args:
        values: Finite.
        source: Which values those are.
    """
    ranked = sorted(values)
    if len(ranked) < FEWEST:
        return None
    bins = _number_of_bins(len(ranked))
    edges = tuple(sorted({ranked[len(ranked) * number // bins] for number in range(1, bins)}))
    counts = [0.0] * (len(edges) + 1)
    for value in ranked:
        counts[bisect_right(edges, value)] += 1
    return Histogram(edges, tuple(counts), source)


def histogram_of_deciles(deciles: Sequence[float], *, photos: int, source: str) -> Histogram | None:
    """Bins between deciles, fewer where they are of few photos; None below 20 photos.

    Args:
        deciles: (11) smallest value, nine deciles, largest value.
        photos: How many photos they are of.
        source: Which photos.
    """
    if photos < FEWEST:
        return None
    bins = _number_of_bins(photos)
    edges = sorted({deciles[round(_MOST_BINS * number / bins)] for number in range(1, bins)})
    below = [0.0, *(photos * deciles.index(edge) / _MOST_BINS for edge in edges), float(photos)]
    counts = tuple(high - low for low, high in pairwise(below))
    return Histogram(tuple(edges), counts, source)


def histogram_from_record(record: Mapping[str, Any] | None) -> Histogram | None:
    """What `Histogram.to_record` wrote; None without a record, as in older bundles.

    Raises:
        KeyError, TypeError, ValueError: the record is damaged.
    """
    if record is None:
        return None
    edges, counts = (tuple(map(float, record[name])) for name in ("edges", "counts"))
    if len(counts) != len(edges) + 1 or list(edges) != sorted(edges) or not all(map(math.isfinite, edges + counts)):
        raise ValueError("a histogram must have growing edges and one count more")
    return Histogram(edges, counts, str(record["source"]))


def stability_index(before: Sequence[float], now: Sequence[float]) -> float:
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


def _number_of_bins(photos: int) -> int:
    """As many as keep the index of photos that did not move at about 0.05."""
    return max(2, min(1 + int(_BY_CHANCE / (1 / photos + 1 / LATEST)), _MOST_BINS))
