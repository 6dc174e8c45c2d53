"""Steps that tell the part from the background, and put the original photo under the mask that they made.

A mask with nothing in it leaves the photo whole: a photo where no part is found must not become an empty one.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import cv2
import numpy as np
from pydantic import Field, field_validator

from teliti.errors import PhotoRefused, UserError
from teliti.imaging.colour import to_grey
from teliti.imaging.segmentation import segment_grabcut, segment_kmeans, segment_otsu, segment_watershed
from teliti.transforms.steps import BINARY, COLOUR_OR_GREY, STEPS, Kind, MaskStep, Working
from teliti.types import UInt8Image

Method = Literal["otsu", "grabcut", "watershed", "kmeans"]
_HALF = 127


@STEPS.register("mask")
class Mask(MaskStep):
    """Put the original photo under the binary picture that the steps before it made.

    Attributes:
        background: See `MaskStep`.
        value: See `MaskStep`.
        blur: See `MaskStep`.
    """

    takes: ClassVar[frozenset[Kind]] = BINARY

    step: Literal["mask"] = "mask"

    def mask(self, photo: Working) -> UInt8Image:
        return photo.image


@STEPS.register("segment")
class Segment(MaskStep):
    """Find the part; gives the binary picture, or with `apply` the original photo under it at once.

    The binary picture can be cleaned by the steps that take one, and then applied by `mask`.

    Attributes:
        method: otsu (brightness), kmeans (colours), watershed (edges, seeded by otsu), grabcut (colour models inside
            and outside a border; the slowest).
        apply: Put the original photo under the mask at once.
        clusters: Of kmeans: how many colours the photo is grouped into.
        core: Of watershed: share of a piece's depth from which on it is surely part.
        border: Of grabcut: width of the border that is surely background, as a share of each side.
        iterations: Of grabcut.
        background: With `apply`, see `MaskStep`.
        value: With `apply`, see `MaskStep`.
        blur: With `apply`, see `MaskStep`.
    """

    takes: ClassVar[frozenset[Kind]] = COLOUR_OR_GREY

    step: Literal["segment"] = "segment"
    method: Method = "otsu"
    apply: bool = False
    clusters: Annotated[int, Field(ge=2, le=16)] = 2
    core: Annotated[float, Field(gt=0, le=1)] = 0.5
    border: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    iterations: Annotated[int, Field(ge=1, le=50)] = 3

    @property
    def needs_original(self) -> bool:
        return self.apply

    def gives(self, kind: Kind) -> Kind:
        return super().gives(kind) if self.apply else "binary"

    def mask(self, photo: Working) -> UInt8Image:
        image = photo.image
        if self.method == "otsu":
            return segment_otsu(image)
        if self.method == "kmeans":
            return segment_kmeans(image, clusters=self.clusters)
        if self.method == "watershed":
            return segment_watershed(image, core=self.core)
        return segment_grabcut(image, border=self.border, iterations=self.iterations)

    def run(self, photo: Working) -> Working:
        return super().run(photo) if self.apply else self.with_mask(photo)


@STEPS.register("mask_from_file")
class MaskFromFile(MaskStep):
    """Take the mask from a file beside the photo; gives the binary picture, or with `apply` the photo under it.

    Must stand before every step that moves pixels, because the file has the photo's own size.

    Attributes:
        pattern: The file's name seen from the photo's folder, with {stem} for the photo's name without its ending:
            "{stem}_mask.png", or "../masks/{stem}.png". It must stay inside the data folder.
        apply: Put the original photo under the mask at once.
        part: Whether the part is bright or dark in the file; values above 127 are bright.
        background: With `apply`, see `MaskStep`.
        value: With `apply`, see `MaskStep`.
        blur: With `apply`, see `MaskStep`.
    """

    needs_place: ClassVar[bool] = True

    step: Literal["mask_from_file"] = "mask_from_file"
    pattern: str = "{stem}_mask.png"
    apply: bool = True
    part: Literal["bright", "dark"] = "bright"

    @field_validator("pattern")
    @classmethod
    def _names_the_photo(cls, pattern: str) -> str:
        filled = pattern.replace("{stem}", "")
        if "{stem}" not in pattern or "{" in filled or "}" in filled:
            raise ValueError("pattern must have {stem} in it, and no other braces")
        if pattern.startswith("/") or "\\" in pattern or ":" in pattern or "\0" in pattern:
            raise ValueError("pattern must be a relative path with forward slashes")
        return pattern

    def gives(self, kind: Kind) -> Kind:
        return super().gives(kind) if self.apply else "binary"

    def mask(self, photo: Working) -> UInt8Image:
        if photo.beside is None:
            raise UserError(
                f'This chain needs a mask file beside each photo ("{self.pattern}"), and a bare array has none.',
                hint="Give the photo by its path, or take mask_from_file out of the recipe.",
            )
        grey = to_grey(photo.beside(self.pattern))
        height, width = photo.original.shape[:2]
        if grey.shape != (height, width):
            raise PhotoRefused(f"its mask file is {grey.shape[0]}x{grey.shape[1]}, the photo {height}x{width}")
        kind = cv2.THRESH_BINARY if self.part == "bright" else cv2.THRESH_BINARY_INV
        return np.asarray(cv2.threshold(grey, _HALF, 255, kind)[1], dtype=np.uint8)

    def run(self, photo: Working) -> Working:
        return super().run(photo) if self.apply else self.with_mask(photo)
