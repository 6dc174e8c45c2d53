"""WebP: sizes and orientation from the container, pixels of the first frame by Pillow.

The container is read here because Pillow allocates the canvas when it opens the file.
Source: RFC 9649 (WebP image format).
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from teliti.data.formats import pillow
from teliti.data.formats.header import Header
from teliti.data.formats.tags import read_orientation
from teliti.errors import PhotoRefused

_FIRST_CHUNK = 12
_MAX_CHUNKS = 10_000
_SIZE_BITS = 0x3FFF


def read_header(data: bytes) -> Header:
    """Walk the chunks.

    Raises:
        PhotoRefused: cut short, or no image inside.
    """
    if int.from_bytes(data[4:8], "little") + 8 > len(data):
        raise PhotoRefused("truncated WebP")
    position, orientation = _FIRST_CHUNK, 1
    sizes: list[tuple[int, int]] = []
    for _ in range(_MAX_CHUNKS):
        kind, length = data[position : position + 4], int.from_bytes(data[position + 4 : position + 8], "little")
        body = data[position + 8 : position + 8 + min(length, 2**16)]
        if kind == b"EXIF":
            orientation = read_orientation(body)
        elif kind in _SIZE_READERS and len(body) >= 10:
            sizes.append(_SIZE_READERS[kind](body))
        position += 8 + length + length % 2
        if position + 8 > len(data):
            break
    if not sizes:
        raise PhotoRefused("damaged WebP: no image inside")
    return Header(max(size[0] for size in sizes), max(size[1] for size in sizes), data, orientation)


def read_pixels(header: Header) -> NDArray[Any]:
    """Pixels uint8, RGB or RGBA, before orientation.

    Raises:
        PhotoRefused: damaged or cut short.
    """
    return pillow.read_array("webp", header.payload)


def _size_of_canvas(body: bytes) -> tuple[int, int]:
    return 1 + int.from_bytes(body[7:10], "little"), 1 + int.from_bytes(body[4:7], "little")


def _size_of_lossy(body: bytes) -> tuple[int, int]:
    return int.from_bytes(body[8:10], "little") & _SIZE_BITS, int.from_bytes(body[6:8], "little") & _SIZE_BITS


def _size_of_lossless(body: bytes) -> tuple[int, int]:
    packed = int.from_bytes(body[1:5], "little")
    return 1 + (packed >> 14 & _SIZE_BITS), 1 + (packed & _SIZE_BITS)


_SIZE_READERS = {b"VP8X": _size_of_canvas, b"VP8 ": _size_of_lossy, b"VP8L": _size_of_lossless}
