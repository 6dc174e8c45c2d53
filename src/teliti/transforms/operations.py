"""What an augmentation is: a typed record of ranges, and what it does with the values drawn from them.

An operation draws its values from a fixed number of unit uniforms (`units`), so that the values of one operation do
not depend on the settings of another. Four kinds differ in what a value becomes:

- geometric: an affine map; all maps of a chain are composed and carried out in one interpolation;
- intensity: a look-up table; all tables are composed into one;
- pixel: anything else, photo to photo, in the order of the chain;
- batch: several photos and their label weights (`transforms.mixing`).

Ranges are written as a number (so much to either side of "nothing happens") or as a pair (lowest, highest).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import cv2
import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from teliti.imaging.geometry import Affine, Fill
from teliti.registry import Registry
from teliti.types import FloatArray, IntArray, UInt8Image

Values = dict[str, Any]
"""What was drawn for one operation and one photo: names to JSON-ready values."""

Units = Sequence[float]
"""Independent uniform numbers in [0, 1)."""

Probability = Annotated[float, Field(ge=0.0, le=1.0)]
GreyLevel = Annotated[float, Field(ge=0.0, le=255.0)]
FillValue = GreyLevel | tuple[GreyLevel, GreyLevel, GreyLevel]
Range = tuple[float, float]


def around(centre: float, *, lowest: float, highest: float, one_sided: bool = False) -> BeforeValidator:
    """A check for a `Range`: a number n means centre - n to centre + n, a pair means itself.

    Args:
        centre: The value at which nothing happens.
        lowest: Smallest value allowed.
        highest: Largest value allowed.
        one_sided: A number n means centre to n instead.
    """

    def read(given: Any) -> Any:
        pair = given
        if isinstance(given, int | float) and not isinstance(given, bool):
            pair = (centre, float(given)) if one_sided else (centre - abs(given), centre + abs(given))
        is_pair = isinstance(pair, list | tuple) and len(pair) == 2
        if is_pair and all(isinstance(end, int | float) for end in pair) and lowest <= pair[0] <= pair[1] <= highest:
            return (float(pair[0]), float(pair[1]))
        raise ValueError(f"must be a number or a pair (low, high) that stays within {lowest:g} to {highest:g}")

    return BeforeValidator(read)


def between(ends: Range, unit: float) -> float:
    """The value at `unit` (in [0, 1]) of the way from the lower to the upper end."""
    return ends[0] + (ends[1] - ends[0]) * unit


def whole_seed(unit: float) -> int:
    """A seed from one uniform number."""
    return int(unit * 2**53)


class Operation(BaseModel, ABC):
    """One random step; a subclass adds its ranges as fields, `step: Literal[name]` among them.

    Attributes:
        p: Probability in [0, 1] that the operation is used on a photo (of one that mixes: on a batch).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    p: Probability = 1.0


class PhotoOperation(Operation):
    """An operation on one photo.

    Attributes:
        units: How many uniform numbers `draw` takes.
    """

    units: ClassVar[int] = 1

    @abstractmethod
    def draw(self, units: Units) -> Values:
        """The values for one photo."""

    @abstractmethod
    def words(self, values: Values) -> str:
        """What is done with these values, as a short phrase for people."""


class GeometricOperation(PhotoOperation):
    """An operation that moves pixels by an affine map; masks and boxes move with them.

    Attributes:
        fill: What comes in from outside the photo: nearest, constant, reflect or wrap. One for the whole chain, as
            there is one warp; unset: that of the others, or nearest.
        fill_value: Grey level 0..255, or one for each channel, of the constant fill; unset: that of the others, or 0.
    """

    fill: Fill | None = None
    fill_value: FillValue | None = None

    @abstractmethod
    def matrix(self, values: Values, size: tuple[int, int]) -> Affine:
        """The map, source to result, for a photo of (height, width) pixels."""


class IntensityOperation(PhotoOperation):
    """An operation that maps each grey level to another, wherever it stands in the photo."""

    @abstractmethod
    def table(self, values: Values) -> UInt8Image:
        """(256,) uint8 for all channels, or (256, 3) uint8 for each of a colour photo."""

    def gain(self, values: Values) -> float | None:  # noqa: ARG002
        """The factor when the table does no more than multiply, round and saturate: done quicker without a table."""
        return None


class PixelOperation(PhotoOperation):
    """Any other operation that leaves the pixels at their places."""

    @abstractmethod
    def apply(self, image: UInt8Image, values: Values) -> UInt8Image:
        """(H, W, 3) or (H, W) uint8 to the same shape; the input is not written to."""


@dataclass(frozen=True, eq=False, slots=True)
class Mixture:
    """What was drawn for the photos of a batch: which other photo comes into each, and how much of it.

    Attributes:
        partner: (N,) place of the other photo in the batch.
        own: (N,) float64 share in [0, 1] of each photo's own label.
        windows: (N, 4) top, bottom, left and right (the latter of each pair excluded) of the rectangle, in pixels, that
            the other photo fills; None: the whole of it is laid over, as much as its share.
    """

    partner: IntArray
    own: FloatArray
    windows: IntArray | None = None

    def mix_images(self, images: UInt8Image) -> UInt8Image:
        """(N, H, W, 3) or (N, H, W) uint8 to fresh ones of the same shape."""
        mixed = images.copy()
        for i, other in enumerate(self.partner):
            if self.windows is not None:
                top, bottom, left, right = self.windows[i]
                mixed[i, top:bottom, left:right] = images[other, top:bottom, left:right]
            elif self.own[i] < 1.0:
                mixed[i] = cv2.addWeighted(images[i], self.own[i], images[other], 1.0 - self.own[i], 0.0)
        return mixed

    def mix_weights(self, weights: FloatArray) -> FloatArray:
        """(N, K) float label weights to fresh ones of the same shape and dtype."""
        share = self.own[:, None]
        return np.asarray(share * weights + (1.0 - share) * weights[self.partner], dtype=weights.dtype)


class BatchOperation(Operation):
    """An operation that mixes the photos of a batch, and the weights of their labels with them."""

    @abstractmethod
    def draw(self, count: int, size: tuple[int, int], *, rng: np.random.Generator) -> Mixture:
        """The values for one batch.

        Args:
            count: Photos of the batch.
            size: (height, width) of each in pixels.
            rng: Where every random number comes from.
        """

    def mix(
        self, images: UInt8Image, weights: FloatArray, *, rng: np.random.Generator
    ) -> tuple[UInt8Image, FloatArray]:
        """Mix a batch.

        Args:
            images: (N, H, W, 3) or (N, H, W) uint8.
            weights: (N, K) float, the share of each class in each photo's label; rows sum to 1.
            rng: Where every random number comes from.

        Returns:
            Fresh arrays of the same shapes and dtypes.
        """
        mixture = self.draw(len(images), (images.shape[1], images.shape[2]), rng=rng)
        return mixture.mix_images(images), mixture.mix_weights(weights)


OPERATIONS: Registry[type[Operation]] = Registry("augmentation")
