"""Prepare steps of colour and of filters: one channel, grey, a plane of HSV or Lab, channel order, convolution."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from teliti.imaging.colour import Channel, Plane, colour_plane, pick_channel, reorder_channels, to_grey
from teliti.imaging.filters import Border, Negative, apply_filter, check_filter, kernel_size, to_picture
from teliti.transforms.steps import COLOUR, STEPS, Kind, PixelStep
from teliti.types import UInt8Image


@STEPS.register("channel")
class PickChannel(PixelStep):
    """One channel of a colour photo as a grey picture.

    Attributes:
        channel: r, g or b.
    """

    takes: ClassVar[frozenset[Kind]] = COLOUR

    step: Literal["channel"] = "channel"
    channel: Channel = "g"

    def gives(self, kind: Kind) -> Kind:  # noqa: ARG002 - grey, whatever came in
        return "grey"

    def apply(self, image: UInt8Image) -> UInt8Image:
        return pick_channel(image, self.channel)


@STEPS.register("grey")
class Grey(PixelStep):
    """The luma of a colour photo, 0.299 R + 0.587 G + 0.114 B; makes a binary picture count as a grey one."""

    step: Literal["grey"] = "grey"

    def gives(self, kind: Kind) -> Kind:  # noqa: ARG002 - grey, whatever came in
        return "grey"

    def apply(self, image: UInt8Image) -> UInt8Image:
        return to_grey(image)


@STEPS.register("colour_plane")
class ColourPlane(PixelStep):
    """One plane of a colour photo's HSV or L*a*b* form as a grey picture.

    Attributes:
        plane: hue (the circle in 256 levels), saturation, value; or lightness, a (green to red) and b (blue to
            yellow), for which 128 is neutral.
    """

    takes: ClassVar[frozenset[Kind]] = COLOUR
    channelwise: ClassVar[bool] = False

    step: Literal["colour_plane"] = "colour_plane"
    plane: Plane = "saturation"

    def gives(self, kind: Kind) -> Kind:  # noqa: ARG002 - grey, whatever came in
        return "grey"

    def apply(self, image: UInt8Image) -> UInt8Image:
        return colour_plane(image, self.plane)


@STEPS.register("channel_order")
class ChannelOrder(PixelStep):
    """The channels of a colour photo in another order, for networks that were trained so.

    Attributes:
        order: A permutation of the letters r, g and b; "bgr" puts blue first.
    """

    takes: ClassVar[frozenset[Kind]] = COLOUR

    step: Literal["channel_order"] = "channel_order"
    order: Literal["rgb", "rbg", "grb", "gbr", "brg", "bgr"] = "bgr"

    def apply(self, image: UInt8Image) -> UInt8Image:
        return reorder_channels(image, self.order)


@STEPS.register("filter")
class Filter(PixelStep):
    """Convolution with one kernel, each channel for itself, as a network's convolution layer does it.

    Attributes:
        kernel: A name (sharpen, sobel, gaussian_5x5 ...), or rows of numbers.
        stride: Pixels from one place of the kernel to the next.
        padding: "valid", "same", or a number of pixels on every side.
        border: What stands beyond the border: zero, nearest, reflect, mirror or wrap.
        negative: What becomes of results below 0: clip (0), absolute (their size), middle (halved, 0 becomes 128).
            Results above 255 become 255.
    """

    step: Literal["filter"] = "filter"
    kernel: str | tuple[tuple[float, ...], ...] = "sharpen"
    stride: Annotated[int, Field(ge=1, le=64)] = 1
    padding: Literal["valid", "same"] | Annotated[int, Field(ge=0, le=64)] = "same"
    border: Border = "zero"
    negative: Negative = "clip"

    @field_validator("kernel", mode="before")
    @classmethod
    def _is_usable(cls, kernel: Any) -> Any:
        usable = check_filter(kernel)
        return usable if isinstance(usable, str) else tuple(tuple(row) for row in usable.tolist())

    @field_validator("padding", mode="before")
    @classmethod
    def _is_padding(cls, padding: Any) -> Any:
        if padding in ("valid", "same") or (type(padding) is int and 0 <= padding <= 64):
            return padding
        raise ValueError('input should be "valid", "same" or a whole number of pixels from 0 to 64')

    def gives(self, kind: Kind) -> Kind:
        return "colour" if kind == "colour" else "grey"

    @property
    def keeps_size(self) -> bool:
        if self.stride > 1 or self.padding == "same":
            return self.stride == 1
        side = 1 if self.padding == "valid" else 2 * self.padding + 1
        return kernel_size(self.kernel) == (side, side)

    @property
    def may_refuse(self) -> bool:
        return self.padding != "same"

    def apply(self, image: UInt8Image) -> UInt8Image:
        values = apply_filter(image, self.kernel, stride=self.stride, padding=self.padding, border=self.border)
        return to_picture(values, negative=self.negative)
