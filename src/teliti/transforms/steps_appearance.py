"""Prepare steps that take a cue away or raise one: texture, colour, edges (see `imaging.appearance`)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from teliti.imaging.appearance import blend, decolourise, detexturise, enhance_edges, salient_edges
from teliti.transforms.steps import COLOUR_OR_GREY, STEPS, Kind, PixelStep
from teliti.types import UInt8Image

Strength = Annotated[float, Field(ge=0.0, le=1.0)]
SigmaPixels = Annotated[float, Field(gt=0.0, le=50.0)]
Levels = Annotated[float, Field(gt=0.0, le=255.0)]


@STEPS.register("detexturise")
class Detexturise(PixelStep):
    """Smooth fine texture away and keep the outlines.

    Attributes:
        strength: Share of the smoothed picture, 0 (nothing) to 1.
        sigma_space: Pixels: texture finer than this goes.
        sigma_level: Grey levels: steps higher than about twice this stay.
        rounds: How often the filter runs.
    """

    takes: ClassVar[frozenset[Kind]] = COLOUR_OR_GREY
    channelwise: ClassVar[bool] = False  # equal but for the last rounding of a rare pixel

    step: Literal["detexturise"] = "detexturise"
    strength: Strength = 1.0
    sigma_space: SigmaPixels = 3.0
    sigma_level: Levels = 30.0
    rounds: Annotated[int, Field(ge=1, le=20)] = 2

    def apply(self, image: UInt8Image) -> UInt8Image:
        """Size and kind kept."""
        if self.strength == 0.0:
            return image
        smooth = detexturise(image, sigma_space=self.sigma_space, sigma_level=self.sigma_level, rounds=self.rounds)
        return blend(image, smooth, strength=self.strength)


@STEPS.register("decolourise")
class Decolourise(PixelStep):
    """Move colours towards the grey of their luminance; the picture stays one of three channels.

    Attributes:
        strength: 0 (nothing) to 1 (no colour left).
    """

    takes: ClassVar[frozenset[Kind]] = COLOUR_OR_GREY

    step: Literal["decolourise"] = "decolourise"
    strength: Strength = 1.0

    def apply(self, image: UInt8Image) -> UInt8Image:
        """Size and kind kept."""
        return decolourise(image, strength=self.strength)


@STEPS.register("enhance_edges")
class EnhanceEdges(PixelStep):
    """Raise the contrast along edges, colours kept.

    Attributes:
        strength: Multiple of the fine detail that is added; 0 adds nothing.
        sigma: Pixels: detail finer than this is raised.
    """

    takes: ClassVar[frozenset[Kind]] = COLOUR_OR_GREY

    step: Literal["enhance_edges"] = "enhance_edges"
    strength: Annotated[float, Field(ge=0.0, le=10.0)] = 1.0
    sigma: SigmaPixels = 1.5

    def apply(self, image: UInt8Image) -> UInt8Image:
        """Size and kind kept."""
        return enhance_edges(image, strength=self.strength, sigma=self.sigma)


@STEPS.register("salient_edges")
class SalientEdges(PixelStep):
    """The outlines alone: bright edges on black.

    Attributes:
        low: Grey levels per pixel that an edge has everywhere.
        high: Grey levels per pixel that it reaches somewhere; drawn as 255.
        sigma_space: Pixels: texture finer than this is no edge.
        sigma_level: Grey levels: steps higher than about twice this stay.
    """

    takes: ClassVar[frozenset[Kind]] = COLOUR_OR_GREY

    step: Literal["salient_edges"] = "salient_edges"
    low: Levels = 4.0
    high: Levels = 10.0
    sigma_space: SigmaPixels = 3.0
    sigma_level: Levels = 30.0

    def gives(self, kind: Kind) -> Kind:  # noqa: ARG002
        return "grey"

    def apply(self, image: UInt8Image) -> UInt8Image:
        """(H, W) uint8 grey."""
        return salient_edges(
            image, low=self.low, high=self.high, sigma_space=self.sigma_space, sigma_level=self.sigma_level
        )
