"""Fit a head on features: standardise, choose hyperparameters, calibrate on out-of-fold scores, fold it all into one.

Names of heads (the recipe's `model.head`): "logistic" is logistic regression, one class against the rest;
"softmax" one multinomial problem (for two classes both are the same); "linear_svm" a linear SVM; "rbf_svm" an SVM
with Gaussian kernel; "ridge" and "svr" their counterparts for numbers. "auto" is "rbf_svm" or "svr".

Where a photo may have several labels, each is a problem of its own ("logistic", "linear_svm", "rbf_svm") with its own
calibration; one setting serves them all, as it serves several numbers.

Every class weighs the same in the fit, however rare; calibration on the true frequencies then restores honest
probabilities (J. Platt 1999). Mean and deviation of the features come from the whole training part, folds
included: they know nothing of labels. A feature further than `DEFAULT_LIMIT` deviations out counts as that far.
Nothing here ever sees a photo outside the training part.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from teliti.errors import RecipeError, UserError
from teliti.models.heads import DEFAULT_LIMIT, HeadWeights, standardise
from teliti.recipe import ModelRecipe
from teliti.recipe.decide import Calibration
from teliti.runtime import default_threads
from teliti.training.heads.calibrate import choose_calibration
from teliti.training.heads.folds import assign_folds
from teliti.training.heads.kernel import EXACT_LIMIT, LandmarkSolver, SvmSolver
from teliti.training.heads.linear_solvers import HingeSolver, LogisticSolver, RidgeSolver
from teliti.training.heads.search import (
    Affine,
    Examples,
    Setting,
    Solution,
    Solver,
    affine_of_labels,
    calm_libraries,
    in_threads,
    out_of_fold_loss,
    search,
)
from teliti.types import FloatArray, IntArray, Record, Reporter, Task

Method = Literal["linear", "exact kernel", "landmarks"]
KERNEL_HEADS = ("rbf_svm", "svr")
SEARCH_PHOTOS = 3000  # of a two-class problem; more columns share the same time
_MIN_SEARCH_PHOTOS_OF_CLASS = 50
_HEADS: dict[Task, tuple[str, ...]] = {
    "classification": ("logistic", "softmax", "linear_svm", "rbf_svm"),
    "multilabel": ("logistic", "linear_svm", "rbf_svm"),
    "regression": ("ridge", "svr"),
}
_CONSTANT = 1e-6  # a feature whose deviation is below this share of its size is constant


@dataclass(frozen=True, eq=False)
class FittedHead:
    """What training gives.

    Attributes:
        weights: The head, fitted on the whole training part.
        oof_logits: (N, K) float32 calibrated logits of each training photo by a head that never saw its fold; for
            regression (N, 1) or (N, K), the numbers.
        history: Record: head, features, photos, folds, criterion, tried settings with losses, chosen, seconds.
    """

    weights: HeadWeights
    oof_logits: FloatArray
    history: Record


@dataclass(frozen=True, eq=False)
class _Scale:
    """Standardisation of features, and of the numbers of a regression."""

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    target: Affine


def fit_head(
    features: NDArray[np.float32],
    targets: NDArray[Any],
    groups: IntArray,
    *,
    model: ModelRecipe,
    task: Task,
    num_classes: int,
    seed: int,
    reporter: Reporter,
    calibration: Calibration = "platt",
) -> FittedHead:
    """Fit the recipe's head on the photos of the training part.

    Args:
        features: (N, D) float32, finite.
        targets: (N,) int class index in 0..K-1; (N, K) int of 0 and 1 for labels; (N,) or (N, K) float numbers.
        groups: (N,) int; photos of one group stay in one fold.
        model: Head; `c` and `gamma` where they are not to be searched.
        task: What the targets are.
        num_classes: K; ignored for regression.
        seed: Of folds, search photos and landmarks.
        reporter: Told of every solved fold.
        calibration: The recipe's decide.calibration; numbers have none, and labels one each, "platt" or "none".

    Raises:
        RecipeError: the head does not fit the task.
        UserError: features are not finite or do not match the targets.
        SplitError: a class has too few groups for two folds.
        MissingExtraError: scikit-learn is not installed.
    """
    started = time.perf_counter()
    head = resolve_head(model, task)
    labels = np.asarray(targets, np.float64 if task == "regression" else np.int64)
    num_labels = 0 if task == "regression" else num_classes
    _check(features, labels, groups, task=task, num_classes=num_classes)
    folds = assign_folds(labels, groups, num_classes=num_labels, seed=seed)
    examples, scale = _standardise(features, labels, folds, num_classes=num_labels)
    sample = _search_rows(examples, groups, seed=seed)
    few = examples if len(sample) == len(features) else examples.take(sample)
    method = _choose_method(head, photos=len(features))
    with calm_libraries():
        solver = make_solver(head, few, model, method=method, seed=seed)
        steps = (int(folds.max()) + 1) * (len(solver.paths()) + 1) + 1
        with reporter.task("Fitting the head", steps) as advance:
            chosen, tried = search(solver, few, threads=default_threads(), advance=advance)
            if few is not examples:
                solver = make_solver(head, examples, model, method=method, seed=seed)
            final = _fit_all(
                solver, examples, chosen, scale=scale, features=features, asked=calibration, advance=advance
            )
    history = _describe_fit(head, method, examples, final=final) | {
        "search_photos": len(sample),
        "tried": tried,
        "chosen": chosen,
        "seconds": round(time.perf_counter() - started, 3),
    }
    return FittedHead(final.weights, final.logits, history)


@dataclass(frozen=True, eq=False)
class _Final:
    """The head on all photos, and what heads that never saw a photo's fold say of it."""

    weights: HeadWeights
    decisions: NDArray[np.float32]  # (N, K') out of fold, not calibrated
    logits: NDArray[np.float32]  # (N, K) the same, calibrated
    converged: bool
    calibration: Record


def _describe_fit(head: str, method: Method, examples: Examples, *, final: _Final) -> Record:
    return {
        "head": head,
        "method": method,
        "features": examples.z.shape[1],
        "photos": len(examples.z),
        "folds": int(examples.folds.max()) + 1,
        "criterion": "log loss" if examples.num_classes else "mean squared error over variance",
        "loss": out_of_fold_loss(final.decisions, examples),
        "supports": None if final.weights.supports is None else len(final.weights.supports),
        "converged": final.converged,
        **final.calibration,
    }


def _fit_all(
    solver: Solver,
    examples: Examples,
    chosen: Setting,
    *,
    scale: _Scale,
    features: NDArray[np.float32],
    asked: Calibration,
    advance: Callable[[int], None],
) -> _Final:
    """Out-of-fold logits and the head on all photos, both through the same float32 formula."""
    path = [chosen]
    solver.ready(path)
    decisions = np.zeros(examples.signs.shape, np.float32)

    def work(fold: int) -> bool:
        inside = examples.folds == fold
        solution = solver.solve(np.flatnonzero(~inside), path)[0]
        decisions[inside] = _build_head(solution, examples, scale, last=None).logits(features[inside])
        advance(1)
        return solution.converged

    flags = in_threads(work, int(examples.folds.max()) + 1, solver=solver, threads=default_threads())
    solution = solver.solve(np.arange(len(features)), path)[0]
    advance(1)
    weights, logits, about = _calibrate(decisions, solution, examples, scale=scale, asked=asked)
    return _Final(weights, decisions, logits, all(flags) and solution.converged, about)


def _calibrate(
    decisions: NDArray[np.float32], solution: Solution, examples: Examples, *, scale: _Scale, asked: Calibration
) -> tuple[HeadWeights, NDArray[np.float32], Record]:
    """The head with its last map, the calibrated out-of-fold logits, and what the record says of it."""
    if not examples.num_classes or examples.is_multilabel:
        last, about = scale.target, Record()
        if examples.is_multilabel:
            columns = examples.signs.shape[1]
            plain = Affine(np.ones(columns), (0.0,) * columns)
            last = plain if asked == "none" else affine_of_labels(decisions, examples.labels)
            about = {"calibration": "none" if asked == "none" else "platt"}
        logits = (decisions * last.slope + np.asarray(last.intercepts)).astype(np.float32)
        return _build_head(solution, examples, scale, last=last), logits, about
    found, choice = choose_calibration(asked, decisions, examples.labels, folds=examples.folds)
    weights = _build_head(solution, examples, scale, last=Affine(found.slope, found.intercepts))
    about = {"calibration": found.way, "calibration_choice": choice}
    return replace(weights, bend=found.bend), found.logits(decisions), about


def _build_head(solution: Solution, examples: Examples, scale: _Scale, *, last: Affine | None) -> HeadWeights:
    """The float32 head of a solution; without a last map it gives the decision values (N, K') themselves."""
    slope, intercepts = (1.0, (0.0,)) if last is None else (last.slope, last.intercepts)
    unit = np.float32(1.0 if solution.kept is None else np.sqrt(solution.width))  # the kernel's width becomes 1
    return HeadWeights(
        scale.mean,
        scale.scale * unit,
        (solution.weight * slope).astype(np.float32),
        (solution.bias * slope + np.asarray(intercepts)).astype(np.float32),
        supports=None if solution.kept is None else examples.z[solution.kept] * unit,
        limit=DEFAULT_LIMIT * float(unit),
        is_regression=last is None or not examples.num_classes,
        is_multilabel=last is not None and examples.is_multilabel,
    )


def _choose_method(head: str, *, photos: int) -> Method:
    if head not in KERNEL_HEADS:
        return "linear"
    return "exact kernel" if photos <= EXACT_LIMIT else "landmarks"


def make_solver(head: str, examples: Examples, model: ModelRecipe, *, method: Method, seed: int) -> Solver:
    """What fits a head.

    Args:
        head: Its name, no longer "auto".
        examples: What it learns from.
        model: The recipe's [model].
        method: One that `head` allows.
        seed: Of the landmarks.
    """
    if method == "exact kernel":
        return SvmSolver(examples, model)
    if method == "landmarks":
        return LandmarkSolver(examples, model, seed=seed)
    if head == "ridge":
        return RidgeSolver(examples, model)
    if head == "linear_svm":
        return HingeSolver(examples, model)
    return LogisticSolver(examples, model, one_vs_rest=head == "logistic")


def resolve_head(model: ModelRecipe, task: Task) -> str:
    """The head that a recipe's `model.head` means for a task.

    Raises:
        RecipeError: the head is not one of this task.
    """
    known = _HEADS[task]
    if model.head == "auto":
        return "svr" if task == "regression" else "rbf_svm"
    if model.head not in known:
        raise RecipeError(
            f"model.head must be one of {', '.join(known)} for {task}, got {model.head!r}.",
            hint='Leave it at "auto", or choose one of them.',
        )
    return model.head


def _check(
    features: NDArray[np.float32], labels: NDArray[Any], groups: IntArray, *, task: Task, num_classes: int
) -> None:
    if features.ndim != 2 or len(labels) != len(features) or len(groups) != len(features):
        raise UserError(
            f"Features must have shape (N, D) with N targets and N groups, got {features.shape}, "
            f"{len(labels)} targets and {len(groups)} groups.",
            hint="Give one row of features per photo.",
        )
    if task == "classification" and num_classes < 2:
        raise UserError(
            f"Photos must be of at least two classes, got {num_classes}.", hint="Add photos of another class."
        )
    bad = int((~np.isfinite(features).all(axis=1)).sum())
    if bad:
        raise UserError(
            f"Features must be finite, got {bad} of {len(features)} photos with a number that is not.",
            hint="Check the weights of the backbone, and use precision f32.",
        )


def measure_scale(features: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32], int]:
    """What brings features to mean 0 and deviation 1; those that do not vary get the scale 0.

    Args:
        features: (N, D).

    Returns:
        (D,) mean, (D,) scale, and how many features vary, at least 1.
    """
    mean = features.mean(axis=0, dtype=np.float64)
    squares = np.einsum("nd,nd->d", features, features, dtype=np.float64) / len(features)
    std = np.sqrt(np.maximum(squares - mean**2, 0.0))
    varies = std > _CONSTANT * np.maximum(np.abs(mean), _CONSTANT)
    scale = np.where(varies, 1.0 / np.where(varies, std, 1.0), 0.0).astype(np.float32)
    return mean.astype(np.float32), scale, max(1, int(varies.sum()))


def _standardise(
    features: NDArray[np.float32], labels: NDArray[Any], folds: IntArray, *, num_classes: int
) -> tuple[Examples, _Scale]:
    """Features of mean 0 and deviation 1, and the numbers of a regression likewise."""
    center, scale, active = measure_scale(features)
    z = standardise(features, center, scale, limit=DEFAULT_LIMIT)
    target = Affine(1.0, ())
    if not num_classes:
        target = _number_scale(labels)
        labels = (labels - (target.intercepts[0] if labels.ndim == 1 else target.intercepts)) / target.slope
    return Examples(z, labels, num_classes, folds, active), _Scale(center, scale, target)


def _number_scale(labels: NDArray[np.float64]) -> Affine:
    """Deviation and mean of one number, or of each of several."""
    if labels.ndim == 1:
        return Affine(float(labels.std()) or 1.0, (float(labels.mean()),))
    std = labels.std(axis=0)
    return Affine(np.where(std > 0.0, std, 1.0), tuple(labels.mean(axis=0).tolist()))


def _search_rows(examples: Examples, groups: IntArray, *, seed: int) -> IntArray:
    """The photos that settings are compared on: all of them, or a random choice of whole groups, every class in it."""
    columns = examples.signs.shape[1]
    limit = int(SEARCH_PHOTOS / np.sqrt(columns))
    kinds = _kinds(examples)
    counts = kinds.sum(axis=0)
    wanted = np.maximum(np.ceil(counts * limit / len(groups)), np.minimum(counts, _MIN_SEARCH_PHOTOS_OF_CLASS))
    if len(groups) <= limit:
        return np.arange(len(groups))
    _, group_of = np.unique(groups, return_inverse=True)
    place = np.random.default_rng(seed).permutation(group_of.max() + 1)[group_of]  # random order of whole groups
    order = np.argsort(place, kind="stable")
    taken = np.zeros(len(groups), bool)
    for kind in range(len(counts)):
        own = order[kinds[order, kind]]
        taken[own[: int(wanted[kind])]] = True
    return np.flatnonzero(np.isin(group_of, group_of[taken]))


def _kinds(examples: Examples) -> NDArray[np.bool_]:
    """(N, L) which photo is of which class; of labels who has each and who has none; of numbers one kind."""
    if examples.is_multilabel:
        has = examples.labels > 0
        return np.concatenate([has, ~has.any(axis=1, keepdims=True)], axis=1)
    labels = examples.labels if examples.num_classes else np.zeros(len(examples.z), np.int64)
    return np.asarray(labels[:, None] == np.arange(int(labels.max()) + 1))
