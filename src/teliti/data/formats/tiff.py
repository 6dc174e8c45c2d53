"""TIFF: the first page, by Pillow; 16-bit colour and float colour by OpenCV, since Pillow drops their low bits.

Both libraries apply the orientation tag while decoding, so none is left to apply. Alpha of a 16-bit TIFF is kept.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from teliti.data.formats import opencv, pillow
from teliti.data.formats.header import Header
from teliti.data.formats.tags import BITS, HEIGHT, SAMPLE_FORMAT, SAMPLES, WIDTH, count_pieces, read_tags
from teliti.errors import PhotoRefused

_FLOAT = 3
_DEEP = 16
_MOST_PIECES = 65_535  # one a row of the tallest photo; each costs what a small photo does


def read_header(data: bytes) -> Header:
    """Sizes of the first page.

    Raises:
        PhotoRefused: damaged header, or more strips than a photo has.
    """
    if (pieces := count_pieces(data)) > _MOST_PIECES:
        raise PhotoRefused(f"{pieces:,} strips are over the limit of {_MOST_PIECES:,}")
    tags = read_tags(data)
    (bits, *_), (samples, *_) = tags.get(BITS, (1,)), tags.get(SAMPLES, (1,))
    (sample_format, *_) = tags.get(SAMPLE_FORMAT, (1,))
    is_deep_colour = samples > 1 and (bits == _DEEP or sample_format == _FLOAT)
    if is_deep_colour and WIDTH in tags and HEIGHT in tags:
        return Header(tags[HEIGHT][0], tags[WIDTH][0], data, layout=(1,))
    width, height = pillow.open_lazily("tiff", data).size
    return Header(height, width, data, layout=(0,))


def read_pixels(header: Header) -> NDArray[Any]:
    """Pixels as stored, upright: uint8, uint16, integer or float; (H, W), RGB or RGBA.

    Raises:
        PhotoRefused: damaged, cut short or of an unsupported kind.
    """
    if header.layout[0]:
        return opencv.read_array("TIFF", header)
    return pillow.read_array("tiff", header.payload)
