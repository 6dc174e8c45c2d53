"""Arrays and Pillow pictures: the two ways of Keras, and the preview that shows a photo as it is.

Keras stretches what it saves to the full range and cuts decimals off; brightness passes through the same door
without the stretch. The names of the resize filters are Pillow's.
"""

from __future__ import annotations

import io
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from teliti.errors import UserError
from teliti.types import FloatArray, UInt8Image

Interpolation = Literal["nearest", "bilinear", "bicubic", "hamming", "box", "lanczos"]
ColorMode = Literal["rgb", "rgba", "grayscale"]
CHANNELS: dict[ColorMode, int] = {"rgb": 3, "rgba": 4, "grayscale": 1}

_FILTERS: dict[str, Image.Resampling] = {name: Image.Resampling[name.upper()] for name in get_args(Interpolation)}
_GREY_MODES = ("L", "I;16", "I")


def picture_from(image: NDArray[Any]) -> Image.Image:
    """The picture of an array whose values are cut to 8 bits, decimals dropped.

    Args:
        image: (H, W, C), C of 1, 3 or 4, in [0, 255].

    Raises:
        UserError: another number of channels.
    """
    pixels = image.astype(np.uint8)
    if pixels.ndim != 3 or pixels.shape[2] not in CHANNELS.values():
        raise UserError(
            f"A picture must have 1, 3 or 4 channels, got an array of shape {image.shape}.",
            hint="Leave brightness_range and save_to_dir out for such arrays.",
        )
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def stretch(image: NDArray[Any]) -> FloatArray:
    """(H, W, C) to the same in float32, its lowest value to 0 and its highest to 255."""
    stretched: FloatArray = image.astype(np.float32)
    stretched = stretched - np.min(stretched)
    highest = np.max(stretched)
    if highest != 0:
        stretched /= highest
    stretched *= 255
    return stretched


def array_from(picture: Image.Image) -> FloatArray:
    """(H, W, C) float32 in [0, 255]; a grey picture has one channel."""
    pixels = np.asarray(picture, dtype=np.float32)
    return pixels if pixels.ndim == 3 else pixels[:, :, None]


def true_pixels(image: NDArray[Any]) -> UInt8Image:
    """What a preview shows: (H, W, C) uint8, brightness as it is.

    Bytes stay as they are; a photo in [0, 1] is taken times 255; others are rounded and clipped to [0, 255].
    """
    if image.dtype == np.uint8:
        return image
    scale = 255.0 if np.issubdtype(image.dtype, np.floating) and image.min() >= 0.0 and image.max() <= 1.0 else 1.0
    return np.clip(np.rint(image * scale), 0, 255).astype(np.uint8)


def encode_picture(picture: Image.Image, file_format: str) -> bytes:
    """The picture as a file.

    Raises:
        UserError: a format that Pillow cannot write, or that cannot hold this picture.
    """
    file = io.BytesIO()
    name = "jpeg" if file_format.lower() == "jpg" else file_format
    try:
        picture.save(file, format=name)
    except (KeyError, OSError, ValueError) as error:
        raise UserError(
            f'save_format must be a format that can hold a {picture.mode} picture, got "{file_format}".',
            hint='Use "png".',
        ) from error
    return file.getvalue()


def open_like_keras(data: bytes, *, pillow_format: str, color_mode: ColorMode) -> Image.Image:
    """The photo as Keras reads it: Pillow's conversion, no turn by the camera's orientation.

    Args:
        data: The encoded file.
        pillow_format: The one format that Pillow may read it as.
        color_mode: What it is converted to; grey photos of 16 or 32 bits keep their values.

    Raises:
        OSError: damaged.
    """
    picture: Image.Image = Image.open(io.BytesIO(data), formats=[pillow_format])
    if color_mode == "grayscale":
        return picture.copy() if picture.mode in _GREY_MODES else picture.convert("L")
    wanted = color_mode.upper()
    return picture.copy() if picture.mode == wanted else picture.convert(wanted)


def resize_picture(
    picture: Image.Image, size: tuple[int, int], *, interpolation: Interpolation, keep_aspect_ratio: bool
) -> Image.Image:
    """Resize by one of Pillow's filters.

    Args:
        picture: Any.
        size: (height, width) in pixels.
        interpolation: The filter.
        keep_aspect_ratio: Take the largest central part of that aspect ratio first.
    """
    height, width = size
    if picture.size == (width, height):
        return picture
    box = None
    if keep_aspect_ratio:
        inner_height = min(picture.height, picture.width * height // width)
        inner_width = min(picture.width, picture.height * width // height)
        top, left = (picture.height - inner_height) // 2, (picture.width - inner_width) // 2
        box = (left, top, left + inner_width, top + inner_height)
    return picture.resize((width, height), _FILTERS[interpolation], box=box)
