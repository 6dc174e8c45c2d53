"""Applying drawn parameters to one photo: affine, channel shift, flips, brightness, in this order.

`apply_parameters` moves pixels by one warp about the photo's centre. `apply_like_keras` follows Keras 3.15 to
its numbers: SciPy's affine transform, whose rows and columns of shift are exchanged and whose centre is that of the
transposed photo, and Pillow's brightness, which passes through 8 bits.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ImageEnhance

from teliti.errors import UserError
from teliti.imaging import geometry
from teliti.registry import closest
from teliti.runtime import require
from teliti.transforms.generator import FillMode, GeneratorSettings
from teliti.transforms.generator_draw import Parameters
from teliti.transforms.generator_pictures import array_from, picture_from, stretch

_BORDERS: dict[FillMode, int] = {
    "nearest": cv2.BORDER_REPLICATE,
    "constant": cv2.BORDER_CONSTANT,
    "grid-constant": cv2.BORDER_CONSTANT,
    "reflect": cv2.BORDER_REFLECT,
    "grid-mirror": cv2.BORDER_REFLECT,
    "mirror": cv2.BORDER_REFLECT_101,
    "wrap": cv2.BORDER_WRAP,
    "grid-wrap": cv2.BORDER_WRAP,
}
_HOUSE_FILLS: dict[FillMode, geometry.Fill] = {
    "nearest": "nearest",
    "constant": "constant",
    "reflect": "reflect",
    "wrap": "wrap",
}
_KERNELS = {0: cv2.INTER_NEAREST, 1: cv2.INTER_LINEAR, 3: cv2.INTER_CUBIC}
_OPENCV_CHANNELS = 4
_OPENCV_DTYPES = (np.uint8, np.float32, np.float64)


def apply_parameters(settings: GeneratorSettings, image: NDArray[Any], parameters: Parameters) -> NDArray[Any]:
    """Change one photo; the given array stays as it is.

    Args:
        settings: Fill mode and value, interpolation, layout.
        image: (H, W, C), or (C, H, W) with channels first; uint8, or float of any range.
        parameters: What to do; absent keys change nothing.

    Returns:
        An array of the same shape; uint8 stays uint8, other types become float32 (float64 stays).

    Raises:
        UserError: not one photo, or a parameter that does not exist.
    """
    _check(image, parameters)
    pixels = _channels_last(settings, image)
    pixels = pixels if pixels.dtype in _OPENCV_DTYPES else pixels.astype(np.float32)
    matrix = placing_matrix(parameters, pixels.shape[:2])
    if not np.array_equal(matrix, np.eye(3)):
        pixels = _warp(pixels, matrix, settings)
    shift, brightness = parameters.get("channel_shift_intensity"), parameters.get("brightness")
    if shift is not None:
        pixels = _rounded(_shift_channels(pixels, shift), pixels.dtype)
    pixels = _flip(pixels, parameters)
    if brightness is not None:
        pixels = _brighten(pixels, brightness).astype(pixels.dtype, copy=False)
    return np.ascontiguousarray(_as_given(settings, pixels))


def placing_matrix(parameters: Parameters, size: tuple[int, ...]) -> NDArray[np.float64]:
    """(3, 3) from places (x, y, 1) of the result to places of the photo: rotation, shift, shear and zoom.

    Args:
        parameters: Flips, channel shift and brightness play no part.
        size: (height, width) in pixels.
    """
    shift = (parameters.get("ty", 0.0), parameters.get("tx", 0.0))  # x first
    return _about_centre(_linear_part(parameters, shift), (size[1], size[0]))


def apply_like_keras(settings: GeneratorSettings, image: NDArray[Any], parameters: Parameters) -> NDArray[Any]:
    """Change one photo exactly as Keras does; arguments and shapes as for `apply_parameters`.

    Raises:
        UserError: not one photo, or a parameter that does not exist.
        MissingExtraError: SciPy is not installed.
    """
    _check(image, parameters)
    pixels = _channels_last(settings, image)
    shift, brightness = parameters.get("channel_shift_intensity"), parameters.get("brightness")
    pixels = _warp_like_keras(pixels, parameters, settings)
    if shift is not None:
        pixels = _shift_channels(pixels, shift)
    pixels = _flip(pixels, parameters)
    if brightness is not None:
        pixels = _brighten_by_pillow(pixels, brightness)
    return _as_given(settings, pixels)


def _check(image: NDArray[Any], parameters: Parameters) -> None:
    if image.ndim != 3:
        raise UserError(
            f"A photo must be an array of rank 3, got shape {image.shape}.", hint="Give one photo with its channels."
        )
    for name in parameters:
        if name not in Parameters.__annotations__:
            near = closest(name, Parameters.__annotations__)
            raise UserError(
                f"A transform parameter must be one of {', '.join(Parameters.__annotations__)}, got {name!r}.",
                hint=f'Did you mean "{near}"?' if near else "Choose one of them.",
            )


def _channels_last(settings: GeneratorSettings, image: NDArray[Any]) -> NDArray[Any]:
    return image if settings.data_format == "channels_last" else image.transpose(1, 2, 0)


def _as_given(settings: GeneratorSettings, image: NDArray[Any]) -> NDArray[Any]:
    return image if settings.data_format == "channels_last" else image.transpose(2, 0, 1)


def _linear_part(parameters: Parameters, shift: tuple[float, float]) -> NDArray[np.float64]:
    """(3, 3) rotation x shift x shear x zoom about the origin; the first row is that of `zx` and `shift[0]`."""
    theta, shear = np.deg2rad(parameters.get("theta", 0.0)), np.deg2rad(parameters.get("shear", 0.0))
    rotation = np.array([[np.cos(theta), -np.sin(theta), 0.0], [np.sin(theta), np.cos(theta), 0.0], [0.0, 0.0, 1.0]])
    shearing = np.array([[1.0, -np.sin(shear), 0.0], [0.0, np.cos(shear), 0.0], [0.0, 0.0, 1.0]])
    zoom = np.diag([parameters.get("zx", 1.0), parameters.get("zy", 1.0), 1.0])
    return np.asarray(rotation @ _shifting(shift) @ shearing @ zoom)


def _shifting(shift: tuple[float, float]) -> NDArray[np.float64]:
    return np.array([[1.0, 0.0, shift[0]], [0.0, 1.0, shift[1]], [0.0, 0.0, 1.0]])


def _about_centre(matrix: NDArray[np.float64], lengths: tuple[int, int]) -> NDArray[np.float64]:
    centre = (lengths[0] / 2 - 0.5, lengths[1] / 2 - 0.5)
    return _shifting(centre) @ matrix @ _shifting((-centre[0], -centre[1]))


def _warp(pixels: NDArray[Any], matrix: NDArray[np.float64], settings: GeneratorSettings) -> NDArray[Any]:
    """One warp for all channels: the house's for its photos, else OpenCV's, four channels at a time."""
    height, width, channels = pixels.shape
    fill = settings.fill_mode
    if pixels.dtype == np.uint8 and channels in (1, 3) and settings.interpolation_order == 1 and fill in _HOUSE_FILLS:
        a, b, c, d, e, f = matrix[:2].ravel().tolist()
        to_result = geometry.invert((a, b, c, d, e, f))
        plain = pixels[:, :, 0] if channels == 1 else pixels
        moved = geometry.warp(plain, to_result, fill=_HOUSE_FILLS[fill], value=(settings.cval,) * 3)
        return moved.reshape(height, width, channels)
    warped = [
        cv2.warpAffine(
            np.ascontiguousarray(pixels[:, :, first : first + _OPENCV_CHANNELS]),
            matrix[:2],
            (width, height),
            flags=_KERNELS[settings.interpolation_order] | cv2.WARP_INVERSE_MAP,
            borderMode=_BORDERS[settings.fill_mode],
            borderValue=(settings.cval,) * _OPENCV_CHANNELS,
        ).reshape(height, width, -1)
        for first in range(0, channels, _OPENCV_CHANNELS)
    ]
    return np.concatenate(warped, axis=2) if len(warped) > 1 else warped[0]


def _warp_like_keras(pixels: NDArray[Any], parameters: Parameters, settings: GeneratorSettings) -> NDArray[Any]:
    """Keras builds the matrix for (row, column), then exchanges rows and columns; its numbers depend on that."""
    shift = (parameters.get("tx", 0.0), parameters.get("ty", 0.0))
    linear = _linear_part(parameters, shift)
    if np.array_equal(linear, np.eye(3)):
        return pixels
    matrix = _about_centre(linear, (pixels.shape[0], pixels.shape[1]))[[1, 0, 2]][:, [1, 0, 2]]
    ndimage = require("scipy.ndimage", extra="train", purpose="move pixels exactly as Keras does")
    channels = [
        ndimage.affine_transform(
            pixels[:, :, channel],
            matrix[:2, :2],
            matrix[:2, 2],
            order=settings.interpolation_order,
            mode=settings.fill_mode,
            cval=settings.cval,
        )
        for channel in range(pixels.shape[2])
    ]
    return np.stack(channels, axis=2)


def _shift_channels(pixels: NDArray[Any], shift: Any) -> NDArray[Any]:
    """Add one amount, or one for each channel; the photo's own lowest and highest value stay the bounds."""
    lowest, highest = np.min(pixels), np.max(pixels)
    amount = shift if np.ndim(shift) == 0 else np.asarray(shift, dtype=np.float32)
    if np.size(amount) not in (1, pixels.shape[2]):
        raise UserError(
            f"channel_shift_intensity must be one number or {pixels.shape[2]}, got {np.size(amount)}.",
            hint="Give one amount for each channel.",
        )
    return np.asarray(np.clip(pixels + amount, lowest, highest))


def _flip(pixels: NDArray[Any], parameters: Parameters) -> NDArray[Any]:
    if parameters.get("flip_horizontal", False):
        pixels = pixels[:, ::-1]
    return pixels[::-1] if parameters.get("flip_vertical", False) else pixels


def _brighten(pixels: NDArray[Any], factor: float) -> NDArray[Any]:
    """Times the factor, between black and white; an alpha channel stays as it is.

    White is 1 for a photo in [0, 1] and 255 for one in [0, 255]; other photos lie between their own extremes.
    """
    if pixels.dtype == np.uint8:
        table = _rounded(np.clip(np.arange(256) * factor, 0.0, 255.0), pixels.dtype)
        lit = np.asarray(cv2.LUT(pixels, table)).reshape(pixels.shape)  # OpenCV drops the axis of a single channel
    else:
        lit = _brighten_floats(pixels, factor)
    if pixels.shape[2] == 4:
        lit[:, :, 3] = pixels[:, :, 3]
    return lit


def _brighten_floats(pixels: NDArray[Any], factor: float) -> NDArray[Any]:
    lowest, highest = float(pixels.min()), float(pixels.max())
    black, white = (0.0, 255.0) if lowest >= 0.0 and highest <= 255.0 else (lowest, highest)
    if lowest >= 0.0 and highest <= 1.0:
        white = 1.0
    return np.asarray(np.clip((pixels - np.float32(black)) * np.float32(factor) + np.float32(black), black, white))


def _rounded(pixels: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    return np.rint(pixels).astype(dtype) if np.issubdtype(dtype, np.integer) else pixels.astype(dtype)


def _brighten_by_pillow(pixels: NDArray[Any], factor: float) -> NDArray[Any]:
    """(H, W, C) float32: a photo outside [0, 255] is stretched over it and back; decimals are lost."""
    lowest, highest = np.min(pixels), np.max(pixels)
    is_outside = bool(lowest < 0 or highest > 255)
    picture = picture_from(stretch(pixels) if is_outside else pixels.astype(np.float32))
    lit = array_from(ImageEnhance.Brightness(picture).enhance(factor))
    return np.asarray(lit / 255 * (highest - lowest) + lowest) if is_outside else lit
