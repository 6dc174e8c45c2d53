"""Binarization: a photo to part (255) and background (0), by one threshold or by one for every pixel."""

from __future__ import annotations

import math
from typing import Literal

import cv2
import numpy as np

from teliti.imaging.colour import to_grey
from teliti.types import UInt8Image

Method = Literal["fixed", "otsu", "triangle", "adaptive_mean", "adaptive_gaussian"]
Polarity = Literal["bright", "dark", "auto"]

_AUTOMATIC = {"otsu": cv2.THRESH_OTSU, "triangle": cv2.THRESH_TRIANGLE, "fixed": 0}
_LOCAL = {"adaptive_mean": cv2.ADAPTIVE_THRESH_MEAN_C, "adaptive_gaussian": cv2.ADAPTIVE_THRESH_GAUSSIAN_C}


def binarize(
    image: UInt8Image,
    *,
    method: Method = "otsu",
    polarity: Polarity = "auto",
    threshold: int = 128,
    block_size: int = 31,
    offset: float = 5.0,
) -> UInt8Image:
    """Part and background.

    One threshold for the photo: `fixed`, `otsu` (N. Otsu, IEEE Trans. SMC 9, 1979) or `triangle` (G. W. Zack et
    al., J. Histochem. Cytochem. 25, 1977); pixels above it are bright, the rest is dark. One for every pixel:
    `adaptive_mean` and `adaptive_gaussian`; a bright pixel lies more than `offset` above the mean of its block, a
    dark one more than `offset` below.

    With polarity `auto` the part is the side that covers less of the photo's outermost pixels, because a part is
    photographed whole and the background runs to the border; where both cover as much, the bright side. For the
    adaptive methods the sides are those of Otsu's threshold on the difference between photo and block means.

    Args:
        image: (H, W) uint8, or (H, W, 3) uint8 RGB, of which the luma is taken.
        method: As above.
        polarity: Whether the part is bright, dark, or to be found out for each photo.
        threshold: Grey level 0..255; for `fixed` only.
        block_size: Side of the block in pixels, odd, at least 3; for the adaptive methods only.
        offset: Grey levels; for the adaptive methods only.

    Returns:
        (H, W) uint8 of exactly 0 (background) and 255 (part). A photo with a single side - one grey level
        everywhere, for instance - has no part under `otsu` and `triangle`: all 0.
    """
    grey = to_grey(image)
    if method in _LOCAL:
        return _binarize_locally(grey, mode=_LOCAL[method], polarity=polarity, block_size=block_size, offset=offset)
    level, split = cv2.threshold(grey, threshold, 255, cv2.THRESH_BINARY | _AUTOMATIC[method])
    mask = np.asarray(split, dtype=np.uint8)
    may_be_one_sided = method == "triangle" or (method == "otsu" and level == 0)  # Otsu's level of a flat photo is 0
    if may_be_one_sided and cv2.countNonZero(mask) in {0, mask.size}:
        return np.zeros_like(mask)
    if polarity == "dark" or (polarity == "auto" and border_share(mask) > 0.5):
        cv2.bitwise_not(mask, dst=mask)
    return mask


def border_share(mask: UInt8Image) -> float:
    """The fraction of the outermost pixels that the part covers.

    Args:
        mask: (H, W) uint8, 0 and 255.

    Returns:
        In [0, 1].
    """
    edges = (mask[0], mask[-1], mask[1:-1, 0], mask[1:-1, -1])
    return sum(np.count_nonzero(edge) for edge in edges) / sum(edge.size for edge in edges)


def _binarize_locally(grey: UInt8Image, *, mode: int, polarity: Polarity, block_size: int, offset: float) -> UInt8Image:
    if polarity == "auto":
        polarity = _polarity_against(cv2.blur(grey, (block_size, block_size), borderType=cv2.BORDER_REPLICATE), grey)
    # OpenCV compares with mean - C: above it for BINARY, not above it for BINARY_INV. Grey levels are whole numbers,
    # so "more than offset" is "at least floor(offset) + 1" and both sides are strict alike.
    side, constant = (
        (cv2.THRESH_BINARY, -math.floor(offset))
        if polarity == "bright"
        else (cv2.THRESH_BINARY_INV, math.floor(offset) + 1)
    )
    return np.asarray(cv2.adaptiveThreshold(grey, 255, mode, side, block_size, constant), dtype=np.uint8)


def _polarity_against(means: cv2.typing.MatLike, grey: UInt8Image) -> Polarity:
    difference = cv2.addWeighted(grey, 0.5, means, -0.5, 128.0)
    above = np.asarray(cv2.threshold(difference, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[1], dtype=np.uint8)
    return "dark" if border_share(above) > 0.5 else "bright"
