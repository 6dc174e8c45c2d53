"""The one image door: encoded bytes in, uint8 RGB out, or one short reason why not.

Content decides, never the file's name. Sizes and work are read from the header and checked against the limits
before pixels are allocated. EXIF orientation is applied once; multi-frame files give their first frame; colour
profiles are ignored; depth, alpha and grey follow the rules of `teliti.data.pixels`. Nothing else in the package
opens a picture. What cannot be seen here: damage inside the compressed data of a JPEG, which decoders repair silently.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from teliti.data.formats import bmp, gif, jpeg, netpbm, png, tiff, webp
from teliti.data.formats.header import Header
from teliti.data.limits import DEFAULT_LIMITS, DecodeLimits
from teliti.data.pixels import eight_bit_from, three_channels
from teliti.data.sniff import ALLOWED, ImageFormat, describe_content, sniff_format
from teliti.errors import PhotoRefused
from teliti.types import UInt8Image

__all__ = ["DEFAULT_LIMITS", "DecodeLimits", "decode_image", "decode_photo", "orient_image", "read_image_header"]

cv2.utils.logging.setLogLevel(0)  # what OpenCV has to say about a damaged file is in the refusal
if "OPENCV_FOR_THREADS_NUM" not in os.environ:
    cv2.setNumThreads(1)  # photos run side by side here: halves of one photo would wait for each other's core


class _Reader(Protocol):
    def read_header(self, data: bytes) -> Header: ...

    def read_pixels(self, header: Header) -> NDArray[Any]: ...


_READERS: dict[ImageFormat, _Reader] = {
    "jpeg": jpeg, "png": png, "bmp": bmp, "tiff": tiff, "webp": webp, "netpbm": netpbm, "gif": gif,
}  # fmt: skip
_TURNS: dict[int, Callable[[UInt8Image], UInt8Image]] = {
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: image.swapaxes(0, 1)[:, ::-1],
    7: lambda image: image.swapaxes(0, 1)[::-1, ::-1],
    8: lambda image: image.swapaxes(0, 1)[::-1],
}


def decode_image(data: bytes, *, limits: DecodeLimits = DEFAULT_LIMITS) -> UInt8Image:
    """Decode one photo.

    Args:
        data: The encoded file, whole.
        limits: What it may cost.

    Returns:
        (H, W, 3) uint8 RGB, contiguous, upright.

    Raises:
        PhotoRefused: empty, not an image, truncated, damaged, unsupported, or over a limit.
    """
    return three_channels(decode_photo(data, limits=limits))


def decode_photo(data: bytes, *, limits: DecodeLimits = DEFAULT_LIMITS) -> UInt8Image:
    """As `decode_image`, but a photo without colour channels stays in one: a third of the work for what follows.

    Returns:
        (H, W) uint8 grey or (H, W, 3) uint8 RGB, contiguous, upright.
    """
    name, header = read_image_header(data, limits=limits)
    pixels = _READERS[name].read_pixels(header)
    return orient_image(eight_bit_from(pixels), header.orientation)


def read_image_header(data: bytes, *, limits: DecodeLimits = DEFAULT_LIMITS) -> tuple[ImageFormat, Header]:
    """Format and header of one photo, checked against the limits; no pixels are decoded.

    Raises:
        PhotoRefused: as `decode_image`, as far as the header tells.
    """
    if not data:
        raise PhotoRefused("empty file")
    if len(data) > limits.max_bytes:
        raise PhotoRefused(f"{len(data) / 1e6:,.0f} MB is over the limit of {limits.max_bytes / 1e6:,.0f} MB")
    name = sniff_format(data)
    if name is None:
        raise PhotoRefused(f"not an image ({ALLOWED}): the content is {describe_content(data)}")
    header = _READERS[name].read_header(data)
    _check_cost(header, size=len(data), limits=limits)
    return name, header


def orient_image(image: UInt8Image, orientation: int) -> UInt8Image:
    """The upright image, (H, W) or (H, W, 3), for an EXIF orientation of 1 to 8. Source: Exif 3.0, tag 274."""
    turn = _TURNS.get(orientation)
    return image if turn is None else np.ascontiguousarray(turn(image))


def _check_cost(header: Header, *, size: int, limits: DecodeLimits) -> None:
    shown = f"{header.width} x {header.height} pixels"
    pixels = header.height * header.width
    if header.height < 1 or header.width < 1:
        raise PhotoRefused(f"damaged: {shown}")
    if pixels > limits.max_pixels:
        raise PhotoRefused(f"{shown} is over the limit of {limits.max_pixels / 1e6:g} megapixels")
    if pixels > max(limits.free_pixels, limits.max_pixels_per_byte * size):
        raise PhotoRefused(f"{shown} in {size:,} bytes: truncated, or a decompression bomb")
    if header.scans > limits.max_scans:
        raise PhotoRefused(f"{header.scans} scans are over the limit of {limits.max_scans}")
    if header.scans * pixels > limits.max_scan_pixels:
        raise PhotoRefused(f"{header.scans} scans of {shown} are over the limit of work for one photo")
