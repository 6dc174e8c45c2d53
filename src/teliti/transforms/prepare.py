"""The deterministic steps between a decoded photo and the network, the same at training and at inspection.

A step is a typed record with an `apply`; `build_chain` checks every parameter before anything runs, and the
chain's record (saved in the bundle) builds the equal chain again. The last step is always `frame`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from teliti.errors import RecipeError
from teliti.imaging.contrast import apply_clahe
from teliti.imaging.framing import crop_to_fill, letterbox, resize
from teliti.recipe import Fit
from teliti.registry import Registry
from teliti.types import Record, UInt8Image

Side = Annotated[int, Field(ge=1, le=8192)]
_FITS = {"letterbox": letterbox, "stretch": resize, "crop": crop_to_fill}


class Step(BaseModel, ABC):
    """One deterministic step; a subclass adds its parameters and `apply`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @abstractmethod
    def apply(self, image: UInt8Image) -> UInt8Image:
        """(H, W, 3) uint8 RGB to the same, maybe of another size."""


STEPS: Registry[type[Step]] = Registry("prepare step")


@STEPS.register("clahe")
class Clahe(Step):
    """Contrast-limited adaptive histogram equalisation, on the luminance of colour photos.

    Attributes:
        clip_limit: Multiple of the mean histogram bin at which bins are clipped.
        tile_grid: (rows, columns) of tiles.
    """

    step: Literal["clahe"] = "clahe"
    clip_limit: Annotated[float, Field(gt=0, le=100)] = 2.0
    tile_grid: tuple[Annotated[int, Field(ge=1, le=64)], Annotated[int, Field(ge=1, le=64)]] = (8, 8)

    def apply(self, image: UInt8Image) -> UInt8Image:
        """(H, W, 3) uint8 RGB, size kept."""
        return apply_clahe(image, clip_limit=self.clip_limit, tile_grid=self.tile_grid)


@STEPS.register("frame")
class Frame(Step):
    """Bring the photo to the network's size.

    Attributes:
        height: Pixels.
        width: Pixels.
        fit: letterbox (whole photo, grey border), stretch, or crop (central part).
        resize: Name of the resize rule, recorded so that another version can tell.
    """

    step: Literal["frame"] = "frame"
    height: Side
    width: Side
    fit: Fit = "letterbox"
    resize: Literal["area when shrinking, cubic when growing (OpenCV)"] = (
        "area when shrinking, cubic when growing (OpenCV)"
    )

    def apply(self, image: UInt8Image) -> UInt8Image:
        """(H, W, 3) uint8 RGB to (height, width, 3)."""
        return _FITS[self.fit](image, (self.height, self.width))


@dataclass(frozen=True)
class PrepareChain:
    """The steps in order; calling it prepares one photo."""

    steps: tuple[Step, ...]

    def __call__(self, image: UInt8Image) -> UInt8Image:
        """Prepare one photo.

        Args:
            image: (H, W, 3) uint8 RGB, as decoded.

        Returns:
            (height, width, 3) uint8 RGB of the network's size, contiguous.
        """
        for step in self.steps:
            image = step.apply(image)
        return np.ascontiguousarray(image)

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) of what the chain yields."""
        frame = self.steps[-1]
        if not isinstance(frame, Frame):
            raise RecipeError("The last prepare step must be frame.", hint="Rebuild the chain with build_chain.")
        return frame.height, frame.width

    def to_record(self) -> list[Record]:
        """Every step with every parameter, JSON-ready; `chain_from_record` reads it back."""
        return [step.model_dump(mode="json") for step in self.steps]


def build_chain(steps: Iterable[Mapping[str, Any]], *, image_size: tuple[int, int], fit: Fit) -> PrepareChain:
    """The recipe's steps, checked, and the closing `frame`.

    Raises:
        RecipeError: unknown step or parameter, or a value outside its range; names the step.
    """
    own = list(steps)
    for number, values in enumerate(own, start=1):
        if values.get("step") == "frame":
            raise RecipeError(
                f"prepare step {number} must not be frame, which always comes last.",
                hint="Set data.image_size and data.fit instead.",
            )
    return chain_from_record([*own, {"step": "frame", "height": image_size[0], "width": image_size[1], "fit": fit}])


def chain_from_record(record: Sequence[Mapping[str, Any]]) -> PrepareChain:
    """The chain that `to_record` described.

    Raises:
        RecipeError: a step or a parameter that this version does not know.
    """
    return PrepareChain(tuple(_build_step(number, values) for number, values in enumerate(record, start=1)))


def _build_step(number: int, values: Mapping[str, Any]) -> Step:
    name = str(values.get("step", ""))
    try:
        return STEPS.get(name).model_validate(dict(values))
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(part) for part in problem["loc"])
        raise RecipeError(
            f"prepare step {number} ({name}): {key}: {problem['msg'].lower()}, got {problem['input']!r}.",
            hint=f"Its parameters are {', '.join(STEPS.get(name).model_fields)}.",
        ) from error
