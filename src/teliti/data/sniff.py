"""What a file is, by its first bytes: the allow-list of the image door, and names for what is refused.

File names play no part here; `IMAGE_SUFFIXES` only tells a folder listing which files to offer to the door.
"""

from __future__ import annotations

import re
from typing import Literal

ImageFormat = Literal["jpeg", "png", "bmp", "tiff", "webp", "netpbm", "gif"]

IMAGE_SUFFIXES = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".bmp", ".dib", ".tif", ".tiff", ".webp", ".gif",
    ".pbm", ".pgm", ".ppm", ".pnm",
})  # fmt: skip
ALLOWED = "JPEG, PNG, BMP, TIFF, WebP, PPM or GIF"

_SIGNATURES: tuple[tuple[ImageFormat, re.Pattern[bytes]], ...] = (
    ("jpeg", re.compile(rb"\xff\xd8\xff")),
    ("png", re.compile(rb"\x89PNG\r\n\x1a\n")),
    ("gif", re.compile(rb"GIF8[79]a")),
    ("tiff", re.compile(rb"II[*+]\0|MM\0[*+]")),
    ("webp", re.compile(rb"RIFF....WEBP", re.DOTALL)),
    ("bmp", re.compile(rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", re.DOTALL)),
    ("netpbm", re.compile(rb"P[1-6][\s#]")),
)
_KNOWN_OTHERS: tuple[tuple[str, re.Pattern[bytes]], ...] = (
    (
        "HEIC or AVIF, which is not supported; convert it to JPEG or PNG",
        re.compile(rb"....ftyp(he|mif|avi)", re.DOTALL),
    ),
    ("JPEG 2000, which is not supported", re.compile(rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51")),
    ("JPEG XL, which is not supported", re.compile(rb"\xff\x0a|\0\0\0\x0cJXL ")),
    ("Photoshop, which is not supported", re.compile(rb"8BPS")),
    ("a zip archive", re.compile(rb"PK\x03\x04")),
    ("a gzip file", re.compile(rb"\x1f\x8b")),
    ("a PDF", re.compile(rb"%PDF")),
    ("a program", re.compile(rb"\x7fELF|MZ")),
    ("a web page or markup", re.compile(rb"\s*<")),
)
_TEXT_SAMPLE = 512


def sniff_format(data: bytes) -> ImageFormat | None:
    """The image format by content, or None when it is not on the allow-list."""
    return next((name for name, pattern in _SIGNATURES if pattern.match(data)), None)


def describe_content(data: bytes) -> str:
    """A short phrase for content that `sniff_format` does not know, to complete "the content is ..."."""
    named = next((name for name, pattern in _KNOWN_OTHERS if pattern.match(data)), None)
    if named is not None:
        return named
    sample = data[:_TEXT_SAMPLE]
    if not sample.strip(b"\0"):
        return "only zero bytes"
    printable = sum(byte in b"\t\n\r" or 32 <= byte < 127 for byte in sample)
    return "text" if printable >= len(sample) * 0.95 else "of no known image format"
