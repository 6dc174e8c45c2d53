"""From a trained network to an inspector: its closing layer as a calibrated head, a partner where it helps, novelty.

All of it is fitted on the photos that chose the epoch, which the network did not learn from; only novelty asks what the
photos look like that it learnt from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from teliti.data.split import fewest_groups, fold_samples
from teliti.models.heads import HeadWeights
from teliti.recipe import Recipe
from teliti.training.features.extraction import Features
from teliti.training.features.novelty import MOST_PHOTOS, fit_novelty, newest_parts, settle_novelty
from teliti.types import FloatArray, IntArray, Record
from teliti.workflow.learning.fit import Fit, photo_outputs, reject_indices
from teliti.workflow.learning.parts import LearningParts, LearningTargets
from teliti.workflow.learning.second_opinion import Partner
from teliti.workflow.shared.photos import Photos
from teliti.workflow.shared.pictures import Pictures
from teliti.workflow.shared.plan import SplitPlan
from teliti.workflow.shared.setup import build_recipe_chain

if TYPE_CHECKING:
    from teliti.training.heads.trained_net import FeatureFront

CALIBRATION_FOLDS = 5
_SMALLEST = 1e-7  # probability that a loss is taken of


@dataclass(frozen=True, eq=False)
class Schooling:
    """What a network was trained with.

    Attributes:
        recipe: From `resolve_data`.
        photos: All photos.
        plan: Without folds.
        parts: Who learnt, and who chose.
        targets: Of those used.
        pictures: Of those used, prepared.
    """

    recipe: Recipe
    photos: Photos
    plan: SplitPlan
    parts: LearningParts
    targets: LearningTargets
    pictures: Pictures


@dataclass(frozen=True, eq=False)
class Closed:
    """A network up to its features, and what closes it.

    Attributes:
        front: The network, with a partner perhaps.
        held: Its features of the photos that chose the epoch.
        fit: The head, with its outputs for these photos.
    """

    front: FeatureFront
    held: Features
    fit: Fit


def front_features(front: FeatureFront, pictures: Pictures, places: IntArray) -> Features:
    """Features of the pictures of some photos, a row for each picture; the photos are counted anew from 0."""
    from teliti.training.heads.trained_net import features_of

    rows = pictures.rows_of(places)
    matrix = features_of(front, (pictures.images[row] for row in rows))
    owners = np.unique(pictures.owners[rows], return_inverse=True)[1]
    return Features(matrix, owners, len(matrix), len(places))


def answers_of(head: HeadWeights, features: Features, *, recipe: Recipe, photos: Photos) -> FloatArray:
    """An answer for each photo of `features`, those for its tiles combined."""
    everyone, combine = np.arange(len(features.counts)), build_recipe_chain(recipe).combine
    return photo_outputs(head, features, everyone, combine=combine, rejects=reject_indices(recipe, photos))


def close_network(
    front: FeatureFront, history: Record, schooling: Schooling, *, partner: Partner | None, has_novelty: bool
) -> Closed:
    """What makes an inspector of a trained network: a head, alone or with a partner, and novelty.

    Two networks that differ, one of them never bent by these labels, are wrong of different photos, and the mean of
    their logits is wrong of fewer (L. K. Hansen and P. Salamon, 1990).

    Args:
        front: On the CPU.
        history: How the network learnt; how it was calibrated, and with whom it answers, is added to a copy.
        schooling: What it was trained with.
        partner: Who may answer, too.
        has_novelty: Learn what the photos look like, where the recipe and the task have a use for it.
    """
    recipe, photos, hold = schooling.recipe, schooling.photos, schooling.parts.hold
    held = front_features(front, schooling.pictures, schooling.parts.places(hold))
    closed = _close(front, held, history=history, schooling=schooling)
    if partner is not None:
        both = replace(held, matrix=np.concatenate([held.matrix, partner.held_logits], axis=1))
        joined = _close(front.with_partner(partner.module()), both, history=history, schooling=schooling)
        labels, alone = photos.targets[hold], closed.fit.chooser_outputs
        told = judge_ensemble(
            recipe.train.ensemble, _log_losses(alone, labels), _log_losses(joined.fit.chooser_outputs, labels),
            mistakes=int((alone.argmax(axis=1) != labels).sum()),
        )  # fmt: skip
        if told["kept"]:
            closed = replace(joined, fit=replace(joined.fit, partner=partner.to_arrays()))
        closed = replace(closed, fit=replace(closed.fit, history={**closed.fit.history, "ensemble": told}))
    if has_novelty and photos.catalog.task == "classification" and recipe.decide.novelty_share > 0.0:
        closed = replace(closed, fit=_with_novelty(closed, front, schooling, partner=partner))
    return closed


def _close(front: FeatureFront, held: Features, *, history: Record, schooling: Schooling) -> Closed:
    """The closing layer as a head, calibrated on the photos that chose the epoch, a tile with its photo's label.

    Args:
        front: On the CPU.
        held: Its features of these photos; a partner's columns are of a head that never saw them: the partner did.
        history: How the network learnt.
        schooling: What it was trained with.
    """
    from teliti.training.heads.trained_net import calibrate_head, make_head

    recipe, photos, parts = schooling.recipe, schooling.photos, schooling.parts
    head = make_head(front, task=photos.catalog.task)
    if photos.catalog.task == "regression":
        std, mean = schooling.targets.std, schooling.targets.mean
        weight, bias = head.weight * std, head.bias * std + mean
        head = replace(head, weight=weight.astype(np.float32), bias=bias.astype(np.float32))
    else:
        labels = photos.targets[parts.hold]
        folds = _calibration_folds(labels, schooling.plan.groups[parts.hold], seed=recipe.seed)[held.owners]
        head, calibration = calibrate_head(
            head, held.matrix, labels[held.owners], folds=folds, asked=recipe.decide.calibration
        )
        history = {**history, **calibration}
    outputs = answers_of(head, held, recipe=recipe, photos=photos)
    return Closed(front, held, Fit(head, history, parts.hold, outputs, parts.name))


def judge_ensemble(asked: bool | str, alone: FloatArray, together: FloatArray, *, mistakes: int) -> Record:
    """Whether a network answers together with its partner, and by which measures that was judged.

    Few photos cannot show what an ensemble gains: on elpv's 328 its log loss was lower by about one standard error, or
    not at all, where 656 test photos had a hundredth more of them right. "auto" therefore takes it unless it is clearly
    worse, and stays alone where the network makes no mistake: a verdict of both costs twice the work.

    Args:
        asked: True, or "auto".
        alone: (N,) log losses of photos that chose the epoch.
        together: (N,) of the same photos.
        mistakes: Of these photos the network alone gives another class.
    """
    gains = alone - together
    error = float(gains.std(ddof=1) / np.sqrt(len(gains))) if len(gains) > 1 else None
    is_worse = error is not None and gains.mean() < -error
    return {
        "asked": asked,
        "kept": asked is True or (mistakes > 0 and not is_worse),
        "photos": len(gains),
        "mistakes_alone": mistakes,
        "log_loss_alone": float(alone.mean()),
        "log_loss": float(together.mean()),
        "standard_error": error,
    }


def _with_novelty(closed: Closed, alone: FeatureFront, schooling: Schooling, *, partner: Partner | None) -> Fit:
    """The fit, and what the photos look like that the network learnt from."""
    parts, photos, pictures = schooling.parts, schooling.photos, schooling.pictures
    places = parts.places(parts.learn)
    shown = places[np.linspace(0, len(places) - 1, min(len(places), MOST_PHOTOS)).astype(int)]
    seen = front_features(alone, pictures, shown)
    if partner is not None and closed.front.partner is not None:
        said = partner.learnt_logits[np.isin(pictures.owners[pictures.rows_of(places)], shown)]
        seen = replace(seen, matrix=np.concatenate([seen.matrix, said], axis=1))
    weights = fit_novelty(seen.matrix, photos.targets[parts.used[shown]][seen.owners])
    novelty = settle_novelty(weights, newest_parts(weights.measure(closed.held.matrix), closed.held.counts))
    return replace(closed.fit, novelty=novelty)


def _calibration_folds(labels: IntArray, groups: IntArray, *, seed: int) -> IntArray:
    """(N,) folds by which a way of calibration is chosen; one fold where a class has too few separate photos."""
    if labels.ndim > 1 or not len(labels) or fewest_groups(labels, groups) < CALIBRATION_FOLDS:
        return np.zeros(len(labels), dtype=np.int64)
    return fold_samples(labels, groups, folds=CALIBRATION_FOLDS, seed=seed)


def _log_losses(outputs: FloatArray, labels: IntArray) -> FloatArray:
    """(N,) log loss of each photo's class."""
    return -np.log(np.clip(outputs[np.arange(len(labels)), labels], _SMALLEST, 1.0))
