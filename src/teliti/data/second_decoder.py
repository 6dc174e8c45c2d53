"""A second opinion on pixels: photos decoded by Pillow alone, to see whether a verdict hangs on the decoder.

Never the way to a verdict: that is `teliti.data.decode`. Limits, depth, alpha and orientation follow the same rules.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from teliti.data.decode import orient_image, read_image_header
from teliti.data.pixels import eight_bit_from
from teliti.errors import PhotoRefused
from teliti.types import UInt8Image

_PLAIN_MODES = frozenset({"1", "L", "LA", "RGB", "RGBA", "I;16", "I", "F"})


def decode_by_pillow(data: bytes) -> UInt8Image:
    """Decode one photo by Pillow.

    Args:
        data: The encoded file, whole.

    Returns:
        (H, W) uint8 grey or (H, W, 3) uint8 RGB, contiguous, upright.

    Raises:
        PhotoRefused: not a photo, over a limit, or Pillow cannot read it.
    """
    _, header = read_image_header(data)
    try:
        with Image.open(io.BytesIO(data)) as image:
            has_alpha = "transparency" in image.info
            plain = image if image.mode in _PLAIN_MODES else image.convert("RGBA" if has_alpha else "RGB")
            pixels = np.asarray(plain)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise PhotoRefused(f"Pillow cannot read it ({error})") from error
    return orient_image(eight_bit_from(pixels), header.orientation)
