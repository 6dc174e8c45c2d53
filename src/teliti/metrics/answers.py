"""The rule that turns a network's outputs into answers, read once from what a bundle says: classes, labels, numbers.

What all three have: `graph_outputs`, `tile_rejects`, `labels(outputs)` and `to_record()`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from teliti.errors import BundleError
from teliti.metrics.decision import Decision
from teliti.metrics.label_decision import LabelsDecision
from teliti.metrics.number_rule import NumberRule
from teliti.types import Task

AnswerRule = Decision | LabelsDecision | NumberRule


def count_outputs(answers: AnswerRule) -> int:
    """K, how many outputs of a photo the rule reads."""
    return len(answers.names) or 1 if isinstance(answers, NumberRule) else len(answers.classes)


def decision_from_record(task: Task, record: Mapping[str, Any] | None) -> AnswerRule:
    """The rule of a bundle.

    Args:
        task: As the bundle names it.
        record: Its "decision"; None for a regression of one number.

    Raises:
        BundleError: the task is not known, or the record does not fit it.
    """
    if task in {"regression"} and (record is None or "numbers" in record):
        return NumberRule.from_record(record)
    if task in {"classification", "multilabel"} and record is not None:
        return LabelsDecision.from_record(record) if task == "multilabel" else Decision.from_record(record)
    raise BundleError(
        f"bundle.json names the task {task!r}, which its decision does not suit.",
        hint="Train or copy the bundle again.",
    )
