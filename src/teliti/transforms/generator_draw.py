"""Drawing the random parameters of one photo, in the order of Keras's generator.

Keras draws from the process-wide generator of NumPy; `GLOBAL` stands for it. Everything else passes a
`numpy.random.Generator` of its own, so that a photo's parameters depend on nothing but the seed that made it.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, Protocol, TypedDict, cast

import numpy as np
from numpy.typing import NDArray

from teliti.transforms.generator import GeneratorSettings, ShiftRange


class RandomSource(Protocol):
    """What `numpy.random` and `numpy.random.Generator` have in common."""

    def uniform(self, low: float, high: float, size: int | None = None) -> Any: ...

    def choice(self, a: Any) -> Any: ...

    def random(self) -> float: ...


class Parameters(TypedDict, total=False):
    """What happens to one photo; absent keys change nothing.

    Attributes:
        theta: Rotation in degrees.
        tx: Pixels that the content moves up (from `height_shift_range`).
        ty: Pixels that the content moves to the left (from `width_shift_range`).
        shear: Degrees.
        zx: Horizontal zoom factor; below 1 enlarges.
        zy: Vertical zoom factor.
        flip_horizontal: Mirror left and right.
        flip_vertical: Mirror top and bottom.
        channel_shift_intensity: Added to every channel, or one number for each channel.
        brightness: Factor; 1 changes nothing.
    """

    theta: float
    tx: float
    ty: float
    shear: float
    zx: float
    zy: float
    flip_horizontal: bool
    flip_vertical: bool
    channel_shift_intensity: float | Sequence[float] | None
    brightness: float | None


GLOBAL = cast(RandomSource, np.random)
"""NumPy's process-wide generator, which Keras draws from."""


def seed_global(seed: int | None) -> None:
    """Seed NumPy's process-wide generator, as Keras does; None leaves it as it is."""
    if seed is not None:
        np.random.seed(seed)


def draw_parameters(settings: GeneratorSettings, image_shape: Sequence[int], random: RandomSource) -> Parameters:
    """All random parameters of one photo.

    Args:
        settings: The ranges.
        image_shape: (H, W, C), or (C, H, W) with channels first.
        random: Where the numbers come from; the order of the calls is that of Keras.

    Returns:
        Every key of `Parameters`, in plain numbers.
    """
    rows, columns = image_shape[settings.row_axis - 1], image_shape[settings.row_axis]
    theta = _draw_symmetric(settings.rotation_range, random)
    tx = _draw_shift(settings.height_shift_range, rows, random)
    ty = _draw_shift(settings.width_shift_range, columns, random)
    shear = _draw_symmetric(settings.shear_range, random)
    zoom = settings.zoom_bounds
    zx, zy = (1.0, 1.0) if zoom == (1, 1) else random.uniform(zoom[0], zoom[1], 2)
    flips = [bool(random.random() < 0.5) and wanted for wanted in (settings.horizontal_flip, settings.vertical_flip)]
    return Parameters(
        theta=theta,
        tx=tx,
        ty=ty,
        shear=shear,
        zx=float(zx),
        zy=float(zy),
        flip_horizontal=flips[0],
        flip_vertical=flips[1],
        channel_shift_intensity=_draw_channel_shift(settings, image_shape[settings.channel_axis - 1], random),
        brightness=_draw_brightness(settings.brightness_range, random),
    )


def _draw_symmetric(reach: float, random: RandomSource) -> float:
    return float(random.uniform(-reach, reach)) if reach else 0.0


def _draw_shift(reach: ShiftRange, size: int, random: RandomSource) -> float:
    """Pixels: uniform for a float, one of 0..n-1 for an integer n, one entry of a list; both with a random sign."""
    if isinstance(reach, Sequence | Integral):
        if not reach:
            return 0.0
        shift = random.choice(reach) * random.choice([-1, 1])
    else:
        shift = _draw_symmetric(reach, random)
    return float(shift * size if np.max(cast("NDArray[Any]", reach)) < 1 else shift)


def _draw_channel_shift(
    settings: GeneratorSettings, channels: int, random: RandomSource
) -> float | Sequence[float] | None:
    reach = settings.channel_shift_range
    if reach == 0:
        return None
    if settings.channel_shift == "per_channel":
        return [float(shift) for shift in random.uniform(-reach, reach, channels)]
    return float(random.uniform(-reach, reach))


def _draw_brightness(bounds: Sequence[float] | None, random: RandomSource) -> float | None:
    return None if bounds is None else float(random.uniform(bounds[0], bounds[1]))
