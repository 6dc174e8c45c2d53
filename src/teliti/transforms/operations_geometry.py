"""Augmentations that move pixels: flip, turn, rotate, shift, zoom, shear, crop and pad.

Each gives an affine map; the chain composes them and interpolates once. Angles are degrees, counter-clockwise as seen
on the screen; shares are fractions of the photo's height or width.
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from teliti.imaging.geometry import IDENTITY, Affine, about_centre, rotation
from teliti.transforms.operations import (
    OPERATIONS,
    GeometricOperation,
    Probability,
    Range,
    Units,
    Values,
    around,
    between,
)

_STEEPEST = 40.0  # degrees: two shears of 45 would flatten the photo to a line
Share = Annotated[Range, around(0.0, lowest=-1.0, highest=1.0)]
Tilt = Annotated[Range, around(0.0, lowest=-_STEEPEST, highest=_STEEPEST)]
_TURNS: dict[int, tuple[float, float, float, float]] = {
    0: (1.0, 0.0, 0.0, 1.0),
    1: (0.0, 1.0, -1.0, 0.0),
    2: (-1.0, 0.0, 0.0, -1.0),
    3: (0.0, -1.0, 1.0, 0.0),
}


@OPERATIONS.register("flip")
class Flip(GeometricOperation):
    """Mirror the photo; exact to the pixel when nothing else moves it.

    Attributes:
        horizontal: Probability in [0, 1] that left and right change places.
        vertical: Probability in [0, 1] that top and bottom change places.
    """

    units: ClassVar[int] = 2

    step: Literal["flip"] = "flip"
    horizontal: Probability = 0.5
    vertical: Probability = 0.0

    def draw(self, units: Units) -> Values:
        return {"horizontal": units[0] < self.horizontal, "vertical": units[1] < self.vertical}

    def matrix(self, values: Values, size: tuple[int, int]) -> Affine:
        a, c = (-1.0, size[1] - 1.0) if values["horizontal"] else (1.0, 0.0)
        e, f = (-1.0, size[0] - 1.0) if values["vertical"] else (1.0, 0.0)
        return (a, 0.0, c, 0.0, e, f)

    def words(self, values: Values) -> str:
        return " and ".join(f"flipped {axis}ly" for axis in ("horizontal", "vertical") if values[axis]) or "not flipped"


@OPERATIONS.register("turn")
class Turn(GeometricOperation):
    """Turn the photo by quarters, for parts that lie any way round; exact to the pixel on square photos.

    Attributes:
        quarters: The quarter turns to choose from with equal chance, counter-clockwise: 0, 1, 2, 3.
    """

    step: Literal["turn"] = "turn"
    quarters: Annotated[tuple[Literal[0, 1, 2, 3], ...], Field(min_length=1)] = (0, 1, 2, 3)

    def draw(self, units: Units) -> Values:
        return {"quarters": self.quarters[int(units[0] * len(self.quarters))]}

    def matrix(self, values: Values, size: tuple[int, int]) -> Affine:
        return about_centre(_TURNS[values["quarters"]], size)

    def words(self, values: Values) -> str:
        return f"turned by {90 * values['quarters']} degrees"


@OPERATIONS.register("rotate")
class Rotate(GeometricOperation):
    """Rotate the photo about its centre.

    Attributes:
        degrees: So many to either side, or (lowest, highest), within -180 to 180.
    """

    step: Literal["rotate"] = "rotate"
    degrees: Annotated[Range, around(0.0, lowest=-180.0, highest=180.0)] = (-10.0, 10.0)

    def draw(self, units: Units) -> Values:
        return {"degrees": between(self.degrees, units[0])}

    def matrix(self, values: Values, size: tuple[int, int]) -> Affine:
        return rotation(values["degrees"], size)

    def words(self, values: Values) -> str:
        return f"rotated by {values['degrees']:.1f} degrees"


@OPERATIONS.register("shift")
class Shift(GeometricOperation):
    """Move the photo sideways and up or down.

    Attributes:
        width: Share of the width to the right, within -1 to 1: so much to either side, or (lowest, highest).
        height: Share of the height downwards, likewise.
    """

    units: ClassVar[int] = 2

    step: Literal["shift"] = "shift"
    width: Share = (-0.1, 0.1)
    height: Share = (-0.1, 0.1)

    def draw(self, units: Units) -> Values:
        return {"width": between(self.width, units[0]), "height": between(self.height, units[1])}

    def matrix(self, values: Values, size: tuple[int, int]) -> Affine:
        return (1.0, 0.0, values["width"] * size[1], 0.0, 1.0, values["height"] * size[0])

    def words(self, values: Values) -> str:
        return f"shifted by {100 * values['width']:.1f} % of the width and {100 * values['height']:.1f} % of the height"


@OPERATIONS.register("zoom")
class Zoom(GeometricOperation):
    """Enlarge or shrink the photo about its centre.

    Attributes:
        scale: Factor within 0.1 to 10, above 1 enlarges; a number z means 1 - z to 1 + z.
        keep_shape: One factor for both axes; false draws one for each.
    """

    units: ClassVar[int] = 2

    step: Literal["zoom"] = "zoom"
    scale: Annotated[Range, around(1.0, lowest=0.1, highest=10.0)] = (0.9, 1.1)
    keep_shape: bool = True

    def draw(self, units: Units) -> Values:
        width = between(self.scale, units[0])
        return {"width": width, "height": width if self.keep_shape else between(self.scale, units[1])}

    def matrix(self, values: Values, size: tuple[int, int]) -> Affine:
        return about_centre((values["width"], 0.0, 0.0, values["height"]), size)

    def words(self, values: Values) -> str:
        return f"zoomed {values['width']:.2f} times in width and {values['height']:.2f} in height"


@OPERATIONS.register("shear")
class Shear(GeometricOperation):
    """Slant the photo about its centre.

    Attributes:
        horizontal: Degrees by which upright lines lean over, within -40 to 40: so many to either side, or a pair.
        vertical: Degrees by which level lines lean, likewise.
    """

    units: ClassVar[int] = 2

    step: Literal["shear"] = "shear"
    horizontal: Tilt = (-10.0, 10.0)
    vertical: Tilt = (0.0, 0.0)

    def draw(self, units: Units) -> Values:
        return {"horizontal": between(self.horizontal, units[0]), "vertical": between(self.vertical, units[1])}

    def matrix(self, values: Values, size: tuple[int, int]) -> Affine:
        across, down = math.tan(math.radians(values["horizontal"])), math.tan(math.radians(values["vertical"]))
        return about_centre((1.0, across, down, 1.0), size)

    def words(self, values: Values) -> str:
        return f"sheared by {values['horizontal']:.1f} degrees across and {values['vertical']:.1f} down"


@OPERATIONS.register("crop_and_pad")
class CropAndPad(GeometricOperation):
    """Cut a strip off each side or add one to it, and bring the rest back to the photo's size.

    Attributes:
        crop: The largest share that one side may lose, 0 to 0.45 of the height or width.
        pad: The largest share that one side may gain, 0 to 1.
    """

    units: ClassVar[int] = 4

    step: Literal["crop_and_pad"] = "crop_and_pad"
    crop: Annotated[float, Field(ge=0.0, le=0.45)] = 0.1
    pad: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0

    def draw(self, units: Units) -> Values:
        sides = ("left", "top", "right", "bottom")
        return {side: between((-self.crop, self.pad), unit) for side, unit in zip(sides, units, strict=True)}

    def matrix(self, values: Values, size: tuple[int, int]) -> Affine:
        left, top, right, bottom = values["left"], values["top"], values["right"], values["bottom"]
        if left == top == right == bottom == 0.0:
            return IDENTITY
        a, e = 1.0 / (1.0 + left + right), 1.0 / (1.0 + top + bottom)
        # At the edges the left edge, -left * width, goes to 0; pixel centres lie half a pixel further in.
        c = a * (left * size[1] + 0.5) - 0.5
        f = e * (top * size[0] + 0.5) - 0.5
        return (a, 0.0, c, 0.0, e, f)

    def words(self, values: Values) -> str:
        sides = ", ".join(f"{side} {100 * share:+.1f} %" for side, share in values.items())
        return f"cropped or padded: {sides}"
