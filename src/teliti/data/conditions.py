"""Under which conditions a photo was taken, in four numbers that any photo has and no label is needed for.

Cheap enough for every photo of a line: a few hundredths of what the network takes. Measured on the decoded photo,
before any prepare step, at 256 to 512 pixels; what counts as usual stands in `metrics.envelope`.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import cv2
import numpy as np

from teliti.data.health import blur_by_direction
from teliti.data.looking import Look
from teliti.imaging.segmentation import segment_otsu
from teliti.types import UInt8Image

SPACE = "conditions-1"
_ABOUT = "photo conditions: light, blur, size, scale"
_ROW = struct.Struct("<4d")
_SIDE = 256
_ROWS = 4  # of a block that becomes one pixel; between them rows of a large photo are passed over
_EVERY = 4  # lines: enough for the mean of differences
_ROUNDING = 1  # grey levels: steps that a plain surface has from rounding alone, however blurred
_PART_SIDE = 64


@dataclass(frozen=True, slots=True)
class Conditions:
    """How a photo was taken.

    Attributes:
        light: Mean grey level, 0 to 255.
        blur: 0 sharp or noisy, to 1 without any fine detail: the mean of `health.blur_by_direction`, since the larger
            of the two would say nothing of brushed metal.
        size: Pixels of the longer side.
        scale: How large the part is in the photo: the square root of the share of the photo that Otsu's threshold
            takes for part, 0 to 1. It means something where the photos of a set agree on it.
    """

    light: float
    blur: float
    size: float
    scale: float

    def to_record(self) -> dict[str, float]:
        """By name."""
        return {"light": self.light, "blur": self.blur, "size": self.size, "scale": self.scale}

    def to_row(self) -> bytes:
        """What the cache keeps."""
        return _ROW.pack(self.light, self.blur, self.size, self.scale)

    @classmethod
    def from_row(cls, row: bytes) -> Conditions:
        """Inverse of `to_row`."""
        return cls(*_ROW.unpack(row))


def measure_conditions(image: UInt8Image) -> Conditions:
    """The conditions of a decoded photo.

    Args:
        image: (H, W) grey or (H, W, 3) RGB uint8, upright.
    """
    grey = _small_grey(image)
    blurs = blur_by_direction(grey, every=_EVERY, least=_ROUNDING)
    small = grey if max(grey.shape) <= _PART_SIDE else cv2.resize(grey, (_PART_SIDE, _PART_SIDE))
    part = cv2.countNonZero(segment_otsu(np.asarray(small, dtype=np.uint8))) / small.size
    return Conditions(
        light=float(cv2.mean(grey)[0]),
        blur=sum(blurs) / len(blurs) if blurs else 1.0,
        size=float(max(image.shape[:2])),
        scale=math.sqrt(part),
    )


def condition_look() -> Look:
    """How the conditions of a photo are measured and kept."""

    def make(image: UInt8Image, data: bytes) -> bytes:  # noqa: ARG001 - the pixels say it all
        return measure_conditions(image).to_row()

    return Look(SPACE, _ABOUT, make, is_whole=lambda row: len(row) == _ROW.size)


def _small_grey(image: UInt8Image) -> UInt8Image:
    """Grey, shrunk by a whole factor, which is ten times as fast as any other, to below 512 pixels."""
    height, width = image.shape[:2]
    factor = max(height, width) // _SIDE
    step = max(1, factor // _ROWS)
    factor = max(1, min(factor, _ROWS)) * step
    size = height // factor, width // factor
    if factor == 1 or 0 in size:
        return image if image.ndim == 2 else np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
    cut = image[: size[0] * factor : step, : size[1] * factor]
    grey = cut if cut.ndim == 2 else cv2.cvtColor(cut, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, size[::-1], interpolation=cv2.INTER_AREA), dtype=np.uint8)
