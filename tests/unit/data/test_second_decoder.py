"""Pillow alone gives the pixels that the one image door gives."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from teliti.data.decode import decode_photo
from teliti.data.second_decoder import decode_by_pillow
from teliti.errors import PhotoRefused

DRAW = np.random.default_rng(3)
COLOUR = DRAW.integers(0, 256, (12, 17, 3), dtype=np.uint8)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TIFF", "GIF"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_both_decoders_agree(kind: str, mode: str) -> None:
    data = encoded(Image.fromarray(COLOUR).convert(mode), kind)
    np.testing.assert_array_equal(decode_by_pillow(data), decode_photo(data))


def test_sixteen_bits_and_alpha_follow_the_same_rules() -> None:
    deep = cv2.imencode(".png", DRAW.integers(0, 65536, (9, 8), dtype=np.uint16))[1].tobytes()
    np.testing.assert_array_equal(decode_by_pillow(deep), decode_photo(deep))
    alpha = encoded(Image.fromarray(DRAW.integers(0, 256, (9, 8, 4), dtype=np.uint8)), "PNG")
    assert np.abs(decode_by_pillow(alpha).astype(int) - decode_photo(alpha)).max() <= 1


def test_orientation_is_applied_once() -> None:
    exif = Image.Exif()
    exif[274] = 6
    data = encoded(Image.fromarray(COLOUR), "JPEG", exif=exif)
    assert decode_by_pillow(data).shape == (17, 12, 3)
    np.testing.assert_array_equal(decode_by_pillow(data), decode_photo(data))


def test_what_pillow_cannot_read_is_refused() -> None:
    data = encoded(Image.fromarray(COLOUR), "PNG")
    with pytest.raises(PhotoRefused):
        decode_by_pillow(data[:60])
    with pytest.raises(PhotoRefused, match="not an image"):
        decode_by_pillow(b"hello")
