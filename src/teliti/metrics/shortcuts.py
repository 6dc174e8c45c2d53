"""Can the label be told from one simple property of the photo, such as its brightness or its camera?

A one-feature classifier: numbers are cut into bins of equal counts, each bin (or name) votes for the class that is
strongest in it relative to the class's size, and every photo is judged by the votes of the other folds. The score is
balanced accuracy, chance is 1 / K. The p-value comes from shuffling the labels; several properties are tested at
once, so p-values are corrected by S. Holm, "A simple sequentially rejective multiple test procedure" (1979).
Permutation p-values count the data themselves as one shuffle (B. Phipson and G. Smyth, 2010).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from teliti.metrics.intervals import Interval, balanced_interval
from teliti.types import IntArray

BINS, FOLDS, SHUFFLES = 8, 5, 999
MOST_PHOTOS = 4000  # more say nothing new; a seeded choice is tested


@dataclass(frozen=True, slots=True)
class Shortcut:
    """How well one property tells the class.

    Attributes:
        score: Balanced accuracy out of fold, in [0, 1].
        interval: 95 %, over photos.
        chance: 1 / K.
        p_value: Of the permutation test, not corrected.
        photos: How many were tested.
    """

    score: float
    interval: Interval
    chance: float
    p_value: float
    photos: int


def measure_shortcut(values: NDArray[Any], labels: IntArray, *, seed: int) -> Shortcut | None:
    """Test one property.

    Args:
        values: (N,) float, NaN where unknown, or (N,) strings, "" where unknown; unknown is a bin of its own.
        labels: (N,) int class index.
        seed: Of folds, shuffles and draws.

    Returns:
        None where the property is the same for all photos, or there are fewer than two classes.
    """
    rng = np.random.default_rng(seed)
    chosen = np.arange(len(labels))
    if len(labels) > MOST_PHOTOS:
        chosen = np.sort(rng.choice(len(labels), MOST_PHOTOS, replace=False))
    values = np.asarray(values)[chosen]
    _, labels = np.unique(labels[chosen], return_inverse=True)
    bins = _bins_of(values)
    classes = int(labels.max()) + 1 if len(labels) else 0
    if classes < 2 or bins.max(initial=0) == 0:
        return None
    folds = _folds_of(labels, rng)
    weights = 1.0 / np.bincount(labels)
    preds = _predict(bins, labels, folds, weights=weights)
    score = _balanced(preds, labels, weights)
    shuffled = np.array([_shuffled_score(bins, labels, folds, weights=weights, rng=rng) for _ in range(SHUFFLES)])
    p_value = (1.0 + float((shuffled >= score - 1e-12).sum())) / (1.0 + SHUFFLES)
    return Shortcut(score, _interval(preds, labels), 1.0 / classes, p_value, len(labels))


def holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(M,) p-values corrected for M tests, in the same order, at most 1.

    Args:
        p_values: (M,) float in [0, 1].
    """
    order = np.argsort(p_values, kind="stable")
    factors = len(p_values) - np.arange(len(p_values))
    stepped = np.maximum.accumulate(np.minimum(1.0, p_values[order] * factors))
    corrected = np.empty_like(stepped)
    corrected[order] = stepped
    return corrected


def _bins_of(values: NDArray[Any]) -> IntArray:
    """(N,) bin numbers from 0."""
    if values.dtype.kind not in "fiu":
        return np.asarray(np.unique(values.astype(str), return_inverse=True)[1], dtype=np.int64)
    numbers = values.astype(np.float64)
    known = np.isfinite(numbers)
    if not known.any():
        return np.zeros(len(numbers), dtype=np.int64)
    edges = np.unique(np.quantile(numbers[known], np.arange(1, BINS) / BINS))
    bins = np.searchsorted(edges, np.where(known, numbers, 0.0), side="right")
    bins = np.where(known, bins, len(edges) + 1)
    return np.asarray(np.unique(bins, return_inverse=True)[1], dtype=np.int64)


def _folds_of(labels: IntArray, rng: np.random.Generator) -> IntArray:
    """(N,) folds, every class spread evenly."""
    folds = np.empty(len(labels), dtype=np.int64)
    for label in range(int(labels.max()) + 1):
        own = rng.permutation(np.flatnonzero(labels == label))
        folds[own] = np.arange(len(own)) % FOLDS
    return folds


def _predict(bins: IntArray, labels: IntArray, folds: IntArray, *, weights: NDArray[np.float64]) -> IntArray:
    classes, count = len(weights), int(bins.max()) + 1
    cells = (folds * count + bins) * classes + labels
    table = np.bincount(cells, minlength=FOLDS * count * classes).reshape(FOLDS, count, classes)
    votes = (table.sum(axis=0, keepdims=True) - table) * weights
    return np.asarray(votes.argmax(axis=2)[folds, bins], dtype=np.int64)


def _balanced(preds: IntArray, labels: IntArray, weights: NDArray[np.float64]) -> float:
    return float(weights[labels[preds == labels]].sum() / len(weights))


def _shuffled_score(
    bins: IntArray, labels: IntArray, folds: IntArray, *, weights: NDArray[np.float64], rng: np.random.Generator
) -> float:
    shuffled = rng.permutation(labels)
    return _balanced(_predict(bins, shuffled, folds, weights=weights), shuffled, weights)


def _interval(preds: IntArray, labels: IntArray) -> Interval:
    sizes = np.bincount(labels)
    return balanced_interval(np.bincount(labels[preds == labels], minlength=len(sizes)), sizes)
