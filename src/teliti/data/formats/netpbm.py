"""The portable anymap family P1 to P6 (PBM, PGM, PPM; text and binary), read with numpy.

Samples are scaled from the file's own `maxval` to the full range of 8 or 16 bits. Also writes PGM and PPM, the form
in which rows of an array file pass the image door. Source: Netpbm's pbm(5), pgm(5) and ppm(5).
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from teliti.data.formats.header import Header
from teliti.errors import PhotoRefused
from teliti.types import UInt8Image

_TOKEN = re.compile(rb"(?:\s|#[^\n\r]*[\n\r])*(\d{1,9})(?=\s|#)")
_COMMENT = re.compile(rb"#[^\n\r]*")
_MAX_SAMPLE = 65535
_BYTE = 255
_BIT_KINDS = (1, 4)
_COLOUR_KINDS = (3, 6)
_FIRST_BINARY = 4


def read_header(data: bytes) -> Header:
    """Kind, sizes, largest sample.

    Raises:
        PhotoRefused: damaged header or too few bytes for its sizes.
    """
    kind, position, numbers = data[1] - ord("0"), 2, []
    for _ in range(2 if kind in _BIT_KINDS else 3):
        match = _TOKEN.match(data, position)
        if match is None:
            raise PhotoRefused("damaged PPM: unreadable header")
        numbers.append(int(match[1]))
        position = match.end()
    width, height, maxval = numbers if len(numbers) == 3 else (*numbers, 1)
    if not 1 <= maxval <= _MAX_SAMPLE:
        raise PhotoRefused(f"damaged PPM: the largest sample must be 1 to {_MAX_SAMPLE}, got {maxval}")
    start = position + 1  # exactly one whitespace byte ends the header
    if len(data) - start < _bytes_needed(kind, (height, width), maxval=maxval):
        raise PhotoRefused("truncated PPM")
    return Header(height, width, data, layout=(kind, maxval, start))


def read_pixels(header: Header) -> NDArray[Any]:
    """Pixels uint8 or uint16, full range, (H, W) or (H, W, 3) RGB.

    Raises:
        PhotoRefused: too few or unreadable samples.
    """
    kind, maxval, start = header.layout
    shape = (header.height, header.width, 3) if kind in _COLOUR_KINDS else (header.height, header.width)
    if kind < _FIRST_BINARY:
        samples = _text_samples(header, kind, int(np.prod(shape)))
    elif kind == _FIRST_BINARY:
        rows = np.frombuffer(header.payload, np.uint8, offset=start)[: header.height * ((header.width + 7) // 8)]
        samples = np.unpackbits(rows.reshape(header.height, -1), axis=1)[:, : header.width]
    else:
        stored = np.dtype(np.uint8 if maxval <= _BYTE else ">u2")
        samples = np.frombuffer(header.payload, stored, count=int(np.prod(shape)), offset=start)
    pixels = samples.reshape(shape)
    if kind in _BIT_KINDS:
        return ((1 - pixels) * _BYTE).astype(np.uint8)  # in PBM a set bit is black
    return _full_range(pixels, maxval)


def write_netpbm(pixels: UInt8Image) -> bytes:
    """The pixels (H, W) or (H, W, 3) RGB as a binary PGM or PPM file."""
    height, width = pixels.shape[:2]
    kind = "P5" if pixels.ndim == 2 else "P6"
    return f"{kind}\n{width} {height}\n255\n".encode("ascii") + pixels.tobytes()


def _bytes_needed(kind: int, image_size: tuple[int, int], *, maxval: int) -> int:
    height, width = image_size
    if kind == _FIRST_BINARY:
        return height * ((width + 7) // 8)
    samples = height * width * (3 if kind in _COLOUR_KINDS else 1)
    return samples * (2 if kind > _FIRST_BINARY and maxval > _BYTE else 1)


def _text_samples(header: Header, kind: int, count: int) -> NDArray[Any]:
    text = _COMMENT.sub(b"", header.payload[header.layout[2] - 1 :])
    if kind == 1:  # digits may stand side by side
        digits = np.frombuffer(b"".join(text.split()), np.uint8)[:count] - ord("0")
        numbers = digits.astype(np.int64)
    else:
        try:
            numbers = np.array(text.split(maxsplit=count)[:count], dtype=np.bytes_).astype(np.int64)
        except ValueError as error:
            raise PhotoRefused("damaged PPM: samples must be numbers") from error
    if numbers.size < count:
        raise PhotoRefused("truncated PPM")
    if numbers.min(initial=0) < 0 or numbers.max(initial=0) > header.layout[1]:
        raise PhotoRefused(f"damaged PPM: samples must be 0 to {header.layout[1]}")
    return numbers


def _full_range(pixels: NDArray[Any], maxval: int) -> NDArray[Any]:
    whole, stored = (_BYTE, np.uint8) if maxval <= _BYTE else (_MAX_SAMPLE, np.uint16)
    if maxval == whole:
        return pixels.astype(stored)
    wide = np.minimum(pixels, np.asarray(maxval)).astype(np.uint32)
    scaled: NDArray[Any] = (wide * np.uint32(whole) + np.uint32(maxval // 2)) // np.uint32(maxval)
    return scaled.astype(stored)
