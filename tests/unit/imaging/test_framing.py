"""Framing: exact sizes whatever the photo's, no aliasing when it shrinks, the padding and its place."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teliti.imaging.framing import PADDING_VALUE, crop_to_fill, letterbox, resize

FITS = (resize, letterbox, crop_to_fill)
SHAPES = [(1, 1), (1, 400), (400, 1), (4000, 1), (1, 4000), (7, 3), (64, 64), (63, 65), (480, 640)]


def photo(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * 10_007 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [(64, 64), (8, 33), (1, 1)])
def test_every_photo_gets_exactly_the_asked_size(fit, shape: tuple[int, int], size: tuple[int, int]) -> None:
    framed = fit(photo(*shape), size)
    assert framed.shape == (*size, 3)
    assert framed.dtype == np.uint8


@given(st.tuples(*[st.integers(1, 200)] * 4), st.sampled_from(FITS))
def test_no_pair_of_sizes_is_special(sizes: tuple[int, int, int, int], fit) -> None:
    height, width, *size = sizes
    assert fit(photo(height, width), tuple(size)).shape == (*size, 3)


@pytest.mark.parametrize("fit", FITS)
def test_a_photo_of_the_right_size_is_left_as_it_is(fit) -> None:
    image = photo(48, 64)
    np.testing.assert_array_equal(fit(image, (48, 64)), image)


@pytest.mark.parametrize("fit", FITS)
def test_the_photo_that_was_given_is_not_written_to(fit) -> None:
    image = photo(40, 60)
    before = image.copy()
    fit(image, (32, 32))
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", [(20, 20), (90, 90)])
def test_an_even_colour_stays_that_colour(fit, size: tuple[int, int]) -> None:
    image = np.full((30, 50, 3), (200, 10, 90), dtype=np.uint8)
    framed = fit(image, size).reshape(-1, 3)
    colours = {tuple(colour) for colour in framed.tolist()}
    assert colours - {(PADDING_VALUE,) * 3} == {(200, 10, 90)}


def test_shrinking_averages_instead_of_aliasing() -> None:
    stripes = np.zeros((128, 512, 3), dtype=np.uint8)
    stripes[:, ::2] = 255  # one pixel white, one black: anything but grey in the small picture is an artefact
    small = resize(stripes, (100, 100)).astype(float)
    assert small.std() < 16
    assert abs(small.mean() - 127.5) < 2
    sampled = cv2.resize(stripes, (100, 100), interpolation=cv2.INTER_NEAREST).astype(float)
    assert sampled.std() > 100  # what the test would see of a resize that picks single pixels


@pytest.mark.parametrize("height", [40, 20])
def test_a_side_that_shrinks_is_averaged_while_the_other_grows(height: int) -> None:
    stripes = np.zeros((height, 300, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    assert resize(stripes, (100, 90)).astype(float).std() < 25


def test_shrinking_by_a_whole_number_is_the_mean_of_the_blocks() -> None:
    image = photo(60, 90)
    means = image.reshape(20, 3, 30, 3, 3).mean((1, 3))
    np.testing.assert_allclose(resize(image, (20, 30)), means, atol=0.51)


def test_growing_keeps_a_ramp_smooth() -> None:
    ramp = np.repeat(np.linspace(50, 200, 16).astype(np.uint8)[None, :, None], 16, axis=0).repeat(3, axis=2)
    grown = resize(ramp, (64, 64))[32, :, 0].astype(int)
    assert (np.diff(grown) >= 0).all()
    assert np.abs(np.diff(grown)).max() <= 6


@pytest.mark.parametrize(("shape", "rows", "columns"), [((50, 100), (16, 48), (0, 64)), ((100, 50), (0, 64), (16, 48))])
def test_letterbox_centres_the_whole_photo_and_fills_with_grey(
    shape: tuple[int, int], rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    framed = letterbox(np.full((*shape, 3), 255, dtype=np.uint8), (64, 64))
    inside = np.zeros((64, 64), dtype=bool)
    inside[slice(*rows), slice(*columns)] = True
    assert (framed[inside] == 255).all()
    assert (framed[~inside] == 128).all()


def test_letterbox_of_a_thread_keeps_one_pixel_of_it() -> None:
    framed = letterbox(np.full((4000, 1, 3), 255, dtype=np.uint8), (64, 64))
    assert (framed[..., 0] == 255).sum() == 64
    assert (framed[:, 31, 0] == 255).all()


def test_stretch_ignores_the_aspect_ratio() -> None:
    image = np.zeros((20, 40, 3), dtype=np.uint8)
    image[:, 20:] = 255
    stretched = resize(image, (40, 40))
    assert (stretched[:, :19] == 0).all()
    assert (stretched[:, 21:] == 255).all()


def test_crop_takes_the_middle() -> None:
    image = np.zeros((30, 90, 3), dtype=np.uint8)
    image[:, 30:60] = 255
    assert (crop_to_fill(image, (30, 30)) == 255).all()
    assert (crop_to_fill(image.transpose(1, 0, 2), (15, 15)) == 255).all()


def test_crop_of_the_same_shape_is_a_resize_of_the_whole() -> None:
    image = photo(60, 90)
    np.testing.assert_array_equal(crop_to_fill(image, (20, 30)), resize(image, (20, 30)))
