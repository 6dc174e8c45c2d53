"""How a job's photos are divided: the given split, ours, or folds; what may never cross; what is sealed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from teliti.data.duplicates import DuplicatePair, find_duplicates, group_pairs
from teliti.data.split import fewest_groups, fold_samples, merge_groups, needs_folds, split_samples
from teliti.errors import RecipeError, SplitError
from teliti.recipe import Recipe
from teliti.types import SPLITS, IntArray, Record, Sample, Split
from teliti.workflow.shared.photos import Photos

DEFAULT_FOLDS, FEWEST_FOLDS = 5, 4


@dataclass(frozen=True)
class SplitPlan:
    """Who learns, who chooses, who is sealed.

    Attributes:
        origin: "given" by the user, "ours", or "folds".
        parts: (N) the part of each photo; with folds every photo is train, and test in its own fold.
        folds: (N,) int fold of each photo, or None.
        groups: (N,) int; photos of one group never cross a part or a fold.
        sentence: What was done, for people.
        duplicates: Record of what was kept together, and what crosses a given split.
    """

    origin: Literal["given", "ours", "folds"]
    parts: tuple[Split, ...]
    folds: IntArray | None
    groups: IntArray
    sentence: str
    duplicates: Record

    def indices(self, part: Split) -> IntArray:
        """Positions of the photos of a part."""
        return np.flatnonzero(np.array(self.parts) == part)

    @property
    def num_folds(self) -> int:
        """How many folds; 0 without folds."""
        return 0 if self.folds is None else int(self.folds.max()) + 1


def plan_split(photos: Photos, recipe: Recipe) -> SplitPlan:
    """Divide the photos.

    Raises:
        SplitError: too few photos of a class, or groups too large.
        RecipeError: folds are asked for where the user gave the split.
    """
    pairs = find_duplicates(photos.fingerprints) if recipe.data.near_duplicates else []
    duplicate_groups = group_pairs(len(photos.samples), pairs)
    groups = merge_groups([sample.group for sample in photos.samples], duplicate_groups)
    if photos.catalog.has_given_split:
        _refuse_folds(recipe)
        return _given(photos, pairs, duplicate_groups, groups=groups)
    seed = recipe.seed if recipe.data.seed is None else recipe.data.seed
    record = _duplicate_record(photos.samples, pairs, duplicate_groups, crossing=[])
    names, folds = photos.catalog.classes or None, _fold_count(photos, recipe, groups)
    if folds:
        numbers = fold_samples(photos.targets, groups, folds=folds, seed=seed, class_names=names)
        sentence = (
            f"{folds} folds (seed {seed}): every photo was scored by a head that never saw it; the shipped "
            "inspector was then fitted on all photos with the same choices."
        )
        return SplitPlan("folds", tuple(SPLITS[0] for _ in groups), numbers, groups, sentence, record)
    fractions = recipe.data.split
    parts = tuple(split_samples(photos.targets, groups, fractions=fractions, seed=seed, class_names=names))
    shares = f"{fractions.train:.0%} train, {fractions.val:.0%} val, {fractions.test:.0%} test"
    sentence = f"Our split (seed {seed}): {shares}, stratified; the test part is sealed, nothing is chosen on it."
    return SplitPlan("ours", parts, None, groups, sentence, record)


def _fold_count(photos: Photos, recipe: Recipe, groups: IntArray) -> int:
    if recipe.data.folds != "auto":
        return recipe.data.folds
    few = photos.catalog.task != "regression" and needs_folds(photos.targets, recipe.data.split)
    if not few:
        return 0
    # each fold leaves out one share of a class, and the rest is cross-validated again: three photos must remain
    return int(np.clip(fewest_groups(photos.targets, groups), FEWEST_FOLDS, DEFAULT_FOLDS))


def _refuse_folds(recipe: Recipe) -> None:
    if recipe.data.folds not in {"auto", 0}:
        raise RecipeError(
            f"data.folds must be 0 where the split is given, got {recipe.data.folds}.",
            hint="A given split is never cut anew; give one folder of classes to use folds.",
        )


def _given(
    photos: Photos, pairs: Sequence[DuplicatePair], duplicate_groups: Sequence[Sequence[int]], *, groups: IntArray
) -> SplitPlan:
    parts: list[Split] = [sample.split for sample in photos.samples if sample.split]
    if len(parts) != len(photos.samples):
        raise SplitError("Some photos have no part (train, val, test) and others have.", hint="Name a part for each.")
    sentence = "The split was given and is kept as it is; the test part is sealed, nothing is chosen on it."
    if "test" not in parts:
        parts = ["test" if part == "val" else part for part in parts]
        sentence = (
            "The split was given without a test part: its val part is sealed as the test part, and the threshold is "
            "chosen on out-of-fold scores of the training part."
        )
    elif "val" not in parts:
        sentence += " It has no val part: the threshold is chosen on out-of-fold scores of the training part."
    _check_given(photos, parts)
    crossing = [pair for pair in pairs if parts[pair.first] != parts[pair.second]]
    record = _duplicate_record(photos.samples, pairs, duplicate_groups, crossing=crossing)
    return SplitPlan("given", tuple(parts), None, groups, sentence, record)


def _check_given(photos: Photos, parts: Sequence[Split]) -> None:
    for part in ("train", "test"):
        inside = np.array([own == part for own in parts])
        if not inside.any():
            raise SplitError(f"The given split has no {part} photos.", hint="Give at least train and test (or val).")
        if photos.catalog.task != "regression" and part == "train":
            present = {name for own, sample in zip(inside, photos.samples, strict=True) if own
                       for name in sample.class_names}  # fmt: skip
            missing = [name for name in photos.catalog.classes if name not in present]
            if missing:
                name = missing[0]
                raise SplitError(
                    f'Class "{name}" has no photo in the given {part} part.',
                    hint="Add photos of it there, or remove the class.",
                )


def _duplicate_record(
    samples: Sequence[Sample],
    pairs: Sequence[DuplicatePair],
    duplicate_groups: Sequence[Sequence[int]],
    *,
    crossing: Sequence[DuplicatePair],
) -> Record:
    kept = [group for group in duplicate_groups if len(group) > 1]
    return {
        "pairs": [_pair_record(samples, pair) for pair in pairs],
        "groups": len(kept),
        "photos": sum(len(group) for group in kept),
        "crossing": [_pair_record(samples, pair) for pair in crossing],
        "label_conflicts": [
            _pair_record(samples, pair) for pair in pairs if samples[pair.first].label != samples[pair.second].label
        ],
        "user_groups": len({sample.group for sample in samples if sample.group is not None}),
    }


def _pair_record(samples: Sequence[Sample], pair: DuplicatePair) -> Record:
    return {
        "first": samples[pair.first].name,
        "second": samples[pair.second].name,
        "kind": pair.kind,
        "correlation": round(pair.correlation, 4),
    }
