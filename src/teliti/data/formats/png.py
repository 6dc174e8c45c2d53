"""PNG: every chunk's checksum checked, only the chunks that make pixels handed on, pixels by OpenCV.

Text, colour profiles, gamma and animation are left out, so they can neither cost memory nor change pixels.
Source: PNG (Third Edition), W3C 2025, sections 5, 11 and 13.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from teliti.data.formats import opencv
from teliti.data.formats.header import Header
from teliti.data.formats.tags import read_orientation
from teliti.errors import PhotoRefused

_SIGNATURE_SIZE = 8
_HEADER_SIZE = 13
_PALETTE = 3
_KEPT = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}
_MAX_CHUNKS = 200_000
_SAMPLES = {0: 1, 2: 3}  # colour types whose transparency is one marked colour


def read_header(data: bytes) -> Header:
    """Walk all chunks.

    Raises:
        PhotoRefused: cut short, a wrong checksum, or no header or pixels inside.
    """
    view = memoryview(data)
    position, orientation, has_pixels = _SIGNATURE_SIZE, 1, False
    fields: tuple[int, ...] = ()
    key: tuple[int, ...] = ()
    kept = [view[:_SIGNATURE_SIZE]]
    for _ in range(_MAX_CHUNKS):
        kind, body = _read_chunk(view, position)
        if kind == b"IHDR" and not fields and len(body) == _HEADER_SIZE:
            fields = struct.unpack(">IIBBBBB", body)
        elif kind == b"eXIf":
            orientation = read_orientation(bytes(body))
        elif kind == b"tRNS" and fields and fields[3] in _SAMPLES:
            key = _read_key(body, samples=_SAMPLES[fields[3]])
        has_pixels = has_pixels or kind == b"IDAT"
        end = position + len(body) + 12
        if kind in _KEPT or (kind == b"tRNS" and fields and fields[3] == _PALETTE):
            kept.append(view[position:end])
        position = end
        if kind == b"IEND":
            break
    if not fields or not has_pixels or kind != b"IEND":
        raise PhotoRefused("damaged PNG: no image inside")
    width, height, depth = fields[:3]
    return Header(height, width, b"".join(kept), orientation, layout=(depth, *key))


def read_pixels(header: Header) -> NDArray[Any]:
    """Pixels uint8 or uint16, (H, W), RGB or RGBA, before orientation.

    Raises:
        PhotoRefused: the compressed data are damaged.
    """
    pixels = opencv.read_array("PNG", header)
    depth, *key = header.layout
    return _with_key(pixels, key, depth=depth) if key else pixels


def _read_chunk(view: memoryview, position: int) -> tuple[bytes, memoryview]:
    if position + 12 > len(view):
        raise PhotoRefused("truncated PNG")
    (length,) = struct.unpack_from(">I", view, position)
    end = position + 8 + length
    if end + 4 > len(view):
        raise PhotoRefused("truncated PNG")
    (checksum,) = struct.unpack_from(">I", view, end)
    kind = bytes(view[position + 4 : position + 8])
    if zlib.crc32(view[position + 4 : end]) != checksum:
        raise PhotoRefused("damaged PNG: wrong checksum")
    return kind, view[position + 8 : end]


def _read_key(body: memoryview, *, samples: int) -> tuple[int, ...]:
    """The colour that stands for transparent, one number a sample; empty when the chunk is malformed."""
    return struct.unpack(f">{samples}H", body) if len(body) == 2 * samples else ()


def _with_key(pixels: NDArray[Any], key: list[int], *, depth: int) -> NDArray[Any]:
    """RGBA whose alpha is 0 where all samples equal the key, which is given in the file's own depth."""
    whole = np.iinfo(pixels.dtype).max
    factor = whole // (2**depth - 1) if depth <= 8 else 1
    rgb = np.atleast_3d(pixels)[..., :3]
    is_clear = np.all(rgb == (np.asarray(key) * factor).astype(pixels.dtype), axis=2)
    alpha = np.where(is_clear, 0, whole).astype(pixels.dtype)
    return np.dstack((np.broadcast_to(rgb, (*alpha.shape, 3)), alpha))
