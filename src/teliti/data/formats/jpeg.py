"""JPEG: marker walk for sizes, scans, orientation and completeness; pixels by OpenCV, CMYK by Pillow.

Colour profiles are ignored. A file that is damaged inside its entropy-coded data decodes to damaged pixels in both
libraries without a complaint; only a missing end is found. Source of the markers: ITU-T T.81, annex B.
"""

from __future__ import annotations

import re
from typing import Any

from numpy.typing import NDArray

from teliti.data.formats import opencv, pillow
from teliti.data.formats.header import Header
from teliti.data.formats.tags import read_orientation
from teliti.errors import PhotoRefused

_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # stuffed zeros, fill bytes and restarts lie inside a scan
_END, _START_OF_SCAN, _ADOBE, _EXIF = 0xD9, 0xDA, 0xEE, 0xE1
_WITHOUT_LENGTH = {0x01, 0xD8}
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_DROPPED = (set(range(0xE1, 0xF0)) | {0xFE}) - {_ADOBE}  # application data and comments make no pixels
_MAX_SEGMENTS = 10_000
_CMYK_COMPONENTS = 4
_EXIF_MARK = b"Exif\0\0"


def read_header(data: bytes) -> Header:
    """Walk the markers up to the end of the image.

    Raises:
        PhotoRefused: no end marker, no frame, or a frame this door does not decode.
    """
    position, scans, orientation = 2, 0, 1
    frames: list[bytes] = []
    kept = [data[:2]]
    for _ in range(_MAX_SEGMENTS):
        marker, start, end = _next_segment(data, position)
        if scans or marker not in _DROPPED:
            kept.append(data[position if scans else start : end])  # with the entropy-coded data of the scan before
        if marker in _FRAMES:
            frames.append(data[start + 4 : end])
        elif marker == _START_OF_SCAN:
            scans += 1
        elif marker == _EXIF and data.startswith(_EXIF_MARK, start + 4):
            orientation = read_orientation(data[start + 4 : end])
        position = end
        if marker == _END:
            break
    else:
        raise PhotoRefused(f"damaged JPEG: more than {_MAX_SEGMENTS:,} segments")
    if not frames or not scans:
        raise PhotoRefused("damaged JPEG: no image inside")
    height, width, components = _read_frames(frames)
    return Header(height, width, b"".join(kept), orientation, scans, (components,))


def read_pixels(header: Header) -> NDArray[Any]:
    """Pixels uint8, (H, W) or (H, W, 3) RGB, before orientation.

    Raises:
        PhotoRefused: damaged or of an unsupported kind.
    """
    if header.layout == (_CMYK_COMPONENTS,):
        return pillow.read_array("jpeg", header.payload)
    return opencv.read_array("JPEG", header)


def _next_segment(data: bytes, position: int) -> tuple[int, int, int]:
    """Marker, where it starts and where its segment ends; entropy-coded data before it is skipped."""
    match = _MARKER.search(data, position)
    if match is None:
        raise PhotoRefused("truncated JPEG")
    marker, start, end = data[match.end() - 1], match.start(), match.end()
    if marker == _END or marker in _WITHOUT_LENGTH:
        return marker, start, end
    length = int.from_bytes(data[end : end + 2], "big")
    if length < 2 or end + length > len(data):
        raise PhotoRefused("truncated JPEG")
    return marker, start, end + length


def _read_frames(frames: list[bytes]) -> tuple[int, int, int]:
    """Height, width and components; with several frames (a hostile file) the largest sizes."""
    if any(len(frame) < 6 or frame[0] != 8 for frame in frames):
        raise PhotoRefused("JPEG of other than 8 bits a sample is not supported")
    sizes = [(int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big"), frame[5]) for frame in frames]
    return max(size[0] for size in sizes), max(size[1] for size in sizes), sizes[0][2]
