"""Where the evidence is, in one sentence from the record."""

from __future__ import annotations

from collections.abc import Sequence

from teliti.report.reading import table_at
from teliti.report.wording import is_interval, number_interval
from teliti.types import JsonMapping

_CHANCE = "0.5 is chance"


def evidence_sentence(record: JsonMapping) -> str:
    """Whether the net looks at the part.

    Args:
        record: Of `evidence`: {"status", "why_unknown", "views", "hidden_by"}, of labels with "labels" (judged) and
            "by_background"; "learnt" where the photos were trained on.
    """
    if record["status"] == "hidden":
        return (
            f"The prepare step {record['hidden_by']} covers what it takes for background, so that the net cannot go by "
            "it; it sees the part and its outline."
        )
    if record["status"] == "unknown":
        return f"Whether the net looks at the part could not be judged: {record['why_unknown']}."
    background, part, whole = (say_area(table_at(record, "views", view)) for view in ("background", "part", "whole"))
    told, mean = ("the labels", "the labels' mean ") if record.get("labels") else ("the classes apart", "")
    if record["status"] == "cheating":
        return (
            f"The net may be cheating: it tells {told} by the background alone, with {mean}ROC AUC {background}, "
            f"where {_CHANCE}; {_strongest(record)}by the whole photo it is {whole}, by the part alone {part}."
        )
    learnt = f" {_LEARNT}" if record.get("learnt") else ""
    return (
        f"No sign of cheating: by the background alone {mean}ROC AUC is {background}, not shown to be above chance "
        f"(0.5); by the part alone it is {part}, by the whole photo {whole}.{learnt}"
    )


_LEARNT = (
    "The shipped inspector has learnt from these photos (with folds there are no others): what it goes by would show "
    "on them most of all."
)


def _strongest(record: JsonMapping) -> str:
    """The label that the background tells best, where labels were judged."""
    names = record.get("by_background")
    rows = table_at(record, "views", "background").get("per_label")
    if not names or not isinstance(rows, Sequence):
        return ""
    best = next(row for row in rows if row["label"] == names[0])
    return f'of label "{names[0]}" it is {say_area(best)}; '


def say_area(found: JsonMapping) -> str:
    """A ROC AUC with its interval: {"roc_auc", "interval"}."""
    interval = found.get("interval")
    spread = f" (95 % interval {number_interval(interval)})" if is_interval(interval) else ""
    return f"{found['roc_auc']:.3f}{spread}"
