"""GIF: the first frame, by Pillow."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from teliti.data.formats import pillow
from teliti.data.formats.header import Header


def read_header(data: bytes) -> Header:
    """Sizes of the canvas, which Pillow widens when the first frame is larger.

    Raises:
        PhotoRefused: damaged header.
    """
    width, height = pillow.open_lazily("gif", data).size
    return Header(height, width, data)


def read_pixels(header: Header) -> NDArray[Any]:
    """Pixels uint8, (H, W), RGB or RGBA.

    Raises:
        PhotoRefused: damaged or cut short.
    """
    return pillow.read_array("gif", header.payload)
