"""Affine maps of photos: made, composed and inverted as plain floats, and carried out in one interpolation.

A map is `Affine`, the first two rows of a 3x3 matrix in reading order; it says where a pixel GOES (source to result),
in coordinates of pixel centres: the centre of the upper left pixel is (0, 0), x runs right and y down. Plain floats,
since a numpy array of six numbers costs more to make than the arithmetic on it.
"""

from __future__ import annotations

import math
from typing import Literal

import cv2
import numpy as np

from teliti.types import FloatArray, UInt8Image

Affine = tuple[float, float, float, float, float, float]
"""(a, b, c, d, e, f): x' = a x + b y + c and y' = d x + e y + f."""

Fill = Literal["nearest", "constant", "reflect", "wrap"]
Level = float | tuple[float, float, float]

IDENTITY: Affine = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
_BORDERS: dict[str, int] = {
    "nearest": cv2.BORDER_REPLICATE,
    "constant": cv2.BORDER_CONSTANT,
    "reflect": cv2.BORDER_REFLECT,
    "wrap": cv2.BORDER_WRAP,
}
_LINEAR = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
_NEAREST = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
_SAME = 1e-6  # pixels: far below what an 8-bit interpolation can show


def about_centre(linear: tuple[float, float, float, float], size: tuple[int, int]) -> Affine:
    """The linear map (a, b, d, e) about the centre of a photo.

    Args:
        linear: a, b, d, e of `Affine`.
        size: (height, width) in pixels.
    """
    a, b, d, e = linear
    x, y = (size[1] - 1) / 2, (size[0] - 1) / 2
    return (a, b, x - a * x - b * y, d, e, y - d * x - e * y)


def compose(first: Affine, then: Affine) -> Affine:
    """The one map that does `first`, and `then` to its result."""
    a, b, c, d, e, f = first
    g, h, i, j, k, m = then
    return (g * a + h * d, g * b + h * e, g * c + h * f + i, j * a + k * d, j * b + k * e, j * c + k * f + m)


def invert(matrix: Affine) -> Affine:
    """The map back.

    Raises:
        ZeroDivisionError: the map flattens the plane (determinant 0).
    """
    a, b, c, d, e, f = matrix
    scale = 1.0 / (a * e - b * d)
    a, b, d, e = e * scale, -b * scale, -d * scale, a * scale
    return (a, b, -(a * c + b * f), d, e, -(d * c + e * f))


def as_matrix(matrix: Affine) -> FloatArray:
    """The map as a (3, 3) float64 matrix for column vectors (x, y, 1)."""
    return np.array([matrix[:3], matrix[3:], (0.0, 0.0, 1.0)])


def rotation(degrees: float, size: tuple[int, int]) -> Affine:
    """A turn about the centre, counter-clockwise as seen on the screen.

    Args:
        degrees: Angle.
        size: (height, width) in pixels.
    """
    angle = math.radians(degrees)
    sine, cosine = math.sin(angle), math.cos(angle)
    return about_centre((cosine, sine, -sine, cosine), size)


def warp(image: UInt8Image, matrix: Affine, *, fill: Fill = "nearest", value: Level = 0.0) -> UInt8Image:
    """Move every pixel by the map, size kept, bilinear; what comes from outside is filled.

    A map that takes pixels to pixels (flips, quarter turns of a square, shifts by whole pixels) copies them without
    interpolation; the identity gives the photo itself back.

    Args:
        image: (H, W, 3) or (H, W) uint8.
        matrix: Source to result.
        fill: nearest aaaa|abcd|dddd, constant kkkk|abcd|kkkk, reflect dcba|abcd|dcba, wrap abcd|abcd|abcd.
        value: Grey level 0..255, or one for each channel, of the constant fill.

    Returns:
        (H, W, 3) or (H, W) uint8; the same array when there is nothing to do.
    """
    whole = _whole_pixels(matrix)
    if whole is not None:
        return _move_pixels(image, whole, fill=fill, value=value)
    size = image.shape[1::-1]
    back = np.array(invert(matrix)).reshape(2, 3)
    if image.ndim == 2:
        return _u8(cv2.warpAffine(image, back, size, None, _LINEAR, _BORDERS[fill], _border_value(value)))
    # Four channels are warped in little more than half the time of three (OpenCV's vector code), to equal pixels.
    four = cv2.cvtColor(image, cv2.COLOR_RGB2RGBA)
    four = cv2.warpAffine(four, back, size, None, _LINEAR, _BORDERS[fill], _border_value(value))
    return _u8(cv2.cvtColor(four, cv2.COLOR_RGBA2RGB))


def warp_labels(mask: UInt8Image, matrix: Affine, *, fill: Fill = "nearest", value: int = 0) -> UInt8Image:
    """Move a mask or label map as `warp` moves its photo, each pixel taken whole from its nearest source.

    Args:
        mask: (H, W) uint8 labels.
        matrix: Source to result.
        fill: As of the photo: repeated pixels repeat their labels.
        value: Label of the constant fill.

    Returns:
        (H, W) uint8 with no label that was not in it, except `value`.
    """
    whole = _whole_pixels(matrix)
    if whole is not None:
        return _move_pixels(mask, whole, fill=fill, value=float(value))
    return _nearest(mask, matrix, fill=fill, value=float(value))


def _whole_pixels(matrix: Affine) -> tuple[int, ...] | None:
    """The map in integers when it takes every pixel onto a pixel, else None."""
    if abs(matrix[0] - round(matrix[0])) >= _SAME:  # nearly every map that is drawn
        return None
    rounded = a, b, c, d, e, f = tuple(map(round, matrix))
    if abs(a) + abs(b) != 1 or abs(d) + abs(e) != 1 or abs(a) + abs(d) != 1:
        return None
    near = all(abs(value - whole) < _SAME for value, whole in zip(matrix, rounded, strict=True))
    return (a, b, c, d, e, f) if near else None


def _move_pixels(image: UInt8Image, whole: tuple[int, ...], *, fill: Fill, value: Level) -> UInt8Image:
    a, b, c, d, e, f = whole
    if b == 0 and d == 0 and c == (image.shape[1] - 1) * (a < 0) and f == (image.shape[0] - 1) * (e < 0):
        return image if a > 0 and e > 0 else _u8(cv2.flip(image, 0 if a > 0 else 1 if e > 0 else -1))
    return _nearest(image, (a, b, c, d, e, f), fill=fill, value=value)


def _nearest(image: UInt8Image, matrix: Affine, *, fill: Fill, value: Level) -> UInt8Image:
    back = np.array(invert(matrix), dtype=np.float64).reshape(2, 3)
    size = image.shape[1::-1]
    return _u8(cv2.warpAffine(image, back, size, None, _NEAREST, _BORDERS[fill], _border_value(value)))


def _border_value(value: Level) -> tuple[float, float, float, float]:
    return (*value, 0.0) if isinstance(value, tuple) else (value, value, value, 0.0)


def _u8(image: object) -> UInt8Image:
    """OpenCV's stubs say any of its types; every call here keeps uint8."""
    return np.asarray(image, dtype=np.uint8)
