"""The measure that a run is watched by: which epoch was the best, and when it is time to stop.

A measure that cannot move is refused before the first step: one of validation photos where there are none, an area
under the curve where validation has one class, an accuracy of numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from teliti.errors import RecipeError
from teliti.recipe.train import Monitor, TrainRecipe
from teliti.training.batches import TrainingData

_HIGHER_IS_BETTER = {"val_accuracy", "val_auc"}


@dataclass(frozen=True)
class Watch:
    """What has been seen of a measure.

    Attributes:
        monitor: Its name in a history row.
        patience: Epochs without a better one after which to stop; None: never.
        best_epoch: Number of the best epoch, from 0; -1 before the first.
        best_value: Its value.
        seen: Epochs seen.
    """

    monitor: Monitor
    patience: int | None = None
    best_epoch: int = -1
    best_value: float = 0.0
    seen: int = 0

    def look(self, row: Mapping[str, Any]) -> Watch:
        """The watch after one more epoch; the first of equal epochs stays the best.

        Args:
            row: Of the history; a measure that is None is no better than any.
        """
        value, seen = row[self.monitor], replace(self, seen=self.seen + 1)
        if value is None:
            return seen
        sign = 1.0 if self.monitor in _HIGHER_IS_BETTER else -1.0
        if self.best_epoch >= 0 and sign * value <= sign * self.best_value:
            return seen
        return replace(seen, best_epoch=self.seen, best_value=float(value))

    @property
    def is_best(self) -> bool:
        """True when the last epoch seen is the best so far."""
        return self.seen > 0 and self.best_epoch == self.seen - 1

    @property
    def is_over(self) -> bool:
        """True when the patience has run out."""
        return self.patience is not None and self.seen - 1 - max(self.best_epoch, 0) >= self.patience


def start_watch(options: TrainRecipe, data: TrainingData) -> Watch:
    """The watch that a recipe asks for.

    Raises:
        RecipeError: the measure could not move on these photos.
    """
    monitor: Monitor = options.monitor
    if monitor == "auto":
        monitor = "val_loss" if len(data.val) else "train_loss"
    reason = _why_it_cannot_move(monitor, data)
    if reason:
        raise RecipeError(
            f"train.monitor must be a measure that can move, got {monitor}: {reason}.",
            hint=f"Use {'val_loss' if len(data.val) else 'train_loss'}.",
        )
    return Watch(monitor, options.early_stopping)


def _why_it_cannot_move(monitor: Monitor, data: TrainingData) -> str:
    numbers = data.task == "regression"
    if monitor.startswith("val_") and not len(data.val):
        return "there are no validation photos"
    if monitor in _HIGHER_IS_BETTER and numbers:
        return "numbers have no classes"
    if monitor == "val_mae" and not numbers:
        return "classes have no distance"
    return _why_no_auc(data) if monitor == "val_auc" else ""


def _why_no_auc(data: TrainingData) -> str:
    held = data.targets[data.val]
    if data.task == "multilabel":
        return "" if np.ptp(held, axis=0).any() else "no label is there on some validation photos and not on others"
    if len(np.unique(data.targets[data.train])) > 2:
        return "it is a measure of two classes"
    return "the validation photos are of one class" if len(np.unique(held)) < 2 else ""
