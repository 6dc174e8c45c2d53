"""Photos on a page: shrunk, encoded as JPEG inside the page, always with a description."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from teliti.errors import RunError
from teliti.report.markup import Html, element
from teliti.types import UInt8Image

THUMBNAIL_SIZE = 160
LARGE_SIZE = 320
_QUALITY = 82
_LARGE_QUALITY = 92
_TINY = 64  # photos below this side are shown with their pixels as squares


@dataclass(frozen=True, slots=True)
class ReportPictures:
    """The photos that a report shows, already decoded.

    Attributes:
        samples: By class name: photo names and photos, uint8 RGB (H, W, 3).
        mistakes: By photo name, uint8 RGB (H, W, 3).
        network_view: Name, the photo as decoded, and as the network sees it; both uint8 RGB (H, W, 3).
        evidence: Name of a photo, and it whole, its part alone, its background alone, by view; uint8 (H, W, 3) or
            (H, W).
    """

    samples: Mapping[str, Sequence[tuple[str, UInt8Image]]] = field(default_factory=dict)
    mistakes: Mapping[str, UInt8Image] = field(default_factory=dict)
    network_view: tuple[str, UInt8Image, UInt8Image] | None = None
    evidence: Sequence[tuple[str, Mapping[str, UInt8Image]]] = ()


def picture(image: UInt8Image, *, alt: str, size: int = THUMBNAIL_SIZE) -> Html:
    """An `img` with the photo inside, its longer side at most `size` pixels; never enlarged.

    Args:
        image: uint8 RGB (H, W, 3), or grey (H, W).
        alt: What it shows.
        size: In pixels.

    Raises:
        RunError: OpenCV could not encode the picture.
    """
    small = shrink_to(image, size)
    height, width = small.shape[:2]
    tiny = max(height, width) < _TINY
    source = _data_uri(small, quality=_QUALITY if size <= THUMBNAIL_SIZE else _LARGE_QUALITY)
    return element("img", src=source, width=width, height=height, alt=alt, class_="tiny" if tiny else None)


def shrink_to(image: UInt8Image, size: int) -> UInt8Image:
    """The picture with its longer side at most `size` pixels, averaged over areas; smaller ones are left alone."""
    height, width = image.shape[:2]
    scale = size / max(height, width)
    if scale >= 1.0:
        return image
    shape_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, shape_wh, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _data_uri(image: UInt8Image, *, quality: int) -> str:
    bgr = image[..., ::-1] if image.ndim == 3 else image
    done, encoded = cv2.imencode(".jpg", np.ascontiguousarray(bgr), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise RunError(f"A picture of shape {image.shape} could not be encoded.", hint="Please report this.")
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode("ascii")
