"""Prepare steps of contrast: CLAHE, histogram equalisation, gamma, and the evening out of uneven light."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from teliti.imaging.contrast import Flattening, apply_clahe, apply_gamma, equalize_histogram, flatten_illumination
from teliti.transforms.steps import COLOUR_OR_GREY, STEPS, Kind, PixelStep
from teliti.types import UInt8Image


@STEPS.register("clahe")
class Clahe(PixelStep):
    """Contrast-limited adaptive histogram equalisation, on the lightness of colour photos.

    Attributes:
        clip_limit: Multiple of the mean histogram bin at which bins are clipped.
        tile_grid: (rows, columns) of tiles.
    """

    takes: ClassVar[frozenset[Kind]] = COLOUR_OR_GREY

    step: Literal["clahe"] = "clahe"
    clip_limit: Annotated[float, Field(gt=0, le=100)] = 2.0
    tile_grid: tuple[Annotated[int, Field(ge=1, le=64)], Annotated[int, Field(ge=1, le=64)]] = (8, 8)

    def apply(self, image: UInt8Image) -> UInt8Image:
        return apply_clahe(image, clip_limit=self.clip_limit, tile_grid=self.tile_grid)


@STEPS.register("equalize")
class Equalize(PixelStep):
    """Histogram equalisation of the whole photo, on the lightness of colour photos."""

    takes: ClassVar[frozenset[Kind]] = COLOUR_OR_GREY

    step: Literal["equalize"] = "equalize"

    def apply(self, image: UInt8Image) -> UInt8Image:
        return equalize_histogram(image)


@STEPS.register("gamma")
class Gamma(PixelStep):
    """The power law 255 (value / 255)^gamma, on every channel.

    Attributes:
        gamma: Below 1 brightens the dark parts, above 1 darkens, 1 changes nothing.
    """

    takes: ClassVar[frozenset[Kind]] = COLOUR_OR_GREY

    step: Literal["gamma"] = "gamma"
    gamma: Annotated[float, Field(ge=0.05, le=20)] = 0.7

    def apply(self, image: UInt8Image) -> UInt8Image:
        return apply_gamma(image, self.gamma)


@STEPS.register("flatten_illumination")
class FlattenIllumination(PixelStep):
    """Take uneven light out of the photo, estimated as its own wide blur; parts may be bright or dark.

    Attributes:
        method: divide, for light that falls unevenly; subtract, for haze and offsets.
        sigma: Standard deviation of the blur as a fraction of the photo's short side. What is larger counts as
            light and goes.
    """

    takes: ClassVar[frozenset[Kind]] = COLOUR_OR_GREY

    step: Literal["flatten_illumination"] = "flatten_illumination"
    method: Flattening = "divide"
    sigma: Annotated[float, Field(ge=0.01, le=1)] = 0.2

    def apply(self, image: UInt8Image) -> UInt8Image:
        return flatten_illumination(image, method=self.method, sigma=self.sigma)
