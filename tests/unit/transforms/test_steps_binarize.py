"""Binarize and clean: a chain from a photo to the part, parameters that belong together, areas in either unit."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from teliti.imaging.binarize import binarize
from teliti.imaging.cleaning import apply_median, despeckle, fill_holes, remove_elements
from teliti.transforms.steps import STEPS, Working
from teliti.transforms.steps_binarize import Binarize, Despeckle, FillHoles, Median, RemoveElements


@pytest.fixture
def photo() -> np.ndarray:
    """A bright part with a hole, a speck beside it and dirt at the edge, on a dark ground: (40, 50, 3)."""
    grey = np.full((40, 50), 40, np.uint8)
    cv2.circle(grey, (25, 20), 10, 200, -1)
    grey[18:21, 24:27] = 40
    grey[5, 5] = 210
    grey[0:4, 46:50] = 190
    noise = np.random.default_rng(0).integers(-5, 6, (40, 50, 3))
    return (grey[..., None] + noise).astype(np.uint8)


def test_from_photo_to_part(photo: np.ndarray) -> None:
    disc = cv2.circle(np.zeros((40, 50), np.uint8), (25, 20), 10, 255, -1)
    working = Working(image=photo, original=photo)
    for step in (Binarize(), RemoveElements(clear_border=True), FillHoles()):
        working = step.run(working)
    np.testing.assert_array_equal(working.image, disc)
    assert working.original is photo


@pytest.mark.parametrize(
    ("values", "given"),
    [
        ({}, {"method": "otsu", "polarity": "auto"}),
        ({"method": "triangle", "polarity": "dark"}, {"method": "triangle", "polarity": "dark"}),
        ({"method": "fixed", "threshold": 0}, {"method": "fixed", "threshold": 0}),
        ({"method": "fixed", "threshold": 120}, {"method": "fixed", "threshold": 120}),
        ({"method": "adaptive_mean"}, {"method": "adaptive_mean", "block_size": 31, "offset": 5.0}),
        (
            {"method": "adaptive_gaussian", "block_size": 7, "offset": 0, "polarity": "bright"},
            {"method": "adaptive_gaussian", "block_size": 7, "offset": 0.0, "polarity": "bright"},
        ),
    ],
)
def test_binarize_is_its_function(values: dict, given: dict, photo: np.ndarray) -> None:
    step = Binarize.model_validate({"step": "binarize", **values})
    np.testing.assert_array_equal(step.apply(photo), binarize(photo, **given))
    assert Binarize.model_validate(step.model_dump(mode="json")) == step


def test_what_the_method_needs_is_written_into_the_record() -> None:
    record = Binarize(method="adaptive_mean", block_size=9).model_dump(mode="json")
    assert (record["block_size"], record["offset"], record["threshold"]) == (9, 5.0, None)


def test_kinds() -> None:
    assert [Binarize().gives(kind) for kind in ("colour", "grey", "binary")] == ["binary"] * 3
    assert RemoveElements.takes == FillHoles.takes == {"binary"}
    assert [Median().gives(kind) for kind in ("colour", "grey", "binary")] == ["colour", "grey", "binary"]
    assert Median.takes == Despeckle.takes == {"colour", "grey", "binary"}


def test_areas_in_pixels_and_as_a_fraction_of_the_photo(photo: np.ndarray) -> None:
    mask = Binarize().apply(photo)
    in_pixels = RemoveElements(min_area=10, max_area=20, unit="pixels").apply(mask)
    np.testing.assert_array_equal(in_pixels, remove_elements(mask, min_area=10, max_area=20))
    assert np.count_nonzero(in_pixels) == 16  # the dirt at the edge
    as_fraction = RemoveElements(min_area=10 / 2000, max_area=20 / 2000).apply(mask)
    np.testing.assert_array_equal(as_fraction, in_pixels)
    assert FillHoles(max_area=8, unit="pixels").apply(mask)[19, 25] == 0
    assert FillHoles(max_area=9, unit="pixels").apply(mask)[19, 25] == 255
    assert FillHoles(max_area=9 / 2000).apply(mask)[19, 25] == 255


@pytest.mark.parametrize(
    ("step", "function"),
    [
        (
            RemoveElements(min_area=0, aspect=(1, 3), solidity=(0.5, 1), keep_largest=2, connectivity=4),
            lambda mask: remove_elements(mask, aspect=(1.0, 3.0), solidity=(0.5, 1.0), keep_largest=2, connectivity=4),
        ),
        (RemoveElements(min_area=0, clear_border=True), lambda mask: remove_elements(mask, clear_border=True)),
        (FillHoles(connectivity=4), lambda mask: fill_holes(mask, connectivity=4)),
        (Median(size=5), lambda mask: apply_median(mask, 5)),
        (Despeckle(size=5, threshold=7), lambda mask: despeckle(mask, size=5, threshold=7)),
    ],
    ids=lambda value: getattr(value, "step", ""),
)
def test_a_cleaning_step_is_its_function(step, function) -> None:
    mask = np.where(np.random.default_rng(3).random((30, 30)) < 0.4, 255, 0).astype(np.uint8)
    np.testing.assert_array_equal(step.apply(mask), function(mask))
    assert type(step).model_validate(step.model_dump(mode="json")) == step


def test_specks_are_taken_out_of_photos_as_well(photo: np.ndarray) -> None:
    np.testing.assert_array_equal(Median().apply(photo), apply_median(photo, 3))
    cleaned = Despeckle().apply(photo)
    assert cleaned[5, 5].max() < 60
    assert (cleaned[10:15, 5:10] == photo[10:15, 5:10]).all()


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("binarize", {"method": "fixed"}, r'method "fixed" needs a threshold from 0 to 255'),
        ("binarize", {"threshold": 10}, r'method "otsu" takes no threshold'),
        ("binarize", {"method": "fixed", "threshold": 256}, "less than or equal to 255"),
        ("binarize", {"method": "fixed", "threshold": -1}, "greater than or equal to 0"),
        ("binarize", {"block_size": 9}, r'block_size and offset belong to the adaptive methods; this is "otsu"'),
        ("binarize", {"method": "triangle", "offset": 1}, r'adaptive methods; this is "triangle"'),
        ("binarize", {"method": "adaptive_mean", "block_size": 8}, "block_size must be odd.*got 8"),
        ("binarize", {"method": "adaptive_mean", "block_size": 1}, "greater than or equal to 3"),
        ("binarize", {"method": "adaptive_mean", "offset": 256}, "less than or equal to 255"),
        ("binarize", {"polarity": "white"}, "'bright', 'dark' or 'auto'"),
        ("binarize", {"method": "Otsu"}, "'fixed', 'otsu', 'triangle', 'adaptive_mean' or 'adaptive_gaussian'"),
        ("remove_elements", {"min_area": 50}, r'at most 1 as a fraction, got 50; set unit = "pixels"'),
        ("remove_elements", {"max_area": 2.5}, r"at most 1 as a fraction, got 2\.5"),
        ("remove_elements", {"min_area": 0.5, "max_area": 0.1}, r"min_area, max_area: the lower limit 0\.5 is above"),
        ("remove_elements", {"aspect": [5, 2]}, "aspect: the lower limit 5 is above the upper one 2"),
        ("remove_elements", {"aspect": [0.5, 2]}, "greater than or equal to 1"),
        ("remove_elements", {"solidity": [0.9, 0.2]}, r"solidity: the lower limit 0\.9 is above the upper one 0\.2"),
        ("remove_elements", {"solidity": [0.9, 1.2]}, "less than or equal to 1"),
        ("remove_elements", {"keep_largest": 0}, "greater than or equal to 1"),
        ("remove_elements", {"connectivity": 6}, "4 or 8"),
        ("fill_holes", {"max_area": 9}, r'at most 1 as a fraction, got 9; set unit = "pixels"'),
        ("fill_holes", {"unit": "percent"}, "'fraction' or 'pixels'"),
        ("median", {"size": 4}, "must be odd, so that the neighbourhood has a centre"),
        ("median", {"size": 257}, "less than or equal to 255"),
        ("despeckle", {"size": 2}, "greater than or equal to 3"),
        ("despeckle", {"threshold": 300}, "less than or equal to 255"),
    ],
)
def test_parameters_that_cannot_be_used_are_refused(name: str, values: dict, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        STEPS.get(name).model_validate({"step": name, **values})
