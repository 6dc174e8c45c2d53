"""What the training photos look like, and how new the photos look that the limits are chosen on."""

from __future__ import annotations

import numpy as np

from teliti.cache import RowCache
from teliti.data.split import fewest_groups, fold_samples
from teliti.models.novelty import NoveltyWeights
from teliti.training.features.extraction import Features
from teliti.training.features.novelty import Novelty, fit_novelty, newest_parts, settle_novelty
from teliti.types import FloatArray, IntArray, Reporter
from teliti.workflow.learning.fit import Candidate
from teliti.workflow.shared.photos import Photos
from teliti.workflow.shared.plan import SplitPlan

_FOLDS = 5


def learn_novelty(
    candidate: Candidate, photos: Photos, plan: SplitPlan, *, cache: RowCache, reporter: Reporter
) -> Novelty | None:
    """Novelty by the features that the head was fitted on; with folds each photo's is told by the others.

    Args:
        candidate: A head on a frozen backbone.
        photos: All photos.
        plan: Parts or folds.
        cache: Where the features are.
        reporter: Told about long work.

    Returns:
        None for labels and numbers, whose answers it does not change.

    Raises:
        PhotoRefused: a photo changed since it was read.
    """
    if photos.catalog.task != "classification":
        return None
    features = candidate.setup.features(photos, cache=cache, reporter=reporter)
    chooser = candidate.fit.chooser
    learnt = np.arange(len(photos.samples)) if plan.folds is not None else plan.indices("train")
    if not np.isin(chooser, learnt).any():
        weights = _fit(features, photos, learnt)
        return settle_novelty(weights, _of_photos(weights, features, chooser))
    folds = plan.folds if plan.folds is not None else _inner_folds(photos, plan, learnt)
    values = np.zeros(len(chooser))
    for fold in np.unique(folds):
        inside = folds == fold
        others = _fit(features, photos, learnt[~inside])
        values[inside] = _of_photos(others, features, chooser[inside])
    return settle_novelty(_fit(features, photos, learnt), values)


def _fit(features: Features, photos: Photos, learnt: IntArray) -> NoveltyWeights:
    rows = features.rows_of(learnt)
    return fit_novelty(features.matrix[rows], photos.targets[features.owners[rows]])


def _inner_folds(photos: Photos, plan: SplitPlan, learnt: IntArray) -> IntArray:
    targets, groups = photos.targets[learnt], plan.groups[learnt]
    folds = int(np.clip(fewest_groups(targets, groups), 2, _FOLDS))
    return fold_samples(targets, groups, folds=folds, seed=0)


def _of_photos(weights: NoveltyWeights, features: Features, photos: IntArray) -> FloatArray:
    return newest_parts(weights.measure(features.matrix[features.rows_of(photos)]), features.counts[photos])
