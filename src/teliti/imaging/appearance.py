"""How a part looks without one of its cues: without texture, without colour, with its edges raised, edges alone.

Each takes (H, W, 3) or (H, W) uint8. A photo of three equal channels gives three equal channels.
"""

from __future__ import annotations

import cv2
import numpy as np

from teliti.types import UInt8Image

_SCHARR_WEIGHT = 32.0  # what the 3x3 Scharr kernel gives for a ramp of one grey level per pixel


def detexturise(
    image: UInt8Image, *, sigma_space: float = 3.0, sigma_level: float = 30.0, rounds: int = 2
) -> UInt8Image:
    """Smooth the fine texture away and keep the outlines (bilateral filter, C. Tomasi and R. Manduchi, ICCV 1998).

    Args:
        image: (H, W, 3) or (H, W) uint8.
        sigma_space: Standard deviation in pixels: texture finer than this goes.
        sigma_level: Standard deviation in grey levels: steps higher than about twice this stay.
        rounds: How often the filter runs, at least 1.

    Returns:
        Of the input's shape, uint8.
    """
    diameter = 2 * max(1, round(2 * sigma_space)) + 1
    # OpenCV sums the level differences of the three channels, so three channels get three times the width of one
    level = sigma_level * (1 if image.ndim == 2 else 3)
    for _ in range(rounds):
        image = _u8(cv2.bilateralFilter(image, diameter, level, sigma_space, borderType=cv2.BORDER_REPLICATE))
    return image


def decolourise(image: UInt8Image, *, strength: float = 1.0) -> UInt8Image:
    """Move every colour towards the grey of its luminance (ITU-R BT.601).

    Args:
        image: (H, W, 3) or (H, W) uint8; grey photos come back as they are.
        strength: 0 (nothing) to 1 (three equal channels).

    Returns:
        Of the input's shape, uint8.
    """
    if image.ndim == 2 or strength == 0.0:
        return image
    return blend(image, _u8(cv2.cvtColor(luminance(image), cv2.COLOR_GRAY2RGB)), strength=strength)


def enhance_edges(image: UInt8Image, *, strength: float = 1.0, sigma: float = 1.5) -> UInt8Image:
    """Raise the contrast along edges: unsharp masking of the luminance, so that colours keep their hue.

    Args:
        image: (H, W, 3) or (H, W) uint8.
        strength: Multiple of the fine detail that is added; 0 adds nothing.
        sigma: Standard deviation in pixels of the blur that divides detail from the rest.

    Returns:
        Of the input's shape, uint8.
    """
    if strength == 0.0:
        return image
    light = luminance(image).astype(np.float32)
    detail = light - cv2.GaussianBlur(light, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    detail *= strength
    raised = image + (detail if image.ndim == 2 else detail[..., None])
    return _u8(np.rint(np.clip(raised, 0.0, 255.0)))


def salient_edges(
    image: UInt8Image, *, low: float = 4.0, high: float = 10.0, sigma_space: float = 3.0, sigma_level: float = 30.0
) -> UInt8Image:
    """The outlines alone: gradient strength after de-texturing, where it hangs together with a strong edge.

    Gradient by H. Scharr's kernel (thesis, Heidelberg 2000); two thresholds as in J. Canny, PAMI 1986.

    Args:
        image: (H, W, 3) or (H, W) uint8.
        low: Grey levels per pixel that an edge must have everywhere.
        high: Grey levels per pixel that it must reach somewhere; drawn as 255.
        sigma_space: As in `detexturise`.
        sigma_level: As in `detexturise`.

    Returns:
        (H, W) uint8: 0 away from edges, the brighter the steeper.
    """
    light = detexturise(luminance(image), sigma_space=sigma_space, sigma_level=sigma_level)
    across = cv2.Scharr(light, cv2.CV_32F, 1, 0, borderType=cv2.BORDER_REPLICATE)
    down = cv2.Scharr(light, cv2.CV_32F, 0, 1, borderType=cv2.BORDER_REPLICATE)
    steepness = cv2.magnitude(across, down) / _SCHARR_WEIGHT
    count, parts = cv2.connectedComponents((steepness >= low).astype(np.uint8), connectivity=8)
    is_strong = np.zeros(count, dtype=bool)
    is_strong[np.unique(parts[steepness >= high])] = True
    is_strong[0] = False  # what is below `low`
    drawn = np.minimum(steepness * (255.0 / high), 255.0)
    return _u8(np.rint(np.where(is_strong[parts], drawn, 0.0)))


def blend(image: UInt8Image, other: UInt8Image, *, strength: float) -> UInt8Image:
    """`(1 - strength) * image + strength * other`, rounded; two uint8 pictures of one shape."""
    if strength == 0.0:
        return image
    if strength == 1.0:
        return other
    return _u8(cv2.addWeighted(image, 1.0 - strength, other, strength, 0.0))


def luminance(image: UInt8Image) -> UInt8Image:
    """(H, W) uint8 luminance (ITU-R BT.601) of a colour photo; a grey one as it is."""
    return image if image.ndim == 2 else _u8(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))


def _u8(image: object) -> UInt8Image:
    """As uint8: what OpenCV's stubs do not say, or whole numbers 0..255 in floats."""
    return np.asarray(image, dtype=np.uint8)
