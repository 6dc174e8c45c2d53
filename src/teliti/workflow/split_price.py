"""What a careless split would have claimed: the accuracy of random folds beside that of folds that keep groups whole.

Photos of one part, one lot or one burst look alike. Where some of them teach and others examine, the answer is half
known: the accuracy that comes out is believed, and not met on the line. Both numbers come from the same photos,
features and settings of the head; only what stays together differs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from teliti.cache import RowCache
from teliti.errors import SplitError
from teliti.metrics.intervals import draw_counts, percentile_interval
from teliti.metrics.tiles import combine_parts
from teliti.recipe import Recipe, override_recipe
from teliti.training.features import Features
from teliti.training.linear import fit_head
from teliti.types import IntArray, Record, Reporter
from teliti.workflow.fit import Candidate, reject_indices
from teliti.workflow.photos import Photos
from teliti.workflow.plan import SplitPlan
from teliti.workflow.setup import learnt_photos

_DRAWS = 400


def price_of_groups(honest: NDArray[np.bool_], careless: NDArray[np.bool_], groups: IntArray, *, seed: int) -> Record:
    """Two accuracies on the same photos, and how far they lie apart; whole groups are drawn for the interval.

    Args:
        honest: (N,) bool, right where groups stay together.
        careless: (N,) bool, right where they do not.
        groups: (N,) int.
        seed: Of the draws.

    Returns:
        {"grouped", "random", "difference", "interval", "sentence"}.
    """
    gain = careless.astype(np.float64) - honest
    strata = np.unique(groups, return_inverse=True)[1]
    sums, counts = np.bincount(strata, weights=gain), np.bincount(strata).astype(np.float64)
    draws = draw_counts(np.zeros(len(sums), dtype=np.int64), draws=_DRAWS, seed=seed)
    interval = percentile_interval(np.concatenate([(rows @ sums) / (rows @ counts) for rows in draws]))
    record: Record = {
        "grouped": round(float(honest.mean()), 4),
        "random": round(float(careless.mean()), 4),
        "difference": round(float(gain.mean()), 4),
        "interval": None if interval is None else [round(end, 4) for end in interval],
    }
    return record | {"sentence": say_price(record)}


def say_price(record: Record) -> str:
    """The two accuracies and what they show, from the record alone."""
    interval = record["interval"]
    said = (
        f"Accuracy you would have believed with a random split: {record['random']:.1%}. With groups and "
        f"near-duplicates kept together: {record['grouped']:.1%}."
    )
    if not flatters(record):
        return f"{said} The difference is not shown to be real."
    return f"{said} The random split flatters by {100 * interval[0]:.1f} to {100 * interval[1]:.1f} points."


def flatters(record: Record) -> bool:
    """True where the random split is shown to flatter."""
    return record["interval"] is not None and record["interval"][0] > 0.0


def has_groups(groups: IntArray) -> bool:
    """True where some photos belong together."""
    return len(np.unique(groups)) < len(groups)


def with_settings(recipe: Recipe, history: Record) -> Recipe:
    """The recipe with a head's chosen hyperparameters written in, so that nothing is searched again.

    Args:
        recipe: Resolved.
        history: Of the fitted head.
    """
    return override_recipe(recipe, {"model": {"head": history["head"], **history["chosen"]}})


def price_split(
    candidate: Candidate, photos: Photos, plan: SplitPlan, *, cache: RowCache, reporter: Reporter
) -> Record | None:
    """The price of a careless split of a run's own photos to learn from; None where there are no groups among them.

    Args:
        candidate: A head on a frozen backbone.
        photos: All photos.
        plan: Says who learns, and what stays together.
        cache: Where the features are.
        reporter: Told about long work.

    Raises:
        PhotoRefused: a photo changed since it was read.
    """
    learnt = learnt_photos(plan)
    if photos.catalog.task != "classification" or not has_groups(plan.groups[learnt]):
        return None
    features = candidate.setup.features(photos, cache=cache, reporter=reporter)
    recipe = with_settings(candidate.setup.recipe, candidate.fit.history)
    try:
        honest, careless = (
            _hits(candidate, features, photos, learnt=learnt, groups=groups, recipe=recipe, reporter=reporter)
            for groups in (plan.groups, np.arange(len(plan.groups)))
        )
    except SplitError:  # without augmented views the folds are others, and a class may fail in them
        return None
    return price_of_groups(honest, careless, plan.groups[learnt], seed=recipe.seed)


def _hits(
    candidate: Candidate,
    features: Features,
    photos: Photos,
    *,
    learnt: IntArray,
    groups: IntArray,
    recipe: Recipe,
    reporter: Reporter,
) -> NDArray[np.bool_]:
    """(M,) which photos a head gets right that never saw their group; tiles of a photo always stay together."""
    rows = features.rows_of(learnt)
    owners = features.owners[rows]
    fitted = fit_head(
        features.matrix[rows], photos.targets[owners], groups[owners], model=recipe.model, task="classification",
        num_classes=len(photos.catalog.classes), seed=recipe.seed, reporter=reporter,
    )  # fmt: skip
    probs = combine_parts(
        fitted.weights.outputs(fitted.oof_logits), features.counts[learnt], how=candidate.setup.combine,
        rejects=reject_indices(recipe, photos),
    )  # fmt: skip
    hits: NDArray[np.bool_] = probs.argmax(axis=1) == photos.targets[learnt]
    return hits
