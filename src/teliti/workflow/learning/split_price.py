"""What a careless split would have claimed: the accuracy of random folds beside that of folds that keep groups whole.

Photos of one part, one lot or one burst look alike. Where some of them teach and others examine, the answer is half
known: the accuracy that comes out is believed, and not met on the line. Both numbers come from the same photos,
features and settings of the head; only what stays together differs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from teliti.cache import RowCache
from teliti.errors import SplitError
from teliti.metrics.intervals import draw_counts, percentile_interval
from teliti.metrics.tiles import Combine, combine_parts
from teliti.recipe import Recipe, override_recipe
from teliti.training.features.extraction import Features
from teliti.training.heads.linear import fit_head
from teliti.types import IntArray, Record, Reporter
from teliti.workflow.learning.fit import Candidate, reject_indices
from teliti.workflow.shared.photos import Photos
from teliti.workflow.shared.plan import SplitPlan
from teliti.workflow.shared.setup import learnt_photos

_DRAWS = 400
HEAD, FROZEN, NETWORK = "head", "frozen", "network"
BY = {
    HEAD: "",
    FROZEN: "Both are of a head on the frozen backbone, not of the network that learnt, which may be flattered more; "
    'train.price_split = "train" trains a second one to tell.',
    NETWORK: "The first is of a second network, trained and tested on a random split and thrown away.",
}
"""What was asked in the place of the inspector itself, by the record's `by`."""


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
    shown = "The difference is not shown to be real."
    if flatters(record):
        shown = f"The random split flatters by {100 * interval[0]:.1f} to {100 * interval[1]:.1f} points."
    return " ".join(filter(None, [said, shown, BY[record.get("by", HEAD)]]))


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
    asked = HeadQuestion(recipe, features, photos.targets, learnt, candidate.setup.combine)
    return price_by_heads(asked, photos, plan.groups, reporter=reporter)


@dataclass(frozen=True, eq=False)
class HeadQuestion:
    """What two heads are asked that differ in their folds alone.

    Attributes:
        recipe: Resolved, with the head's settings.
        features: Of photos.
        targets: (F,) class index of each photo of `features`.
        places: (M,) those of them that are learnt from.
        combine: How the answers for the tiles of a photo become one.
    """

    recipe: Recipe
    features: Features
    targets: IntArray
    places: IntArray
    combine: Combine


def price_by_heads(asked: HeadQuestion, photos: Photos, groups: IntArray, *, reporter: Reporter) -> Record | None:
    """The price with one head that keeps groups whole and one that does not; None where a class has too few groups.

    Args:
        asked: What both have in common.
        photos: Name the classes.
        groups: (F,) int, of each photo of the features.
        reporter: Told about long work.
    """
    try:
        honest, careless = (
            _hits(asked, photos, groups=own, reporter=reporter) for own in (groups, np.arange(len(groups)))
        )
    except SplitError:  # without augmented views the folds are others, and a class may fail in them
        return None
    return price_of_groups(honest, careless, groups[asked.places], seed=asked.recipe.seed)


def _hits(asked: HeadQuestion, photos: Photos, *, groups: IntArray, reporter: Reporter) -> NDArray[np.bool_]:
    """(M,) which photos a head gets right that never saw their group; tiles of a photo always stay together."""
    features, recipe = asked.features, asked.recipe
    rows = features.rows_of(asked.places)
    owners = features.owners[rows]
    fitted = fit_head(
        features.matrix[rows], asked.targets[owners], groups[owners], model=recipe.model, task="classification",
        num_classes=len(photos.catalog.classes), seed=recipe.seed, reporter=reporter,
    )  # fmt: skip
    probs = combine_parts(
        fitted.weights.outputs(fitted.oof_logits), features.counts[asked.places], how=asked.combine,
        rejects=reject_indices(recipe, photos),
    )  # fmt: skip
    hits: NDArray[np.bool_] = probs.argmax(axis=1) == asked.targets[asked.places]
    return hits
