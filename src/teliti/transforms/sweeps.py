"""Photos made step by step worse: darker, more blurred, further turned, until verdicts change.

Each sweep takes one operation of the augmentations with values that are set, not drawn, so that a level means the same
for every photo. Where a change has a direction, photos take turns: every other one is turned the other way.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from teliti.imaging.framing import resize
from teliti.transforms.augment import AugmentChain, Draw
from teliti.transforms.operations import PhotoOperation, Values
from teliti.transforms.operations_colour import Brightness, ChannelShift
from teliti.transforms.operations_geometry import Rotate, Shift, Zoom
from teliti.transforms.operations_pixels import Blur, Erase, Jpeg, Noise
from teliti.types import UInt8Image

_BLUR_SIDE = 300.0
"""Blur is told in pixels of a photo whose longer side has so many."""
_RIGHT_DOWN = ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))

Change = Callable[[UInt8Image, float, int], UInt8Image]


@dataclass(frozen=True)
class Sweep:
    """One way in which photos get worse.

    Attributes:
        name: In records.
        neutral: The level of photos as they are.
        levels: From the mildest on.
        change: A photo, (H, W, 3) or (H, W) uint8, a level and the photo's number, to the changed photo.
        limits: The property of the envelope and the side that it tells about; None: it tells about none.
        moves: True: pixels change their place, so that files beside a photo no longer fit it.
        needs_colour: True: grey photos stay as they are.
    """

    name: str
    neutral: float
    levels: tuple[float, ...]
    change: Change
    limits: tuple[str, Literal["low", "high"]] | None = None
    moves: bool = False
    needs_colour: bool = False


def _by(operation: PhotoOperation, values: Callable[[float, int], Values]) -> Change:
    """A change that carries an operation out with the values of a level and a photo's number."""
    chain = AugmentChain([operation])
    steps = (str(getattr(operation, "step", "")),)

    def change(image: UInt8Image, level: float, number: int) -> UInt8Image:
        size = image.shape[0], image.shape[1]
        return chain.apply(image, Draw(size, steps, (values(level, number),))).image

    return change


def _sign(number: int) -> float:
    return 1.0 if number % 2 == 0 else -1.0


def _shift(level: float, number: int) -> Values:
    right, down = _RIGHT_DOWN[number % 4]
    return {"width": level * right, "height": level * down}


def _tint(level: float, number: int) -> Values:
    return {"amounts": [level * _sign(number), 0.0, -level * _sign(number)]}


def _square(level: float, number: int) -> Values:
    side = math.sqrt(level)
    top, left = np.random.default_rng(number).random(2) * (1.0 - side)
    return {"top": float(top), "left": float(left), "height": side, "width": side, "seed": number}


def _blur(image: UInt8Image, level: float, number: int) -> UInt8Image:  # noqa: ARG001 - the same for all
    return Blur().apply(image, {"sigma": level * max(image.shape[:2]) / _BLUR_SIDE})


def _fewer_pixels(image: UInt8Image, level: float, number: int) -> UInt8Image:  # noqa: ARG001 - the same for all
    height, width = image.shape[:2]
    return resize(image, (max(1, round(level * height)), max(1, round(level * width))))


_BRIGHTNESS = _by(Brightness(), lambda level, _: {"factor": level})
_ZOOM = _by(Zoom(fill="reflect"), lambda level, _: {"width": level, "height": level})

SWEEPS = (
    Sweep("darker", 1.0, (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3), _BRIGHTNESS, ("light", "low")),
    Sweep("brighter", 1.0, (1.1, 1.2, 1.3, 1.5, 1.75, 2.0), _BRIGHTNESS, ("light", "high")),
    Sweep("tint", 0.0, (5.0, 10.0, 20.0, 30.0, 40.0), _by(ChannelShift(), _tint), needs_colour=True),
    Sweep("blur", 0.0, (0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0), _blur, ("blur", "high")),
    Sweep("pixels", 1.0, (0.8, 0.65, 0.5, 0.35, 0.25), _fewer_pixels, ("size", "low"), moves=True),
    Sweep("noise", 0.0, (2.0, 4.0, 8.0, 12.0, 16.0, 24.0),
          _by(Noise(), lambda level, number: {"std": level, "seed": number}), ("blur", "low")),
    Sweep("jpeg", 100.0, (90.0, 80.0, 70.0, 60.0, 50.0, 40.0, 30.0, 20.0, 10.0),
          _by(Jpeg(), lambda level, _: {"quality": int(level)})),
    Sweep("rotation", 0.0, (1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0),
          _by(Rotate(fill="reflect"), lambda level, number: {"degrees": level * _sign(number)}), moves=True),
    Sweep("shift", 0.0, (0.01, 0.02, 0.05, 0.1, 0.15, 0.2), _by(Shift(fill="reflect"), _shift), moves=True),
    Sweep("smaller", 1.0, (0.95, 0.9, 0.8, 0.7, 0.6, 0.5), _ZOOM, ("scale", "low"), moves=True),
    Sweep("larger", 1.0, (1.05, 1.1, 1.2, 1.35, 1.5, 2.0), _ZOOM, ("scale", "high"), moves=True),
    Sweep("occlusion", 0.0, (0.005, 0.01, 0.02, 0.04, 0.08, 0.16), _by(Erase(fill="mean"), _square)),
)  # fmt: skip
"""Light, colour, sharpness, noise, place and cover, in the order in which they are told."""
SWEEP_NAMES = tuple(sweep.name for sweep in SWEEPS)
