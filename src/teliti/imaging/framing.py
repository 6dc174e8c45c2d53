"""Bringing a photo to the network's size: letterbox, stretch or crop, with the one resize of the house.

The resize averages areas when the photo shrinks (so that fine texture does not alias) and interpolates with a
bicubic kernel when it grows. Training and inspection call the same functions, so their pixels are equal.
"""

from __future__ import annotations

import cv2
import numpy as np

from teliti.types import UInt8Image

PADDING_VALUE = 128  # mid-grey: near zero after the usual mean and std


def resize(image: UInt8Image, size: tuple[int, int]) -> UInt8Image:
    """Resize to exactly `size`, aspect ratio not kept.

    Args:
        image: (H, W, 3) uint8.
        size: (height, width) in pixels, each at least 1.

    Returns:
        (height, width, 3) uint8; the same array when it has that size already.
    """
    height, width = image.shape[:2]
    smaller = (min(height, size[0]), min(width, size[1]))  # where one side shrinks and the other grows
    if smaller != (height, width):
        image = np.asarray(cv2.resize(image, smaller[::-1], interpolation=cv2.INTER_AREA), dtype=np.uint8)
    if smaller != size:
        image = np.asarray(cv2.resize(image, size[::-1], interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
    return image


def letterbox(image: UInt8Image, size: tuple[int, int]) -> UInt8Image:
    """The whole photo inside `size`, aspect ratio kept, the rest filled with mid-grey.

    Args:
        image: (H, W, 3) uint8.
        size: (height, width) in pixels.

    Returns:
        (height, width, 3) uint8, the photo centred.
    """
    scale = min(size[0] / image.shape[0], size[1] / image.shape[1])
    inner = (max(1, round(image.shape[0] * scale)), max(1, round(image.shape[1] * scale)))
    resized = resize(image, inner)
    if inner == size:
        return resized
    framed = np.full((*size, image.shape[2]), PADDING_VALUE, dtype=np.uint8)
    top, left = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    framed[top : top + inner[0], left : left + inner[1]] = resized
    return framed


def crop_to_fill(image: UInt8Image, size: tuple[int, int]) -> UInt8Image:
    """The largest central part of the photo with `size`'s aspect ratio, resized to `size`.

    Args:
        image: (H, W, 3) uint8.
        size: (height, width) in pixels.

    Returns:
        (height, width, 3) uint8.
    """
    height, width = image.shape[:2]
    scale = min(height / size[0], width / size[1])
    inner = (max(1, min(height, round(size[0] * scale))), max(1, min(width, round(size[1] * scale))))
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    return resize(image[top : top + inner[0], left : left + inner[1]], size)
