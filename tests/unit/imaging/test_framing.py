"""Framing: exact sizes whatever the photo's, no aliasing when it shrinks, the padding and its place."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teliti.imaging.framing import (
    PADDING_VALUE,
    Rectangle,
    as_colour,
    bounding_rectangle,
    crop_to_fill,
    letterbox,
    resize,
    smallest_rectangle,
)

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


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_grey_picture_that_shrinks_gets_what_three_equal_channels_get(fit, shape: tuple[int, int]) -> None:
    grey = photo(*shape)[..., 0].copy()
    size = (max(1, shape[0] // 3), max(1, shape[1] // 2))
    np.testing.assert_array_equal(as_colour(fit(grey, size)), fit(as_colour(grey), size))


@pytest.mark.parametrize("fit", FITS)
def test_a_grey_picture_that_grows_differs_by_a_rounding_at_most(fit) -> None:
    grey = photo(23, 31)[..., 0].copy()
    difference = as_colour(fit(grey, (64, 80))).astype(int) - fit(as_colour(grey), (64, 80))
    assert np.abs(difference).max() <= 1


def test_colour_stays_as_it_is_and_grey_becomes_three_equal_channels() -> None:
    image = photo(3, 4)
    assert as_colour(image) is image
    np.testing.assert_array_equal(as_colour(image[..., 1]), image[..., [1, 1, 1]])


@given(st.integers(0, 2**32), st.integers(0, 6))
def test_the_bounding_rectangle_is_that_of_scikit_image(seed: int, margin: int) -> None:
    from skimage.measure import regionprops

    rng = np.random.default_rng(seed)
    mask = np.where(rng.random((17, 23)) < 0.02, 255, 0).astype(np.uint8)
    found = bounding_rectangle(mask)
    if found is None:
        assert not mask.any()
        return
    top, left, bottom, right = regionprops((mask > 0).astype(int))[0].bbox
    expected = Rectangle(max(0, top - margin), max(0, left - margin), min(17, bottom + margin), min(23, right + margin))
    assert found.widened(margin, inside=mask) == expected


@given(st.integers(0, 2**32))
def test_no_other_turn_gives_a_smaller_rectangle(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = np.zeros((40, 40), dtype=np.uint8)
    rows, columns = rng.integers(0, 40, (2, 6))
    mask[rows, columns] = 255
    found = smallest_rectangle(mask)
    assert found is not None
    points = np.column_stack([columns, rows])
    turns = np.radians(np.arange(0, 90, 0.5))
    areas = []
    for turn in turns:
        turned = points @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        areas.append(np.prod(np.ptp(turned, axis=0)))
    assert (found.height - 1) * (found.width - 1) <= min(areas) + 1e-3
    # and it covers every point: nothing lies farther from its middle than half a side
    turn = np.radians(found.angle)
    turned = (points - found.center) @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    assert (np.abs(turned) <= np.array([found.width - 1, found.height - 1]) / 2 + 1e-3).all()
    assert -45 <= found.angle < 45


def test_a_single_pixel_is_a_rectangle_of_one_pixel() -> None:
    mask = np.zeros((5, 7), dtype=np.uint8)
    mask[2, 4] = 255
    found = smallest_rectangle(mask)
    assert found is not None
    assert (found.center, found.height, found.width) == ((4.0, 2.0), 1.0, 1.0)
    image = photo(5, 7)
    np.testing.assert_array_equal(found.cut(image, margin=0), image[2:3, 4:5])
    np.testing.assert_array_equal(found.cut(image, margin=1), image[1:4, 3:6])


def test_no_part_has_no_rectangle() -> None:
    nothing = np.zeros((5, 7), dtype=np.uint8)
    assert bounding_rectangle(nothing) is None
    assert smallest_rectangle(nothing) is None
