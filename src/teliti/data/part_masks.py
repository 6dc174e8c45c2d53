"""Where the part is on a photo, from a file beside it: a mask, or boxes in the form of Pascal VOC."""

from __future__ import annotations

from xml.etree import ElementTree

import cv2
import numpy as np

from teliti.data.beside import beside_of, read_beside
from teliti.errors import PhotoRefused
from teliti.types import FloatArray, Sample, UInt8Image

_HALF = 127
_LARGEST = 1 << 20  # bytes of a file of boxes
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def read_part_mask(sample: Sample, pattern: str, *, size: tuple[int, int]) -> UInt8Image:
    """The mask of a photo.

    Args:
        sample: The photo.
        pattern: Name of the file beside it, see `data.beside`; one that ends in .xml holds boxes.
        size: (height, width) of the photo.

    Returns:
        (H, W) uint8, 255 for the part and 0 for the background.

    Raises:
        PhotoRefused: there is no such file, it cannot be read, or a mask has another size.
    """
    if names_boxes(pattern):
        return draw_boxes(parse_voc_boxes(read_beside(sample.origin, pattern)), size)
    mask = beside_of(sample.origin)(pattern)
    if mask.shape[:2] != size:
        raise PhotoRefused(f"its mask is {mask.shape[0]}x{mask.shape[1]}, the photo {size[0]}x{size[1]}")
    grey = mask if mask.ndim == 2 else cv2.cvtColor(mask, cv2.COLOR_RGB2GRAY)
    return np.where(grey > _HALF, 255, 0).astype(np.uint8)


def names_boxes(pattern: str) -> bool:
    """True where a name pattern is that of files with boxes, not of masks."""
    return pattern.lower().endswith(".xml")


def parse_voc_boxes(data: bytes) -> FloatArray:
    """The boxes of a Pascal VOC file: (N, 4) float64 x_min, y_min, x_max, y_max in pixels, first and last included.

    Raises:
        PhotoRefused: it is no such file.
    """
    try:
        if len(data) > _LARGEST or b"<!" in data[:1000]:  # VOC has no document type, whose entities could grow
            raise ElementTree.ParseError("no file of boxes")
        root = ElementTree.fromstring(data)  # noqa: S314 - small and without entities, see above
        boxes = [[float(box.findtext(corner, "")) for corner in _CORNERS] for box in root.iter("bndbox")]
    except (ElementTree.ParseError, ValueError) as error:
        raise PhotoRefused(f"its file of boxes cannot be read ({error})") from error
    found = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    if not np.isfinite(found).all():
        raise PhotoRefused("its file of boxes has a corner that is no number")
    return found


def draw_boxes(boxes_xyxy: FloatArray, size: tuple[int, int]) -> UInt8Image:
    """(H, W) uint8, 255 inside any of (N, 4) boxes, whose corners are counted from 1 as VOC does."""
    mask: UInt8Image = np.zeros(size, dtype=np.uint8)
    for left, top, right, bottom in np.clip(boxes_xyxy, 0.0, 1e6):
        mask[max(0, round(top) - 1) : round(bottom), max(0, round(left) - 1) : round(right)] = 255
    return mask
