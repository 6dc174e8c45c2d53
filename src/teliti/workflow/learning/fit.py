"""From features to a fitted head and a decision: hold-out, folds, or several set-ups within a budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from teliti.cache import RowCache
from teliti.errors import RecipeError
from teliti.metrics.decision import Decision
from teliti.metrics.number_rule import deviations
from teliti.metrics.tiles import Combine, combine_parts
from teliti.models.heads import HeadWeights
from teliti.recipe import Recipe, override_recipe, parse_seconds
from teliti.training.features.extraction import Features
from teliti.training.features.novelty import Novelty
from teliti.training.heads.linear import FittedHead, fit_head
from teliti.training.heads.search import label_loss
from teliti.transforms.steps_numbers import Arrays
from teliti.types import FloatArray, IntArray, Record, Reporter, Task
from teliti.workflow.shared.photos import Photos
from teliti.workflow.shared.plan import SplitPlan
from teliti.workflow.shared.setup import Setup, build_recipe_chain, fit_recipe_numbers, resolve_setup
from teliti.workflow.shared.stopwatch import Stopwatch

DEFAULT_BUDGET = "90s"
VALIDATION, OUT_OF_FOLD = "validation photos", "out-of-fold photos"
_SMALL = 224


@dataclass(frozen=True)
class Fit:
    """A fitted head and the scores that later choices are made on.

    Attributes:
        head: Features to outputs.
        history: What was tried and chosen.
        chooser: Positions of the photos that the threshold is chosen on: the val part, or the training part.
        chooser_outputs: (M, K) outputs for them; out-of-fold where they are training photos.
        chooser_name: What those photos are called in a sentence.
        fold_outputs: (N, K) outputs of each photo by a head that never saw it; None without folds.
        novelty: How unlike the training photos a photo is; None where it was not learnt.
        split_price: What a split that parts groups would have claimed; None where it was not asked.
        partner: What an ensemble's frozen half is built again from, as named arrays; None where there is none.
    """

    head: HeadWeights
    history: Record
    chooser: IntArray
    chooser_outputs: FloatArray
    chooser_name: str = OUT_OF_FOLD
    fold_outputs: FloatArray | None = None
    novelty: Novelty | None = None
    split_price: Record | None = None
    partner: Arrays | None = None


@dataclass(frozen=True)
class Candidate:
    """One set-up with its fit.

    Attributes:
        setup: Network and recipe.
        fit: Head and scores.
        loss: On the chooser's photos.
        computed: Features computed now; the others came from the cache.
        seconds: What it took.
    """

    setup: Setup
    fit: Fit
    loss: float
    computed: int
    seconds: float


def fit_inspector(
    features: Features, photos: Photos, plan: SplitPlan, *, recipe: Recipe, combine: Combine, reporter: Reporter
) -> Fit:
    """Fit the head that the recipe names.

    Args:
        features: Of all photos; only those of the training part are fitted on, with their augmented views.
        photos: With targets.
        plan: Parts or folds.
        recipe: Resolved.
        combine: How the answers for the tiles of a photo become one.
        reporter: Told about long work.

    Raises:
        RecipeError: tiles are to be combined by the part most likely rejected, and no class is.
    """
    rejects = reject_indices(recipe, photos)
    if features.originals > len(features.counts):
        check_combine(combine, recipe, photos)

    def fit_on(indices: IntArray) -> FittedHead:
        rows = np.concatenate([features.rows_of(indices), features.augmented_rows_of(indices)])
        owners = features.owners[rows]
        return fit_head(
            features.matrix[rows],
            photos.targets[owners],
            plan.groups[owners],
            model=recipe.model,
            task=photos.catalog.task,
            num_classes=len(photos.catalog.classes),
            seed=recipe.seed,
            reporter=reporter,
            calibration=recipe.decide.calibration,
        )

    def answers(head: HeadWeights, indices: IntArray) -> FloatArray:
        return photo_outputs(head, features, indices, combine=combine, rejects=rejects)

    if plan.folds is not None:
        return _fit_folds(plan.folds, fit_on, answers, reporter=reporter)
    train, val = plan.indices("train"), plan.indices("val")
    fitted = fit_on(train)
    if len(val):
        return Fit(fitted.weights, fitted.history, val, answers(fitted.weights, val), VALIDATION)
    counts = features.counts[train]
    own = fitted.weights.outputs(fitted.oof_logits[: counts.sum()])
    return Fit(fitted.weights, fitted.history, train, combine_parts(own, counts, how=combine, rejects=rejects))


def check_combine(combine: Combine, recipe: Recipe, photos: Photos) -> None:
    """Refuse to look for the worst tile where no class is bad.

    Raises:
        RecipeError: tiles are to be combined by the part most likely rejected, and no class is.
    """
    if combine == "max" and photos.catalog.task == "classification" and not reject_indices(recipe, photos):
        raise RecipeError(
            'The tile step has combine = "max", which takes the tile most likely rejected, and no class is rejected.',
            hint='Set data.positive or data.pass, or combine = "mean".',
        )


def photo_outputs(
    head: HeadWeights, features: Features, photos: IntArray, *, combine: Combine, rejects: Sequence[int] | None
) -> FloatArray:
    """(N, K) probabilities, or numbers for regression, one row a photo.

    Args:
        head: Fitted.
        features: Of all photos.
        photos: Positions of the photos that are asked about.
        combine: How the answers for the tiles of a photo become one.
        rejects: Indices of the classes that are rejected; None: see `combine_parts`.
    """
    outputs = outputs_of(head, features.matrix[features.rows_of(photos)])
    return combine_parts(outputs, features.counts[photos], how=combine, rejects=rejects)


def answer_photos(candidate: Candidate, features: Features, indices: IntArray, *, photos: Photos) -> FloatArray:
    """A fitted set-up's outputs for some photos, (M, K).

    Args:
        candidate: From `try_setup`.
        features: Of all photos.
        indices: (M,) positions of the photos that are asked about.
        photos: All photos.
    """
    setup = candidate.setup
    rejects = reject_indices(setup.recipe, photos)
    return photo_outputs(candidate.fit.head, features, indices, combine=setup.combine, rejects=rejects)


def reject_indices(recipe: Recipe, photos: Photos) -> tuple[int, ...] | None:
    """Indices of the classes that are rejected; None for labels and numbers, which tiles combine each by itself."""
    if photos.catalog.task != "classification":
        return None
    classes = tuple(photos.catalog.classes)
    decision = Decision(classes, positive=recipe.data.positive, pass_classes=tuple(recipe.data.pass_classes))
    return decision.reject_indices


def outputs_of(head: HeadWeights, features: NDArray[np.float32]) -> FloatArray:
    """(N, K) probabilities, or numbers for regression."""
    return head.outputs(head.logits(features))


def fit_best_within_budget(
    recipe: Recipe, trial: Callable[[Recipe], Candidate], *, task: Task
) -> tuple[Candidate, list[Record]]:
    """Mode auto: try set-ups from cheap to dear while the budget lasts, keep the smallest validation loss.

    Args:
        recipe: From `resolve_data`, with the budget.
        trial: Fits one set-up: `try_setup` with its photos.
        task: Linear heads come first, then the kernel heads of the task.

    Returns:
        The winner, and one record per set-up: what, loss, seconds, or why it was left out.
    """
    budget = parse_seconds(recipe.train.budget or DEFAULT_BUDGET)
    clock, rows = Stopwatch(), list[Record]()
    best: Candidate | None = None
    previous: tuple[float, float] | None = None  # (work, seconds)
    for values in _candidates(recipe, task):
        tried = override_recipe(recipe, values)
        work = _work(tried)
        row: Record = {"setup": _describe(tried), "loss": None, "seconds": None, "note": ""}
        rows.append(row)
        expected = 0.0 if previous is None else previous[1] * work / previous[0]
        if clock.elapsed() + expected > budget:
            row["note"] = f"left out: would take about {expected:.0f} s, {budget - clock.elapsed():.0f} s were left"
            continue
        candidate = trial(tried)
        row.update(loss=round(candidate.loss, 5), seconds=round(candidate.seconds, 2))
        previous = (work, candidate.seconds)
        if best is None or candidate.loss < best.loss:
            best = candidate
    if best is None:
        raise RuntimeError("the first set-up is always tried")
    return best, rows


def why_chosen(rows: Sequence[Record]) -> str:
    """One sentence for people about the set-ups that mode auto tried.

    Args:
        rows: From `fit_best_within_budget`.
    """
    tried = sorted((row for row in rows if row["loss"] is not None), key=lambda row: float(row["loss"]))
    best, others = tried[0], tried[1:]
    sentence = f"Chosen: {best['setup']}, whose validation loss is {best['loss']:.4f}"
    if others:
        sentence += "; " + ", ".join(f"{row['loss']:.4f} for {row['setup']}" for row in others)
    left_out = len(rows) - len(tried)
    return sentence + (f". {left_out} more did not fit the budget." if left_out else ".")


def try_setup(
    recipe: Recipe, *, photos: Photos, plan: SplitPlan, cache: RowCache, watch: Stopwatch, reporter: Reporter
) -> Candidate:
    """Features, head and validation loss (log loss; regression: mean squared error) of one set-up.

    Raises:
        RecipeError: steps, backbone or weights that cannot be used, or that do not fit the photos.
        PhotoRefused: a photo changed since it was read.
    """
    clock = Stopwatch()
    chain = build_recipe_chain(recipe)
    if chain.tile is not None:
        check_combine(chain.combine, recipe, photos)  # before anything long
    numbers = fit_recipe_numbers(recipe, photos, plan)
    with watch.stage("backbone"), reporter.task("Preparing the frozen network", 1) as advance:
        setup = resolve_setup(recipe, numbers=numbers)
        advance(1)
    with watch.stage("features"):
        features = setup.learning_features(photos, plan, cache=cache, reporter=reporter)
    with watch.stage("fit"):
        fit = fit_inspector(features, photos, plan, recipe=setup.recipe, combine=setup.combine, reporter=reporter)
    return Candidate(setup, fit, validation_loss(fit, photos), features.computed, clock.elapsed())


def _fit_folds(folds: IntArray, fit_on: Any, answers: Any, *, reporter: Reporter) -> Fit:
    numbers = np.unique(folds)
    outputs: FloatArray | None = None
    with reporter.task("Fitting folds", len(numbers) + 1) as advance:
        for fold in numbers:
            inside = np.flatnonzero(folds == fold)
            fitted = fit_on(np.flatnonzero(folds != fold))
            rows = answers(fitted.weights, inside)
            outputs = np.zeros((len(folds), rows.shape[1]), dtype=rows.dtype) if outputs is None else outputs
            outputs[inside] = rows
            advance(1)
        everyone = np.arange(len(folds))
        final = fit_on(everyone)
        advance(1)
    if outputs is None:
        raise RuntimeError("a plan with folds has at least two")
    return Fit(final.weights, final.history, everyone, outputs, fold_outputs=outputs)


def validation_loss(fit: Fit, photos: Photos) -> float:
    """Log loss (regression: mean squared error, of several numbers in their variances) on the chooser's photos."""
    targets = photos.targets[fit.chooser]
    if photos.catalog.number_names:
        return float(np.mean(((fit.chooser_outputs - targets) / deviations(photos.targets)) ** 2))
    if photos.catalog.task == "regression":
        return float(np.mean((fit.chooser_outputs[:, 0] - targets) ** 2))
    if photos.catalog.task == "multilabel":
        return label_loss(fit.chooser_outputs, targets)
    chosen = fit.chooser_outputs[np.arange(len(targets)), targets]
    return float(-np.mean(np.log(np.maximum(chosen, np.finfo(np.float32).tiny))))


def _candidates(recipe: Recipe, task: Task) -> list[Record]:
    linear, kernel = ("ridge", "svr") if task == "regression" else ("logistic", "rbf_svm")
    own = recipe.data.image_size
    small = {"data": {"image_size": [_SMALL, _SMALL]}}
    wide = {"stages": "auto", "pooling": "stats"}
    candidates: list[Record] = [
        {**small, "model": {"stages": ["head"], "pooling": "avg", "head": linear}},
        {**small, "model": {**wide, "stages": [-2], "head": kernel}},
        {**small, "model": {**wide, "head": kernel}},
        {"model": {**wide, "head": kernel}},
    ]
    return candidates if own != (_SMALL, _SMALL) else candidates[:-1]


def _work(recipe: Recipe) -> float:
    """Grows with the cost of a set-up: pixels, and as much again for a kernel head."""
    size = recipe.data.image_size
    height, width = size if isinstance(size, tuple) else (_SMALL, _SMALL)
    return height * width * (1.5 if recipe.model.head in {"rbf_svm", "svr"} else 1.0)


def _describe(recipe: Recipe) -> str:
    size = recipe.data.image_size
    side = "x".join(str(part) for part in size) if isinstance(size, tuple) else str(size)
    stages = recipe.model.stages
    named = "last four" if stages == "auto" else ",".join(str(stage) for stage in stages)
    return f"{recipe.model.head}, {side} px, stages {named}, {recipe.model.pooling}"
