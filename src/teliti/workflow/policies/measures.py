"""What augmentation gives a head on cached features: paired gains with intervals, affinity and diversity.

A trial costs no pass of the backbone: it takes the features of the photos and of their augmented views, fits the
recipe's own kind of head with and without the views on the same folds, and compares the losses on photos that neither
head saw, always without augmentation. Photos of one group stay in one fold, and so do their views.

Source of affinity and diversity: R. Gontijo-Lopes, S. Smullin, E. Cubuk and E. Dyer, "Tradeoffs in Data Augmentation:
An Empirical Study" (ICLR 2021). Intervals stand in `paired`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from teliti.data.split import fewest_groups, fold_samples
from teliti.metrics.calibration import PlattScaling, TemperatureScaling, softmax
from teliti.models.heads import DEFAULT_LIMIT, standardise
from teliti.recipe import ModelRecipe
from teliti.training.heads.linear import KERNEL_HEADS, Method, make_solver, measure_scale
from teliti.training.heads.search import Examples, Setting, Solver, calibration_of, calm_libraries, search
from teliti.types import FloatArray, IntArray
from teliti.workflow.shared.paired import Estimate, estimate

MAX_FOLDS = 5
_SMALLEST_LOSS = 1e-6  # a clean training loss below it says nothing in a ratio


@dataclass(frozen=True, eq=False)
class Ground:
    """Photos on which augmentation is tried.

    Attributes:
        features: (N, D) float32 of the photos as they are.
        targets: (N,) int class index, or float numbers.
        groups: (N,) int; photos of one group stay in one fold.
        num_classes: K; 0 for numbers.
        model: Head; its `c` and `gamma` where the recipe names them.
        setting: Hyperparameters of the head, the same for every trial.
    """

    features: NDArray[np.float32]
    targets: NDArray[Any]
    groups: IntArray
    num_classes: int
    model: ModelRecipe
    setting: Setting

    def take(self, rows: IntArray) -> Ground:
        """The photos of these rows, in this order."""
        return replace(self, features=self.features[rows], targets=self.targets[rows], groups=self.groups[rows])


@dataclass(frozen=True)
class Gain:
    """How much less is lost with augmentation.

    Attributes:
        loss: Loss without minus loss with it: log loss, or squared error over variance.
        accuracy: Mean accuracy with it minus accuracy without; None for numbers.
        repeats: How many differences there are: folds times seeds.
        photos: How many photos they were measured on.
    """

    loss: Estimate
    accuracy: float | None
    repeats: int
    photos: int


@dataclass(frozen=True, eq=False)
class Pairs:
    """Paired differences of one augmentation, one for each fold.

    Attributes:
        losses: (F,) loss without minus loss with it.
        accuracies: (F,) accuracy with it minus accuracy without; None for numbers.
        test_to_train: Photos measured in a fold over photos learnt from in that fold.
        photos: Photos measured in all folds.
    """

    losses: NDArray[np.float64]
    accuracies: NDArray[np.float64] | None
    test_to_train: float
    photos: int


def choose_setting(ground: Ground, *, seed: int) -> Setting:
    """The head's hyperparameters that suit the photos without augmentation best, for every trial alike.

    Args:
        ground: Its `setting` is not used.
        seed: Of the folds.

    Raises:
        SplitError: a class has fewer than two groups.
    """
    examples = _examples(ground, None, folds=make_folds(ground, seed=seed))
    with calm_libraries():
        solver = _solver(examples, ground.model)
        return search(solver, examples, threads=1, advance=lambda n: None)[0]  # noqa: ARG005


def make_folds(ground: Ground, *, seed: int, measured: IntArray | None = None) -> IntArray:
    """The fold of each photo; -1 for photos that are only learnt from.

    Args:
        ground: N photos.
        seed: Same seed, same folds.
        measured: Rows that are divided into folds; None: all.

    Raises:
        SplitError: a class has fewer than two groups among the measured photos.
    """
    rows = np.arange(len(ground.targets)) if measured is None else measured
    fewest = fewest_groups(ground.targets[rows], ground.groups[rows])
    folds = np.full(len(ground.targets), -1, np.int64)
    number = max(2, min(MAX_FOLDS, fewest))
    folds[rows] = fold_samples(ground.targets[rows], ground.groups[rows], folds=number, seed=seed)
    return folds


class ViewTrial:
    """Heads with and without augmented views, on one division into folds.

    Views multiply the rows that a head learns from; its inverse regularisation is divided by as much, so that a gain
    comes from what the views show and not from a weaker regularisation. Views equal to the photos gain nothing.

    Args:
        ground: N photos.
        views: (N, V, D) float32, features of V augmented views of each photo.
        folds: (N,) from `make_folds`.
    """

    def __init__(self, ground: Ground, views: NDArray[np.float32], *, folds: IntArray) -> None:
        self._count = len(folds)
        self._examples = _examples(ground, views, folds=folds)
        self._is_photo = np.arange(len(self._examples.z)) < self._count
        self._solver = _solver(self._examples, ground.model)
        self._setting = ground.setting
        self._held_out: dict[str, NDArray[np.float64]] = {}
        with calm_libraries():
            self._solver.ready([ground.setting])

    def pairs(self) -> Pairs:
        """What the views change, fold by fold."""
        measured = self._is_photo & (self._examples.folds >= 0)
        targets, own = self._examples.labels[measured], self._examples.folds[measured]
        clean, both = self._decide("clean")[measured], self._decide("both")[measured]
        saved = self._losses(clean, targets, self._calibrated(clean, targets)) - self._losses(
            both, targets, self._calibrated(both, targets)
        )
        numbers = np.unique(own)
        right = None
        if self._examples.num_classes:
            hits = (_preds(both) == targets).astype(np.float64) - (_preds(clean) == targets)
            right = np.array([hits[own == fold].mean() for fold in numbers])
        held = len(own) / len(numbers)
        differences = np.array([saved[own == fold].mean() for fold in numbers])
        return Pairs(differences, right, held / (self._count - held), len(own))

    def affinity(self) -> float | None:
        """How close augmented photos stay to the photos that the head was made for.

        Affinity of Gontijo-Lopes et al., as the ratio A(m, D'_val) / A(m, D_val): m is a head that learnt photos
        without augmentation, A its accuracy (the most probable class), D_val photos that it did not learn, and D'_val
        their augmented views. 1 means that augmentation changes nothing that the head looks at. Each measured photo
        is in D_val once, in its fold.

        Returns:
            The ratio; None for numbers, and where the head gets no photo right.
        """
        if not self._examples.num_classes:
            return None
        hits = _preds(self._decide("clean")) == self._examples.labels
        measured = self._examples.folds >= 0
        clean = float(hits[measured & self._is_photo].mean())
        return float(hits[measured & ~self._is_photo].mean()) / clean if clean else None

    def diversity(self) -> float | None:
        """How hard augmented photos are to learn.

        Diversity of Gontijo-Lopes et al.: the expected training loss of a head that learnt augmented photos, on these
        photos; here over the training loss of the head that learnt the photos as they are. 1 means no harder.
        Both are log losses of decision values that went through one calibration, that of the head without
        augmentation; for numbers squared errors.

        Returns:
            The ratio; None where the photos as they are leave no loss to compare with.
        """
        measured = self._is_photo & (self._examples.folds >= 0)
        labels = self._examples.labels
        calibration = self._calibrated(self._decide("clean")[measured], labels[measured])
        losses = []
        for rows in (np.flatnonzero(self._is_photo), np.flatnonzero(~self._is_photo)):
            decisions = self._fit(rows, shown=rows)
            losses.append(float(self._losses(decisions, labels[rows], calibration).mean()))
        clean, augmented = losses
        return augmented / clean if clean > _SMALLEST_LOSS else None

    def _decide(self, learnt: Literal["clean", "both"]) -> NDArray[np.float64]:
        """Decision values (N + N V, K') by heads that saw neither a photo nor its views; 0 where none is held out."""
        if learnt not in self._held_out:
            folds = self._examples.folds
            decisions = np.zeros(self._examples.signs.shape)
            for fold in np.unique(folds[folds >= 0]):
                rows = (folds != fold) & (self._is_photo if learnt == "clean" else True)
                held = np.flatnonzero(folds == fold)
                decisions[held] = self._fit(np.flatnonzero(rows), shown=held)
            self._held_out[learnt] = decisions
        return self._held_out[learnt]

    def _fit(self, rows: IntArray, *, shown: IntArray) -> FloatArray:
        """Decision values of the shown rows; each photo weighs the same in the fit, however many rows it has."""
        photos = int(self._is_photo[rows].sum()) or self._count
        path = [{**self._setting, "c": self._setting["c"] * photos / len(rows)}]
        with calm_libraries():
            return self._solver.decide(self._solver.solve(rows, path)[0], shown)

    def _calibrated(self, decisions: FloatArray, targets: NDArray[Any]) -> PlattScaling | TemperatureScaling | None:
        """The calibration of held-out decision values (n, K'); None for numbers."""
        if not self._examples.num_classes:
            return None
        return calibration_of(decisions, replace(self._examples, labels=targets))

    @staticmethod
    def _losses(
        decisions: FloatArray, targets: NDArray[Any], calibration: PlattScaling | TemperatureScaling | None
    ) -> FloatArray:
        """(n,) log loss of each row; for numbers squared errors."""
        if calibration is None:
            return np.asarray((decisions[:, 0] - targets) ** 2)
        logits = calibration.apply(decisions[:, 0] if decisions.shape[1] == 1 else decisions)
        chosen = softmax(logits)[np.arange(len(logits)), targets]
        return np.asarray(-np.log(np.maximum(chosen, np.finfo(np.float32).tiny)))


def gain_of(pairs: Sequence[Pairs]) -> Gain:
    """The mean difference over folds and seeds, with an interval that knows that folds share what they learn from.

    Args:
        pairs: Of one augmentation, one for each seed of the folds.
    """
    losses = np.concatenate([one.losses for one in pairs])
    accuracies = [one.accuracies for one in pairs if one.accuracies is not None]
    accuracy = float(np.concatenate(accuracies).mean()) if accuracies else None
    found = estimate(losses.tolist(), test_to_train=pairs[0].test_to_train)
    return Gain(found, accuracy, len(losses), pairs[0].photos)


def _examples(ground: Ground, views: NDArray[np.float32] | None, *, folds: IntArray) -> Examples:
    """Photos and, behind them, their views, standardised by the photos alone; numbers to mean 0 and deviation 1."""
    center, scale, active = measure_scale(ground.features)
    rows, labels, own = ground.features, ground.targets, folds
    if not ground.num_classes:
        labels = (labels - labels.mean()) / (labels.std() or 1.0)
    if views is not None:
        count = views.shape[1]
        rows = np.concatenate([rows, views.reshape(-1, views.shape[2])])
        labels, own = (np.concatenate([one, np.repeat(one, count)]) for one in (labels, own))
    z = standardise(rows, center, scale, limit=DEFAULT_LIMIT)
    return Examples(z, labels, ground.num_classes, own, active)


def _solver(examples: Examples, model: ModelRecipe) -> Solver:
    method: Method = "exact kernel" if model.head in KERNEL_HEADS else "linear"
    return make_solver(model.head, examples, model, method=method, seed=0)


def _preds(decisions: FloatArray) -> IntArray:
    """(n,) class of the largest decision value; for two classes the sign."""
    return (decisions[:, 0] > 0).astype(np.int64) if decisions.shape[1] == 1 else decisions.argmax(axis=1)
