"""The splits that all variants of a comparison share: folds of the photos that are not sealed for the test."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from teliti.data.split import fewest_groups, fold_samples
from teliti.recipe import Recipe
from teliti.types import IntArray
from teliti.workflow.shared.photos import Photos
from teliti.workflow.shared.plan import DEFAULT_FOLDS, FEWEST_FOLDS, SplitPlan, plan_split

_FEWEST_OF_CLASS = 4


@dataclass(frozen=True)
class Repeats:
    """The splits that all variants share.

    Attributes:
        photos: Those that take part; the sealed ones are gone.
        plans: One a repeat, with a train and a test part.
        seeds: Seed of the partition that each repeat's fold is from.
        num_folds: Folds of a partition.
        sealed: How many photos take no part.
        sentence: What was done, for people.
    """

    photos: Photos
    plans: tuple[SplitPlan, ...]
    seeds: tuple[int, ...]
    num_folds: int
    sealed: int
    sentence: str


def plan_repeats(photos: Photos, recipe: Recipe, *, repeats: int, most_photos: int | None = None) -> Repeats:
    """The splits of all repeats: folds of the photos that are not sealed, a new seed for every round of folds.

    Args:
        photos: All photos.
        recipe: For the parts and the seed.
        repeats: How many.
        most_photos: Draw so many of the photos that are not sealed, each class by its share; None: take them all.

    Raises:
        SplitError: too few photos of a class, or groups too large.
        RecipeError: folds are asked for where the user gave the split.
    """
    plan = plan_split(photos, recipe)
    parts = np.array(plan.parts)
    inside = np.flatnonzero(parts != "test") if plan.folds is None else np.arange(len(parts))
    sealed, unsealed = len(photos.samples) - len(inside), len(inside)
    if most_photos is not None:
        inside = inside[some_photos(take_photos(photos, inside), most_photos, seed=recipe.seed)]
    pool, groups = take_photos(photos, inside), plan.groups[inside]
    folds = plan.num_folds or int(np.clip(fewest_groups(pool.targets, groups), FEWEST_FOLDS, DEFAULT_FOLDS))
    first = recipe.seed if recipe.data.seed is None else recipe.data.seed
    seeds = tuple(first + number // folds for number in range(repeats))
    names = photos.catalog.classes or None
    rounds = {
        seed: fold_samples(pool.targets, groups, folds=folds, seed=seed, class_names=names) for seed in set(seeds)
    }
    plans = tuple(_plan_of(plan, groups, rounds[seed] == number % folds) for number, seed in enumerate(seeds))
    sentence = _sentence(plan, folds=folds, pool=len(inside), unsealed=unsealed, sealed=sealed)
    return Repeats(pool, plans, seeds, folds, sealed, sentence)


def _plan_of(plan: SplitPlan, groups: IntArray, is_test: NDArray[np.bool_]) -> SplitPlan:
    parts: Any = tuple("test" if inside else "train" for inside in is_test.tolist())
    return SplitPlan("ours", parts, None, groups, "One fold is measured, the others are learnt from.", plan.duplicates)


def _sentence(plan: SplitPlan, *, folds: int, pool: int, unsealed: int, sealed: int) -> str:
    whose = "given " if plan.origin == "given" else ""
    kept = (
        f"The {sealed:,} photos of the {whose}test part stay sealed and take no part."
        if sealed
        else "There are too few photos for a sealed test part, so all of them take part."
    )
    drawn = "" if pool == unsealed else f" drawn from {unsealed:,}"
    return (
        f"Every repeat measures all variants on the same fold of {folds} and trains them on the other {folds - 1}: "
        f"{pool:,} photos{drawn}, stratified, groups whole, a new seed after every {folds} repeats. {kept} "
        "Thresholds are chosen on out-of-fold photos of the training part."
    )


def some_photos(photos: Photos, limit: int, *, seed: int) -> IntArray:
    """(M,) positions of so many photos, each class by its share, or of all where there are no more.

    A class keeps at least four photos, if it has them, so that a few more than the limit may be drawn where many
    classes are rare.

    Args:
        photos: To draw from.
        limit: How many.
        seed: Of the choice.
    """
    count = len(photos.samples)
    if count <= limit:
        return np.arange(count)
    order = np.random.default_rng(seed).permutation(count)
    if photos.catalog.task != "classification":
        return np.sort(order[:limit])
    targets, totals = photos.targets[order], np.array(photos.counts())
    shares = totals * limit // count
    left = np.argsort(-(totals * limit % count), kind="stable")[: limit - int(shares.sum())]  # the largest remainders
    shares[left] += 1
    shares = np.maximum(shares, np.minimum(totals, _FEWEST_OF_CLASS))
    return np.sort(np.concatenate([order[targets == label][:share] for label, share in enumerate(shares.tolist())]))


def take_photos(photos: Photos, inside: IntArray) -> Photos:
    """Some photos, as if the others had never been there.

    Args:
        photos: All photos.
        inside: (M,) positions of those that stay.
    """
    places = inside.tolist()
    return replace(
        photos,
        samples=tuple(photos.samples[place] for place in places),
        fingerprints=tuple(photos.fingerprints[place] for place in places),
        targets=photos.targets[inside],
        beside=tuple(photos.beside[place] for place in places) if photos.beside else (),
    )
