"""What a network learns, who learns and who chooses, before any picture is prepared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from teliti.data.split import fewest_groups, fold_samples
from teliti.metrics.number_rule import deviations
from teliti.types import FloatArray, IntArray, Record
from teliti.workflow.learning.fit import VALIDATION
from teliti.workflow.shared.photos import Photos
from teliti.workflow.shared.plan import SplitPlan

HELD_OUT = "held-out training photos"
_HELD_OUT_FOLDS = 6  # without a val part, one sixth of the training photos chooses the epoch


@dataclass(frozen=True)
class LearningTargets:
    """What the network learns.

    Attributes:
        values: (M,) class index; (M, K) of 0 and 1; or float32 numbers, each brought to mean 0 and deviation 1.
        mean: (1,), or (K,) of several numbers: what was subtracted.
        std: The same: what it was divided by.
    """

    values: NDArray[Any]
    mean: FloatArray = field(default_factory=lambda: np.zeros(1))
    std: FloatArray = field(default_factory=lambda: np.ones(1))

    @property
    def scale(self) -> float | None:
        """Of an error in the photos' own unit; None where several numbers have several."""
        return float(self.std[0]) if len(self.std) == 1 else None

    @classmethod
    def of(cls, photos: Photos, used: IntArray) -> LearningTargets:
        """Those of the photos at these positions."""
        own = photos.targets[used]
        if photos.catalog.task != "regression":
            return cls(own)
        mean, std = np.atleast_1d(own.mean(axis=0)), np.atleast_1d(deviations(own))
        return cls(((own - mean) / std).astype(np.float32), mean, std)


@dataclass(frozen=True)
class LearningParts:
    """Who learns, and who chooses epoch, calibration and threshold: positions among all photos."""

    learn: IntArray
    hold: IntArray
    name: str

    @property
    def used(self) -> IntArray:
        """Positions of all of them, rising."""
        return np.sort(np.concatenate([self.learn, self.hold]))

    def to_record(self) -> Record:
        """How many learn and how many choose, and what these are called."""
        return {"learnt": len(self.learn), "chosen_on": len(self.hold), "chooser": self.name}

    def places(self, photos: IntArray) -> IntArray:
        """Where these photos stand among those used."""
        return np.searchsorted(self.used, photos)


def divide_learning(photos: Photos, plan: SplitPlan, *, seed: int) -> LearningParts:
    """The training and the val part; without a val part a sixth of the training photos chooses, groups kept together.

    Args:
        photos: All photos.
        plan: Without folds.
        seed: For the choice of that sixth.
    """
    train, val = plan.indices("train"), plan.indices("val")
    if len(val):
        return LearningParts(train, val, VALIDATION)
    targets, groups = photos.targets[train], plan.groups[train]
    folds = int(np.clip(fewest_groups(targets, groups), 2, _HELD_OUT_FOLDS))
    inside = fold_samples(targets, groups, folds=folds, seed=seed) == 0
    return LearningParts(train[~inside], train[inside], HELD_OUT)
