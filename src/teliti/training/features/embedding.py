"""A set of photos as points in feature space: who lies far from all, which lie together, a map, whom to ask next.

Distances are taken after standardising every feature and keeping the strongest principal components, because in
thousands of dimensions all points are equally far. scikit-learn does the clusters and the map (L. van der Maaten and
G. Hinton, "Visualizing data using t-SNE", 2008); both are seeded.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from teliti.runtime import require
from teliti.types import FloatArray, IntArray

COMPONENTS = 32
NEIGHBOURS = 10
FAR = 6.0  # robust deviations of the logarithm of the distance to the neighbours
MOST_OUTLIERS = 0.02  # share of the set
MOST_CLUSTERS = 8
MOST_MAPPED = 3000
_BLOCK = 512
_MAD = 1.4826
_OVERSAMPLED, _POWER_STEPS = 8, 4
_LEAST_SPREAD = 0.05  # of the logarithm of a distance: five per cent

Points = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Space:
    """How features become points; photos that come later are placed by the same map.

    Attributes:
        mean: (D,) of the features.
        scale: (D,) 1 / deviation, 0 where a feature does not vary.
        axes: (C, D) principal components.
    """

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    axes: NDArray[np.float32]

    def place(self, features: NDArray[np.float32]) -> Points:
        """(N, D) features to (N, C) points."""
        return np.asarray((features - self.mean) * self.scale @ self.axes.T, dtype=np.float32)


def fit_space(features: NDArray[np.float32], *, components: int = COMPONENTS) -> Space:
    """The space of a set; components by a seeded randomised range finder.

    N. Halko, P. Martinsson and J. Tropp, "Finding structure with randomness" (2011), algorithm 4.4.

    Args:
        features: (N, D) float32.
        components: At most so many dimensions.
    """
    mean, std = features.mean(axis=0), features.std(axis=0)
    varies = std > 1e-6 * np.maximum(np.abs(mean), 1e-6)
    scale = np.where(varies, 1.0 / np.where(varies, std, 1.0), 0.0).astype(np.float32)
    z = np.clip((features - mean) * scale, -10.0, 10.0)
    wanted = min(components, *z.shape)
    rng = np.random.default_rng(0)
    sketch = z @ rng.normal(size=(z.shape[1], min(wanted + _OVERSAMPLED, *z.shape))).astype(np.float32)
    for _ in range(_POWER_STEPS):
        sketch = z @ (z.T @ np.linalg.qr(sketch)[0])
    _, strengths, axes = np.linalg.svd(np.linalg.qr(sketch)[0].T @ z, full_matrices=False)
    kept = strengths[:wanted] > 1e-5 * max(float(strengths[0]), 1e-12)
    return Space(mean, scale, np.asarray(axes[:wanted][kept], dtype=np.float32))


def neighbour_distances(points: Points, among: Points, *, skip_self: bool) -> NDArray[np.float64]:
    """(N,) mean distance to the nearest ten of `among`.

    Args:
        points: (N, C).
        among: (M, C).
        skip_self: True where `points` are `among` themselves.
    """
    wanted = min(NEIGHBOURS, len(among) - int(skip_self))
    if wanted < 1:
        return np.zeros(len(points))
    squares = (among.astype(np.float64) ** 2).sum(axis=1)
    found = []
    for start in range(0, len(points), _BLOCK):
        block = points[start : start + _BLOCK].astype(np.float64)
        apart = (block**2).sum(axis=1)[:, None] + squares - 2.0 * block @ among.T.astype(np.float64)
        if skip_self:
            apart[np.arange(len(block)), start + np.arange(len(block))] = np.inf
        near = np.partition(np.maximum(apart, 0.0), wanted - 1, axis=1)[:, :wanted]
        found.append(np.sqrt(near).mean(axis=1))
    return np.concatenate(found)


def find_outliers(points: Points) -> tuple[IntArray, NDArray[np.float64]]:
    """Photos whose neighbours are far, the farthest first, with their distance in robust deviations.

    Args:
        points: (N, C).

    Returns:
        (M,) positions and (M,) deviations, M at most 2 % of N and at least as many as one.
    """
    logs = np.log(np.maximum(neighbour_distances(points, points, skip_self=True), 1e-12))
    median = np.median(logs)
    deviations = (logs - median) / max(_MAD * float(np.median(np.abs(logs - median))), _LEAST_SPREAD)
    most = max(1, int(MOST_OUTLIERS * len(points)))
    order = np.argsort(-deviations, kind="stable")[:most]
    kept = order[deviations[order] > FAR]
    return kept, deviations[kept]


def find_clusters(points: Points, *, seed: int) -> IntArray:
    """(N,) cluster of each photo, 0 the largest; their number is that of the best silhouette, 2 to 8.

    Args:
        points: (N, C).
        seed: Of the starts.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    cluster = require("sklearn.cluster", extra="train", purpose="find clusters")
    metrics = require("sklearn.metrics", extra="train", purpose="find clusters")
    best = (-1.0, np.zeros(len(points), dtype=np.int64))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for count in range(2, min(MOST_CLUSTERS, len(points) - 1) + 1):
            labels = cluster.KMeans(count, n_init=3, random_state=seed).fit_predict(points)
            if len(np.unique(labels)) < 2:
                continue
            size = min(1000, len(points))
            score = float(metrics.silhouette_score(points, labels, sample_size=size, random_state=seed))
            if score > best[0]:
                best = (score, labels.astype(np.int64))
    order = np.argsort(-np.bincount(best[1]), kind="stable")
    return np.asarray(np.argsort(order)[best[1]], dtype=np.int64)


def draw_map(points: Points, *, seed: int) -> tuple[FloatArray, str]:
    """(N, 2) a map where neighbours stay neighbours, in [0, 1], and the name of the method.

    Up to 3,000 photos by t-SNE, more by the two strongest components: t-SNE would take minutes.

    Args:
        points: (N, C).
        seed: Of the start.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    if 10 <= len(points) <= MOST_MAPPED:
        manifold = require("sklearn.manifold", extra="train", purpose="draw the map")
        perplexity = min(30.0, (len(points) - 1) / 3.0)
        tsne = manifold.TSNE(2, perplexity=perplexity, init="pca", random_state=seed, max_iter=500)
        flat, method = np.asarray(tsne.fit_transform(points), dtype=np.float64), "t-SNE"
    else:
        flat, method = np.zeros((len(points), 2)), "principal components"
        flat[:, : min(2, points.shape[1])] = points[:, :2]
    low, high = flat.min(axis=0), flat.max(axis=0)
    return (flat - low) / np.maximum(high - low, 1e-12), method


def choose_to_label(
    pool: Points, labelled: Points, uncertainty: NDArray[np.float64], *, count: int
) -> tuple[IntArray, NDArray[np.float64]]:
    """Photos of a pool that are worth labelling: unsure, and unlike one another and the labelled ones.

    Of the most uncertain photos, ten times as many as wanted, the one farthest from everything chosen so far (and from
    the labelled photos) comes next, uncertainty counting as much as distance. O. Sener and S. Savarese, "Active
    learning for convolutional neural networks: a core-set approach" (2018), weighted by uncertainty.

    Args:
        pool: (N, C).
        labelled: (M, C).
        uncertainty: (N,) in [0, 1], 1 is fully unsure.
        count: At most so many.

    Returns:
        (K,) positions in the order of choice, and (K,) their worth when chosen.
    """
    candidates = np.argsort(-uncertainty, kind="stable")[: 10 * count]
    points = pool[candidates].astype(np.float64)
    apart = _nearest(points, labelled.astype(np.float64))
    usual = float(np.median(apart)) or 1.0
    chosen, worth = list[int](), list[float]()
    for _ in range(min(count, len(candidates))):
        value = uncertainty[candidates] * apart / usual
        value[np.array(chosen, dtype=np.int64)] = -1.0
        best = int(np.argmax(value))
        chosen.append(best)
        worth.append(float(value[best]))
        apart = np.minimum(apart, np.linalg.norm(points - points[best], axis=1))
    return candidates[np.array(chosen, dtype=np.int64)], np.array(worth)


def _nearest(points: NDArray[np.float64], among: NDArray[np.float64]) -> NDArray[np.float64]:
    squares = (among**2).sum(axis=1)
    apart = [(point @ point + squares - 2.0 * among @ point).min() for point in points]
    return np.asarray(np.sqrt(np.maximum(np.array(apart), 0.0)))
