"""What a prepare step is: a typed record of parameters that takes a photo on its way and hands it on.

A photo on its way (`Working`) carries the picture that the steps work on and the original beside it, so that a mask
made by any of them can be applied to the photo as it was decoded. A step says which kinds of picture it takes and
which kind it gives; `transforms.prepare` checks a chain by that before anything runs. The steps themselves stand in
`steps_contrast`, `steps_binarize` and so on, by subject; each registers itself in `STEPS`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from teliti.errors import RecipeError
from teliti.imaging.framing import PADDING_VALUE
from teliti.registry import Registry
from teliti.types import UInt8Image

Kind = Literal["colour", "grey", "binary"]
"""Colour: (H, W, 3) RGB; grey: (H, W); binary: (H, W) of exactly 0 (background) and 255 (the part). All uint8."""

Background = Literal["constant", "blurred", "neutral", "mean"]
Combine = Literal["max", "mean"]

COLOUR: frozenset[Kind] = frozenset({"colour"})
GREY: frozenset[Kind] = frozenset({"grey"})
BINARY: frozenset[Kind] = frozenset({"binary"})
COLOUR_OR_GREY: frozenset[Kind] = COLOUR | GREY
ANY_KIND: frozenset[Kind] = COLOUR | GREY | BINARY


@dataclass(frozen=True)
class Working:
    """A photo on its way through the chain.

    Attributes:
        image: What steps work on: (H, W, 3) uint8 RGB, or (H, W) uint8 grey or binary. Never written to.
        original: (H, W, 3) or (H, W) uint8: the photo as decoded, moved along by every geometric step. Never
            written to.
        beside: Reads a picture that lies beside the photo: a name pattern to (H, W, 3) or (H, W) uint8; raises
            `PhotoRefused` when there is none. None for a bare array, which has no place.
        kind: What `image` is; kept by the chain, not by the steps.
    """

    image: UInt8Image
    original: UInt8Image
    beside: Callable[[str], UInt8Image] | None = None
    kind: Kind = "colour"


class Step(BaseModel, ABC):
    """One deterministic step; a subclass adds its checked parameters as fields, `step: Literal[name]` among them.

    Attributes:
        takes: The kinds of picture that it accepts.
        channelwise: True: a photo of three equal channels gives (three equal channels of) what one of them gives
            as an (H, W) grey picture, to the last bit. Grey photos then run in one channel.
        moves: True: pixels change their place, or the size changes; the original is moved along.
        needs_place: True: it must stand before every step that moves pixels.
        sized_by_pixels: True: how large its result is depends on what is seen, not on the size of the photo alone.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    takes: ClassVar[frozenset[Kind]] = ANY_KIND
    channelwise: ClassVar[bool] = True
    moves: ClassVar[bool] = False
    needs_place: ClassVar[bool] = False
    sized_by_pixels: ClassVar[bool] = False

    def gives(self, kind: Kind) -> Kind:
        """The kind of its result for a picture of that kind."""
        return kind

    @property
    def keeps_size(self) -> bool:
        """False for a step that changes the size of the picture without moving the original along.

        A mask for the original cannot be made after such a step.
        """
        return True

    @property
    def may_refuse(self) -> bool:
        """True when a photo of some size cannot go through it; files beside a photo are looked at on their own."""
        return False

    @property
    def needs_original(self) -> bool:
        """True when it reads `Working.original`, which is moved along only while a later step needs it."""
        return False

    @abstractmethod
    def run(self, photo: Working) -> Working:
        """Hand the photo on; arrays of `photo` are never written to."""


class PixelStep(Step):
    """A step that changes values and leaves every pixel at its place."""

    @abstractmethod
    def apply(self, image: UInt8Image) -> UInt8Image:
        """A picture of a kind in `takes` to one of the kind that `gives` says; the input is not written to."""

    def run(self, photo: Working) -> Working:
        return replace(photo, image=self.apply(photo.image))


class GeometryStep(Step):
    """A step that moves pixels: the original goes the same way, so that masks made later still fit it."""

    moves: ClassVar[bool] = True

    @abstractmethod
    def place(self, photo: Working) -> Callable[[UInt8Image], UInt8Image]:
        """Look where the part is; the function returned moves (H, W, 3) or (H, W) uint8 pictures of this size."""

    def run(self, photo: Working) -> Working:
        move = self.place(photo)
        image = move(photo.image)
        return replace(photo, image=image, original=image if photo.original is photo.image else move(photo.original))


class MaskStep(Step):
    """A step that finds the part and puts the ORIGINAL photo under that mask: outside it, a background.

    A mask with nothing in it leaves the photo whole.

    Attributes:
        background: constant (`value`), blurred (the photo itself without detail), neutral (mid-grey, which the
            mean and std of the usual networks turn into about zero, as the letterbox's border), or mean (the mean
            colour of the whole photo).
        value: Grey level 0..255 of the constant background.
        blur: Standard deviation of the blur, in pixels.
    """

    background: Background = "constant"
    value: Annotated[int, Field(ge=0, le=255)] = 0
    blur: Annotated[float, Field(gt=0, le=100)] = 8.0

    @property
    def needs_original(self) -> bool:
        return True

    def gives(self, kind: Kind) -> Kind:  # noqa: ARG002 - the original comes back, whatever the mask was made of
        return "colour"

    @abstractmethod
    def mask(self, photo: Working) -> UInt8Image:
        """(H, W) uint8, 0 for background and 255 for the part, of the size of `photo.original`."""

    def run(self, photo: Working) -> Working:
        return replace(photo, image=self._put_under(self.mask(photo), photo.original))

    def with_mask(self, photo: Working) -> Working:
        """Hand on the mask itself, a binary picture."""
        return replace(photo, image=self.mask(photo))

    def _put_under(self, mask: UInt8Image, original: UInt8Image) -> UInt8Image:
        if mask.shape != original.shape[:2]:
            raise RecipeError(
                f"The mask is {mask.shape[0]}x{mask.shape[1]} and the photo {original.shape[0]}x{original.shape[1]}.",
                hint="A step before it changed the size of the picture; keep its size.",
            )
        if cv2.countNonZero(mask) == 0:
            return original
        covered = self._covered(original)
        cv2.copyTo(original, mask, covered)
        return covered

    def _covered(self, original: UInt8Image) -> UInt8Image:
        """A fresh picture of the background alone, of the original's shape."""
        if self.background == "blurred":
            return np.asarray(cv2.GaussianBlur(original, (0, 0), self.blur, borderType=cv2.BORDER_REPLICATE), np.uint8)
        covered = np.empty(original.shape, dtype=np.uint8)
        if self.background == "mean":
            covered[...] = np.rint(original.mean(axis=(0, 1)))
        else:
            covered[...] = self.value if self.background == "constant" else PADDING_VALUE
        return covered


class TileStep(Step):
    """A step that makes several pictures of one photo; the network's answers to them are combined.

    Attributes:
        combine: How the scores of the tiles become the photo's: the largest, or the mean.
    """

    moves: ClassVar[bool] = True

    combine: Combine = "max"

    @abstractmethod
    def cut(self, photo: Working) -> tuple[Working, ...]:
        """The tiles, at least one, in reading order; image and original are cut alike."""

    @abstractmethod
    def outline(self, image: UInt8Image) -> UInt8Image:
        """A copy of the picture with the borders of its tiles drawn, for previews."""

    def run(self, photo: Working) -> Working:
        """The tile in the middle: what a preview of one picture follows."""
        tiles = self.cut(photo)
        return tiles[len(tiles) // 2]


class NumberStep(Step):
    """A step that yields numbers, not a picture: it stands after every image step and runs inside the network's graph.

    What it learns from the training photos are arrays by name; `transforms.steps_numbers` fits and applies them.
    """

    def array_names(self) -> tuple[str, ...]:
        """The arrays that `fit` gives; empty for a step that learns nothing."""
        return ()

    def check_size(self, image_size: tuple[int, int]) -> None:
        """Refuse what cannot be computed at that (height, width), before anything runs.

        Raises:
            UserError: it would not fit into memory.
        """

    def fit(self, batches: Iterable[NDArray[np.float64]]) -> dict[str, NDArray[Any]]:  # noqa: ARG002
        """Learn from (N, h, w, 3) float64 batches of the training photos: arrays by the names of `array_names`."""
        return {}

    @abstractmethod
    def calculate(self, batch: NDArray[np.float64], arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """(N, h, w, 3) float64 to the same; `arrays` as `fit` gave them."""

    def run(self, photo: Working) -> Working:
        """The photo as it is: the pixels that enter the graph are not touched."""
        return photo


STEPS: Registry[type[Step]] = Registry("prepare step")


def name_of(step: Step) -> str:
    """The step's name in a recipe."""
    return str(type(step).model_fields["step"].default)
