"""Formats by content."""

from __future__ import annotations

import pytest

from photos import draw_ramp, encode
from teliti.data.sniff import IMAGE_SUFFIXES, describe_content, sniff_format


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("JPEG", "jpeg"),
        ("PNG", "png"),
        ("BMP", "bmp"),
        ("TIFF", "tiff"),
        ("WEBP", "webp"),
        ("PPM", "netpbm"),
        ("GIF", "gif"),
    ],
)
def test_each_allowed_format_is_known_by_its_first_bytes(kind: str, name: str) -> None:
    assert sniff_format(encode(draw_ramp(), kind)) == name
    assert sniff_format(encode(draw_ramp(), kind)[:64]) == name


@pytest.mark.parametrize("data", [b"", b"BM", b"P7\nWIDTH 4", b"RIFF\0\0\0\0WAVE", b"GIF90a", b"{}"])
def test_anything_else_is_not(data: bytes) -> None:
    assert sniff_format(data) is None


@pytest.mark.parametrize(
    ("data", "phrase"),
    [
        (b"hello there", "text"),
        (b"%PDF-1.4", "a PDF"),
        (b"\0" * 9, "only zero bytes"),
        (b"\x81" * 9, "of no known image format"),
    ],
)
def test_refused_content_is_described(data: bytes, phrase: str) -> None:
    assert describe_content(data) == phrase


def test_suffixes_are_lower_case_with_their_dot() -> None:
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in IMAGE_SUFFIXES)
