"""Pixels of any depth and channel count to uint8, grey or RGB, by stated rules, row strip by row strip.

| stored | becomes |
|---|---|
| 8 bit | itself |
| 16 bit | `round(v * 255 / 65535)`: the full range of the type, also for cameras that fill 10 or 12 bits of it |
| float, all finite values in [0, 1] | `round(v * 255)` |
| other float, 32-bit integers | the photo's own lowest to highest value stretched over 0 to 255 |
| NaN, infinity | NaN and minus infinity are 0, plus infinity 255 |
| grey | itself, in one channel; the same value three times where RGB is asked for |
| alpha | composed over white: a transparent pixel's hidden colour is not part of the photo |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from teliti.errors import PhotoRefused
from teliti.types import UInt8Image

_STRIP_PIXELS = 1 << 20
_TWO, _RGB, _RGBA = 2, 3, 4


def eight_bit_from(pixels: NDArray[Any]) -> UInt8Image:
    """The rules above.

    Args:
        pixels: (H, W), (H, W, 1 to 4), uint8, uint16, int32 or float; two channels are grey and alpha.

    Returns:
        (H, W) uint8 grey where the photo has no colour channels, else (H, W, 3) uint8 RGB; contiguous.

    Raises:
        PhotoRefused: a type or a channel count without a rule, or no finite value at all.
    """
    bytes_ = pixels if pixels.dtype == np.uint8 else _eight_bits(pixels)
    channels = bytes_.shape[2] if bytes_.ndim > _TWO else 1
    if channels in (_TWO, _RGBA):
        bytes_, channels = _over_white(bytes_), channels - 1
    if channels == 1:
        return np.ascontiguousarray(bytes_.reshape(bytes_.shape[:2]))
    if channels == _RGB:
        return np.ascontiguousarray(bytes_)
    raise PhotoRefused(f"{channels} channels are not supported")


def three_channels(image: UInt8Image) -> UInt8Image:
    """(H, W, 3) uint8 from (H, W) grey, the same value three times; a colour photo as it is."""
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2RGB), dtype=np.uint8) if image.ndim == _TWO else image


def _eight_bits(pixels: NDArray[Any]) -> UInt8Image:
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype == np.uint16:
        return _by_strips(pixels, lambda strip: (strip.astype(np.uint32) + 128) // 257)  # 65535 / 255 = 257
    if pixels.dtype.kind in "if":
        with np.errstate(all="ignore"):  # damaged floats hold signalling NaNs and overflow; the result is clipped
            low, high = _usual_range(pixels)
            return _by_strips(pixels, lambda strip: _stretch(strip, low, high))
    raise PhotoRefused(f"samples of type {pixels.dtype} are not supported")


def _usual_range(pixels: NDArray[Any]) -> tuple[float, float]:
    """0 and 1 when all finite values lie between them, else the lowest and the highest finite value."""
    low, high = np.inf, -np.inf
    for rows in _strips(pixels):
        strip = pixels[rows].astype(np.float64)
        finite = strip[np.isfinite(strip)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    if low > high:
        raise PhotoRefused("no finite pixel value")
    is_unit = pixels.dtype.kind == "f" and low >= 0.0 and high <= 1.0
    return (0.0, 1.0) if is_unit else (low, high)


def _stretch(strip: NDArray[Any], low: float, high: float) -> NDArray[Any]:
    half_span = high / 2 - low / 2  # halves, because the span of two large floats overflows
    values = np.nan_to_num(strip.astype(np.float64), nan=low, posinf=high, neginf=low)
    scaled = (values / 2 - low / 2) / half_span if half_span > 0 else np.zeros_like(values)
    return np.clip(np.floor(scaled * 255 + 0.5), 0, 255)


def _over_white(pixels: UInt8Image) -> UInt8Image:
    composed = np.empty((*pixels.shape[:2], pixels.shape[2] - 1), np.uint8)
    for rows in _strips(pixels):
        strip = pixels[rows].astype(np.uint16)
        alpha = strip[..., -1:]
        composed[rows] = (strip[..., :-1] * alpha + 255 * (255 - alpha) + 127) // 255
    return composed


def _by_strips(pixels: NDArray[Any], convert: Callable[[NDArray[Any]], NDArray[Any]]) -> UInt8Image:
    converted = np.empty(pixels.shape, np.uint8)
    for rows in _strips(pixels):
        converted[rows] = convert(pixels[rows])
    return converted


def _strips(pixels: NDArray[Any]) -> Iterator[slice]:
    step = max(1, _STRIP_PIXELS // max(1, pixels.shape[1]))
    return (slice(start, start + step) for start in range(0, pixels.shape[0], step))
