"""The history of a run: one JSON-ready row per epoch, its measures, and the row as CSV text.

A row holds only what the same seed gives again; the seconds of an epoch stand apart. Training numbers are sums over
the steps of the epoch, as the network was at each of them, with augmentation and dropout; validation numbers are of
the network (or of its moving average) at the end of the epoch. Undefined numbers are None.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from teliti.metrics.curves import roc_auc_score
from teliti.training.batches import NetworkTask
from teliti.types import FloatArray, Record

COLUMNS = (
    "epoch", "learning", "lr", "train_loss", "train_accuracy", "train_mae", "val_loss", "val_accuracy", "val_auc",
    "val_mae", "gradient_norm", "clipped", "step_length", "dead_units", "saturated_units",
)  # fmt: skip
"""The single numbers of a row, in the order of a table. `val_predicted` beside them is a list, one count a class."""


class EpochSums:
    """What is added up over the steps of an epoch; JSON-ready, so that a checkpoint may fall inside an epoch.

    Args:
        values: From `to_record` of an earlier one.
    """

    def __init__(self, values: Mapping[str, float] | None = None) -> None:
        self._sums = {"photos": 0.0, "loss": 0.0, "right": 0.0, "distance": 0.0, "steps": 0.0, "norm": 0.0,
                      "clipped": 0.0, "step_length": 0.0}  # fmt: skip
        self._sums |= dict(values or {})

    def add(self, **values: float) -> None:
        """Add to the sums by name."""
        for name, value in values.items():
            self._sums[name] += float(value)

    def to_record(self) -> Record:
        """The sums."""
        return dict(self._sums)

    def row(self, task: NetworkTask) -> Record:
        """The training part of a history row."""
        photos, steps = max(self._sums["photos"], 1.0), max(self._sums["steps"], 1.0)
        numbers = task == "regression"
        return {
            "train_loss": self._sums["loss"] / photos,
            "train_accuracy": None if numbers else self._sums["right"] / photos,
            "train_mae": self._sums["distance"] / photos if numbers else None,
            "gradient_norm": self._sums["norm"] / steps,
            "clipped": self._sums["clipped"] / steps,
            "step_length": self._sums["step_length"],
        }


def predictions(outputs: FloatArray, task: NetworkTask) -> NDArray[np.int64]:
    """(N,) class indices, or (N, K) of 0 and 1 for several labels a photo, from outputs (N, K)."""
    if task == "multilabel":
        return (outputs > 0.5).astype(np.int64)
    if outputs.shape[1] == 1:
        return (outputs[:, 0] > 0.5).astype(np.int64)
    return np.asarray(outputs.argmax(axis=1), dtype=np.int64)


def count_right(outputs: FloatArray, targets: NDArray[Any], task: NetworkTask) -> float:
    """Photos whose class is right; with several labels a photo the right share of its labels counts."""
    hits = predictions(outputs, task) == targets.reshape(len(outputs), -1).astype(np.int64).squeeze(
        axis=1 if task == "classification" else ()
    )
    return float(hits.sum() if task == "classification" else hits.mean(axis=1).sum())


def sum_distance(outputs: FloatArray, targets: NDArray[Any]) -> float:
    """SUM over photos of the mean |target - output| of its numbers."""
    return float(np.abs(outputs - targets.reshape(outputs.shape)).mean(axis=1).sum())


def no_validation() -> Record:
    """The validation part of a history row where nothing was measured."""
    return dict.fromkeys(("val_loss", "val_accuracy", "val_auc", "val_mae", "val_predicted"))


def measure_validation(
    outputs: FloatArray, losses: FloatArray, targets: NDArray[Any], *, task: NetworkTask, num_classes: int
) -> Record:
    """The validation part of a history row; None for every number where outputs are none or not finite.

    Args:
        outputs: (N, K) probabilities or numbers.
        losses: (N,) weighted loss of each photo.
        targets: (N,) class indices, or (N,) or (N, K) numbers.
        task: What the targets are.
        num_classes: Classes, labels or numbers a photo.
    """
    row = no_validation()
    if not len(outputs) or not np.isfinite(outputs).all():  # weights that left the range of numbers measure nothing
        return row
    loss = float(np.mean(losses, dtype=np.float64))
    row["val_loss"] = loss if math.isfinite(loss) else None
    if task == "regression":
        return row | {"val_mae": sum_distance(outputs, targets) / len(outputs)}
    row["val_accuracy"] = count_right(outputs, targets, task) / len(outputs)
    preds = predictions(outputs, task)
    row["val_predicted"] = (
        preds.sum(axis=0).tolist() if task == "multilabel" else np.bincount(preds, minlength=num_classes).tolist()
    )
    if task == "multilabel":
        areas = [roc_auc_score(targets[:, k] > 0.5, outputs[:, k]) for k in range(outputs.shape[1])]
        known = [area for area in areas if area is not None]
        row["val_auc"] = sum(known) / len(known) if known else None
    elif num_classes == 2:
        row["val_auc"] = roc_auc_score(targets == 1, outputs[:, -1])
    return row


def history_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """The history as CSV text with a header; a cell is empty where a number is undefined."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow(["" if row.get(name) is None else row[name] for name in COLUMNS])
    return text.getvalue()
