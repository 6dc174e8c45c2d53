"""What a careless split would have claimed of a network that learns: estimated by its frozen backbone, or trained.

The features mode prices every run, since heads are cheap. A network is not: unless something else is asked, a head on
its frozen backbone stands in for it, and says so; `train.price_split = "train"` trains a second network on a random
split, tests it and throws it away.
"""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from teliti.data.split import split_samples
from teliti.errors import RecipeError, SplitError
from teliti.metrics.intervals import draw_counts, percentile_interval
from teliti.recipe import Recipe
from teliti.recipe.data import SplitFractions
from teliti.training.heads.linear import fit_head
from teliti.types import SPLITS, FloatArray, IntArray, Record, Reporter
from teliti.workflow.learning.learn import answer_by_network, learns_network, teach
from teliti.workflow.learning.second_opinion import frozen_features, starts_from_weights
from teliti.workflow.learning.split_price import (
    FROZEN,
    NETWORK,
    HeadQuestion,
    has_groups,
    price_by_heads,
    say_price,
    with_settings,
)
from teliti.workflow.learning.testing import Answers
from teliti.workflow.learning.trained import Trained
from teliti.workflow.shared.photos import Photos
from teliti.workflow.shared.plan import SplitPlan
from teliti.workflow.shared.setup import learnt_photos
from teliti.workflow.shared.stopwatch import Stopwatch

_DRAWS = 400


def check_price_split(recipe: Recipe) -> None:
    """Find in a moment what stands against a second training.

    Raises:
        RecipeError: the training is shared by several processes, which a second one would have to share, too.
    """
    is_shared = os.environ.get("WORLD_SIZE", "1") not in {"", "1"}
    if recipe.train.price_split == "train" and learns_network(recipe) and is_shared:
        raise RecipeError(
            "train.price_split = train must be asked of one process, got several that share the training.",
            hint='Leave it at "auto", or train in one process.',
        )


def price_by_backbone(recipe: Recipe, photos: Photos, plan: SplitPlan, *, reporter: Reporter) -> Record | None:
    """The price that a head on the frozen backbone pays; None where none is asked, or none can be told.

    Args:
        recipe: Resolved; of a network that learns from given weights.
        photos: All photos.
        plan: Without folds.
        reporter: Told about long work.
    """
    learnt = learnt_photos(plan)
    if recipe.train.price_split != "auto" or not starts_from_weights(recipe) or not _has_price(photos, plan, learnt):
        return None
    groups, targets = plan.groups[learnt], photos.targets[learnt]
    try:
        setup, features = frozen_features(recipe, photos, plan, indices=learnt, reporter=reporter)
        chosen = fit_head(
            features.matrix, targets[features.owners], groups[features.owners], model=setup.recipe.model,
            task="classification", num_classes=len(photos.catalog.classes), seed=recipe.seed, reporter=reporter,
        )  # fmt: skip
    except (RecipeError, SplitError):  # the frozen network takes no photos of this size, or a class has few groups
        return None
    head = with_settings(setup.recipe, chosen.history)
    asked = HeadQuestion(head, features, targets, np.arange(len(learnt)), setup.combine)
    found = price_by_heads(asked, photos, groups, reporter=reporter)
    return None if found is None else _by(found, FROZEN)


def price_by_training(trained: Trained, answers: Answers, *, watch: Stopwatch, reporter: Reporter) -> Record | None:
    """The price that a second network pays, trained on a random split of the same sizes; None where none is asked.

    Args:
        trained: The inspector; its training is repeated with the same recipe, budget included.
        answers: Its answers to the sealed test part.
        watch: The stage "split price" is timed.
        reporter: Told about long work.

    Raises:
        RunError: the loss of the second network is no longer finite.
    """
    recipe, photos, plan = trained.recipe, trained.photos, trained.plan
    everyone = np.arange(len(photos.samples))
    if recipe.train.price_split != "train" or not learns_network(recipe) or not _has_price(photos, plan, everyone):
        return None
    with watch.stage("split price"):
        careless = _random_plan(photos, plan, recipe)
        reporter.note("A second network is trained on a random split, to tell what it would have claimed.")
        lesson = teach(recipe, photos, careless, folder=None, watch=Stopwatch(), reporter=reporter)
        asked = careless.indices("test")
        outputs = answer_by_network(lesson, recipe, photos, indices=asked, reporter=reporter)
    return price_of_two_tests(
        (_hits(answers.outputs, photos, trained.measured), plan.groups[trained.measured]),
        (_hits(outputs, photos, asked), plan.groups[asked]), seed=recipe.seed,
    )  # fmt: skip


def price_of_two_tests(
    honest: tuple[NDArray[np.bool_], IntArray], careless: tuple[NDArray[np.bool_], IntArray], *, seed: int
) -> Record:
    """Two accuracies, each on the test photos of its own split; whole groups are drawn, of each by itself.

    Args:
        honest: (N,) bool, right where groups stay together, and (N,) int groups.
        careless: (M,) bool, right on the test photos of the random split, and (M,) int groups.
        seed: Of the draws.

    Returns:
        {"grouped", "random", "difference", "interval", "by", "sentence"}.
    """
    grouped, random = (float(hits.mean()) for hits, _ in (honest, careless))
    ends = percentile_interval(_draw(*careless, seed=seed) - _draw(*honest, seed=seed + 1))
    return _by({
        "grouped": round(grouped, 4),
        "random": round(random, 4),
        "difference": round(random - grouped, 4),
        "interval": None if ends is None else [round(end, 4) for end in ends],
    }, NETWORK)  # fmt: skip


def _draw(hits: NDArray[np.bool_], groups: IntArray, *, seed: int) -> FloatArray:
    """(B,) accuracies of bootstrap draws of whole groups."""
    strata = np.unique(groups, return_inverse=True)[1]
    sums, counts = np.bincount(strata, weights=hits.astype(np.float64)), np.bincount(strata).astype(np.float64)
    draws = draw_counts(np.zeros(len(sums), dtype=np.int64), draws=_DRAWS, seed=seed)
    return np.concatenate([(rows @ sums) / (rows @ counts) for rows in draws])


def _has_price(photos: Photos, plan: SplitPlan, asked: IntArray) -> bool:
    return photos.catalog.task == "classification" and plan.folds is None and has_groups(plan.groups[asked])


def _random_plan(photos: Photos, plan: SplitPlan, recipe: Recipe) -> SplitPlan:
    """The same sizes, and every photo by itself."""
    alone, total = np.arange(len(plan.groups)), len(plan.groups)
    shares = {name: len(plan.indices(name)) / total for name in SPLITS}
    fractions = SplitFractions(**shares)
    parts = split_samples(photos.targets, alone, fractions=fractions, seed=recipe.seed)
    return replace(plan, parts=tuple(parts), groups=alone)


def _hits(outputs: FloatArray, photos: Photos, indices: IntArray) -> NDArray[np.bool_]:
    """(M,) which photos get their class as the most probable one."""
    hits: NDArray[np.bool_] = outputs.argmax(axis=1) == photos.targets[indices]
    return hits


def _by(record: Record, by: str) -> Record:
    found = {**record, "by": by}
    return found | {"sentence": say_price(found)}
