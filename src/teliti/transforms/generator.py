"""The arguments of the `ImageDataGenerator`, checked: what the array functions beside this file are told.

The names and meanings are those of Keras's legacy class of the same name (keras.src.legacy.preprocessing.image,
version 3.15). The public class is `teliti.workflow.generator.ImageDataGenerator`, which joins these functions with
the reading of files; `generator_draw` draws, `generator_apply` moves pixels, `generator_standardize` does the numbers,
`generator_batches` makes batches.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from teliti.errors import UserError
from teliti.registry import closest

FillMode = Literal[
    "nearest", "constant", "reflect", "wrap", "mirror", "grid-constant", "grid-mirror", "grid-wrap"
]  # SciPy's names, which Keras hands on
DataFormat = Literal["channels_last", "channels_first"]
ChannelShift = Literal["per_channel", "together"]
ShiftRange = float | int | Sequence[float]
PixelFunction = Callable[[NDArray[Any]], NDArray[Any]]

_ORDERS = {True: (0, 1, 2, 3, 4, 5), False: (0, 1, 3)}


@dataclass(frozen=True, kw_only=True)
class GeneratorSettings:
    """The arguments of one generator; `check_settings` makes them consistent. `ImageDataGenerator` explains them."""

    featurewise_center: bool
    samplewise_center: bool
    featurewise_std_normalization: bool
    samplewise_std_normalization: bool
    zca_whitening: bool
    zca_epsilon: float
    rotation_range: float
    width_shift_range: ShiftRange
    height_shift_range: ShiftRange
    brightness_range: Sequence[float] | None
    shear_range: float
    zoom_range: float | Sequence[float]
    channel_shift_range: float
    fill_mode: FillMode
    cval: float
    horizontal_flip: bool
    vertical_flip: bool
    rescale: float | None
    preprocessing_function: PixelFunction | None
    data_format: DataFormat
    validation_split: float
    interpolation_order: int
    dtype: str
    keras_compatible: bool
    channel_shift: ChannelShift
    split_seed: int

    @property
    def row_axis(self) -> int:
        """The axis of rows in a batch (N, H, W, C) or (N, C, H, W)."""
        return 1 if self.data_format == "channels_last" else 2

    @property
    def channel_axis(self) -> int:
        """The axis of channels in a batch."""
        return 3 if self.data_format == "channels_last" else 1

    @property
    def zoom_bounds(self) -> tuple[float, float]:
        """Lowest and highest zoom factor; below 1 enlarges."""
        zoom = self.zoom_range
        return (zoom[0], zoom[1]) if isinstance(zoom, Sequence) else (1 - zoom, 1 + zoom)


def check_settings(settings: GeneratorSettings) -> GeneratorSettings:
    """The settings, switches that imply others set.

    Raises:
        UserError: a value without a meaning; names the argument.
    """
    _check_choice("fill_mode", settings.fill_mode, get_args(FillMode))
    _check_choice("data_format", settings.data_format, get_args(DataFormat))
    _check_choice("channel_shift", settings.channel_shift, get_args(ChannelShift))
    _check_order(settings)
    _check_ranges(settings)
    try:
        is_float = np.issubdtype(np.dtype(settings.dtype), np.floating)
    except TypeError:
        is_float = False
    if not is_float:
        raise UserError(f"dtype must be a floating type, got {settings.dtype!r}.", hint='Use "float32".')
    if settings.validation_split and not 0.0 < settings.validation_split < 1.0:
        raise UserError(
            f"validation_split must be strictly between 0 and 1, got {settings.validation_split}.",
            hint="Use 0.2 for a fifth of the photos.",
        )
    return _with_implied(settings)


def _check_choice(argument: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        near = closest(str(value), allowed)
        hint = f'Did you mean "{near}"?' if near else "Choose one of them."
        raise UserError(f"{argument} must be one of {', '.join(allowed)}, got {value!r}.", hint=hint)


def _check_order(settings: GeneratorSettings) -> None:
    allowed = _ORDERS[settings.keras_compatible]
    if settings.interpolation_order not in allowed:
        raise UserError(
            f"interpolation_order must be one of {', '.join(map(str, allowed))}, got {settings.interpolation_order}.",
            hint="0 is nearest, 1 linear, 3 cubic; keras_compatible=True also knows the splines of order 2, 4 and 5.",
        )


def _check_ranges(settings: GeneratorSettings) -> None:
    for name in ("rotation_range", "shear_range", "channel_shift_range"):
        if not isinstance(getattr(settings, name), Real):
            raise UserError(f"{name} must be a number, got {getattr(settings, name)!r}.", hint="Give one number.")
    for name in ("width_shift_range", "height_shift_range"):
        value = getattr(settings, name)
        if not (isinstance(value, Real) or (_is_numbers(value) and value)):
            raise UserError(
                f"{name} must be a number or a list of numbers, got {value!r}.",
                hint="Use 0.1 for a tenth of the size, 5.0 or 5 for pixels, or the shifts to choose from.",
            )
    brightness = settings.brightness_range
    if brightness is not None and not (_is_numbers(brightness) and len(brightness) == 2):
        raise UserError(
            f"brightness_range must be a pair of numbers, got {brightness!r}.", hint="Use (0.8, 1.2), or None."
        )
    zoom = settings.zoom_range
    if not (isinstance(zoom, Real) or (isinstance(zoom, Sequence) and _is_numbers(zoom) and len(zoom) == 2)):
        raise UserError(
            f"zoom_range must be a number or a pair of numbers, got {zoom!r}.", hint="Use 0.2 or (0.8, 1.2)."
        )
    if min(settings.zoom_bounds) <= 0.0 and not settings.keras_compatible:
        raise UserError(
            f"zoom_range must stay above 0, got factors from {min(settings.zoom_bounds):g}.",
            hint="Use a number below 1, or a pair of factors above 0.",
        )


def _is_numbers(value: object) -> bool:
    return (
        isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(entry, Real) for entry in value)
    )


def _with_implied(settings: GeneratorSettings) -> GeneratorSettings:
    """What one switch sets in another, as Keras does it, said by a warning."""
    implied: dict[str, Any] = {}
    if settings.zca_whitening and not settings.featurewise_center:
        implied["featurewise_center"] = True
        _warn_implied("zca_whitening", "featurewise_center on")
    if settings.zca_whitening and settings.featurewise_std_normalization:
        implied["featurewise_std_normalization"] = False
        _warn_implied("zca_whitening", "featurewise_std_normalization off")
    elif settings.featurewise_std_normalization and not settings.featurewise_center:
        implied["featurewise_center"] = True
        _warn_implied("featurewise_std_normalization", "featurewise_center on")
    if settings.samplewise_std_normalization and not settings.samplewise_center:
        implied["samplewise_center"] = True
        _warn_implied("samplewise_std_normalization", "samplewise_center on")
    return replace(settings, **implied)


def _warn_implied(switch: str, effect: str) -> None:
    warnings.warn(f"{switch} switches {effect}.", stacklevel=6)
