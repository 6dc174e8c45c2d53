"""Filters: named kernels and the convolution of networks (cross-correlation: the kernel is not flipped).

`convolve` gives numbers as they come - below 0, above 255 - because a record of a filter must not lose them; only
`to_picture` brings them into 8 bits. The kernels are those of every textbook; sources where a table is somebody's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from teliti.errors import PhotoRefused, UserError
from teliti.registry import closest
from teliti.types import FloatArray, UInt8Image

Padding = Literal["valid", "same"] | int
Border = Literal["zero", "nearest", "reflect", "mirror", "wrap"]
Negative = Literal["clip", "absolute", "middle"]
KernelTable = Sequence[Sequence[float]]

MAX_KERNEL_SIZE = 31
_DIRECT_AREA = 100  # entries; OpenCV sums larger kernels through a Fourier transform, whose float32 rounding shows
_BORDERS: dict[Border, int] = {
    "zero": cv2.BORDER_CONSTANT,
    "nearest": cv2.BORDER_REPLICATE,
    "reflect": cv2.BORDER_REFLECT,
    "mirror": cv2.BORDER_REFLECT_101,
    "wrap": cv2.BORDER_WRAP,
}


def _table(rows: KernelTable, divisor: float = 1.0) -> NDArray[np.float64]:
    kernel = np.array(rows, dtype=np.float64) / divisor
    kernel.flags.writeable = False
    return kernel


_GAUSSIAN_5 = ((1, 4, 6, 4, 1), (4, 16, 24, 16, 4), (6, 24, 36, 24, 6), (4, 16, 24, 16, 4), (1, 4, 6, 4, 1))
_ALL_AROUND = _table(((-1, -1, -1), (-1, 8, -1), (-1, -1, -1)))
_FOUR_NEIGHBOURS = _table(((0, 1, 0), (1, -4, 1), (0, 1, 0)))
_IDENTITY_5 = np.pad(((1.0,),), 2)

KERNELS: Mapping[str, NDArray[np.float64]] = MappingProxyType(
    {
        "identity": _table(((0, 0, 0), (0, 1, 0), (0, 0, 0))),
        "edge_a": _table(((1, 0, -1), (0, 0, 0), (-1, 0, 1))),
        "edge_b": _FOUR_NEIGHBOURS,
        "edge_c": _ALL_AROUND,
        "ridge": _ALL_AROUND,  # the same kernel goes by two names
        "laplacian": _FOUR_NEIGHBOURS,
        "sharpen": _table(((0, -1, 0), (-1, 5, -1), (0, -1, 0))),
        "box_blur": _table(((1, 1, 1), (1, 1, 1), (1, 1, 1)), 9),
        "gaussian_3x3": _table(((1, 2, 1), (2, 4, 2), (1, 2, 1)), 16),
        "gaussian_5x5": _table(_GAUSSIAN_5, 256),
        "unsharp": _table(2 * 256 * _IDENTITY_5 - np.array(_GAUSSIAN_5), 256),  # the photo plus what the blur took
        "sobel_x": _table(((-1, 0, 1), (-2, 0, 2), (-1, 0, 1))),  # grows to the right
        "sobel_y": _table(((-1, -2, -1), (0, 0, 0), (1, 2, 1))),  # grows downward
    }
)
GRADIENT_LENGTH = "sobel"  # not one kernel: the length of what sobel_x and sobel_y give
FILTER_NAMES = (*KERNELS, GRADIENT_LENGTH)


def convolve(
    image: NDArray[Any],
    kernel: KernelTable | FloatArray,
    *,
    stride: int = 1,
    padding: Padding = "same",
    border: Border = "zero",
) -> FloatArray:
    """What a convolution layer with one filter and no bias computes: out[y, x] = sum kernel[i, j] in[s y + i, s x + j].

    Args:
        image: (H, W) or (H, W, C), uint8 or any real numbers; each channel for itself.
        kernel: (h, w) numbers, checked by `check_kernel`.
        stride: Pixels from one place of the kernel to the next, both ways, at least 1.
        padding: "valid": the kernel stays inside; "same": the result has ceil(H / stride) rows, and where the border
            cannot be even, the extra row stands below and the extra column on the right (as TensorFlow does); or a
            number of pixels on every side.
        border: What stands beyond the border, for a row abcd: zero 00|abcd|00, nearest aa|abcd|dd,
            reflect ba|abcd|dc, mirror cb|abcd|cb, wrap cd|abcd|ab.

    Returns:
        float32, (H', W') or (H', W', C), with H' = floor((H + padding above and below - h) / stride) + 1. Not
        clipped, and exact where products and sums are whole numbers below 2^24.

    Raises:
        UserError: a kernel that `check_kernel` refuses.
        PhotoRefused: a photo in which the kernel has no place.

    Examples:
        >>> convolve(np.eye(3), [[1, 2], [3, 4]], padding="valid").tolist()
        [[5.0, 3.0], [2.0, 5.0]]
    """
    weights = check_kernel(kernel)
    rows = _margins(image.shape[0], weights.shape[0], stride=stride, padding=padding)
    columns = _margins(image.shape[1], weights.shape[1], stride=stride, padding=padding)
    exact = image.dtype != np.uint8 or weights.size > _DIRECT_AREA
    plane = image.astype(np.float64) if exact else image
    if any((*rows, *columns)):
        plane = cv2.copyMakeBorder(plane, *rows, *columns, _BORDERS[border], value=(0.0,) * 4)
    size = (plane.shape[0] - weights.shape[0] + 1, plane.shape[1] - weights.shape[1] + 1)
    if min(size) < 1:
        raise PhotoRefused(
            f"{image.shape[0]}x{image.shape[1]} pixels are too few for a kernel of "
            f"{weights.shape[0]}x{weights.shape[1]} without padding"
        )
    planes = [plane] if plane.ndim == 2 else [cv2.extractChannel(plane, index) for index in range(plane.shape[2])]
    depth = cv2.CV_64F if exact else cv2.CV_32F
    # One channel at a time: grey photos give the same bits as one plane and as three.
    results = [
        cv2.filter2D(one, depth, weights, anchor=(0, 0))[: size[0] : stride, : size[1] : stride] for one in planes
    ]
    return np.asarray(results[0] if image.ndim == 2 else _join(results), dtype=np.float32)


def apply_filter(
    image: UInt8Image,
    kernel: str | KernelTable | FloatArray,
    *,
    stride: int = 1,
    padding: Padding = "same",
    border: Border = "zero",
) -> FloatArray:
    """`convolve` with a kernel by name, or "sobel": the length of the gradient, sqrt(sobel_x^2 + sobel_y^2).

    Args:
        image: As for `convolve`, and so are stride, padding and border.
        kernel: One of `FILTER_NAMES`, or (h, w) numbers.
        stride: As for `convolve`.
        padding: As for `convolve`.
        border: As for `convolve`.

    Returns:
        float32, as `convolve` gives it.

    Raises:
        UserError: an unknown name, or a kernel that `check_kernel` refuses.
        PhotoRefused: a photo in which the kernel has no place.
    """
    if isinstance(kernel, str) and kernel == GRADIENT_LENGTH:
        across = convolve(image, KERNELS["sobel_x"], stride=stride, padding=padding, border=border)
        down = convolve(image, KERNELS["sobel_y"], stride=stride, padding=padding, border=border)
        return np.hypot(across, down)
    return convolve(
        image,
        named_kernel(kernel) if isinstance(kernel, str) else kernel,
        stride=stride,
        padding=padding,
        border=border,
    )


def to_picture(values: FloatArray, *, negative: Negative = "clip") -> UInt8Image:
    """The numbers of a filter as an 8-bit picture: rounded, and cut off at 0 and 255.

    Args:
        values: Any shape, real numbers.
        negative: What becomes of numbers below 0: clip (0), absolute (their size, for edges of either direction), or
            middle (all numbers halved, 0 drawn as 128: both directions are seen).

    Returns:
        uint8 of the same shape.
    """
    if negative == "absolute":
        values = np.abs(values)
    elif negative == "middle":
        values = values / 2 + 128
    rounded = np.rint(values)
    return np.clip(rounded, 0, 255, out=rounded).astype(np.uint8)


def named_kernel(name: str) -> NDArray[np.float64]:
    """The kernel of that name: (h, w) float64, read-only.

    Raises:
        UserError: an unknown name; says the nearest.
    """
    if name in KERNELS:
        return KERNELS[name]
    near = closest(name, FILTER_NAMES)
    raise UserError(
        f"kernel must be one of {', '.join(FILTER_NAMES)}, or rows of numbers, got {name!r}.",
        hint=f'Did you mean "{near}"?' if near else "Choose one of them, or give the numbers.",
    )


def check_filter(kernel: Any) -> str | NDArray[np.float64]:
    """What `apply_filter` can use: the name as it is, or the checked numbers.

    Raises:
        UserError: an unknown name, or a kernel that `check_kernel` refuses.
    """
    if not isinstance(kernel, str):
        return check_kernel(kernel)
    if kernel != GRADIENT_LENGTH:
        named_kernel(kernel)  # raises for an unknown one
    return kernel


def kernel_size(kernel: str | KernelTable | FloatArray) -> tuple[int, int]:
    """(height, width) of a kernel by name or of one's own."""
    if isinstance(kernel, str):
        kernel = named_kernel("sobel_x" if kernel == GRADIENT_LENGTH else kernel)
    return len(kernel), len(kernel[0])


def check_kernel(kernel: KernelTable | FloatArray) -> NDArray[np.float64]:
    """A kernel of one's own as (h, w) float64.

    Raises:
        UserError: not a rectangle of numbers, a number that is not finite, or a side outside 1..`MAX_KERNEL_SIZE`.
    """
    try:
        given = np.asarray(kernel)
    except ValueError as error:  # rows of different lengths
        raise _not_a_kernel(f"got {kernel!r}") from error
    if given.ndim != 2 or given.size == 0 or given.dtype.kind not in "iuf":
        raise _not_a_kernel(f"got {kernel!r}")
    weights = given.astype(np.float64)
    if not np.isfinite(weights).all():
        first = next(value for value in weights.flat if not math.isfinite(value))
        raise UserError(f"A kernel's numbers must be finite, got {first}.", hint="Write numbers such as -1 or 0.25.")
    if max(weights.shape) > MAX_KERNEL_SIZE:
        raise UserError(
            f"A kernel must be {MAX_KERNEL_SIZE}x{MAX_KERNEL_SIZE} or smaller, got "
            f"{weights.shape[0]}x{weights.shape[1]}.",
            hint="Shrink the photo first: a small kernel then reaches as far.",
        )
    return weights


def _not_a_kernel(got: str) -> UserError:
    return UserError(
        f"A kernel must be rows of numbers, all of one length, {got}.",
        hint="For instance [[0, -1, 0], [-1, 5, -1], [0, -1, 0]].",
    )


def _join(planes: Sequence[cv2.typing.MatLike]) -> cv2.typing.MatLike:
    return cv2.merge(planes) if len(planes) > 1 else np.asarray(planes[0])[..., None]


def _margins(length: int, kernel_length: int, *, stride: int, padding: Padding) -> tuple[int, int]:
    """Pixels to add before and after one axis."""
    if padding == "valid":
        return 0, 0
    if padding == "same":
        total = max((math.ceil(length / stride) - 1) * stride + kernel_length - length, 0)
        return total // 2, total - total // 2
    return padding, padding
