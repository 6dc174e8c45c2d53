"""Part and background told apart without training: Otsu, k-means, watershed, GrabCut.

Every function gives the same mask for the same photo, in any thread and with any number of them: random starts
are seeded. Which side is the part follows one rule: the background is what covers most of the photo's edge. A photo
of one single value has no part: its mask is empty. A colour photo of three equal channels gets the mask of one.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from teliti.imaging.binarize import binarize
from teliti.imaging.colour import shared_plane
from teliti.types import UInt8Image

_SEED = 7
_ATTEMPTS = 3
_SAMPLE_SIDE = 64  # centres are found on a small copy; every pixel is then given to the nearest
_ITERATIONS = 30
_CENTRE_TOLERANCE = 0.1
_SPECK = 0.1


def segment_otsu(image: UInt8Image) -> UInt8Image:
    """The luminance split where the variance between the two sides is largest (N. Otsu, 1979).

    Args:
        image: (H, W, 3) RGB or (H, W) uint8.

    Returns:
        (H, W) uint8, 255 for the part and 0 for the background.
    """
    return binarize(image, method="otsu", polarity="auto")


def segment_kmeans(image: UInt8Image, *, clusters: int) -> UInt8Image:
    """Colours grouped by k-means in Lab (grey: by value); clusters that hold the photo's edge are background.

    S. Lloyd, 1982, started by k-means++ (D. Arthur, S. Vassilvitskii, 2007). A cluster is background when its share of
    the edge is larger than its share of the photo.

    Args:
        image: (H, W, 3) RGB or (H, W) uint8.
        clusters: At least 2.

    Returns:
        (H, W) uint8, 255 for the part and 0 for the background.
    """
    one = image if image.ndim == 2 else shared_plane(image)
    values = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2LAB), dtype=np.uint8) if one is None else one[..., None]
    labels = _nearest_centre(values, _centres(values, clusters))
    height, width = labels.shape
    edge = np.concatenate([labels[0], labels[-1], labels[1:-1, 0], labels[1:-1, -1]])
    on_edge, overall = np.bincount(edge, minlength=clusters), np.bincount(labels.ravel(), minlength=clusters)
    is_part = on_edge * (height * width) < overall * edge.size  # shares compared in whole numbers
    return np.where(is_part[labels], 255, 0).astype(np.uint8)


def segment_watershed(image: UInt8Image, *, core: float) -> UInt8Image:
    """Flooding of the gradient from sure part and sure background (F. Meyer, 1992).

    Otsu's mask gives the seeds: of each of its pieces the pixels deep inside (distance transform), and everything
    that is far from all pieces. Between them the flood decides, so that borders lie on edges. Pieces of less than a
    tenth of the greatest depth are specks and give no seed.

    Args:
        image: (H, W, 3) RGB or (H, W) uint8.
        core: Share of a piece's greatest depth from which on a pixel is surely part, in (0, 1].

    Returns:
        (H, W) uint8, 255 for the part and 0 for the background.
    """
    mask = segment_otsu(image)
    if not mask.any():
        return mask
    padded = np.pad(mask, 1)  # the flood leaves the outermost pixels undecided
    count, found = cv2.connectedComponents(padded)
    pieces = np.asarray(found, dtype=np.intp)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    deepest = np.zeros(count, dtype=np.float32)
    np.maximum.at(deepest, pieces.ravel(), depth.ravel())
    greatest = float(deepest.max())
    seeded = (deepest > 0) & (deepest >= _SPECK * greatest)
    elsewhere = np.where(seeded[pieces], 0, 255).astype(np.uint8)
    reach = max(1, round(0.5 * greatest))
    outside = cv2.distanceTransform(elsewhere, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) > reach
    markers = outside.astype(np.int32)
    markers[(elsewhere == 0) & (depth >= core * deepest[pieces])] = 2
    if not outside.any():  # the part comes close to the edge everywhere: the frame around the photo is background
        markers[[0, -1], :] = markers[:, [0, -1]] = 1
    colour = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB) if image.ndim == 2 else image
    flooded = cv2.watershed(cv2.copyMakeBorder(colour, 1, 1, 1, 1, cv2.BORDER_REPLICATE), markers)[1:-1, 1:-1]
    # the one-pixel line between the two (-1) stays with the part
    return np.where(flooded == 1, 0, 255).astype(np.uint8)


def segment_grabcut(image: UInt8Image, *, border: float, iterations: int) -> UInt8Image:
    """Cut between colour models of part and background (C. Rother, V. Kolmogorov, A. Blake, 2004).

    Starts with the rectangle inside the border as probable part, and everything outside it as background.

    Args:
        image: (H, W, 3) RGB or (H, W) uint8.
        border: Width of that border, as a share of each side, in (0, 0.5).
        iterations: At least 1.

    Returns:
        (H, W) uint8, 255 for the part and 0 for the background.
    """
    height, width = image.shape[:2]
    rows, columns = max(1, round(border * height)), max(1, round(border * width))
    if height <= 2 * rows or width <= 2 * columns or image.min() == image.max():
        return np.zeros((height, width), dtype=np.uint8)
    colour = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    labels = np.full((height, width), cv2.GC_BGD, dtype=np.uint8)
    labels[rows:-rows, columns:-columns] = cv2.GC_PR_FGD
    background, part = np.zeros((1, 65)), np.zeros((1, 65))  # OpenCV's own form of five Gaussians
    cv2.setRNGSeed(_SEED)  # of this thread
    cv2.grabCut(colour, labels, (0, 0, 0, 0), background, part, iterations, cv2.GC_INIT_WITH_MASK)
    return np.where((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD), 255, 0).astype(np.uint8)


def _centres(values: NDArray[np.uint8], clusters: int) -> NDArray[np.float32]:
    """(K, C) centres of (H, W, C) values; fewer different values than clusters are their own centres."""
    side = max(values.shape[:2])
    if side > _SAMPLE_SIDE:
        small = (max(1, values.shape[1] * _SAMPLE_SIDE // side), max(1, values.shape[0] * _SAMPLE_SIDE // side))
        sample = cv2.resize(values, small, interpolation=cv2.INTER_AREA).reshape(-1, values.shape[2])
    else:
        sample = values.reshape(-1, values.shape[2])
    different = np.unique(sample, axis=0)
    if len(different) <= clusters:
        return different.astype(np.float32)
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, _ITERATIONS, _CENTRE_TOLERANCE)
    cv2.setRNGSeed(_SEED)  # of this thread
    start = np.zeros((len(sample), 1), dtype=np.int32)
    found = cv2.kmeans(sample.astype(np.float32), clusters, start, criteria, _ATTEMPTS, cv2.KMEANS_PP_CENTERS)
    return np.asarray(found[2], dtype=np.float32)


def _nearest_centre(values: NDArray[np.uint8], centres: NDArray[np.float32]) -> NDArray[np.intp]:
    """(H, W) index of the nearest of (K, C) centres."""
    distances = [((values - centre) ** 2).sum(axis=2) for centre in centres]
    return np.asarray(np.argmin(distances, axis=0), dtype=np.intp)
