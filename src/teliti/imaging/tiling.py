"""Cutting a large photo into overlapping tiles of one size that cover all of it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from teliti.imaging.framing import Rectangle
from teliti.types import UInt8Image

_LINE = (255, 160, 0)


def tile_starts(length: int, size: int, *, overlap: float) -> list[int]:
    """Where tiles begin along one side, evenly spread from the first pixel to the last.

    Args:
        length: Of the photo, in pixels.
        size: Of a tile, in pixels, at least 1.
        overlap: Least share of a tile that its neighbour covers too, in [0, 1).

    Returns:
        Increasing first pixels; [0] when the photo is not longer than a tile.
    """
    if length <= size:
        return [0]
    step = max(1, math.floor(size * (1.0 - overlap)))
    steps = math.ceil((length - size) / step)
    return [(index * (length - size) + steps // 2) // steps for index in range(steps + 1)]  # rounded, last one exact


def tile_rectangles(shape: tuple[int, int], size: tuple[int, int], *, overlap: float) -> list[Rectangle]:
    """Tiles in reading order, all of one size; a photo smaller than a tile gives smaller ones.

    Args:
        shape: (height, width) of the photo.
        size: (height, width) of a tile.
        overlap: Least share of a tile that its neighbour covers too, in [0, 1).
    """
    height, width = min(shape[0], size[0]), min(shape[1], size[1])
    return [
        Rectangle(top, left, top + height, left + width)
        for top in tile_starts(shape[0], size[0], overlap=overlap)
        for left in tile_starts(shape[1], size[1], overlap=overlap)
    ]


def count_tiles(shape: tuple[int, int], size: tuple[int, int], *, overlap: float) -> int:
    """How many tiles `tile_rectangles` would give, without making them; sides as there."""
    return math.prod(
        1 if whole <= side else 1 + math.ceil((whole - side) / max(1, math.floor(side * (1.0 - overlap))))
        for whole, side in zip(shape, size, strict=True)
    )


def draw_tiles(image: UInt8Image, tiles: Sequence[Rectangle]) -> UInt8Image:
    """The picture with the tiles' borders on it, for previews.

    Args:
        image: (H, W, 3) or (H, W) uint8; not written to.
        tiles: Inside the picture.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    drawn = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB) if image.ndim == 2 else image.copy()
    thickness = max(1, round(min(image.shape[:2]) / 200))
    for tile in tiles:
        cv2.rectangle(drawn, (tile.left, tile.top), (tile.right - 1, tile.bottom - 1), _LINE, thickness)
    return np.asarray(drawn, dtype=np.uint8)
