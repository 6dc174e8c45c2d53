"""A trained inspector with everything that packing, testing and recording it need to know."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from teliti.metrics.answers import AnswerRule
from teliti.recipe import Recipe
from teliti.types import IntArray, Sample
from teliti.workflow.learning.fit import Candidate
from teliti.workflow.shared.photos import Photos
from teliti.workflow.shared.plan import SplitPlan


@dataclass(frozen=True)
class Trained:
    """What training yields.

    Attributes:
        recipe: Resolved: no "auto" left.
        photos: What was learnt from and what is measured on.
        plan: Which is which.
        candidate: Network and head.
        answers: What outputs mean: classes or labels with thresholds and verdict rule, or numbers.
    """

    recipe: Recipe
    photos: Photos
    plan: SplitPlan
    candidate: Candidate
    answers: AnswerRule

    @property
    def measured(self) -> IntArray:
        """Positions of the photos behind the published measures: the test part, or all of them with folds."""
        return self.plan.indices("test") if self.plan.folds is None else np.arange(len(self.photos.samples))

    @property
    def measured_samples(self) -> list[Sample]:
        """The same as samples."""
        return [self.photos.samples[index] for index in self.measured]
