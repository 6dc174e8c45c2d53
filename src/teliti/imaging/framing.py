"""Cutting out what matters, and bringing it to the network's size with the one resize of the house.

The resize averages areas when the photo shrinks (so that fine texture does not alias) and interpolates with a
bicubic kernel when it grows. Training and inspection call the same functions, so their pixels are equal. All take
(H, W, 3) colour or (H, W) grey pictures. OpenCV's cubic kernel rounds the last of three channels differently here and
there; where a grey picture must get the bits of three equal channels and grows, make it colour first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from teliti.types import UInt8Image

PADDING_VALUE = 128  # mid-grey: near zero after the usual mean and std


def as_colour(image: UInt8Image) -> UInt8Image:
    """(H, W) uint8 as (H, W, 3) of equal channels; (H, W, 3) as it is."""
    return image if image.ndim == 3 else np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2RGB), dtype=np.uint8)


def resize(image: UInt8Image, size: tuple[int, int]) -> UInt8Image:
    """Resize to exactly `size`, aspect ratio not kept.

    Args:
        image: (H, W, 3) or (H, W) uint8.
        size: (height, width) in pixels, each at least 1.

    Returns:
        (height, width, 3) or (height, width) uint8; the same array when it has that size already.
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
        image: (H, W, 3) or (H, W) uint8.
        size: (height, width) in pixels.

    Returns:
        (height, width, 3) or (height, width) uint8, the photo centred.
    """
    scale = min(size[0] / image.shape[0], size[1] / image.shape[1])
    inner = (max(1, round(image.shape[0] * scale)), max(1, round(image.shape[1] * scale)))
    resized = resize(image, inner)
    if inner == size:
        return resized
    framed = np.full((*size, *image.shape[2:]), PADDING_VALUE, dtype=np.uint8)
    top, left = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    framed[top : top + inner[0], left : left + inner[1]] = resized
    return framed


def crop_to_fill(image: UInt8Image, size: tuple[int, int]) -> UInt8Image:
    """The largest central part of the photo with `size`'s aspect ratio, resized to `size`.

    Args:
        image: (H, W, 3) or (H, W) uint8.
        size: (height, width) in pixels.

    Returns:
        (height, width, 3) or (height, width) uint8.
    """
    height, width = image.shape[:2]
    scale = min(height / size[0], width / size[1])
    inner = (max(1, min(height, round(size[0] * scale))), max(1, min(width, round(size[1] * scale))))
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    return resize(image[top : top + inner[0], left : left + inner[1]], size)


@dataclass(frozen=True)
class Rectangle:
    """An upright rectangle of whole pixels: rows `top` to `bottom` and columns `left` to `right`, ends not included."""

    top: int
    left: int
    bottom: int
    right: int

    def cut(self, image: UInt8Image) -> UInt8Image:
        """The part of (H, W, 3) or (H, W) uint8 inside; a view, not a copy."""
        return image[self.top : self.bottom, self.left : self.right]

    def widened(self, pixels: int, *, inside: UInt8Image) -> Rectangle:
        """With so many pixels more on every side; the edge of the picture `inside` ends it."""
        height, width = inside.shape[:2]
        return Rectangle(
            max(0, self.top - pixels),
            max(0, self.left - pixels),
            min(height, self.bottom + pixels),
            min(width, self.right + pixels),
        )


@dataclass(frozen=True)
class TurnedRectangle:
    """A rectangle at any angle, covering whole pixels.

    Attributes:
        center: (x, y) in pixels; the centre of the first pixel is (0, 0).
        height: Pixels.
        width: Pixels.
        angle: Degrees from the x axis to its width side, clockwise on the screen, in [-45, 45) or what a wanted
            long side made of it.
    """

    center: tuple[float, float]
    height: float
    width: float
    angle: float

    def cut(self, image: UInt8Image, *, margin: float) -> UInt8Image:
        """What is inside, turned upright (bilinear), with `margin` pixels around it; edge pixels repeat outside."""
        height, width = (max(1, round(side + 2 * margin)) for side in (self.height, self.width))
        cos, sin = math.cos(math.radians(self.angle)), math.sin(math.radians(self.angle))
        turn = np.array([[cos, -sin], [sin, cos]])  # from the upright picture to the photo, both about their centre
        shift = np.array(self.center) - turn @ np.array([(width - 1) / 2, (height - 1) / 2])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        matrix = np.column_stack([turn, shift])
        turned = cv2.warpAffine(image, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(turned, dtype=np.uint8)


def bounding_rectangle(mask: UInt8Image) -> Rectangle | None:
    """The smallest upright rectangle around the part.

    Args:
        mask: (H, W) uint8, 0 for background, anything else for the part.

    Returns:
        None when the mask has no part.
    """
    left, top, width, height = cv2.boundingRect(mask)
    return Rectangle(top, left, top + height, left + width) if width else None


def smallest_rectangle(mask: UInt8Image, *, long_side: str = "any") -> TurnedRectangle | None:
    """The rectangle of least area around the part (rotating calipers, G. Toussaint, 1983).

    Args:
        mask: (H, W) uint8, 0 for background, anything else for the part.
        long_side: "any" takes the smallest turn to upright; "vertical" and "horizontal" say where the long side
            must lie.

    Returns:
        None when the mask has no part.
    """
    outlines = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
    if not outlines:
        return None
    center, (width, height), angle = cv2.minAreaRect(np.concatenate(outlines))
    turns = math.floor((angle + 45.0) / 90.0)  # quarter turns that only swap the names of the sides
    angle -= 90.0 * turns
    if turns % 2:
        width, height = height, width
    if (long_side == "vertical" and width > height) or (long_side == "horizontal" and height > width):
        width, height, angle = height, width, angle + (90.0 if angle < 0 else -90.0)
    # from pixel centres to whole pixels
    return TurnedRectangle((float(center[0]), float(center[1])), height + 1.0, width + 1.0, float(angle))
