"""Several labels or several numbers a photo, drawn for the terminal: tables per label and number, rows of answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from teliti.cli.escaping import visible
from teliti.cli.wording import format_count, format_number

if TYPE_CHECKING:
    from teliti.types import Record

_MOST_LABELS = 40


def label_table(record: Record) -> Table:
    """Photos, threshold and measures of each label.

    Args:
        record: As the workflow's `train` or `evaluate` returns it.
    """
    thresholds = {row["label"]: row["value"] for row in (record.get("threshold") or {}).get("per_label") or ()}
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="")
    table.add_column("label", overflow="fold")
    for title in ("photos", "threshold", "recall", "precision", "F1", "ROC AUC", "PR AUC"):
        table.add_column(title, justify="right")
    rows = record["test"]["per_label"]
    for row in rows[:_MOST_LABELS]:
        numbers = (format_number(row.get(key)) for key in ("recall", "precision", "f1", "roc_auc", "pr_auc"))
        threshold = format_number(thresholds.get(row["label"]))
        table.add_row(visible(str(row["label"])), format_count(row["n"]), threshold, *numbers)
    if len(rows) > _MOST_LABELS:
        table.caption = f"and {len(rows) - _MOST_LABELS} labels more: all of them are in the report"
    return table


def number_table(record: Record) -> Table:
    """The errors of each number.

    Args:
        record: As the workflow's `train` or `evaluate` returns it.
    """
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="")
    table.add_column("number", overflow="fold")
    for title in ("mean absolute error", "always the mean", "root mean square error", "R2"):
        table.add_column(title, justify="right")
    for row in record["test"]["per_number"]:
        errors = (format_number(row.get(key), in_units=True) for key in ("mae", "baseline_mae", "rmse"))
        table.add_row(visible(str(row["name"])), *errors, format_number(row.get("r2")))
    return table


def labels_in_words(result: Mapping[str, Any]) -> str | None:
    """The labels of a photo as in a label file; None where it has one class or numbers."""
    labels = result.get("labels")
    return None if labels is None else ";".join(labels) or "none"
