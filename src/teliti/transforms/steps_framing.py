"""Steps that move pixels: crop to the part, turn it upright, crop, cut tiles, and the closing frame.

The part is the binary picture where the chain is binary, else what Otsu's threshold finds, with the background being
what covers most of the photo's edge. Where nothing is found the photo stays whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, ClassVar, Literal, Self

import cv2
import numpy as np
from pydantic import Field, model_validator

from teliti.errors import PhotoRefused
from teliti.imaging.framing import (
    Rectangle,
    as_colour,
    bounding_rectangle,
    crop_to_fill,
    letterbox,
    resize,
    smallest_rectangle,
)
from teliti.imaging.segmentation import segment_otsu
from teliti.imaging.tiling import count_tiles, draw_tiles, tile_rectangles
from teliti.recipe import Fit
from teliti.transforms.steps import STEPS, GeometryStep, Kind, TileStep, Working
from teliti.types import UInt8Image

MAX_TILES = 4096
Side = Annotated[int, Field(ge=1, le=8192)]
Unit = Literal["fraction", "pixels"]
_FITS = {"letterbox": letterbox, "stretch": resize, "crop": crop_to_fill}


class _PartStep(GeometryStep):
    """A step that looks where the part is."""

    sized_by_pixels: ClassVar[bool] = True

    margin: Annotated[float, Field(ge=0, le=8192)] = 0.05
    unit: Unit = "fraction"

    @model_validator(mode="after")
    def _margin_fits_unit(self) -> Self:
        if self.unit == "fraction" and self.margin > 1:
            raise ValueError('margin must be at most 1 as a fraction; set unit = "pixels" for pixels')
        return self

    def margin_of(self, longer_side: float) -> float:
        """Pixels around a part of that size."""
        return self.margin if self.unit == "pixels" else self.margin * longer_side


@STEPS.register("crop_to_part")
class CropToPart(_PartStep):
    """Crop to the upright rectangle around the part; the photo stays whole where no part is found.

    Attributes:
        margin: Room around the part: a share of its longer side, or pixels. The photo's edge ends it.
        unit: What `margin` counts.
    """

    step: Literal["crop_to_part"] = "crop_to_part"

    def place(self, photo: Working) -> Callable[[UInt8Image], UInt8Image]:
        part = bounding_rectangle(_part_of(photo))
        if part is None:
            return _stay
        margin = self.margin_of(max(part.bottom - part.top, part.right - part.left))
        return part.widened(round(margin), inside=photo.image).cut


@STEPS.register("upright")
class Upright(_PartStep):
    """Turn the part upright and crop to it, by the rectangle of least area around it; bilinear.

    The photo stays whole where no part is found. Outside the photo its edge pixels repeat.

    Attributes:
        margin: Room around the part: a share of its longer side, or pixels.
        unit: What `margin` counts.
        long_side: How the part's long side must lie; "any" takes the smallest turn.
    """

    step: Literal["upright"] = "upright"
    long_side: Literal["any", "vertical", "horizontal"] = "any"

    def place(self, photo: Working) -> Callable[[UInt8Image], UInt8Image]:
        part = smallest_rectangle(_part_of(photo), long_side=self.long_side)
        if part is None:
            return _stay
        margin = self.margin_of(max(part.height, part.width))
        return lambda image: part.cut(image, margin=margin)

    def run(self, photo: Working) -> Working:
        moved = super().run(photo)
        if photo.kind != "binary":
            return moved
        sharp = cv2.threshold(moved.image, 127, 255, cv2.THRESH_BINARY)[1]
        return replace(moved, image=np.asarray(sharp, dtype=np.uint8))


@STEPS.register("crop")
class Crop(GeometryStep):
    """Crop to a fixed rectangle; what of it lies outside the photo is left out.

    Attributes:
        top: Rows above the rectangle.
        left: Columns left of it.
        height: Rows; null: to the lower edge.
        width: Columns; null: to the right edge.
        unit: "fraction" of the photo's height and width, or "pixels".
    """

    step: Literal["crop"] = "crop"
    top: Annotated[float, Field(ge=0, le=65536)] = 0.0
    left: Annotated[float, Field(ge=0, le=65536)] = 0.0
    height: Annotated[float, Field(gt=0, le=65536)] | None = None
    width: Annotated[float, Field(gt=0, le=65536)] | None = None
    unit: Unit = "fraction"

    @model_validator(mode="after")
    def _rectangle_fits_unit(self) -> Self:
        sides = {"top": self.top, "left": self.left, "height": self.height, "width": self.width}
        for name, value in sides.items():
            if value is None:
                continue
            if self.unit == "fraction" and (value > 1 or (name in {"top", "left"} and value == 1)):
                raise ValueError(f'{name} must be below 1 as a fraction; set unit = "pixels" for pixels')
            if self.unit == "pixels" and value != int(value):
                raise ValueError(f"{name} must be whole pixels")
        return self

    @property
    def may_refuse(self) -> bool:
        return self.unit == "pixels" and (self.top > 0 or self.left > 0)

    def place(self, photo: Working) -> Callable[[UInt8Image], UInt8Image]:
        height, width = photo.image.shape[:2]
        top, bottom = self._span(self.top, self.height, height)
        left, right = self._span(self.left, self.width, width)
        if top >= bottom or left >= right:
            raise PhotoRefused(f"nothing of the photo, {width} pixels wide and {height} high, lies in the rectangle")
        return Rectangle(top, left, bottom, right).cut

    def _span(self, start: float, length: float | None, whole: int) -> tuple[int, int]:
        """First pixel and the one after the last; a fraction keeps at least one pixel."""
        if self.unit == "pixels":
            return int(start), whole if length is None else min(whole, int(start + length))
        first = min(whole - 1, round(start * whole))
        return first, whole if length is None else min(whole, max(first + 1, round((start + length) * whole)))


@STEPS.register("frame", is_own=True)
class Frame(GeometryStep):
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

    def gives(self, kind: Kind) -> Kind:  # noqa: ARG002 - what the network takes, whatever came in
        return "colour"

    def place(self, photo: Working) -> Callable[[UInt8Image], UInt8Image]:  # noqa: ARG002 - the same for all photos
        return self.apply

    def apply(self, image: UInt8Image) -> UInt8Image:
        """(H, W, 3) or (H, W) uint8 to (height, width, 3); grey gets the bits of three equal channels."""
        if image.shape[0] < self.height or image.shape[1] < self.width:  # see imaging.framing on growing
            image = as_colour(image)
        return as_colour(_FITS[self.fit](image, (self.height, self.width)))


@STEPS.register("tile")
class Tile(TileStep):
    """Cut the photo into overlapping tiles that cover all of it; each goes through the rest of the chain.

    Attributes:
        size: Side or (height, width) of a tile, in pixels; a smaller photo is one tile.
        overlap: Least share of a tile that its neighbour covers too.
    """

    step: Literal["tile"] = "tile"
    size: Side | tuple[Side, Side] = 512
    overlap: Annotated[float, Field(ge=0, le=0.9)] = 0.2

    @property
    def may_refuse(self) -> bool:
        return True

    def cut(self, photo: Working) -> tuple[Working, ...]:
        return tuple(
            replace(photo, image=tile.cut(photo.image), original=tile.cut(photo.original))
            for tile in self._tiles(photo.image)
        )

    def outline(self, image: UInt8Image) -> UInt8Image:
        return draw_tiles(image, self._tiles(image))

    def _tiles(self, image: UInt8Image) -> list[Rectangle]:
        shape = (image.shape[0], image.shape[1])
        size = (self.size, self.size) if isinstance(self.size, int) else self.size
        count = count_tiles(shape, size, overlap=self.overlap)
        if count > MAX_TILES:
            raise PhotoRefused(f"it would be cut into {count:,} tiles, over the limit of {MAX_TILES:,}")
        return tile_rectangles(shape, size, overlap=self.overlap)


def _part_of(photo: Working) -> UInt8Image:
    """(H, W) uint8, non-zero where the part is."""
    return photo.image if photo.kind == "binary" else segment_otsu(photo.image)


def _stay(image: UInt8Image) -> UInt8Image:
    return image
