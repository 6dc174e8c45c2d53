"""What augmentation does to pixels, for the photos of a batch at once, by torch where the photos lie.

Photos are (N, H, W, C) uint8, RGB for three channels. Each function rounds to grey levels where its counterpart of
`transforms` does, so that the two differ by a level here and there (the tests say by how much): OpenCV 5 interpolates
as `warp_photos` does, and multiplies colours in whole numbers, as `turn_colours` does; its blur of 8 bits computes with
shortened weights. Nothing here is random.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from teliti.imaging.geometry import Affine, Fill, Level, invert
from teliti.types import FloatArray, IntArray, UInt8Image

_LUMINANCE = (9798, 19235, 3735)  # ITU-R BT.601 in 1/2**15, as OpenCV has it
_LUMINANCE_BITS = 15
_COLOUR_BITS = 10  # OpenCV multiplies 8-bit colours by multiples of 1/1024


def warp_photos(images: Tensor, maps: Sequence[Affine], *, fill: Fill, value: Level = 0.0) -> Tensor:
    """Move the pixels of each photo by its map, bilinear, as `imaging.geometry.warp` does.

    Args:
        images: (N, H, W, C) uint8.
        maps: N maps, source to result.
        fill: What comes in from outside: nearest, constant, reflect or wrap.
        value: Grey level 0..255, or one for each channel, of the constant fill.

    Returns:
        (N, H, W, C) uint8.
    """
    back = torch.tensor([invert(own) for own in maps], dtype=torch.float64).to(images.device)
    x, y = (_places(row, images) for row in (back[:, :3], back[:, 3:]))  # (N, H, W) float32
    left, top = x.floor(), y.floor()
    across, down = (x - left)[..., None], (y - top)[..., None]
    column, row = left.long(), top.long()
    border = torch.tensor(value if isinstance(value, tuple) else (value,), dtype=torch.float32).to(images.device)

    def taps(rows: Tensor) -> Tensor:
        """Between the two columns of one row of the photo, (N, H, W, C) float32."""
        first, second = (_tap(images, rows, columns, fill=fill, border=border) for columns in (column, column + 1))
        return first.lerp_(second, across.expand_as(second))

    upper = taps(row)
    return to_levels(upper.lerp_(taps(row + 1), down.expand_as(upper)))


def map_levels(images: Tensor, tables: UInt8Image) -> Tensor:
    """Look every level up in the photo's own table.

    Args:
        images: (N, H, W, C) uint8.
        tables: (N, 256, 3) uint8; of a grey photo the first column counts.

    Returns:
        (N, H, W, C) uint8.
    """
    count, channels = len(images), images.shape[3]
    flat = torch.from_numpy(np.ascontiguousarray(tables[:, :, :channels].transpose(0, 2, 1)).reshape(-1))
    first = 256 * torch.arange(count * channels, device=images.device).view(count, 1, 1, channels)
    return flat.to(images.device)[images.long() + first]


def blur_levels(levels: Tensor, sigmas: Sequence[float], *, widths: int) -> Tensor:
    """Blur each photo with its Gaussian, the border repeated, as `cv2.GaussianBlur` does.

    Args:
        levels: (N, H, W, C) float32.
        sigmas: N standard deviations in pixels; 0 blurs nothing.
        widths: How many of them the kernel reaches to either side: 3 for photos of 8 bits, 4 for floats.

    Returns:
        (N, H, W, C) float32, not rounded.
    """
    kernels = torch.from_numpy(_kernels(sigmas, widths=widths)).to(levels.device)  # (N, 2 R + 1)
    reach = kernels.shape[1] // 2
    for axis in (1, 2):
        length = levels.shape[axis]
        places = torch.arange(-reach, length + reach, device=levels.device).clamp_(0, length - 1)
        wide = levels.index_select(axis, places)
        blurred = torch.zeros_like(levels)
        for tap in range(kernels.shape[1]):
            blurred.addcmul_(wide.narrow(axis, tap, length), kernels[:, tap].view(-1, 1, 1, 1))
        levels = blurred
    return levels


def turn_colours(images: Tensor, matrices: Sequence[FloatArray]) -> Tensor:
    """Multiply the colour of each pixel by the photo's matrix, as `cv2.transform` does.

    Args:
        images: (N, H, W, 3) uint8.
        matrices: N times (3, 3), multiples of 1/1024.

    Returns:
        (N, H, W, 3) uint8.
    """
    whole = np.rint(np.stack(matrices) * (1 << _COLOUR_BITS)).astype(np.int32)
    own = torch.from_numpy(whole).to(images.device)
    levels = images.int()
    parts = [levels[..., channel, None] * own[:, None, None, :, channel] for channel in range(3)]
    turned = (parts[0] + parts[1] + parts[2] + (1 << (_COLOUR_BITS - 1))) >> _COLOUR_BITS
    return turned.clamp_(0, 255).to(torch.uint8)


def luminance_of(images: Tensor) -> Tensor:
    """(N, H, W, 3) or (N, H, W, 1) uint8 to (N, H, W, 1) float32 whole grey levels (ITU-R BT.601)."""
    if images.shape[3] == 1:
        return images.float()
    red, green, blue = (images[..., channel, None].int() * _LUMINANCE[channel] for channel in range(3))
    return ((red + green + blue + (1 << (_LUMINANCE_BITS - 1))) >> _LUMINANCE_BITS).float()


def blend_photos(images: Tensor, others: Tensor, shares: Sequence[float]) -> Tensor:
    """`(1 - share) * image + share * other`, rounded.

    Args:
        images: (N, H, W, C) uint8.
        others: Grey levels in any type, of this shape or of one channel.
        shares: N shares of `others` in [0, 1].
    """
    share = per_photo(shares, images.device)
    return to_levels((1.0 - share) * images + share * others)


def cover_windows(images: Tensor, windows: IntArray, colours: Tensor) -> Tensor:
    """Each photo with its rectangle filled.

    Args:
        images: (N, H, W, C) uint8.
        windows: (N, 4) top, bottom, left, right in pixels; the latter of each pair is outside.
        colours: uint8 that spreads to the shape of the photos.

    Returns:
        (N, H, W, C) uint8.
    """
    top, bottom, left, right = torch.from_numpy(windows).to(images.device).T[:, :, None]
    rows, columns = (torch.arange(side, device=images.device) for side in images.shape[1:3])
    high, wide = (rows >= top) & (rows < bottom), (columns >= left) & (columns < right)
    return torch.where((high[:, :, None] & wide[:, None, :])[..., None], colours, images)


def per_photo(values: Sequence[float], device: torch.device) -> Tensor:
    """One number a photo as (N, 1, 1, 1) float32."""
    return torch.tensor(values, dtype=torch.float32).to(device).view(-1, 1, 1, 1)


def to_levels(levels: Tensor) -> Tensor:
    """Rounded to uint8, ties to even, what is outside 0..255 at its end; the argument is overwritten."""
    return levels.round_().clamp_(0.0, 255.0).to(torch.uint8)


def _places(row: Tensor, images: Tensor) -> Tensor:
    """Where each pixel of the result comes from along one axis: a x + b y + c, (N, H, W) float32."""
    rows, columns = (torch.arange(side, dtype=torch.float64, device=images.device) for side in images.shape[1:3])
    across, down = row[:, :1] * columns, row[:, 1:2] * rows + row[:, 2:]
    return (across[:, None, :] + down[:, :, None]).float()


def _tap(images: Tensor, rows: Tensor, columns: Tensor, *, fill: Fill, border: Tensor) -> Tensor:
    """The photos' levels at whole places, (N, H, W, C) float32, as they go on beyond the border."""
    height, width = images.shape[1:3]
    photo = torch.arange(len(images), device=images.device)[:, None, None]
    levels = images[photo, _inside(rows, height, fill), _inside(columns, width, fill)].float()
    if fill != "constant":
        return levels
    outside = (rows < 0) | (rows >= height) | (columns < 0) | (columns >= width)
    return torch.where(outside[..., None], border, levels)


def _inside(places: Tensor, length: int, fill: Fill) -> Tensor:
    if fill == "wrap":
        return places.remainder(length)
    if fill == "reflect":
        folded = places.remainder(2 * length)
        return torch.minimum(folded, 2 * length - 1 - folded)
    return places.clamp(0, length - 1)


def _kernels(sigmas: Sequence[float], *, widths: int) -> FloatArray:
    """(N, 2 R + 1) float32 of OpenCV's kernels, the shorter ones between zeros; sigma 0 is a one in the middle."""
    sizes = [round(2 * widths * sigma + 1) | 1 if sigma > 0.0 else 1 for sigma in sigmas]
    longest = max(sizes)
    kernels = np.zeros((len(sigmas), longest), dtype=np.float32)
    for kernel, sigma, size in zip(kernels, sigmas, sizes, strict=True):
        first = (longest - size) // 2
        kernel[first : first + size] = 1.0 if size == 1 else cv2.getGaussianKernel(size, sigma, cv2.CV_32F)[:, 0]
    return kernels
