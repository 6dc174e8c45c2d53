"""Learning what the training photos look like: centres, deviations and main directions of their features."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from teliti.models.novelty import NoveltyWeights
from teliti.types import FloatArray, IntArray

MOST_PHOTOS = 1000
"""More are thinned evenly: a thousand show the main directions, and the time grows with their square."""
MOST_DIRECTIONS = 128
_FEWEST_OF_CLASS = 5  # fewer photos have no centre of their own
_FLOOR = 0.1  # a feature that hardly varied counts as varying a tenth of the usual


@dataclass(frozen=True, eq=False)
class Novelty:
    """How unlike the training photos a photo is.

    Attributes:
        weights: Features to novelty; 1 is usual.
        chooser: (M,) novelty of the photos that limits are chosen on, none of which was learnt from.
    """

    weights: NoveltyWeights
    chooser: FloatArray


def fit_novelty(features: NDArray[np.float32], classes: IntArray | None = None) -> NoveltyWeights:
    """What the features of the training photos are like.

    Args:
        features: (N, D) float32, finite, N >= 2.
        classes: (N,) class of each row; None where there are none.

    Returns:
        Weights whose unit is 1; held-out photos tell what is usual.
    """
    keep = np.linspace(0, len(features) - 1, min(len(features), MOST_PHOTOS)).astype(int)
    rows = features[keep].astype(np.float64)
    own, centres = _centres(rows, np.zeros(len(rows), np.int64) if classes is None else classes[keep])
    mean, deviation = rows.mean(axis=0), (rows - centres[own]).std(axis=0)
    usual = float(np.median(deviation[deviation > 0])) if (deviation > 0).any() else 1.0
    scale = 1.0 / (deviation + _FLOOR * usual)
    z = (rows - centres[own]) * scale
    directions, variances = _main_directions(z)
    left = max(float((z**2).sum() / len(z)) - float(variances.sum()), 1e-6)
    spread = max(left / max(1, z.shape[1] - len(variances)), 1e-6)
    return NoveltyWeights(
        ((centres - mean) * scale).astype(np.float32),
        mean.astype(np.float32),
        scale.astype(np.float32),
        directions.astype(np.float32),
        (1.0 / np.sqrt(np.maximum(variances, spread))).astype(np.float32),
        rest=float(1.0 / np.sqrt(spread)),
    )


def settle_novelty(weights: NoveltyWeights, held_out: FloatArray) -> Novelty:
    """Novelty in units of a usual photo.

    Args:
        weights: With unit 1.
        held_out: (M,) distances of photos that were not learnt from.
    """
    unit = float(np.median(held_out)) if len(held_out) else 1.0
    unit = unit if unit > 0.0 else 1.0
    return Novelty(replace(weights, unit=unit), np.asarray(held_out, dtype=np.float64) / unit)


def newest_parts(values: FloatArray, counts: IntArray) -> FloatArray:
    """(N,) a photo of several tiles is as new as its newest, as in the predictor.

    Args:
        values: (R,) novelty of the pictures, those of a photo together.
        counts: (N,) pictures of each photo, at least 1.
    """
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
    newest: FloatArray = np.maximum.reduceat(values, starts)
    return newest


def _centres(rows: NDArray[np.float64], classes: IntArray) -> tuple[IntArray, NDArray[np.float64]]:
    """Each row's centre (N,), and the centres (K, D); classes with few rows share the mean of all."""
    names, own, counts = np.unique(classes, return_inverse=True, return_counts=True)
    centres = np.stack([rows[own == at].mean(axis=0) for at in range(len(names))])
    centres[counts < _FEWEST_OF_CLASS] = rows.mean(axis=0)
    return own, centres


def _main_directions(z: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(D, P) orthonormal columns and the variances (P,) along them, by the smaller of the two Gram matrices."""
    count, width = z.shape
    wanted = min(MOST_DIRECTIONS, count // 4, width - 1)
    if wanted < 1:
        return np.zeros((width, 1)), np.ones(1)
    if width <= count:
        values, vectors = np.linalg.eigh(z.T @ z)
        return vectors[:, -wanted:], np.maximum(values[-wanted:], 0.0) / count
    values, vectors = np.linalg.eigh(z @ z.T)
    kept = np.maximum(values[-wanted:], 1e-12)
    return z.T @ vectors[:, -wanted:] / np.sqrt(kept), kept / count
