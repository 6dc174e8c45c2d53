"""Cleaning: remove from a binary image what is not the part, fill its holes; take specks out of any image."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from teliti.types import IntArray, UInt8Image

Connectivity = Literal[4, 8]
Limits = tuple[float, float]

_ROUNDING = 1e-5  # OpenCV gives the sides of a rectangle in float32


def remove_elements(
    mask: UInt8Image,
    *,
    min_area: float = 0,
    max_area: float | None = None,
    clear_border: bool = False,
    aspect: Limits | None = None,
    solidity: Limits | None = None,
    keep_largest: int | None = None,
    connectivity: Connectivity = 8,
) -> UInt8Image:
    """Keep the connected elements that pass every limit, in this order: area, border, shape, the n largest.

    Args:
        mask: (H, W) uint8, 0 and 255.
        min_area: Smaller elements go; pixels.
        max_area: Larger elements go; pixels.
        clear_border: Elements that touch the border of the photo go.
        aspect: (lowest, highest) long side over short side of the smallest rectangle, at any angle, around the
            element's pixels: 1 is a square or a disc, 10 a scratch.
        solidity: (lowest, highest) area over the area of the convex hull of the element's pixels, in (0, 1]: 1 has
            no dents.
        keep_largest: Of those left, only so many, largest first; of equal ones the upper, then the left one.
        connectivity: 8 counts pixels that touch at a corner as connected, 4 does not.

    Returns:
        (H, W) uint8, 0 and 255; never a pixel that was 0 in `mask`.
    """
    labels, stats = _connected(mask, connectivity)
    keep = _within_area(stats, min_area=min_area, max_area=max_area)
    keep[0] = False  # the background is no element
    if clear_border:
        keep &= ~_touches_border(stats, mask.shape)
    if aspect is not None or solidity is not None:
        for index in np.flatnonzero(keep):
            keep[index] = _has_shape(labels, stats, index=int(index), aspect=aspect, solidity=solidity)
    if keep_largest is not None:
        order = np.lexsort((stats[:, cv2.CC_STAT_LEFT], stats[:, cv2.CC_STAT_TOP], -stats[:, cv2.CC_STAT_AREA]))
        keep[order[keep[order]][keep_largest:]] = False
    if keep[1:].all():
        return mask
    return np.take(np.where(keep, 255, 0).astype(np.uint8), labels)


def fill_holes(mask: UInt8Image, *, max_area: float | None = None, connectivity: Connectivity = 8) -> UInt8Image:
    """Fill the background that the part encloses.

    Args:
        mask: (H, W) uint8, 0 and 255.
        max_area: Only holes up to this area, in pixels; None fills every hole.
        connectivity: Of the part. With 8 a ring that is closed only over corners encloses; with 4 it leaks.

    Returns:
        (H, W) uint8, 0 and 255; never a pixel less than in `mask`.
    """
    labels, stats = _connected(np.asarray(cv2.bitwise_not(mask), dtype=np.uint8), 12 - connectivity)
    filled = _within_area(stats, min_area=0, max_area=max_area) & ~_touches_border(stats, mask.shape)
    filled[0] = True  # the part itself
    return np.take(np.where(filled, 255, 0).astype(np.uint8), labels)


def apply_median(image: UInt8Image, size: int) -> UInt8Image:
    """The median of every pixel's square neighbourhood; beyond the border the outermost pixels repeat.

    Args:
        image: (H, W) or (H, W, 3) uint8; each channel for itself.
        size: Side of the square in pixels, odd, 3..255.

    Returns:
        uint8 of the same shape.
    """
    return np.asarray(cv2.medianBlur(image, size), dtype=np.uint8)


def despeckle(image: UInt8Image, *, size: int, threshold: int) -> UInt8Image:
    """Replace pixels that stand out from the median of their neighbourhood, and leave all others untouched.

    Unlike the plain median it keeps fine texture: only outliers change (W. K. Pratt, Digital Image Processing).

    Args:
        image: (H, W) or (H, W, 3) uint8; each channel for itself.
        size: Side of the square neighbourhood in pixels, odd, 3..255.
        threshold: A pixel is a speck when it differs from the median by more than this; grey levels 0..255.

    Returns:
        uint8 of the same shape.
    """
    median = apply_median(image, size)
    return np.where(cv2.absdiff(image, median) > threshold, median, image)


def _connected(mask: UInt8Image, connectivity: int) -> tuple[IntArray, IntArray]:
    """(H, W) int32 labels, 0 where the mask is 0, and (N, 5) int32 left, top, width, height and area of each label."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=connectivity, ltype=cv2.CV_32S)
    return np.asarray(labels, dtype=np.int32), np.asarray(stats, dtype=np.int32)


def _within_area(stats: IntArray, *, min_area: float, max_area: float | None) -> NDArray[np.bool_]:
    areas = stats[:, cv2.CC_STAT_AREA]
    within = areas >= min_area
    if max_area is not None:
        within &= areas <= max_area
    return np.asarray(within, dtype=np.bool_)


def _touches_border(stats: IntArray, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    left, top = stats[:, cv2.CC_STAT_LEFT], stats[:, cv2.CC_STAT_TOP]
    right, bottom = left + stats[:, cv2.CC_STAT_WIDTH], top + stats[:, cv2.CC_STAT_HEIGHT]
    return np.asarray((left == 0) | (top == 0) | (right == shape[1]) | (bottom == shape[0]), dtype=np.bool_)


def _has_shape(
    labels: IntArray, stats: IntArray, *, index: int, aspect: Limits | None, solidity: Limits | None
) -> bool:
    hull = _hull_of_pixels(labels, stats, index)
    if aspect is not None:
        sides = cv2.minAreaRect(hull)[1]
        if not aspect[0] - _ROUNDING <= max(sides) / min(sides) <= aspect[1] + _ROUNDING:
            return False
    if solidity is None:
        return True
    return solidity[0] <= float(stats[index, cv2.CC_STAT_AREA]) / cv2.contourArea(hull) <= solidity[1]


def _hull_of_pixels(labels: IntArray, stats: IntArray, index: int) -> NDArray[np.float32]:
    """(P, 1, 2) float32: the convex hull of the corners of one element's pixels, x before y."""
    left, top, width, height, _ = (int(value) for value in stats[index])
    inside = labels[top : top + height, left : left + width] == index
    rows = np.arange(height)  # every row has a pixel, because the element is connected
    first, beyond = inside.argmax(axis=1), width - inside[:, ::-1].argmax(axis=1)
    corners = [(x, y) for x in (first, beyond) for y in (rows, rows + 1)]
    points = np.concatenate([np.stack(pair, axis=1) for pair in corners]).astype(np.float32)
    return np.asarray(cv2.convexHull(points), dtype=np.float32)
