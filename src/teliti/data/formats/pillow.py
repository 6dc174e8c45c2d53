"""Pillow's decoders for GIF, TIFF, WebP, BMP and CMYK JPEG: first frame, one plugin each, quiet.

The plugin classes are called directly, so content on the allow-list can reach no other plugin. Pillow's warnings
about damaged metadata are ignored in this process: what matters in them becomes a refusal.
"""

from __future__ import annotations

import io
import logging
import struct
import warnings
import zlib
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import BmpImagePlugin, GifImagePlugin, Image, JpegImagePlugin, TiffImagePlugin, WebPImagePlugin

from teliti.errors import PhotoRefused

PillowFormat = Literal["jpeg", "bmp", "tiff", "webp", "gif"]

_PLUGINS: dict[PillowFormat, Callable[[io.BytesIO], Image.Image]] = {
    "jpeg": JpegImagePlugin.JpegImageFile,
    "bmp": BmpImagePlugin.BmpImageFile,
    "tiff": TiffImagePlugin.TiffImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
    "gif": GifImagePlugin.GifImageFile,
}
NAMES = {"jpeg": "JPEG", "bmp": "BMP", "tiff": "TIFF", "webp": "WebP", "gif": "GIF"}
_ERRORS = (
    OSError, SyntaxError, ValueError, LookupError, TypeError, ArithmeticError, RuntimeError, AttributeError,
    EOFError, AssertionError, MemoryError, struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip
_ALPHA_MODES = {"LA", "PA", "La", "RGBA", "RGBa"}
_PLAIN_MODES = {"L", "RGB", "RGBA", "I", "F"}
logging.getLogger("PIL").addHandler(logging.NullHandler())


def open_lazily(kind: PillowFormat, data: bytes) -> Image.Image:
    """The photo with its header read and no pixels decoded (WebP: its canvas is allocated).

    Raises:
        PhotoRefused: Pillow cannot read the header.
    """
    _ignore_warnings()
    try:
        return _PLUGINS[kind](io.BytesIO(data))
    except _ERRORS as error:
        raise PhotoRefused(_reason(kind, error)) from error


def read_array(kind: PillowFormat, data: bytes) -> NDArray[Any]:
    """Pixels of the first frame: (H, W) or RGB or RGBA; uint8, uint16, int32 or float32.

    TIFF comes with its orientation applied (Pillow does it while loading), the others without.

    Raises:
        PhotoRefused: damaged, cut short, or of a colour mode without a rule.
    """
    image = open_lazily(kind, data)
    try:
        image.load()
        return _array_of(image)
    except _ERRORS as error:
        raise PhotoRefused(_reason(kind, error)) from error


def _array_of(image: Image.Image) -> NDArray[Any]:
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
        return np.asarray(image.convert("RGBA"))
    if image.mode == "1":
        return np.asarray(image.convert("L"))
    return np.asarray(image if image.mode in _PLAIN_MODES else image.convert("RGB"))


def _ignore_warnings() -> None:
    # Not catch_warnings: it swaps process-wide state and is not safe with several decoding threads.
    warnings.filterwarnings("ignore", module=r"PIL\.")


def _reason(kind: PillowFormat, error: BaseException) -> str:
    text = str(error).lower()
    state = "truncated" if "truncated" in text or "unexpected end" in text else "damaged or unsupported"
    return f"{state} {NAMES[kind]}"
