"""Augmentations of grey levels and colours: brightness, contrast, channel shift, colour jitter.

The first three are look-up tables, which the chain composes into one. Grey levels are 0..255.
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

import cv2
import numpy as np

from teliti.transforms.operations import (
    OPERATIONS,
    IntensityOperation,
    PixelOperation,
    Range,
    Units,
    Values,
    around,
    between,
)
from teliti.types import FloatArray, UInt8Image

_RAMP = np.arange(256, dtype=np.uint8).reshape(1, 256)
_MIDDLE = 127.5
_GRID = 1024.0
_LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
_YUV = np.array([_LUMINANCE, 0.492 * (np.eye(3)[2] - _LUMINANCE), 0.877 * (np.eye(3)[0] - _LUMINANCE)])  # BT.470
_RGB_OF_YUV = np.linalg.inv(_YUV)


@OPERATIONS.register("brightness")
class Brightness(IntensityOperation):
    """Multiply every grey level, as more or less light would.

    Attributes:
        factor: Within 0 to 10; a number b means 1 - b to 1 + b.
    """

    step: Literal["brightness"] = "brightness"
    factor: Annotated[Range, around(1.0, lowest=0.0, highest=10.0)] = (0.8, 1.2)

    def draw(self, units: Units) -> Values:
        return {"factor": between(self.factor, units[0])}

    def table(self, values: Values) -> UInt8Image:
        return np.asarray(cv2.convertScaleAbs(_RAMP, alpha=values["factor"])[0], dtype=np.uint8)

    def gain(self, values: Values) -> float:
        return float(values["factor"])

    def words(self, values: Values) -> str:
        return f"brightness times {values['factor']:.2f}"


@OPERATIONS.register("contrast")
class Contrast(IntensityOperation):
    """Spread grey levels away from the middle of their range, or draw them towards it.

    Attributes:
        factor: Within 0 to 10; a number c means 1 - c to 1 + c.
    """

    step: Literal["contrast"] = "contrast"
    factor: Annotated[Range, around(1.0, lowest=0.0, highest=10.0)] = (0.8, 1.2)

    def draw(self, units: Units) -> Values:
        return {"factor": between(self.factor, units[0])}

    def table(self, values: Values) -> UInt8Image:
        return _saturate((_RAMP[0] - _MIDDLE) * values["factor"] + _MIDDLE)

    def words(self, values: Values) -> str:
        return f"contrast times {values['factor']:.2f}"


@OPERATIONS.register("channel_shift")
class ChannelShift(IntensityOperation):
    """Add an amount to each channel: a tint, as another lamp would give.

    Attributes:
        amount: Grey levels within -255 to 255: so many to either side, or (lowest, highest).
        per_channel: Draw one amount for each of R, G and B; false adds one amount to all. An (H, W) grey photo takes
            the first.
    """

    units: ClassVar[int] = 3

    step: Literal["channel_shift"] = "channel_shift"
    amount: Annotated[Range, around(0.0, lowest=-255.0, highest=255.0)] = (-20.0, 20.0)
    per_channel: bool = True

    def draw(self, units: Units) -> Values:
        return {"amounts": [between(self.amount, unit) for unit in (units if self.per_channel else units[:1])]}

    def table(self, values: Values) -> UInt8Image:
        shifted = _saturate(_RAMP[0][:, None] + np.array(values["amounts"]))
        return shifted if self.per_channel else shifted[:, 0]

    def words(self, values: Values) -> str:
        amounts = ", ".join(f"{amount:+.0f}" for amount in values["amounts"])
        return f"channels shifted by {amounts} grey levels"


@OPERATIONS.register("colour_jitter")
class ColourJitter(PixelOperation):
    """Stronger or weaker colours, and other hues; luminance stays. Grey photos stay as they are.

    Saturation moves each colour from or towards its grey; hue turns the colour plane of YUV (P. Haeberli, Matrix
    Operations for Image Processing, 1993). Both are one 3x3 matrix on the pixels.

    Attributes:
        saturation: Factor within 0 (grey) to 10; a number s means 1 - s to 1 + s.
        hue: Degrees within -180 to 180: so many to either side, or (lowest, highest).
    """

    units: ClassVar[int] = 2

    step: Literal["colour_jitter"] = "colour_jitter"
    saturation: Annotated[Range, around(1.0, lowest=0.0, highest=10.0)] = (0.8, 1.2)
    hue: Annotated[Range, around(0.0, lowest=-180.0, highest=180.0)] = (-10.0, 10.0)

    def draw(self, units: Units) -> Values:
        return {"saturation": between(self.saturation, units[0]), "hue": between(self.hue, units[1])}

    def apply(self, image: UInt8Image, values: Values) -> UInt8Image:
        if image.ndim == 2 or (values["saturation"] == 1.0 and values["hue"] == 0.0):
            return image
        return np.asarray(cv2.transform(image, colour_matrix(values["saturation"], values["hue"])), dtype=np.uint8)

    def words(self, values: Values) -> str:
        return f"saturation times {values['saturation']:.2f}, hue turned by {values['hue']:.1f} degrees"


def colour_matrix(saturation: float, hue: float) -> FloatArray:
    """The (3, 3) float64 matrix on RGB columns; its rows sum to 1 to the last bit, so that greys stay.

    Entries are multiples of 1/1024, the grid on which OpenCV multiplies 8-bit pixels.

    Args:
        saturation: Factor, 1 keeps it.
        hue: Degrees, 0 keeps it.
    """
    sine, cosine = math.sin(math.radians(hue)), math.cos(math.radians(hue))
    turn = np.array([[1.0, 0.0, 0.0], [0.0, cosine, -sine], [0.0, sine, cosine]])
    saturate = saturation * np.eye(3) + (1.0 - saturation) * _LUMINANCE
    matrix = np.rint(saturate @ _RGB_OF_YUV @ turn @ _YUV * _GRID) / _GRID
    return np.asarray(matrix + np.diag(1.0 - matrix.sum(axis=1)))


def _saturate(levels: FloatArray) -> UInt8Image:
    return np.rint(np.clip(levels, 0.0, 255.0)).astype(np.uint8)
