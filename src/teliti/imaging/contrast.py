"""Contrast: contrast-limited adaptive histogram equalisation (CLAHE)."""

from __future__ import annotations

import cv2
import numpy as np

from teliti.types import UInt8Image


def apply_clahe(image: UInt8Image, *, clip_limit: float, tile_grid: tuple[int, int]) -> UInt8Image:
    """CLAHE on the luminance, colours kept (K. Zuiderveld, Graphics Gems IV, 1994).

    Args:
        image: (H, W, 3) uint8 RGB.
        clip_limit: Histogram bins are clipped at this multiple of the mean bin; above 0.
        tile_grid: (rows, columns) of tiles, each at least 1.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    clahe = cv2.createCLAHE(clipLimit=clip_limit, tileGridSize=(tile_grid[1], tile_grid[0]))
    if np.array_equal(image[..., 0], image[..., 1]) and np.array_equal(image[..., 1], image[..., 2]):
        return np.repeat(clahe.apply(np.ascontiguousarray(image[..., 0]))[..., None], 3, axis=2)
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    lab[..., 0] = clahe.apply(np.ascontiguousarray(lab[..., 0]))
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), dtype=np.uint8)
