"""Contrast: CLAHE, histogram equalisation, gamma, and the evening out of uneven light.

On colour photos all but gamma work on the lightness, so that hues stay; grey photos are one plane, whether stored
as (H, W) or in three equal channels, and both give the same bits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np

from teliti.imaging.colour import shared_plane, to_grey
from teliti.types import FloatArray, UInt8Image

Flattening = Literal["divide", "subtract"]

MAX_GAIN = 8.0  # division brightens no pixel more than that: shadows near black hold noise, not signal
_FINE_SIGMA = 4.0  # pixels; a wider blur is computed on a shrunken photo, where it is this wide at least
_AREA_VARIANCE, _LINEAR_VARIANCE = 1 / 12, 1 / 6  # of a box and of a triangle one pixel wide

_kept = threading.local()


def apply_clahe(image: UInt8Image, *, clip_limit: float, tile_grid: tuple[int, int]) -> UInt8Image:
    """CLAHE on the lightness, colours kept (K. Zuiderveld, Graphics Gems IV, 1994).

    Args:
        image: (H, W, 3) uint8 RGB, or (H, W) uint8.
        clip_limit: Histogram bins are clipped at this multiple of the mean bin; above 0.
        tile_grid: (rows, columns) of tiles, each at least 1.

    Returns:
        uint8 of the same shape.
    """
    return _on_lightness(image, _clahe_of_this_thread(clip_limit, tile_grid).apply)


def equalize_histogram(image: UInt8Image) -> UInt8Image:
    """Spread the grey levels so that their cumulative histogram is a straight line (R. C. Gonzalez and R. E. Woods).

    Args:
        image: (H, W, 3) uint8 RGB, equalised on its lightness, or (H, W) uint8.

    Returns:
        uint8 of the same shape; a photo of a single level stays as it is.
    """
    return _on_lightness(image, cv2.equalizeHist)


def apply_gamma(image: UInt8Image, gamma: float) -> UInt8Image:
    """The power law out = 255 (in / 255)^gamma, on every channel.

    Args:
        image: (H, W, 3) or (H, W) uint8.
        gamma: Above 0; below 1 brightens the dark parts, above 1 darkens, 1 changes nothing.

    Returns:
        uint8 of the same shape; black stays black and white stays white.
    """
    return np.asarray(cv2.LUT(image, _gamma_table(gamma)), dtype=np.uint8)


def flatten_illumination(image: UInt8Image, *, method: Flattening, sigma: float) -> UInt8Image:
    """Take uneven light out of a photo: its own wide blur is the light, its mean the level that is kept.

    The same for bright parts on dark ground and dark parts on bright: the result lies around the mean light, so
    neither side is cut off (unlike top-hat and black-hat, which keep one). Colour photos get one correction per
    pixel, from their luma, on all channels.

    Args:
        image: (H, W, 3) uint8 RGB, or (H, W) uint8.
        method: divide, for light that falls unevenly (out = in / light * mean light, gain at most `MAX_GAIN`);
            subtract, for haze and offsets (out = in - light + mean light).
        sigma: Standard deviation of the blur as a fraction of the short side; above the size of what to keep.

    Returns:
        uint8 of the same shape.
    """
    light = blur_widely(to_grey(image), sigma=sigma * min(image.shape[:2]))
    level = float(light.mean(dtype=np.float64))
    if method == "divide":
        gain = level / np.maximum(light, max(level / MAX_GAIN, 1.0))
        flat = cv2.multiply(image, _for_each_channel(gain, image), dtype=cv2.CV_8U)
    else:
        lift = level - light
        flat = cv2.add(image, _for_each_channel(lift, image), dtype=cv2.CV_8U)
    return np.asarray(flat, dtype=np.uint8)


def blur_widely(image: UInt8Image, *, sigma: float) -> FloatArray:
    """A Gaussian blur whose cost does not grow with its width: wide ones are made on a shrunken photo.

    Args:
        image: (H, W) uint8.
        sigma: Standard deviation in pixels, above 0; beyond the border the photo goes on mirrored.

    Returns:
        (H, W) float32 in [0, 255], within about one level of the exact blur.
    """
    height, width = image.shape
    factor = min(int(sigma / _FINE_SIGMA), height, width)
    if factor < 2:
        return _gaussian(image.astype(np.float32), (sigma, sigma))
    small_wh = (-(-width // factor), -(-height // factor))
    small = cv2.resize(image, small_wh, interpolation=cv2.INTER_AREA).astype(np.float32)
    shrink_yx = (height / small_wh[1], width / small_wh[0])
    blurred = _gaussian(small, (_rest_of_blur(sigma, shrink_yx[0]), _rest_of_blur(sigma, shrink_yx[1])))
    return np.asarray(cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _for_each_channel(plane: FloatArray, image: UInt8Image) -> cv2.typing.MatLike:
    return plane if image.ndim == 2 else cv2.merge([plane] * image.shape[2])


def _rest_of_blur(sigma: float, shrink: float) -> float:
    """What is left to blur, in small pixels, after averaging areas and before interpolating, which both blur."""
    return float(np.sqrt((sigma / shrink) ** 2 - _AREA_VARIANCE - _LINEAR_VARIANCE))


def _gaussian(plane: FloatArray, sigma_yx: tuple[float, float]) -> FloatArray:
    blurred = cv2.GaussianBlur(plane, (0, 0), sigma_yx[1], sigmaY=sigma_yx[0], borderType=cv2.BORDER_REFLECT)
    return np.asarray(blurred, dtype=np.float32)


def _on_lightness(image: UInt8Image, change: Callable[[UInt8Image], cv2.typing.MatLike]) -> UInt8Image:
    if image.ndim == 2:
        return np.asarray(change(image), dtype=np.uint8)
    plane = shared_plane(image)
    if plane is not None:
        changed = change(plane)
        return np.asarray(cv2.merge([changed, changed, changed]), dtype=np.uint8)
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    lightness = np.asarray(cv2.extractChannel(lab, 0), dtype=np.uint8)
    return np.asarray(cv2.cvtColor(cv2.insertChannel(change(lightness), lab, 0), cv2.COLOR_LAB2RGB), dtype=np.uint8)


def _clahe_of_this_thread(clip_limit: float, tile_grid: tuple[int, int]) -> cv2.CLAHE:
    """Kept between photos, because a fresh one allocates its tables anew; per thread, because it works in them."""
    kept: dict[tuple[float, tuple[int, int]], cv2.CLAHE] = _kept.__dict__.setdefault("clahe", {})
    key = (clip_limit, tile_grid)
    if key not in kept:
        if len(kept) >= 16:  # settings being tried one after the other must not pile up
            kept.clear()
        kept[key] = cv2.createCLAHE(clipLimit=clip_limit, tileGridSize=(tile_grid[1], tile_grid[0]))
    return kept[key]


@lru_cache(maxsize=64)
def _gamma_table(gamma: float) -> UInt8Image:
    table = np.rint(255.0 * (np.arange(256) / 255.0) ** gamma).astype(np.uint8)
    table.flags.writeable = False
    return table
