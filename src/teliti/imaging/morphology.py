"""Morphology: erosion, dilation and what is made of them (J. Serra, Image Analysis and Mathematical Morphology, 1982).

Works alike on binary, grey and colour images, each channel for itself. What lies beyond the border never counts, so
an erosion does not eat into a part that touches it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import cv2
import numpy as np

from teliti.types import UInt8Image

Operation = Literal["erode", "dilate", "open", "close", "gradient", "tophat", "blackhat"]
Shape = Literal["rectangle", "ellipse", "cross"]

_OPERATIONS: dict[Operation, int] = {
    "erode": cv2.MORPH_ERODE,
    "dilate": cv2.MORPH_DILATE,
    "open": cv2.MORPH_OPEN,
    "close": cv2.MORPH_CLOSE,
    "gradient": cv2.MORPH_GRADIENT,
    "tophat": cv2.MORPH_TOPHAT,
    "blackhat": cv2.MORPH_BLACKHAT,
}
_SHAPES: dict[Shape, int] = {
    "rectangle": cv2.MORPH_RECT,
    "ellipse": cv2.MORPH_ELLIPSE,
    "cross": cv2.MORPH_CROSS,
}


def apply_morphology(
    image: UInt8Image,
    operation: Operation,
    *,
    shape: Shape = "ellipse",
    size: tuple[int, int] = (5, 5),
    iterations: int = 1,
) -> UInt8Image:
    """One morphological operation.

    Erosion is the smallest value under the element, dilation the largest; open is erosion then dilation, close the
    other way round, gradient dilation less erosion, top-hat the image less its opening, black-hat the closing less
    the image.

    Args:
        image: (H, W) or (H, W, 3) uint8.
        operation: As above.
        shape: Of the structuring element; an ellipse of 3x3 is a cross.
        size: (height, width) of the element in pixels; odd, so that it has a centre and nothing is shifted.
        iterations: How often erosion and dilation are done; open with 2 is erode, erode, dilate, dilate.

    Returns:
        uint8 of the same shape; a binary image stays binary.
    """
    element = structuring_element(shape, size)
    return np.asarray(cv2.morphologyEx(image, _OPERATIONS[operation], element, iterations=iterations), dtype=np.uint8)


@lru_cache(maxsize=64)
def structuring_element(shape: Shape, size: tuple[int, int]) -> UInt8Image:
    """The element as (height, width) uint8 of 0 and 1, read-only.

    Args:
        shape: rectangle, ellipse or cross.
        size: (height, width) in pixels, odd.
    """
    element = np.asarray(cv2.getStructuringElement(_SHAPES[shape], (size[1], size[0])), dtype=np.uint8)
    element.flags.writeable = False
    return element
