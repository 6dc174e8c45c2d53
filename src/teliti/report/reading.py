"""Reading a run's record, any key of which may be missing, and the four counts that an inspector is judged by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from teliti.metrics.intervals import wilson_interval
from teliti.types import JsonMapping


def table_at(record: JsonMapping, *keys: str) -> dict[str, Any]:
    """The table at a path of keys; empty where it is missing or something else."""
    found: Any = record
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return dict(found) if isinstance(found, Mapping) else {}


def list_at(record: JsonMapping, *keys: str) -> list[Any]:
    """The list at a path of keys; empty where it is missing or something else."""
    found = table_at(record, *keys[:-1]).get(keys[-1])
    return list(found) if isinstance(found, Sequence) and not isinstance(found, str) else []


def tables_at(record: JsonMapping, *keys: str) -> list[dict[str, Any]]:
    """The tables in the list at a path of keys; anything else in it is left out."""
    return [dict(row) for row in list_at(record, *keys) if isinstance(row, Mapping)]


def class_names(record: JsonMapping) -> list[str]:
    """The class names in the order of the confusion matrix."""
    return [str(item) for item in list_at(record, "classes")]


def matrix_at(measures: JsonMapping) -> list[list[int]]:
    """The confusion matrix (rows actual, columns predicted); empty unless it is square and not empty."""
    rows = [list(row) for row in list_at(measures, "confusion_matrix") if isinstance(row, Sequence)]
    return rows if rows and all(len(row) == len(rows) for row in rows) else []


def per_class_rows(record: JsonMapping) -> list[dict[str, Any]]:
    """The per-class measures of the test part, each with its class name under "class"."""
    classes = class_names(record)
    rows = []
    for position, row in enumerate(tables_at(record, "test", "per_class")):
        index = row.get("class_index", position)
        known = classes[index] if isinstance(index, int) and 0 <= index < len(classes) else str(index)
        rows.append({**row, "class": str(row.get("class", known))})
    return rows


def is_folds(record: JsonMapping) -> bool:
    """True when the measures are from out-of-fold scores."""
    split = table_at(record, "data", "split")
    return split.get("origin") == "folds"


def has_val_part(record: JsonMapping) -> bool:
    """True when photos were set aside for validation; without them "val" is measured on out-of-fold scores."""
    counts = table_at(record, "data", "counts")
    return bool(table_at(counts, "val") if counts else table_at(record, "val"))


def is_regression(record: JsonMapping) -> bool:
    """True when numbers were predicted, not classes."""
    return record.get("task") == "regression"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened to the defective and to the good test photos.

    Attributes:
        bad: Names of the classes that must not pass.
        good: Names of the classes that may pass.
        bad_photos: Test photos of the bad classes.
        missed: Those of them that were taken for good.
        good_photos: Test photos of the good classes.
        false_alarms: Those of them that were taken for bad.
    """

    bad: tuple[str, ...]
    good: tuple[str, ...]
    bad_photos: int
    missed: int
    good_photos: int
    false_alarms: int

    @classmethod
    def of(cls, record: JsonMapping) -> Outcome | None:
        """The outcome on the test part; None where the job has no good and bad classes or no matrix."""
        classes, matrix = class_names(record), matrix_at(table_at(record, "test"))
        bad = _bad_classes(record, classes)
        if not bad or len(bad) == len(classes) or len(matrix) != len(classes):
            return None
        bad_rows = [index for index, name in enumerate(classes) if name in bad]
        good_rows = [index for index, name in enumerate(classes) if name not in bad]
        return cls(
            bad=tuple(classes[index] for index in bad_rows),
            good=tuple(classes[index] for index in good_rows),
            bad_photos=sum(sum(matrix[row]) for row in bad_rows),
            missed=sum(matrix[row][column] for row in bad_rows for column in good_rows),
            good_photos=sum(sum(matrix[row]) for row in good_rows),
            false_alarms=sum(matrix[row][column] for row in good_rows for column in bad_rows),
        )

    @property
    def missed_interval(self) -> tuple[float, float] | None:
        """Wilson's 95 % interval of the share of bad parts that are missed."""
        return wilson_interval(self.missed, self.bad_photos)

    @property
    def alarm_interval(self) -> tuple[float, float] | None:
        """Wilson's 95 % interval of the share of good parts that are rejected by mistake."""
        return wilson_interval(self.false_alarms, self.good_photos)


def _bad_classes(record: JsonMapping, classes: list[str]) -> set[str]:
    passing = {str(item) for item in list_at(record, "pass_classes")}
    if passing:
        return set(classes) - passing
    positive = record.get("positive")
    return set() if positive is None else {str(positive)} & set(classes)
