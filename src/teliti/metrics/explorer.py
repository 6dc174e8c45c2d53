"""What every threshold would do: counts, rates, costs, looks; and two ways to lean, said by their consequence.

The rows are for looking: the inspector's own threshold is chosen elsewhere, on validation photos.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from teliti.metrics.line import PASSED, REJECTED, REVIEWED, Line, line_weights
from teliti.metrics.review import Review
from teliti.types import FloatArray, Record

MOST_ROWS = 2000
"""Thresholds that are kept; with more different scores every so many of them is left out, evenly."""
_LEAN = 0.99

_Float64 = NDArray[np.float64]
_Flags = NDArray[np.bool_]


def explore(
    scores: FloatArray,
    positives: _Flags,
    *,
    chosen: float | None,
    review: Review | None = None,
    is_new: _Flags | None = None,
    line: Line | None = None,
) -> Record:
    """The record of every threshold that parts these photos differently, of at most two thousand.

    The counts and rates are those of the score alone. Looks and costs are those of three verdicts: the grey band stays
    where it is, and is stretched to a threshold outside it, so that no score passes above one that is looked at.

    Args:
        scores: (N,) float in [0, 1].
        positives: (N,) bool.
        chosen: The inspector's threshold; its row is kept.
        review: With the inspector's grey band.
        is_new: (N,) bool, photos that are looked at whatever their score; None: no photo is.
        line: For costs, and the share of defects.

    Returns:
        {"positives", "negatives", "defect_rate", "thresholds", "rows", "presets"}; "thresholds" counts the different
        ones, of which "rows" may hold fewer. A row has "threshold", "true_positives", "false_positives",
        "false_negatives", "true_negatives", "precision", "precision_on_line", "recall", "specificity", "reviewed" (a
        share of the line's parts) and "cost" (over the line's parts, looks included); undefined ones are None.
        Without both kinds there are no rows.
    """
    values, flags = np.asarray(scores, dtype=np.float64), np.asarray(positives, dtype=bool)
    rate = None if line is None else line.defect_rate
    record: Record = {
        "positives": int(flags.sum()), "negatives": int((~flags).sum()), "defect_rate": rate, "thresholds": 0,
        "rows": [], "presets": [],
    }  # fmt: skip
    if not flags.any() or flags.all():
        return record
    cuts = _cuts(values)
    kept = _thinned(cuts, chosen)
    new = np.zeros(len(values), dtype=bool) if is_new is None else is_new
    counts = [_Counts.of(values, flags == kind, new, cuts=kept, review=review or Review()) for kind in (False, True)]
    rows = _rows(kept, *counts, line=line)
    return record | {"thresholds": len(cuts), "rows": rows, "presets": _presets(rows)}


def _cuts(scores: _Float64) -> _Float64:
    """Rising thresholds: below all scores, between neighbours, above all where that is possible."""
    distinct = np.unique(scores)
    middles = (distinct[:-1] + distinct[1:]) / 2.0
    return np.unique(np.concatenate([[distinct[0] / 2.0], middles, [(distinct[-1] + 1.0) / 2.0]]))


def _thinned(cuts: _Float64, chosen: float | None) -> _Float64:
    places = np.unique(np.linspace(0, len(cuts) - 1, min(len(cuts), MOST_ROWS)).round().astype(int))
    return np.unique(np.append(cuts[places], [] if chosen is None else [chosen]))


@dataclass(frozen=True, slots=True)
class _Counts:
    """Photos of one kind at each threshold.

    Attributes:
        photos: Of the kind.
        below: (T,) with a score below the threshold.
        passed: (T,) that pass and nobody sees.
        rejected: (T,) that are rejected and nobody sees.
    """

    photos: int
    below: NDArray[np.intp]
    passed: NDArray[np.intp]
    rejected: NDArray[np.intp]

    @classmethod
    def of(cls, scores: _Float64, own: _Flags, is_new: _Flags, *, cuts: _Float64, review: Review) -> _Counts:
        """Of the photos that are `own`."""
        low, high = cuts, cuts
        if review.low is not None and review.high is not None:
            low, high = np.minimum(cuts, review.low), np.maximum(cuts, review.high)
        usual = np.sort(scores[own & ~is_new])
        passed, from_high = (np.searchsorted(usual, ends, side="left") for ends in (low, high))
        below = np.searchsorted(np.sort(scores[own]), cuts, side="left")
        return cls(int(own.sum()), below, passed, len(usual) - from_high)

    @property
    def looks(self) -> NDArray[np.intp]:
        """(T,) that a person sees."""
        return self.photos - self.passed - self.rejected


def _rows(cuts: _Float64, good: _Counts, bad: _Counts, *, line: Line | None) -> list[Record]:
    """One row a threshold; a photo of a kind weighs what makes its kind as frequent as on the line."""
    flags = np.arange(good.photos + bad.photos) < bad.photos
    weights = line_weights(flags, None if line is None else line.defect_rate)
    of_bad, of_good = float(weights[0]), float(weights[-1])
    hits, alarms = bad.photos - bad.below, good.photos - good.below
    flagged = hits + alarms
    on_line = hits * of_bad + alarms * of_good
    columns: dict[str, NDArray[Any]] = {
        "threshold": cuts, "true_positives": hits, "false_positives": alarms, "false_negatives": bad.below,
        "true_negatives": good.below, "precision": _shares(hits, flagged),
        "precision_on_line": _shares(hits * of_bad, on_line), "recall": hits / bad.photos,
        "specificity": good.below / good.photos, "reviewed": bad.looks * of_bad + good.looks * of_good,
        "cost": _costs(good, bad, line=line, of_good=of_good, of_bad=of_bad),
    }  # fmt: skip
    cells = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in cells]


def _costs(good: _Counts, bad: _Counts, *, line: Line | None, of_good: float, of_bad: float) -> NDArray[Any]:
    """(T,) of float or None, what the three verdicts cost."""
    if line is None:
        return np.full(len(good.below), None, dtype=object)
    prices = line.prices()
    each = [
        weight * (own.passed * price[PASSED] + own.looks * price[REVIEWED] + own.rejected * price[REJECTED])
        for own, weight, price in ((good, of_good, prices[0]), (bad, of_bad, prices[1]))
    ]
    return np.asarray((each[0] + each[1]) * line.parts)


def _shares(parts: NDArray[Any], wholes: NDArray[Any]) -> NDArray[Any]:
    """(T,) of float, None where there is no whole."""
    shares = np.full(len(parts), None, dtype=object)
    known = wholes > 0
    shares[known] = parts[known] / wholes[known]
    return shares


def _presets(rows: list[Record]) -> list[Record]:
    """Recall first: the highest threshold that finds 99 %; precision first: the lowest whose alarms are 99 % right."""
    thorough = [row for row in rows if row["recall"] >= _LEAN]
    strict = [row for row in rows if row["precision"] is not None and row["precision"] >= _LEAN]
    found: list[tuple[str, Record]] = [("recall first", thorough[-1])] if thorough else []
    if strict:
        found.append(("precision first", strict[0]))
    else:
        known = [row for row in rows if row["precision"] is not None]
        found.append(("precision first", max(known, key=lambda row: (row["precision"], row["recall"]))))
    return [{"name": name, **row, "sentence": _consequence(name, row)} for name, row in found]


def _consequence(name: str, row: Record) -> str:
    missed = row["false_negatives"] / (row["true_positives"] + row["false_negatives"])
    alarms = row["false_positives"] / (row["true_negatives"] + row["false_positives"])
    right = row["precision_on_line"]
    words = (
        f"{name.capitalize()}, threshold {row['threshold']:.3g}: of 100 defective parts {_parts(missed)} would pass, "
        f"of 100 good ones {_parts(alarms)} would be rejected"
    )
    return words + ("." if right is None else f"; of 100 rejects {_parts(right)} would be defective.")


def _parts(share: Any) -> str:
    parts = 100.0 * float(share)
    if parts in {0.0, 100.0} or abs(parts - round(parts)) < 1e-9:
        return f"{parts:.0f}"
    return f"{parts:.1f}"
