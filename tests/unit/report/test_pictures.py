"""Photos inside the page: small, decodable, described."""

import base64
import re

import cv2
import numpy as np
import pytest

from teliti.errors import RunError
from teliti.report.pictures import THUMBNAIL_SIZE, picture, shrink_to
from unit.report.report_records import photo


def decoded(tag):
    """The RGB photo inside an `img`."""
    data = base64.b64decode(re.search(r"base64,([^\"]+)", tag)[1])
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def test_large_photo_is_shrunk_with_its_shape_kept():
    image = np.zeros((400, 800, 3), np.uint8)
    tag = picture(image, alt="a black strip")
    assert decoded(tag).shape == (THUMBNAIL_SIZE // 2, THUMBNAIL_SIZE, 3)
    assert f'width="{THUMBNAIL_SIZE}" height="{THUMBNAIL_SIZE // 2}" alt="a black strip"' in tag


def test_colours_survive_in_order():
    image = np.zeros((200, 200, 3), np.uint8)
    image[...] = (200, 80, 20)
    assert np.abs(decoded(picture(image, alt="")).astype(int) - (200, 80, 20)).max() <= 6


def test_small_photo_is_never_enlarged_and_grey_is_fine():
    tag = picture(photo(1, side=8)[..., 0], alt="a digit")
    assert decoded(tag).shape == (8, 8, 3)
    assert 'class="tiny"' in tag


def test_extreme_strips_keep_one_pixel():
    assert shrink_to(np.zeros((1, 4000, 3), np.uint8), 160).shape == (1, 160, 3)


def test_shrinking_averages_instead_of_skipping():
    stripes = np.zeros((320, 320, 3), np.uint8)
    stripes[:, ::2] = 200
    assert np.abs(shrink_to(stripes, 160).astype(int) - 100).max() <= 1


def test_alt_text_is_escaped():
    assert 'alt="&quot; onerror=&quot;x"' in picture(photo(1, side=8), alt='" onerror="x')


def test_a_picture_that_cannot_be_encoded_is_an_error(monkeypatch):
    monkeypatch.setattr(cv2, "imencode", lambda *_: (False, None))
    with pytest.raises(RunError, match="could not be encoded"):
        picture(photo(1, side=8), alt="")
