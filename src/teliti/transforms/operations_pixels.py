"""Augmentations that need the whole photo: noise, blur, JPEG, erasing, and the four of appearance.

They run after the warp and the table, in the order of the chain. Random pixels come from a seed among the drawn
values, so a draw gives the same photo whenever and wherever it is applied.
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

import cv2
import numpy as np
from pydantic import Field

from teliti.imaging.appearance import blend, decolourise, detexturise, enhance_edges, salient_edges
from teliti.transforms.operations import (
    OPERATIONS,
    GreyLevel,
    PixelOperation,
    Range,
    Units,
    Values,
    around,
    between,
    whole_seed,
)
from teliti.types import UInt8Image

Strength = Annotated[Range, around(0.0, lowest=0.0, highest=1.0, one_sided=True)]
SigmaPixels = Annotated[float, Field(gt=0.0, le=50.0)]
SigmaLevels = Annotated[float, Field(gt=0.0, le=255.0)]


@OPERATIONS.register("noise")
class Noise(PixelOperation):
    """Add Gaussian noise to every pixel.

    Attributes:
        std: Standard deviation in grey levels, 0 to 128: up to so many, or (lowest, highest).
        per_channel: Colour noise; false adds the same noise to all channels.
    """

    units: ClassVar[int] = 2

    step: Literal["noise"] = "noise"
    std: Annotated[Range, around(0.0, lowest=0.0, highest=128.0, one_sided=True)] = (0.0, 8.0)
    per_channel: bool = True

    def draw(self, units: Units) -> Values:
        return {"std": between(self.std, units[0]), "seed": whole_seed(units[1])}

    def apply(self, image: UInt8Image, values: Values) -> UInt8Image:
        if values["std"] == 0.0:
            return image
        shape = image.shape if self.per_channel or image.ndim == 2 else (*image.shape[:2], 1)
        noise = np.random.default_rng(values["seed"]).standard_normal(shape, dtype=np.float32)
        noise *= np.float32(values["std"])
        return np.asarray(np.rint(np.clip(image + noise, 0.0, 255.0)), dtype=np.uint8)

    def words(self, values: Values) -> str:
        return f"noise of {values['std']:.1f} grey levels"


@OPERATIONS.register("blur")
class Blur(PixelOperation):
    """Blur with a Gaussian, as a lens out of focus would.

    Attributes:
        sigma: Standard deviation in pixels, 0 to 50: up to so many, or (lowest, highest).
    """

    step: Literal["blur"] = "blur"
    sigma: Annotated[Range, around(0.0, lowest=0.0, highest=50.0, one_sided=True)] = (0.0, 1.5)

    def draw(self, units: Units) -> Values:
        return {"sigma": between(self.sigma, units[0])}

    def apply(self, image: UInt8Image, values: Values) -> UInt8Image:
        if values["sigma"] == 0.0:
            return image
        blurred = cv2.GaussianBlur(image, (0, 0), values["sigma"], borderType=cv2.BORDER_REPLICATE)
        return np.asarray(blurred, dtype=np.uint8)

    def words(self, values: Values) -> str:
        return f"blurred by {values['sigma']:.2f} pixels"


@OPERATIONS.register("jpeg")
class Jpeg(PixelOperation):
    """Compress and decode again, so that the network meets the marks of compression.

    Attributes:
        quality: The lowest quality, 1 to 100; drawn from there to 100, and 100 leaves the photo untouched.
    """

    step: Literal["jpeg"] = "jpeg"
    quality: Annotated[int, Field(ge=1, le=100)] = 60

    def draw(self, units: Units) -> Values:
        return {"quality": self.quality + int(units[0] * (101 - self.quality))}

    def apply(self, image: UInt8Image, values: Values) -> UInt8Image:
        if values["quality"] == 100:
            return image
        settings = [cv2.IMWRITE_JPEG_QUALITY, values["quality"]]
        if image.ndim == 2:
            _, data = cv2.imencode(".jpg", image, settings)
            return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), dtype=np.uint8)
        _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), settings)
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB), dtype=np.uint8)

    def words(self, values: Values) -> str:
        return f"JPEG quality {values['quality']}"


@OPERATIONS.register("erase")
class Erase(PixelOperation):
    """Cover a rectangle, so that no single spot decides (random erasing, Z. Zhong and others, AAAI 2020).

    Masks and boxes stay as they are.

    Attributes:
        area: Share of the photo that is covered, 0 to 0.9: up to so much, or (lowest, highest).
        aspect: The largest ratio of the longer side to the shorter one, 1 to 10.
        fill: noise, mean (the photo's mean colour), or a grey level 0..255.
    """

    units: ClassVar[int] = 5

    step: Literal["erase"] = "erase"
    area: Annotated[Range, around(0.0, lowest=0.0, highest=0.9, one_sided=True)] = (0.02, 0.2)
    aspect: Annotated[float, Field(ge=1.0, le=10.0)] = 3.0
    fill: Literal["noise", "mean"] | GreyLevel = "noise"

    def draw(self, units: Units) -> Values:
        area, slope = between(self.area, units[0]), math.log(self.aspect)
        ratio = math.exp(between((-slope, slope), units[1]))
        height = min(1.0, math.sqrt(area * ratio))
        width = min(1.0, area / height) if height > 0.0 else 0.0
        return {
            "top": units[2] * (1.0 - height),
            "left": units[3] * (1.0 - width),
            "height": height,
            "width": width,
            "seed": whole_seed(units[4]),
        }

    def hole(self, values: Values, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Top, bottom, left and right of the covered rectangle in pixels; the latter of each pair is outside.

        Args:
            values: From `draw`.
            size: (height, width) of the photo in pixels.
        """
        height, width = size
        return (
            round(values["top"] * height), round((values["top"] + values["height"]) * height),
            round(values["left"] * width), round((values["left"] + values["width"]) * width),
        )  # fmt: skip

    def apply(self, image: UInt8Image, values: Values) -> UInt8Image:
        top, bottom, left, right = self.hole(values, (image.shape[0], image.shape[1]))
        if bottom == top or right == left:
            return image
        erased = image.copy()
        hole = erased[top:bottom, left:right]
        if self.fill == "noise":
            hole[...] = np.random.default_rng(values["seed"]).integers(0, 256, hole.shape, dtype=np.uint8)
        elif self.fill == "mean":
            hole[...] = np.rint(image.mean(axis=(0, 1)))
        else:
            hole[...] = round(self.fill)
        return erased

    def words(self, values: Values) -> str:
        return f"{100 * values['height'] * values['width']:.1f} % erased"


class Appearance(PixelOperation):
    """The photo blended with a view of itself that lacks a cue.

    Attributes:
        strength: Share of that view, 0 to 1: up to so much, or (lowest, highest).
    """

    strength: Strength = (0.0, 1.0)

    def draw(self, units: Units) -> Values:
        return {"strength": between(self.strength, units[0])}


@OPERATIONS.register("detexturise")
class Detexturise(Appearance):
    """Without fine texture: edge-preserving smoothing.

    Attributes:
        sigma_space: Pixels: texture finer than this goes.
        sigma_level: Grey levels: steps higher than about twice this stay.
    """

    step: Literal["detexturise"] = "detexturise"
    sigma_space: SigmaPixels = 3.0
    sigma_level: SigmaLevels = 30.0

    def apply(self, image: UInt8Image, values: Values) -> UInt8Image:
        if values["strength"] == 0.0:
            return image
        smooth = detexturise(image, sigma_space=self.sigma_space, sigma_level=self.sigma_level)
        return blend(image, smooth, strength=values["strength"])

    def words(self, values: Values) -> str:
        return f"texture lowered by {100 * values['strength']:.0f} %"


@OPERATIONS.register("decolourise")
class Decolourise(Appearance):
    """Without colour: towards the grey of the luminance."""

    step: Literal["decolourise"] = "decolourise"

    def apply(self, image: UInt8Image, values: Values) -> UInt8Image:
        return decolourise(image, strength=values["strength"])

    def words(self, values: Values) -> str:
        return f"colour lowered by {100 * values['strength']:.0f} %"


@OPERATIONS.register("enhance_edges")
class EnhanceEdges(PixelOperation):
    """With raised edges: unsharp masking of the luminance.

    Attributes:
        strength: Multiple of the fine detail that is added, 0 to 10: up to so much, or (lowest, highest).
        sigma: Pixels: detail finer than this is raised.
    """

    step: Literal["enhance_edges"] = "enhance_edges"
    strength: Annotated[Range, around(0.0, lowest=0.0, highest=10.0, one_sided=True)] = (0.0, 2.0)
    sigma: SigmaPixels = 1.5

    def draw(self, units: Units) -> Values:
        return {"strength": between(self.strength, units[0])}

    def apply(self, image: UInt8Image, values: Values) -> UInt8Image:
        return enhance_edges(image, strength=values["strength"], sigma=self.sigma)

    def words(self, values: Values) -> str:
        return f"edges raised by {values['strength']:.2f} times their detail"


@OPERATIONS.register("salient_edges")
class SalientEdges(Appearance):
    """Outlines alone: bright edges on black, blended with the photo.

    Attributes:
        low: Grey levels per pixel that an edge has everywhere; at most `high`.
        high: Grey levels per pixel that it reaches somewhere.
    """

    step: Literal["salient_edges"] = "salient_edges"
    low: SigmaLevels = 4.0
    high: SigmaLevels = 10.0

    def apply(self, image: UInt8Image, values: Values) -> UInt8Image:
        if values["strength"] == 0.0:
            return image
        edges = salient_edges(image, low=self.low, high=self.high)
        if image.ndim == 3:
            edges = np.asarray(cv2.cvtColor(edges, cv2.COLOR_GRAY2RGB), dtype=np.uint8)
        return blend(image, edges, strength=values["strength"])

    def words(self, values: Values) -> str:
        return f"{100 * values['strength']:.0f} % edge map"
