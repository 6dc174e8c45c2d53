"""Defects that the network cannot see because the photo is shrunk to the input size first.

Where the defects are is told by files beside the photos: masks, or boxes in the form of Pascal VOC. A defect is too
small when its longer side is below `FEWEST_PIXELS` at the input: the first two poolings of a backbone leave one value
of a square of 4 pixels, and what does not fill one is averaged away.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from teliti.data.beside import beside_of, read_beside
from teliti.data.findings import Finding, Severity
from teliti.data.loading import map_ahead
from teliti.data.part_masks import names_boxes, parse_voc_boxes
from teliti.errors import PhotoRefused
from teliti.types import FloatArray, Sample, UInt8Image

FEWEST_PIXELS = 4.0
_MASKED = 127
_LEAST_AREA = 4  # pixels of the mask; less is a stray dot of its making


def defect_sizes(mask: UInt8Image) -> list[tuple[int, int]]:
    """(height, width) of each connected defect of a mask, in its pixels.

    Args:
        mask: (H, W) grey or (H, W, 3) RGB uint8; above 127 is defect.
    """
    grey = mask if mask.ndim == 2 else cv2.cvtColor(mask, cv2.COLOR_RGB2GRAY)
    _, _, stats, _ = cv2.connectedComponentsWithStats((grey > _MASKED).astype(np.uint8), connectivity=8)
    return [
        (int(row[cv2.CC_STAT_HEIGHT]), int(row[cv2.CC_STAT_WIDTH]))
        for row in stats[1:]
        if row[cv2.CC_STAT_AREA] >= _LEAST_AREA
    ]


def box_sizes(boxes_xyxy: FloatArray) -> list[tuple[int, int]]:
    """(height, width) of (N, 4) boxes, whose first and last pixels are included; one without any area is left out."""
    corners = np.rint(boxes_xyxy).astype(np.int64)
    sizes = corners[:, [3, 2]] - corners[:, [1, 0]] + 1
    return [(int(height), int(width)) for height, width in sizes if height > 0 and width > 0]


def find_small_defects(
    name: str, sizes: Sequence[tuple[int, int]], *, photo_size: tuple[int, int], image_size: tuple[int, int]
) -> Finding | None:
    """The finding for one photo, or None where every defect can be seen.

    Args:
        name: Of the photo.
        sizes: (height, width) of its defects in pixels of the photo: from a mask, or from boxes.
        photo_size: (height, width).
        image_size: (height, width) of the network's input; the photo is fitted into it whole.
    """
    scale = min(image_size[0] / photo_size[0], image_size[1] / photo_size[1])
    longest = [max(size) * scale for size in sizes]
    small = [length for length in longest if length < FEWEST_PIXELS]
    if not small:
        return None
    what = "Its only defect measures" if len(longest) == 1 else f"{len(small)} of its {len(longest)} defects measure"
    message = f"{what} {min(small):.1f} pixels at the input size of {image_size[0]}x{image_size[1]}, below 4."
    severity: Severity = "warning" if len(small) == len(longest) else "info"
    return Finding("small_defect", severity, message, (name,), FEWEST_PIXELS / max(min(small), 0.01))


def find_small_marked_defects(
    samples: Sequence[Sample],
    photo_sizes: Sequence[tuple[int, int]],
    pattern: str,
    *,
    image_size: tuple[int, int],
    threads: int,
) -> Iterator[Finding]:
    """The findings of photos that have a mask or boxes beside them; photos without are passed over.

    Args:
        samples: The photos.
        photo_sizes: (height, width) of each.
        pattern: Name pattern of the masks, see `data.beside`; one that ends in .xml holds boxes.
        image_size: (height, width) of the network's input.
        threads: For reading and decoding.
    """

    def look(item: tuple[Sample, tuple[int, int]]) -> Finding | None:
        sample, photo_size = item
        try:
            sizes = _marked_sizes(sample, pattern)
        except PhotoRefused:
            return None
        return find_small_defects(sample.name, sizes, photo_size=photo_size, image_size=image_size)

    for one in map_ahead(look, zip(samples, photo_sizes, strict=True), threads=threads):
        if one is not None:
            yield one


def _marked_sizes(sample: Sample, pattern: str) -> list[tuple[int, int]]:
    if names_boxes(pattern):
        return box_sizes(parse_voc_boxes(read_beside(sample.origin, pattern)))
    return defect_sizes(beside_of(sample.origin)(pattern))
