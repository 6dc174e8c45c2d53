"""Steps that yield numbers instead of a picture: rescale, centre, standardise, ZCA whitening.

They stand after every image step and run inside the network's graph, on the uint8 picture of the network's size.
`fit_numbers` fits them on the training photos; `apply_numbers` is the arithmetic in numpy, which the graph must equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from teliti.errors import BundleError, RecipeError, UserError
from teliti.imaging import standardize
from teliti.imaging.standardize import Batch, ChannelMoments, ZcaFit
from teliti.transforms.steps import STEPS, NumberStep, Step, name_of
from teliti.types import UInt8Image

By = Literal["sample", "feature"]
Arrays = dict[str, NDArray[Any]]
_PHOTOS_PER_BATCH = 32
_CHANNELS = 3


@STEPS.register("rescale")
class Rescale(NumberStep):
    """Multiply every value, then add.

    Attributes:
        factor: Multiplier of the values 0..255.
        offset: Added afterwards.
    """

    step: Literal["rescale"] = "rescale"
    factor: Annotated[float, Field(gt=0, le=1e6)] = 1 / 255
    offset: Annotated[float, Field(ge=-1e6, le=1e6)] = 0.0

    def calculate(self, batch: Batch, arrays: Mapping[str, NDArray[Any]]) -> Batch:  # noqa: ARG002
        return standardize.rescale(batch, factor=self.factor, offset=self.offset)


@STEPS.register("center")
class Center(NumberStep):
    """Subtract a mean.

    Attributes:
        by: "sample": the photo's own mean; "feature": the mean of each channel over the training photos.
        per_channel: With "sample": a mean for each channel instead of one for the photo.
    """

    step: Literal["center"] = "center"
    by: By = "feature"
    per_channel: bool = False

    def array_names(self) -> tuple[str, ...]:
        return ("mean",) if self.by == "feature" else ()

    def fit(self, batches: Iterable[Batch]) -> Arrays:
        return {"mean": _moments(batches).mean} if self.by == "feature" else {}

    def calculate(self, batch: Batch, arrays: Mapping[str, NDArray[Any]]) -> Batch:
        if self.by == "sample":
            return standardize.center_sample(batch, per_channel=self.per_channel)
        return np.asarray(batch - arrays["mean"])


@STEPS.register("standardize")
class Standardize(NumberStep):
    """Subtract a mean and divide by a standard deviation.

    Attributes:
        by: "sample": the photo's own; "feature": those of each channel over the training photos.
        per_channel: With "sample": for each channel instead of once for the photo.
        eps: Added to the deviation.
    """

    step: Literal["standardize"] = "standardize"
    by: By = "feature"
    per_channel: bool = False
    eps: Annotated[float, Field(gt=0, le=1)] = 1e-6

    def array_names(self) -> tuple[str, ...]:
        return ("mean", "std") if self.by == "feature" else ()

    def fit(self, batches: Iterable[Batch]) -> Arrays:
        if self.by == "sample":
            return {}
        moments = _moments(batches)
        return {"mean": moments.mean, "std": moments.std}

    def calculate(self, batch: Batch, arrays: Mapping[str, NDArray[Any]]) -> Batch:
        if self.by == "sample":
            return standardize.standardize_sample(batch, per_channel=self.per_channel, eps=self.eps)
        return standardize.standardize_feature(batch, mean=arrays["mean"], std=arrays["std"], eps=self.eps)


@STEPS.register("zca")
class Zca(NumberStep):
    """ZCA whitening: values become uncorrelated over the training photos, and photos stay recognisable.

    Attributes:
        eps: Added to the singular values of the training photos.
        max_megabytes: Largest whitening matrix allowed; it has (3 H W)^2 float32 values, and fitting it takes about
            ten times that.
    """

    step: Literal["zca"] = "zca"
    eps: Annotated[float, Field(gt=0, le=1e6)] = 1e-6
    max_megabytes: Annotated[int, Field(ge=1, le=100_000)] = 200

    def array_names(self) -> tuple[str, ...]:
        return ("mean", "matrix")

    def check_size(self, image_size: tuple[int, int]) -> None:
        standardize.check_zca_memory((*image_size, _CHANNELS), limit_bytes=self.max_megabytes * 10**6)

    def fit(self, batches: Iterable[Batch]) -> Arrays:
        fit: ZcaFit | None = None
        for batch in batches:
            if fit is None:
                self.check_size((batch.shape[1], batch.shape[2]))
                fit = ZcaFit((batch.shape[1], batch.shape[2], batch.shape[3]))
            fit.update(batch)
        if fit is None:
            raise _no_photos()
        mean, matrix = fit.finish(eps=self.eps)
        return {"mean": mean, "matrix": matrix}

    def calculate(self, batch: Batch, arrays: Mapping[str, NDArray[Any]]) -> Batch:
        return standardize.whiten(batch, mean=arrays["mean"], matrix=arrays["matrix"])


@dataclass(frozen=True)
class FittedNumbers:
    """The number steps of a chain with what they learnt from the training photos.

    Attributes:
        steps: In order.
        arrays: For each step: (3,) float64 `mean` and `std`, (D, D) float32 `matrix`; empty where nothing is fitted.
    """

    steps: tuple[NumberStep, ...]
    arrays: tuple[Mapping[str, NDArray[Any]], ...]

    def to_arrays(self) -> Arrays:
        """Every array by a name of its own, `numbers.{position}.{array}`, ready to be saved."""
        return {
            _saved_name(index, name): np.ascontiguousarray(array)
            for index, arrays in enumerate(self.arrays)
            for name, array in arrays.items()
        }

    @classmethod
    def from_arrays(cls, steps: Sequence[NumberStep], arrays: Mapping[str, NDArray[Any]]) -> FittedNumbers:
        """What `to_arrays` saved; other arrays are not looked at.

        Raises:
            BundleError: an array of a step is missing or has another number of dimensions.
        """
        found: list[Arrays] = []
        for index, step in enumerate(steps):
            names = {name: _saved_name(index, name) for name in step.array_names()}
            for name, saved in names.items():
                if saved not in arrays or arrays[saved].ndim != (2 if name == "matrix" else 1):
                    raise BundleError(
                        f"The prepare step {name_of(step)} has lost its numbers: {saved} is missing or damaged.",
                        hint="Copy the bundle again, or retrain.",
                    )
            found.append({name: arrays[saved] for name, saved in names.items()})
        return cls(tuple(steps), tuple(found))


def fit_numbers(steps: Sequence[NumberStep], photos: Iterable[UInt8Image]) -> FittedNumbers:
    """Fit the number steps of a chain on the training photos, each on what the steps before it give.

    Args:
        steps: `PrepareChain.numbers`.
        photos: (h, w, 3) uint8 RGB, prepared, of the TRAINING part only. Gone through once for every step that is
            fitted, 32 at a time; nothing is gone through when none is.

    Raises:
        UserError: no photos; whitening would not fit into memory; or several passes over an iterator that has only one.
    """
    passes = [name_of(step) for step in steps if step.array_names()]
    if len(passes) > 1 and iter(photos) is photos:
        raise UserError(
            f"Fitting {' and '.join(passes)} takes {len(passes)} passes over the photos, and an iterator has only one.",
            hint="Give a list, or an object whose iteration starts anew.",
        )
    fitted = FittedNumbers((), ())
    for step in steps:
        batches = (_calculate(fitted, batch) for batch in _batches(photos)) if step.array_names() else ()
        fitted = FittedNumbers((*fitted.steps, step), (*fitted.arrays, step.fit(batches)))
    return fitted


def apply_numbers(fitted: FittedNumbers, batch: UInt8Image) -> NDArray[np.float32]:
    """The numbers that the network sees, in float64 and rounded once at the end.

    Args:
        fitted: From `fit_numbers`.
        batch: (N, h, w, 3) uint8 RGB, prepared.

    Returns:
        (N, h, w, 3) float32.
    """
    return _calculate(fitted, batch.astype(np.float64)).astype(np.float32)


def check_numbers(steps: Sequence[Step], *, image_size: tuple[int, int]) -> None:
    """Refuse number steps of a chain that cannot be computed at the network's (height, width).

    Raises:
        RecipeError: names the step and what would fit.
    """
    for number, step in enumerate(steps, start=1):
        try:
            if isinstance(step, NumberStep):
                step.check_size(image_size)
        except UserError as error:
            raise RecipeError(f"prepare step {number} ({name_of(step)}): {error.message}", hint=error.hint) from error


def _calculate(fitted: FittedNumbers, batch: Batch) -> Batch:
    for step, arrays in zip(fitted.steps, fitted.arrays, strict=True):
        batch = step.calculate(batch, arrays)
    return batch


def _batches(photos: Iterable[UInt8Image]) -> Iterator[Batch]:
    waiting = iter(photos)
    while batch := list(islice(waiting, _PHOTOS_PER_BATCH)):
        yield np.stack(batch).astype(np.float64)


def _moments(batches: Iterable[Batch]) -> ChannelMoments:
    moments = ChannelMoments()
    for batch in batches:
        moments.update(batch)
    if moments.count == 0:
        raise _no_photos()
    return moments


def _no_photos() -> UserError:
    return UserError("Number steps are fitted on the training photos, got none.", hint="Give at least one photo.")


def _saved_name(index: int, name: str) -> str:
    return f"numbers.{index}.{name}"
