"""What every threshold would do: counts, rates, costs, looks; and two ways to lean, said by their consequence.

The rows are for looking: the inspector's own threshold is chosen elsewhere, on validation photos.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from teliti.metrics.line import Line, line_weights
from teliti.types import FloatArray, Record

MOST_ROWS = 200
_LEAN = 0.99

_Float64 = NDArray[np.float64]


def explore(
    scores: FloatArray,
    positives: NDArray[np.bool_],
    *,
    chosen: float | None,
    low: float | None = None,
    line: Line | None = None,
    defect_rate: float | None = None,
) -> Record:
    """The record of all thresholds, thinned evenly to some two hundred.

    Args:
        scores: (N,) float in [0, 1].
        positives: (N,) bool.
        chosen: The inspector's threshold; its row is kept.
        low: Lower end of the grey band: `reviewed` of a row is the share of parts between it and the row's threshold.
        line: For costs.
        defect_rate: Share of defects on the line; None: that of these photos.

    Returns:
        {"positives", "negatives", "defect_rate", "rows", "presets"}; a row has "threshold", "true_positives",
        "false_positives", "false_negatives", "true_negatives", "precision", "precision_on_line", "recall",
        "specificity", "reviewed" and "cost" (over the line's parts, without looks); undefined ones are None.
        Without both kinds there are no rows.
    """
    values, flags = np.asarray(scores, dtype=np.float64), np.asarray(positives, dtype=bool)
    rate = defect_rate if line is None else line.defect_rate
    record: Record = {
        "positives": int(flags.sum()), "negatives": int((~flags).sum()), "defect_rate": rate, "rows": [], "presets": [],
    }  # fmt: skip
    if not flags.any() or flags.all():
        return record
    weights = line_weights(flags, rate)
    rows = [_row(at, values, flags, weights=weights, low=low, line=line) for at in _cuts(values, chosen)]
    return record | {"rows": rows, "presets": _presets(rows)}


def _cuts(scores: _Float64, chosen: float | None) -> list[float]:
    """Rising thresholds: below all scores, between neighbours, above all where that is possible."""
    distinct = np.unique(scores)
    middles = (distinct[:-1] + distinct[1:]) / 2.0
    cuts = np.concatenate([[distinct[0] / 2.0], middles, [(distinct[-1] + 1.0) / 2.0]])
    kept = cuts[np.unique(np.linspace(0, len(cuts) - 1, min(len(cuts), MOST_ROWS)).round().astype(int))]
    return sorted({*kept.tolist(), *([] if chosen is None else [chosen])})


def _row(
    threshold: float,
    scores: _Float64,
    positives: NDArray[np.bool_],
    *,
    weights: _Float64,
    low: float | None,
    line: Line | None,
) -> Record:
    flagged = scores >= threshold
    hits, alarms = int((flagged & positives).sum()), int((flagged & ~positives).sum())
    misses, passed = int(positives.sum()) - hits, int((~positives).sum()) - alarms
    flagged_weight = float(weights[flagged].sum())
    cost = None
    if line is not None:
        lost = float(weights[~flagged & positives].sum()) * line.cost.miss
        cost = (lost + float(weights[flagged & ~positives].sum()) * line.cost.false_alarm) * line.parts
    grey = np.zeros(len(scores), dtype=bool) if low is None else (scores >= low) & ~flagged
    return {
        "threshold": threshold,
        "true_positives": hits,
        "false_positives": alarms,
        "false_negatives": misses,
        "true_negatives": passed,
        "precision": hits / (hits + alarms) if hits + alarms else None,
        "precision_on_line": float(weights[flagged & positives].sum()) / flagged_weight if flagged_weight > 0 else None,
        "recall": hits / (hits + misses),
        "specificity": passed / (passed + alarms),
        "reviewed": float(weights[grey].sum()),
        "cost": cost,
    }


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
