"""Where the evidence is, in one sentence from the record."""

from __future__ import annotations

from teliti.report.reading import table_at
from teliti.report.wording import is_interval, number_interval
from teliti.types import JsonMapping

_CHANCE = "0.5 is chance"


def evidence_sentence(record: JsonMapping) -> str:
    """Whether the net looks at the part.

    Args:
        record: Of `evidence`: {"status", "why_unknown", "views", "hidden_by"}.
    """
    if record["status"] == "hidden":
        return (
            f"The prepare step {record['hidden_by']} covers what it takes for background, so that the net cannot go by "
            "it; it sees the part and its outline."
        )
    if record["status"] == "unknown":
        return f"Whether the net looks at the part could not be judged: {record['why_unknown']}."
    background, part, whole = (_area(record, view) for view in ("background", "part", "whole"))
    if record["status"] == "cheating":
        return (
            f"The net may be cheating: it tells the classes apart by the background alone, with ROC AUC {background}, "
            f"where {_CHANCE}; by the whole photo it is {whole}, by the part alone {part}."
        )
    return (
        f"No sign of cheating: by the background alone ROC AUC is {background}, not shown to be above chance (0.5); by "
        f"the part alone it is {part}, by the whole photo {whole}."
    )


def _area(record: JsonMapping, view: str) -> str:
    found = table_at(record, "views", view)
    interval = found.get("interval")
    spread = f" (95 % interval {number_interval(interval)})" if is_interval(interval) else ""
    return f"{found['roc_auc']:.3f}{spread}"
