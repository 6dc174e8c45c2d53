"""Colour: one channel, grey, planes of HSV and Lab, the order of channels, channels first or last.

Photos are RGB everywhere inside; another order of channels exists only where somebody outside asks for it.
"""

from __future__ import annotations

from typing import Any, Literal, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from teliti.errors import UserError
from teliti.types import UInt8Image

Channel = Literal["r", "g", "b"]
Plane = Literal["hue", "saturation", "value", "lightness", "a", "b"]

Scalar = TypeVar("Scalar", bound=np.generic)
_PLANES: dict[Plane, tuple[int, int]] = {  # conversion from RGB, index of the plane in its result
    "hue": (cv2.COLOR_RGB2HSV_FULL, 0),
    "saturation": (cv2.COLOR_RGB2HSV_FULL, 1),
    "value": (cv2.COLOR_RGB2HSV_FULL, 2),
    "lightness": (cv2.COLOR_RGB2LAB, 0),
    "a": (cv2.COLOR_RGB2LAB, 1),
    "b": (cv2.COLOR_RGB2LAB, 2),
}


def to_grey(image: UInt8Image) -> UInt8Image:
    """The luma of a photo: 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), rounded.

    Args:
        image: (H, W, 3) uint8 RGB, or (H, W) uint8.

    Returns:
        (H, W) uint8; the same array when it is grey already. Three equal channels give one of them exactly.
    """
    if image.ndim == 2:
        return image
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def pick_channel(image: UInt8Image, channel: Channel) -> UInt8Image:
    """One channel of a photo.

    Args:
        image: (H, W, 3) uint8 RGB, or (H, W) uint8, which stands for three equal channels.
        channel: r, g or b.

    Returns:
        (H, W) uint8.
    """
    if image.ndim == 2:
        return image
    return np.asarray(cv2.extractChannel(image, "rgb".index(channel)), dtype=np.uint8)


def colour_plane(image: UInt8Image, plane: Plane) -> UInt8Image:
    """One plane of a photo's HSV or CIE L*a*b* form (A. R. Smith, SIGGRAPH 1978; CIE 1976 with white point D65).

    Args:
        image: (H, W, 3) uint8 RGB.
        plane: hue, saturation, value; or lightness, a, b.

    Returns:
        (H, W) uint8. Hue: the full circle in 256 levels, 0 red, 85 green, 171 blue. Saturation and value: 255 is
        full. Lightness: L* times 2.55. a and b: the value plus 128, so that neutral is 128.
    """
    conversion, index = _PLANES[plane]
    return np.asarray(cv2.extractChannel(cv2.cvtColor(image, conversion), index), dtype=np.uint8)


def reorder_channels(image: UInt8Image, order: str) -> UInt8Image:
    """The channels of an RGB photo in another order.

    Args:
        image: (H, W, 3) uint8 RGB, or (H, W) uint8, which stands for three equal channels.
        order: A permutation of the letters r, g and b: "bgr" puts the blue channel first.

    Returns:
        (H, W, 3) uint8, contiguous; a grey array comes back as it is.
    """
    if image.ndim == 2:
        return image
    return np.ascontiguousarray(image[..., ["rgb".index(letter) for letter in order]])


def shared_plane(image: UInt8Image) -> UInt8Image | None:
    """The one plane of a photo that is grey but stored in three channels.

    Args:
        image: (H, W, 3) uint8.

    Returns:
        (H, W) uint8 when the three channels are equal, else None.
    """
    grey = to_grey(image)  # of three equal channels it is one of them, so only then does it make the photo again
    same = cv2.norm(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), image, cv2.NORM_INF) == 0
    return grey if same else None


def to_channels_first(array: NDArray[Scalar]) -> NDArray[Scalar]:
    """(H, W, C) to (C, H, W), or (N, H, W, C) to (N, C, H, W): a contiguous copy of any type.

    Raises:
        UserError: an array of another rank.
    """
    return _move_axis(array, source=-1, target=-3)


def to_channels_last(array: NDArray[Scalar]) -> NDArray[Scalar]:
    """(C, H, W) to (H, W, C), or (N, C, H, W) to (N, H, W, C): a contiguous copy of any type.

    Raises:
        UserError: an array of another rank.
    """
    return _move_axis(array, source=-3, target=-1)


def _move_axis(array: NDArray[Any], *, source: int, target: int) -> NDArray[Any]:
    if array.ndim not in {3, 4}:
        raise UserError(
            f"An array of photos must have 3 axes (one photo) or 4 (a batch), got shape {array.shape}.",
            hint="Give a grey photo an axis of one channel first: array[..., None].",
        )
    return np.ascontiguousarray(np.moveaxis(array, source, target))
