"""Folds of a training part, in which a head's settings are compared and its calibration is fitted."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from teliti.data.split import fewest_groups, fold_samples
from teliti.errors import SplitError
from teliti.types import IntArray

MAX_FOLDS = 5


def assign_folds(labels: NDArray[Any], groups: IntArray, *, num_classes: int, seed: int) -> IntArray:
    """Fold of each photo: `MAX_FOLDS`, or as many as the class (or range of numbers) of the fewest groups allows.

    Args:
        labels: (N,) int class index, or (N,) float; (N, K) of labels or several numbers.
        groups: (N,) int; photos of one group get one fold.
        num_classes: K of classes or labels; 0 for numbers.
        seed: Same seed, same folds.

    Raises:
        SplitError: a class has too few groups for two folds.
    """
    if labels.ndim == 2:
        return _assign_label_folds(labels, groups, seed=seed)
    absent = sorted(set(range(num_classes)) - set(labels.tolist())) if num_classes else []
    fewest = 0 if absent or not len(labels) else fewest_groups(labels, groups)
    if fewest < 2:
        where = f"class {absent[0] if absent else _rarest(labels, groups)}" if num_classes else "a range of numbers"
        raise SplitError(
            f"Every class must have at least 2 separate photos (groups) in the training part, got {fewest} of {where}.",
            hint="Add photos of it that are not near-duplicates of one another, or leave it out.",
        )
    folds = fold_samples(labels, groups, folds=min(MAX_FOLDS, fewest), seed=seed)
    together = [label for label in range(num_classes) if len(np.unique(folds[labels == label])) < 2]
    if together:
        raise SplitError(
            f"Every class must be in at least 2 folds of the training part, got class {together[0]} in one.",
            hint="Its groups hold too many photos of other classes; use smaller groups.",
        )
    return np.asarray(folds)


def _assign_label_folds(labels: NDArray[Any], groups: IntArray, *, seed: int) -> IntArray:
    """The same for several labels or numbers a photo."""
    fewest = fewest_groups(labels, groups)
    if fewest >= 2:
        folds = fold_samples(labels, groups, folds=min(MAX_FOLDS, fewest), seed=seed)
        if not np.issubdtype(labels.dtype, np.integer) or _is_in_two_folds(labels > 0, folds):
            return folds
    raise SplitError(
        "Every label must be on at least 2 separate photos (groups) of the training part, and missing on 2, "
        f"got {fewest} of the rarest.",
        hint="Add photos that are not near-duplicates of one another, or leave the label out.",
    )


def _is_in_two_folds(has: NDArray[np.bool_], folds: IntArray) -> bool:
    """True when every label, and its absence, lies in at least two folds."""
    sides = np.concatenate([has, ~has], axis=1)
    return all(len(np.unique(folds[side])) > 1 for side in sides.T)


def _rarest(labels: NDArray[Any], groups: IntArray) -> int:
    present = np.unique(labels)
    return int(present[np.argmin([len(np.unique(groups[labels == label])) for label in present])])
