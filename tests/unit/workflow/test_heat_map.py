"""The heat map of one photo, by a predictor whose answer is its brightness."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest

from handmade import even_photo, write_brightness_bundle
from parts import encode_png
from teliti.data.decode import decode_photo
from teliti.errors import PhotoRefused, RunError
from teliti.predictor import Predictor
from teliti.workflow.heat_map import PASSES, explain_photo

BRIGHT_CORNER = even_photo(20)
BRIGHT_CORNER[:2, 6:] = 255


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return Predictor(write_brightness_bundle(tmp_path_factory.mktemp("bundle")), threads=1)


def test_the_bright_corner_makes_it_bright(predictor: Predictor) -> None:
    found = explain_photo(predictor, encode_png(BRIGHT_CORNER))
    values = np.array(found["values"])
    assert (found["of"], found["unit"], found["passes"]) == ("bright", "log-odds", PASSES)
    assert np.unravel_index(values.argmax(), values.shape) == (0, 6)
    drawn = decode_photo(base64.b64decode(found["png"]))
    assert drawn[0, 7].tolist() == [232, 109, 109]  # 0.65 of the red over white
    assert drawn[7, 0].tolist() == [20, 20, 20]


def test_an_even_photo_has_no_place_that_matters(predictor: Predictor) -> None:
    """Every square is covered with the colour that it has, so that nothing can be lost."""
    photo = encode_png(even_photo(220))
    found = explain_photo(predictor, photo)
    assert not np.array(found["values"]).any()
    assert (decode_photo(base64.b64decode(found["png"])) == decode_photo(photo)).all()


def test_a_number_has_a_map_of_its_own_unit(tmp_path: Path) -> None:
    predictor = Predictor(write_brightness_bundle(tmp_path, is_regression=True), threads=1)
    found = explain_photo(predictor, encode_png(BRIGHT_CORNER))
    assert (found["of"], found["unit"]) == ("value", "value")
    assert np.max(found["values"]) == found["values"][0][6]


def test_what_cannot_be_explained_says_so(predictor: Predictor) -> None:
    with pytest.raises(PhotoRefused, match="not an image"):
        explain_photo(predictor, b"no photo")
    with pytest.raises(RunError, match="was given up"):
        explain_photo(predictor, encode_png(BRIGHT_CORNER), is_wanted=lambda: False)
