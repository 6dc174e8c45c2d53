"""The prepare step of morphology: erosion, dilation and what is made of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from teliti.imaging.morphology import Operation, Shape, apply_morphology
from teliti.transforms.steps import STEPS, PixelStep
from teliti.types import UInt8Image

Extent = Annotated[int, Field(ge=1, le=255)]


@STEPS.register("morphology")
class Morphology(PixelStep):
    """Erode, dilate, open, close, gradient, tophat or blackhat, on any kind of picture, each channel for itself.

    Attributes:
        operation: On binary pictures open removes what is thinner than the element and close fills gaps thinner
            than it; on grey ones tophat keeps small bright things and blackhat small dark ones.
        shape: Of the structuring element.
        size: (height, width) of the element in pixels, odd.
        iterations: How often erosion and dilation are done.
    """

    step: Literal["morphology"] = "morphology"
    operation: Operation = "open"
    shape: Shape = "ellipse"
    size: tuple[Extent, Extent] = (5, 5)
    iterations: Annotated[int, Field(ge=1, le=100)] = 1

    @field_validator("size")
    @classmethod
    def _is_odd(cls, size: tuple[int, int]) -> tuple[int, int]:
        if size[0] % 2 == 0 or size[1] % 2 == 0:
            raise ValueError("height and width must be odd, so that the element has a centre")
        return size

    def apply(self, image: UInt8Image) -> UInt8Image:
        return apply_morphology(image, self.operation, shape=self.shape, size=self.size, iterations=self.iterations)
