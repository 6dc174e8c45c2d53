"""BMP: plain 8 and 24 bit by OpenCV, everything else by Pillow.

The fourth byte of a 32-bit BMP is unused unless the header has an alpha mask; Pillow knows the difference.
Source: Microsoft, BITMAPINFOHEADER.
"""

from __future__ import annotations

import struct
from typing import Any

from numpy.typing import NDArray

from teliti.data.formats import opencv, pillow
from teliti.data.formats.header import Header
from teliti.errors import PhotoRefused

_CORE_HEADER = 12
_PLAIN_DEPTHS = {8, 24}


def read_header(data: bytes) -> Header:
    """Sizes from the information header.

    Raises:
        PhotoRefused: cut short.
    """
    try:
        if data[14] == _CORE_HEADER:
            width, height, _, depth = struct.unpack_from("<HHHH", data, 18)
            return Header(height, width, data, layout=(0, depth))
        width, height, _, depth, compression = struct.unpack_from("<iiHHI", data, 18)
        (offset,) = struct.unpack_from("<I", data, 10)
    except struct.error as error:
        raise PhotoRefused("truncated BMP") from error
    stride = (max(width, 0) * depth + 31) // 32 * 4
    is_plain = depth in _PLAIN_DEPTHS and compression == 0
    if is_plain and offset + stride * abs(height) > len(data):
        raise PhotoRefused("truncated BMP")
    return Header(abs(height), width, data, layout=(int(is_plain), depth))


def read_pixels(header: Header) -> NDArray[Any]:
    """Pixels uint8, (H, W), RGB or RGBA.

    Raises:
        PhotoRefused: damaged or of an unsupported kind.
    """
    if header.layout[0]:
        return opencv.read_array("BMP", header)
    return pillow.read_array("bmp", header.payload)
