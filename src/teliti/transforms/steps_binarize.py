"""Prepare steps that make and clean binary pictures, and the two that take specks out of any picture."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from teliti.imaging.binarize import Method, Polarity, binarize
from teliti.imaging.cleaning import Connectivity, apply_median, despeckle, fill_holes, remove_elements
from teliti.transforms.steps import BINARY, STEPS, Kind, PixelStep
from teliti.types import UInt8Image

Unit = Literal["fraction", "pixels"]
Area = Annotated[float, Field(ge=0, le=1e9)]
Aspect = Annotated[float, Field(ge=1, le=1e4)]
Solidity = Annotated[float, Field(ge=0, le=1)]
MedianSize = Annotated[int, Field(ge=3, le=255)]

_LOCAL_DEFAULTS = {"block_size": 31, "offset": 5.0}


@STEPS.register("binarize")
class Binarize(PixelStep):
    """Part (255) and background (0), by the luma of colour photos.

    Attributes:
        method: One threshold for the photo (fixed, otsu, triangle) or one for every pixel from its neighbourhood
            (adaptive_mean, adaptive_gaussian).
        polarity: The part is bright, dark, or - auto, for each photo - the side that covers less of its edge.
        threshold: Grey level 0..255, pixels above it are bright; for fixed, which needs it, and no other method.
        block_size: Side of the neighbourhood in pixels, odd; for the adaptive methods only.
        offset: Grey levels by which the part must differ from its neighbourhood's mean; adaptive methods only.
    """

    step: Literal["binarize"] = "binarize"
    method: Method = "otsu"
    polarity: Polarity = "auto"
    threshold: Annotated[int, Field(ge=0, le=255)] | None = None
    block_size: Annotated[int, Field(ge=3, le=1023)] | None = None
    offset: Annotated[float, Field(ge=-255, le=255)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _fill_in_what_the_method_needs(cls, values: Any) -> Any:
        if isinstance(values, dict) and str(values.get("method")).startswith("adaptive"):
            given = {name: value for name, value in values.items() if value is not None}
            return {**_LOCAL_DEFAULTS, **given}
        return values

    @model_validator(mode="after")
    def _has_what_the_method_needs(self) -> Self:
        if (self.method == "fixed") != (self.threshold is not None):
            needs = "needs a threshold from 0 to 255" if self.method == "fixed" else "takes no threshold"
            raise ValueError(f'method "{self.method}" {needs}')
        if not self.method.startswith("adaptive") and (self.block_size is not None or self.offset is not None):
            raise ValueError(f'block_size and offset belong to the adaptive methods; this is "{self.method}"')
        if self.block_size is not None and self.block_size % 2 == 0:
            raise ValueError(f"block_size must be odd, so that the block has a centre, got {self.block_size}")
        return self

    def gives(self, kind: Kind) -> Kind:  # noqa: ARG002 - binary, whatever came in
        return "binary"

    def apply(self, image: UInt8Image) -> UInt8Image:
        return binarize(
            image,
            method=self.method,
            polarity=self.polarity,
            threshold=self.threshold or 0,  # None only where the method does not read it, and so below
            block_size=self.block_size or 0,
            offset=self.offset or 0.0,
        )


class _AreaStep(PixelStep):
    """A step whose areas are counted in pixels or as a fraction of the photo.

    Attributes:
        max_area: What is larger is left out of account.
        unit: fraction of the photo, or pixels.
    """

    takes: ClassVar[frozenset[Kind]] = BINARY

    max_area: Area | None = None
    unit: Unit = "fraction"

    def pixels(self, area: float, image: UInt8Image) -> float:
        """That area in pixels of this picture."""
        return area if self.unit == "pixels" else area * image.size

    @model_validator(mode="after")
    def _largest_fits_unit(self) -> Self:
        _check_area(self.max_area, self.unit)
        return self


@STEPS.register("remove_elements")
class RemoveElements(_AreaStep):
    """Remove connected elements of a binary picture that are not the part; the limits apply in the order given here.

    Attributes:
        min_area: Smaller elements go.
        max_area: Larger elements go.
        unit: What areas count: fraction of the photo, or pixels.
        clear_border: Elements that touch the photo's edge go.
        aspect: (lowest, highest) long side over short side of the smallest rectangle around the element.
        solidity: (lowest, highest) area over the area of its convex hull.
        keep_largest: Of those left, only so many, the largest.
        connectivity: 8 counts pixels that touch at a corner as connected, 4 does not.
    """

    step: Literal["remove_elements"] = "remove_elements"
    min_area: Area = 0.001
    clear_border: bool = False
    aspect: tuple[Aspect, Aspect] | None = None
    solidity: tuple[Solidity, Solidity] | None = None
    keep_largest: Annotated[int, Field(ge=1, le=100_000)] | None = None
    connectivity: Connectivity = 8

    @model_validator(mode="after")
    def _limits_leave_room(self) -> Self:
        _check_area(self.min_area, self.unit)
        areas = None if self.max_area is None else (self.min_area, self.max_area)
        for name, limits in (("min_area, max_area", areas), ("aspect", self.aspect), ("solidity", self.solidity)):
            if limits is not None and limits[0] > limits[1]:
                raise ValueError(f"{name}: the lower limit {limits[0]:g} is above the upper one {limits[1]:g}")
        return self

    def apply(self, image: UInt8Image) -> UInt8Image:
        return remove_elements(
            image,
            min_area=self.pixels(self.min_area, image),
            max_area=None if self.max_area is None else self.pixels(self.max_area, image),
            clear_border=self.clear_border,
            aspect=self.aspect,
            solidity=self.solidity,
            keep_largest=self.keep_largest,
            connectivity=self.connectivity,
        )


@STEPS.register("fill_holes")
class FillHoles(_AreaStep):
    """Fill the background that the part of a binary picture encloses.

    Attributes:
        max_area: Only holes up to this area; without it every hole.
        unit: What the area counts: fraction of the photo, or pixels.
        connectivity: Of the part: with 8 a ring closed only over corners encloses, with 4 it leaks.
    """

    step: Literal["fill_holes"] = "fill_holes"
    connectivity: Connectivity = 8

    def apply(self, image: UInt8Image) -> UInt8Image:
        max_area = None if self.max_area is None else self.pixels(self.max_area, image)
        return fill_holes(image, max_area=max_area, connectivity=self.connectivity)


class _NeighbourhoodStep(PixelStep):
    """A step with an odd square neighbourhood, for pictures of any kind.

    Attributes:
        size: Its side in pixels.
    """

    size: MedianSize = 3

    @field_validator("size")
    @classmethod
    def _is_odd(cls, size: int) -> int:
        if size % 2 == 0:
            raise ValueError("must be odd, so that the neighbourhood has a centre")
        return size


@STEPS.register("median")
class Median(_NeighbourhoodStep):
    """The median of every pixel's neighbourhood: takes out specks and rounds off corners.

    Attributes:
        size: Side of the square neighbourhood in pixels, odd.
    """

    step: Literal["median"] = "median"

    def apply(self, image: UInt8Image) -> UInt8Image:
        return apply_median(image, self.size)


@STEPS.register("despeckle")
class Despeckle(_NeighbourhoodStep):
    """Replace only the pixels that stand out from the median of their neighbourhood; all others stay as they are.

    Attributes:
        size: Side of the square neighbourhood in pixels, odd.
        threshold: Grey levels by which a pixel must differ to count as a speck.
    """

    step: Literal["despeckle"] = "despeckle"
    threshold: Annotated[int, Field(ge=0, le=255)] = 40

    def apply(self, image: UInt8Image) -> UInt8Image:
        return despeckle(image, size=self.size, threshold=self.threshold)


def _check_area(area: float | None, unit: Unit) -> None:
    if unit == "fraction" and area is not None and area > 1:
        raise ValueError(f'an area must be at most 1 as a fraction, got {area:g}; set unit = "pixels" for pixels')
