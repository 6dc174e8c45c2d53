"""Dividing photos that have several labels or several numbers each: iterative stratification, whole groups on one side.

The rarest label that is still to be placed goes first, each of its groups to the part that wants the label most, then
to the one that wants photos most; no part is left without a label (or without photos that lack it) while a group can
still give it. Numbers are balanced by bins of neighbouring values.

Source: K. Sechidis, G. Tsoumakas and I. Vlahavas, "On the Stratification of Multi-Label Data" (2011), with groups in
the place of photos and the rule on empty parts added.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from teliti.errors import SplitError
from teliti.types import IntArray

Bins = Callable[[NDArray[Any]], IntArray]


@dataclass(frozen=True, eq=False)
class Memberships:
    """What the parts are balanced by, and what each of them must have.

    Attributes:
        columns: (N, L) bool, which photo belongs to which kind: has a label, lacks it, has none; lies in a bin.
        names: (L,) of the kinds, for sentences.
        musts: (L,) bool; True where every part must have a photo of the kind.
    """

    columns: NDArray[np.bool_]
    names: tuple[str, ...]
    musts: NDArray[np.bool_]

    @classmethod
    def of(cls, labels: NDArray[Any], *, bins: Bins, class_names: Sequence[str] | None = None) -> Memberships:
        """The kinds of photos.

        Args:
            labels: (N, K) int of 0 and 1, or float numbers.
            bins: (N,) numbers to (N,) bin of each.
            class_names: Of the K labels, for the sentence of an error.
        """
        if not np.issubdtype(labels.dtype, np.integer):
            inside = [bins(column)[:, None] == np.arange(bins(column).max() + 1) for column in labels.T]
            columns = np.concatenate([np.ones((len(labels), 1), bool), *inside], axis=1)
            return cls(columns, ("The set",) * columns.shape[1], np.arange(columns.shape[1]) == 0)
        has = labels > 0
        quoted = [f'"{name}"' for name in class_names or map(str, range(labels.shape[1]))]
        names = [f"Label {name}" for name in quoted] + [f"The set without label {name}" for name in quoted]
        columns = np.concatenate([has, ~has, ~has.any(axis=1, keepdims=True)], axis=1)
        musts = np.append(np.ones(2 * labels.shape[1], bool), False)
        return cls(columns, (*names, "The set without any label"), musts)

    def groups_of(self, groups: IntArray) -> IntArray:
        """(L,) the number of separate photos (groups) of each kind."""
        _, inverse = np.unique(groups, return_inverse=True)
        inside = np.zeros((int(inverse.max()) + 1, self.columns.shape[1]), bool)
        np.logical_or.at(inside, inverse, self.columns)
        return np.asarray(inside.sum(axis=0), dtype=np.int64)

    def fewest_groups(self, groups: IntArray) -> int:
        """The number of separate photos of the kind that has the fewest, among those that every part must have."""
        return int(self.groups_of(groups)[self.musts].min())

    def check_counts(self, groups: IntArray, *, needed: int, what: str) -> None:
        """Refuse a kind with fewer separate photos than `needed`.

        Raises:
            SplitError: there is one.
        """
        separate, photos = self.groups_of(groups), self.columns.sum(axis=0)
        for kind in np.flatnonzero(self.musts & (separate < needed))[:1].tolist():
            got, hint = f"got {separate[kind]}", "Add photos, leave the label out, or change data.split or data.folds."
            if photos[kind] > separate[kind]:
                got += f" ({photos[kind]} photos, but groups and near-duplicates stay together)"
                hint += " Photos of different parts that only look the same: set data.near_duplicates = false."
            raise SplitError(
                f"{self.names[kind]} must have at least {needed} separate photos for {what}, {got}.", hint=hint
            )

    def check_present(self, inside: NDArray[np.bool_], *, where: str) -> None:
        """Refuse a part without photos of a kind that it must have.

        Raises:
            SplitError: there is one.
        """
        for kind in np.flatnonzero(self.musts & ~self.columns[inside].any(axis=0))[:1].tolist():
            raise SplitError(
                f"{self.names[kind]} has no photo in {where}: its groups are too large to divide.",
                hint="Use smaller groups, other shares in data.split, or data.folds.",
            )


def place_label_sets(kinds: Memberships, groups: IntArray, shares: NDArray[np.float64], *, seed: int) -> IntArray:
    """The part of each photo.

    Args:
        kinds: What the parts are balanced by.
        groups: (N,) int; photos of one group get one part.
        shares: (P,) of the parts, summing to 1; a part of share 0 gets nothing.
        seed: Same seed, same parts.

    Returns:
        (N,) int64 in 0..P-1.
    """
    _, inverse = np.unique(groups, return_inverse=True)
    order = np.random.default_rng(seed).permutation(int(inverse.max()) + 1)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    owner = place[inverse]  # groups in a random order, which settles what is level
    sizes = np.bincount(owner)
    counts = np.zeros((len(sizes), kinds.columns.shape[1]))
    np.add.at(counts, owner, kinds.columns.astype(np.float64))
    parts = _Placing(counts, sizes.astype(np.float64), shares=shares, musts=kinds.musts).run()
    return parts[owner]


class _Placing:
    """Groups and what the parts still want of them.

    Args:
        counts: (G, L) photos of each kind in each group.
        sizes: (G,) photos.
        shares: (P,) of the parts.
        musts: (L,) kinds that every part must have.
    """

    def __init__(
        self, counts: NDArray[np.float64], sizes: NDArray[np.float64], *, shares: NDArray[np.float64],
        musts: NDArray[np.bool_],
    ) -> None:  # fmt: skip
        self._counts, self._sizes = counts, sizes
        self._used = shares > 0.0
        self._wanted = counts.sum(axis=0)[:, None] * shares  # (L, P) photos of each kind that a part still wants
        self._room = sizes.sum() * shares  # (P,) photos that it still wants
        self._lacking = musts[:, None] & self._used  # (L, P)
        self._parts = np.full(len(sizes), -1, dtype=np.int64)
        self._waiting = (counts > 0).sum(axis=0)  # (L,) groups not placed yet

    def run(self) -> IntArray:
        """(G,) part of each group."""
        while self._waiting.any():
            kind = int(np.argmin(np.where(self._waiting > 0, self._waiting, np.iinfo(np.int64).max)))
            mine = np.flatnonzero((self._counts[:, kind] > 0) & (self._parts < 0))
            for group in mine[np.argsort(-self._counts[mine, kind], kind="stable")].tolist():
                self._put(group, self._best_part(group, kind))
        return self._parts

    def _best_part(self, group: int, kind: int) -> int:
        own = self._counts[group] > 0
        scarce = own[:, None] & self._lacking & (self._waiting <= self._lacking.sum(axis=1))[:, None]
        keys = (-self._room, -self._wanted[kind], -scarce.sum(axis=0), ~self._used)
        return int(np.lexsort([np.round(key, 9) if key.dtype.kind == "f" else key for key in keys])[0])

    def _put(self, group: int, part: int) -> None:
        own = self._counts[group] > 0
        self._parts[group] = part
        self._wanted[:, part] -= self._counts[group]
        self._room[part] -= self._sizes[group]
        self._lacking[own, part] = False
        self._waiting[own] -= 1
