"""Labels that are probably wrong, by confident learning on probabilities that never saw the photo.

A class's own threshold is the mean probability that its photos get for it. A photo that reaches another class's
threshold, and reaches it best, speaks for that class: counted over all photos this is the confident joint of given
and true labels, and its off-diagonal photos are the suspects. Overconfident and unsure classes are thus compared
fairly. C. Northcutt, L. Jiang and I. Chuang, "Confident learning: estimating uncertainty in dataset labels" (2021),
sections 3.1 and 3.2.

One departure: no class demands more than `MOST_DEMANDED`. Where classes are told apart with ease a class's own mean
comes close to 1, and a photo that is 90 % sure of another class would not count.

Probabilities must be out of fold: a net that has learnt a wrong label repeats it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from teliti.errors import UserError
from teliti.types import FloatArray, IntArray

MOST_DEMANDED = 0.8


@dataclass(frozen=True, eq=False)
class LabelErrors:
    """Suspects, the most certain first.

    Attributes:
        photos: (M,) int64, positions.
        labels: (M,) int64, the class that speaks loudest for each.
        probabilities: (M,) float64, how probable a wrong label is: 1 minus the probability of the given class.
    """

    photos: IntArray
    labels: IntArray
    probabilities: NDArray[np.float64]


def find_label_errors(labels: IntArray, probs: FloatArray, *, most_demanded: float = MOST_DEMANDED) -> LabelErrors:
    """The photos off the diagonal of the confident joint.

    Args:
        labels: (N,) int class index as given.
        probs: (N, K) out-of-fold class probabilities.
        most_demanded: No class demands a larger probability; 1 is the published method.

    Raises:
        UserError: shapes that do not match, or labels outside 0..K-1.
    """
    chosen = _confident_class(labels, probs, most_demanded)
    suspects = np.flatnonzero((chosen >= 0) & (chosen != labels))
    wrong = 1.0 - probs[suspects, labels[suspects]].astype(np.float64)
    order = np.lexsort((suspects, -wrong))
    return LabelErrors(suspects[order], chosen[suspects][order], wrong[order])


def confident_joint(
    labels: IntArray, probs: FloatArray, *, most_demanded: float = MOST_DEMANDED
) -> NDArray[np.float64]:
    """(K, K) estimated photos by given label (row) and true label (column); rows sum to the photos of the class.

    Args:
        labels: (N,) int class index as given.
        probs: (N, K) out-of-fold class probabilities.
        most_demanded: No class demands a larger probability; 1 is the published method.

    Raises:
        UserError: shapes that do not match, or labels outside 0..K-1.
    """
    chosen = _confident_class(labels, probs, most_demanded)
    classes = probs.shape[1]
    known = chosen >= 0
    counts = np.bincount(labels[known] * classes + chosen[known], minlength=classes**2).reshape(classes, classes)
    joint = counts.astype(np.float64)
    rows = joint.sum(axis=1)
    joint[rows == 0.0, rows == 0.0] = 1.0  # nobody is confident: the labels are taken as they are
    share = joint / np.maximum(joint.sum(axis=1, keepdims=True), 1.0)
    return np.asarray(share * np.bincount(labels, minlength=classes)[:, None])


def _confident_class(labels: IntArray, probs: FloatArray, most_demanded: float) -> IntArray:
    """(N,) the most probable of the classes whose threshold is reached, -1 where none is."""
    if probs.ndim != 2 or len(labels) != len(probs) or not len(labels):
        raise UserError(
            f"Probabilities must be (N, K) with N labels, got {probs.shape} and {len(labels)} labels.",
            hint="Give one row of out-of-fold probabilities per photo.",
        )
    if labels.min() < 0 or labels.max() >= probs.shape[1]:
        raise UserError(
            f"Labels must be in 0..{probs.shape[1] - 1}, got {labels.min()} to {labels.max()}.",
            hint="Labels are indices of the columns.",
        )
    own = probs[np.arange(len(labels)), labels].astype(np.float64)
    counts = np.bincount(labels, minlength=probs.shape[1])
    sums = np.bincount(labels, weights=own, minlength=probs.shape[1])
    thresholds = np.where(counts > 0, np.minimum(sums / np.maximum(counts, 1), most_demanded), np.inf)
    reached = probs >= thresholds - 1e-6
    best = np.where(reached, probs, -np.inf).argmax(axis=1).astype(np.int64)
    return np.where(reached.any(axis=1), best, -1)
