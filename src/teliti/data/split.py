"""Dividing photos: stratified, seeded, whole groups on one side.

Groups of several photos are placed first, the largest first, where they fit best, yet so that no part is left
without a class while a group of it remains; single photos then fill each class's shares exactly. Numbers are
balanced by bins of neighbouring values; every part must have numbers, not every bin. Photos with several labels or
numbers are divided in `label_sets`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from teliti.data.label_sets import Memberships, place_label_sets
from teliti.errors import SplitError
from teliti.recipe import SplitFractions
from teliti.types import SPLITS, IntArray, Split

FEW_TEST_PHOTOS = 30
_BINS = 8
_PHOTOS_PER_BIN = 10


def split_samples(
    labels: NDArray[Any],
    groups: IntArray,
    *,
    fractions: SplitFractions,
    seed: int,
    class_names: Sequence[str] | None = None,
) -> list[Split]:
    """The part of each photo.

    Args:
        labels: (N,) int class index or float numbers; (N, K) int of 0 and 1 for labels, or several float numbers.
        groups: (N,) int; photos of one group get one part.
        fractions: Shares of train, val and test; val may be 0.
        seed: Same seed, same parts.
        class_names: For the sentence of an error.

    Raises:
        SplitError: a class has fewer separate photos (groups) than there are parts, or groups leave a part without
            a class.
    """
    shares = np.array([fractions.train, fractions.val, fractions.test])
    used = np.flatnonzero(shares > 0.0)
    duties = _duties_of(labels, class_names)
    duties.check_counts(groups, needed=len(used), what=" and ".join(SPLITS[part] for part in used))
    if isinstance(duties, Memberships):
        parts = place_label_sets(duties, groups, shares, seed=seed)
    else:
        strata = stratify(labels)
        parts = _place(strata, groups, _wanted(strata, shares), duties=duties.of, seed=seed)
    for part in used:
        duties.check_present(parts == part, where=f"the {SPLITS[part]} part")
    return [SPLITS[part] for part in parts]


def fold_samples(
    labels: NDArray[Any], groups: IntArray, *, folds: int, seed: int, class_names: Sequence[str] | None = None
) -> IntArray:
    """The fold of each photo.

    Args:
        labels: (N,) int class index or float numbers; (N, K) int of 0 and 1 for labels, or several float numbers.
        groups: (N,) int; photos of one group get one fold.
        folds: At least 2.
        seed: Same seed, same folds.
        class_names: For the sentence of an error.

    Returns:
        (N,) int64 in 0..folds-1; every class is in every fold as evenly as its groups allow.

    Raises:
        SplitError: a class has fewer separate photos (groups) than folds.
    """
    if folds < 2:
        raise SplitError(f"data.folds must be at least 2, got {folds}.", hint="Use 5, or 0 for a single split.")
    duties = _duties_of(labels, class_names)
    duties.check_counts(groups, needed=folds, what=f"{folds} folds")
    if isinstance(duties, Memberships):
        return place_label_sets(duties, groups, np.full(folds, 1.0 / folds), seed=seed)
    strata = stratify(labels)
    counts = np.bincount(strata)
    turn = 0
    wanted = np.zeros((len(counts), folds), dtype=np.int64)
    for stratum, count in enumerate(counts):  # the surplus photos go round, so that folds stay of one size
        wanted[stratum] = count // folds
        wanted[stratum, (turn + np.arange(count % folds)) % folds] += 1
        turn += int(count % folds)
    return _place(strata, groups, wanted, duties=duties.of, seed=seed)


def stratify(labels: NDArray[Any]) -> IntArray:
    """(N,) int strata: the class index, or up to 8 bins of at least 10 neighbouring numbers each.

    Equal numbers share a bin, so that fewer bins may come out.
    """
    if np.issubdtype(labels.dtype, np.integer):
        return np.unique(labels, return_inverse=True)[1].astype(np.int64)
    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    fewest = max(_PHOTOS_PER_BIN, -(-len(labels) // _BINS))
    bins = np.zeros(len(counts), dtype=np.int64)
    inside, left = 0, len(labels)
    for place, count in enumerate(counts.tolist()):
        if inside >= fewest and left >= fewest:
            bins[place:] += 1
            inside = 0
        inside += count
        left -= count
    return bins[inverse]


def merge_groups(user_groups: Sequence[str | None], duplicate_groups: Sequence[Sequence[int]]) -> IntArray:
    """One group number per photo from the user's groups and the near-duplicates: what either keeps together stays.

    Args:
        user_groups: (N) the user's group name, or None.
        duplicate_groups: From `group_pairs`.

    Returns:
        (N,) int64, numbered in the order of first photos.
    """
    home = list(range(len(user_groups)))

    def root(index: int) -> int:
        while home[index] != index:
            home[index] = home[home[index]]
            index = home[index]
        return index

    by_name: dict[str, list[int]] = {}
    for index, name in enumerate(user_groups):
        if name is not None:
            by_name.setdefault(name, []).append(index)
    for together in [*by_name.values(), *duplicate_groups]:
        for index in together[1:]:
            a, b = root(together[0]), root(index)
            home[max(a, b)] = min(a, b)
    roots = np.array([root(index) for index in range(len(home))], dtype=np.int64)
    return np.unique(roots, return_inverse=True)[1].astype(np.int64)


def needs_folds(labels: IntArray, fractions: SplitFractions) -> bool:
    """True when a class would have fewer than 30 photos in the test part; (N, K) of 0 and 1: or a label."""
    counts = labels.sum(axis=0) if labels.ndim == 2 else np.bincount(labels)
    fewest = int(counts.min()) if len(labels) else 0
    return fewest * fractions.test < FEW_TEST_PHOTOS


def fewest_groups(labels: NDArray[Any], groups: IntArray) -> int:
    """The number of separate photos (groups) of the class that has the fewest; of labels, with or without one."""
    duties = _duties_of(labels, None)
    if isinstance(duties, Memberships):
        return duties.fewest_groups(groups)
    return int(_groups_per_duty(duties.of, groups).min())


def _duties_of(labels: NDArray[Any], class_names: Sequence[str] | None) -> _Duties | Memberships:
    if labels.ndim == 2 and len(labels):
        return Memberships.of(labels, bins=stratify, class_names=class_names)
    return _Duties(labels, class_names)


class _Duties:
    """What every part must have at least one photo of: each class; of numbers, any.

    Args:
        labels: (N,) int class index, or float numbers.
        class_names: For the sentences.
    """

    def __init__(self, labels: NDArray[Any], class_names: Sequence[str] | None) -> None:
        if len(labels) == 0:
            raise SplitError("There are no photos to divide.", hint="Give labelled photos.")
        self.of = np.zeros(len(labels), dtype=np.int64)
        self.names = ["The set"]
        if np.issubdtype(labels.dtype, np.integer):
            classes, self.of = np.unique(labels, return_inverse=True)
            named = class_names or ()
            self.names = [f'Class "{named[k]}"' if k < len(named) else f"Class {k}" for k in classes.tolist()]

    def check_counts(self, groups: IntArray, *, needed: int, what: str) -> None:
        """Refuse a class with fewer separate photos than `needed`."""
        photos, separate = np.bincount(self.of), _groups_per_duty(self.of, groups)
        for duty in np.flatnonzero(separate < needed)[:1].tolist():
            got, hint = (
                f"got {separate[duty]}",
                "Add photos of it, leave the class out, or change data.split or data.folds.",
            )
            if photos[duty] > separate[duty]:
                got += f" ({photos[duty]} photos, but groups and near-duplicates stay together)"
                hint += " Photos of different parts that only look the same: set data.near_duplicates = false."
            raise SplitError(
                f"{self.names[duty]} must have at least {needed} separate photos for {what}, {got}.", hint=hint
            )

    def check_present(self, inside: NDArray[np.bool_], *, where: str) -> None:
        """Refuse a part without one of the classes."""
        for duty in np.setdiff1d(self.of, self.of[inside])[:1].tolist():
            raise SplitError(
                f"{self.names[duty]} has no photo in {where}: its groups are too large to divide.",
                hint="Use smaller groups, other shares in data.split, or data.folds.",
            )


def _groups_per_duty(duties: IntArray, groups: IntArray) -> IntArray:
    """(D,) the number of groups with a photo of each duty."""
    pairs = np.unique(np.stack([duties, groups], axis=1), axis=0)
    return np.bincount(pairs[:, 0]).astype(np.int64)


def _allot(exact: NDArray[np.float64], count: int, *, must: NDArray[np.bool_], owed: NDArray[np.float64]) -> IntArray:
    """Whole numbers that sum to `count`, next to `exact`; at least 1 where `must`; surplus to whom most is owed."""
    whole = must.astype(np.int64)
    rest = np.maximum(exact - whole, 0.0)
    if rest.sum() == 0.0:
        rest = (exact > 0.0).astype(np.float64)
    rest = np.round(rest * (count - int(whole.sum())) / max(rest.sum(), 1.0e-9), 9)
    fraction = rest - np.floor(rest)
    whole += np.floor(rest).astype(np.int64)
    order = np.argsort(np.where(fraction > 0.0, -(fraction + owed), np.inf), kind="stable")
    whole[order[: count - int(whole.sum())]] += 1
    return whole


def _wanted(strata: IntArray, shares: NDArray[np.float64]) -> IntArray:
    """(S, P) photos of each stratum for each part; what rounding took from a part, the next stratum's may return."""
    used = shares > 0.0
    owed = np.zeros(len(shares))
    rows = []
    for count in np.bincount(strata).tolist():
        must = used if count >= used.sum() else np.zeros_like(used)
        row = _allot(count * shares, count, must=must, owed=owed)
        owed += count * shares - row
        rows.append(row)
    return np.stack(rows)


@dataclass
class _Ledger:
    """What the parts still want while groups are placed, largest first.

    Attributes:
        strata: (N,) what the parts are balanced by.
        duties: (N,) what every used part must have at least one of: the class, or 0 for numbers.
        wanted: (S, P) photos of each stratum that each part should get.
        left: (S, P) what it still wants; negative where a group overfilled it.
        used: (P,) parts that get photos.
        lacking: (D, P) duties that a part has not met.
        groups_left: (D,) groups not yet placed that could meet a duty.
        parts: (N,) the answer, -1 while not placed.
    """

    strata: IntArray
    duties: IntArray
    wanted: IntArray
    left: IntArray
    used: NDArray[np.bool_]
    lacking: NDArray[np.bool_]
    groups_left: IntArray
    parts: IntArray

    def put(self, members: IntArray, part: int) -> None:
        """Place photos in a part."""
        self.parts[members] = part
        np.subtract.at(self.left[:, part], self.strata[members], 1)
        self.lacking[self.duties[members], part] = False

    def best_part(self, members: IntArray) -> int:
        """Where a group fits best: a part that would otherwise go without first, then room, then need."""
        strata, own = np.unique(self.strata[members], return_counts=True)
        duties = np.unique(self.duties[members])
        left, lacking = self.left[strata], self.lacking[duties]
        urgent = (lacking & (self.groups_left[duties] <= lacking.sum(axis=1))[:, None]).sum(axis=0)
        self.groups_left[duties] -= 1
        room = np.minimum(left, own[:, None]).sum(axis=0)
        need = (own[:, None] * left / np.maximum(1, self.wanted[strata])).sum(axis=0)  # how empty the part still is
        parts = np.flatnonzero(self.used)
        return int(parts[np.lexsort((-need[parts], -room[parts], -urgent[parts]))[0]])


def _place(strata: IntArray, groups: IntArray, wanted: IntArray, *, duties: IntArray, seed: int) -> IntArray:
    """(N,) part of each photo; `wanted` (S, P) says how many of each stratum each part should get."""
    rng = np.random.default_rng(seed)
    _, inverse, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    shuffled = rng.permutation(len(sizes))
    several = shuffled[sizes[shuffled] > 1]
    members = np.split(np.argsort(inverse, kind="stable"), np.cumsum(sizes)[:-1])
    used = wanted.sum(axis=0) > 0
    ledger = _Ledger(
        strata=strata,
        duties=duties,
        wanted=wanted,
        left=wanted.astype(np.int64),
        used=used,
        lacking=np.tile(used, (int(duties.max()) + 1, 1)),
        groups_left=_groups_per_duty(duties, groups),
        parts=np.full(len(strata), -1, dtype=np.int64),
    )
    for group in several[np.argsort(-sizes[several], kind="stable")]:
        ledger.put(members[group], ledger.best_part(members[group]))
    singles = np.array([members[group][0] for group in shuffled[sizes[shuffled] == 1]], dtype=np.int64)
    _place_singles(ledger, singles)
    return ledger.parts


def _place_singles(ledger: _Ledger, singles: IntArray) -> None:
    """Photos without companions, in their shuffled order, fill what each stratum still wants."""
    by_stratum = singles[np.argsort(ledger.strata[singles], kind="stable")]
    borders = np.searchsorted(ledger.strata[by_stratum], np.arange(1, len(ledger.left)))
    for stratum, inside in enumerate(np.split(by_stratum, borders)):
        if len(inside) == 0:
            continue
        room = np.where(ledger.used, np.maximum(ledger.left[stratum], 0), 0).astype(np.float64)
        lacking = ledger.lacking[ledger.duties[inside[0]]].copy()
        lacking[np.flatnonzero(lacking)[len(inside) :]] = False
        counts = _allot(room, len(inside), must=lacking, owed=np.zeros(len(room)))
        for part, photos in enumerate(np.split(inside, np.cumsum(counts)[:-1])):
            if len(photos):
                ledger.put(photos, part)
