"""OpenCV's decoders behind one call: pinned flags, RGB order, and a refusal instead of None or an exception."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from teliti.data.formats.header import Header
from teliti.errors import PhotoRefused

_RGB_FROM_BGR = [2, 1, 0]
_RGBA_FROM_BGRA = [2, 1, 0, 3]


def read_array(kind: str, header: Header) -> NDArray[Any]:
    """Pixels as stored: any depth, grey (H, W), RGB (H, W, 3) or RGBA (H, W, 4), no orientation applied.

    `IMREAD_UNCHANGED` keeps the depth and, but for TIFF, leaves the orientation alone.

    Raises:
        PhotoRefused: OpenCV cannot decode the file, or its size is not the one that was checked.
    """
    try:
        pixels = cv2.imdecode(np.frombuffer(header.payload, np.uint8), cv2.IMREAD_UNCHANGED)
    except (cv2.error, MemoryError) as error:
        raise PhotoRefused(f"damaged {kind}") from error
    if pixels is None or pixels.shape[0] * pixels.shape[1] != header.height * header.width:
        raise PhotoRefused(f"damaged {kind}")
    return in_rgb_order(pixels)


def in_rgb_order(pixels: NDArray[Any]) -> NDArray[Any]:
    """OpenCV's blue-green-red order turned into red-green-blue; grey and alpha keep their place."""
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    if channels == 3 and pixels.dtype == np.uint8:
        return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    orders = {3: _RGB_FROM_BGR, 4: _RGBA_FROM_BGRA}
    return pixels[..., orders[channels]] if channels in orders else pixels
