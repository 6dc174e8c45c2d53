"""Colour: scikit-image's conversions as the judge; rounding differs between the two, which each test states."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import skimage.color

from teliti.errors import UserError
from teliti.imaging.colour import (
    colour_plane,
    pick_channel,
    reorder_channels,
    shared_plane,
    to_channels_first,
    to_channels_last,
    to_grey,
)


@pytest.fixture
def photo() -> np.ndarray:
    return np.random.default_rng(11).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def test_grey_is_the_luma_of_bt601(photo: np.ndarray) -> None:
    got = to_grey(photo)
    # scikit-image's own rgb2gray has the weights of BT.709; its YUV has those of BT.601
    luma = skimage.color.rgb2yuv(photo)[..., 0] * 255
    assert np.abs(got - luma).max() < 0.51  # OpenCV rounds a fixed-point sum
    assert (got.shape, got.dtype) == (photo.shape[:2], np.uint8)


def test_grey_of_three_equal_channels_is_one_of_them() -> None:
    levels = np.arange(256, dtype=np.uint8)[None]
    np.testing.assert_array_equal(to_grey(np.dstack([levels] * 3)), levels)
    assert to_grey(levels) is levels


def test_one_channel(photo: np.ndarray) -> None:
    for index, channel in enumerate("rgb"):
        np.testing.assert_array_equal(pick_channel(photo, channel), photo[..., index])
    assert pick_channel(photo[..., 0], "b") is not None
    np.testing.assert_array_equal(pick_channel(photo[..., 0], "b"), photo[..., 0])


def test_hsv_planes_agree_with_scikit_image(photo: np.ndarray) -> None:
    hue, saturation, value = np.moveaxis(skimage.color.rgb2hsv(photo), -1, 0)
    around = (colour_plane(photo, "hue") - hue * 256 + 128) % 256 - 128  # hue is a circle
    assert np.abs(around).max() <= 1.0
    assert np.abs(colour_plane(photo, "saturation") - saturation * 255).max() <= 0.51
    np.testing.assert_array_equal(colour_plane(photo, "value"), np.rint(value * 255))


def test_lab_planes_agree_with_scikit_image(photo: np.ndarray) -> None:
    lightness, green_red, blue_yellow = np.moveaxis(skimage.color.rgb2lab(photo), -1, 0)
    for plane, expected in (("lightness", lightness * 2.55), ("a", green_red + 128), ("b", blue_yellow + 128)):
        difference = np.abs(colour_plane(photo, plane) - expected)
        assert difference.max() <= 2.0, plane  # OpenCV works in tables of fixed point
        assert difference.mean() < 0.5, plane


def test_pure_colours_lie_where_the_documentation_says() -> None:
    pure = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [90, 90, 90]]], dtype=np.uint8)
    assert colour_plane(pure, "hue")[0, :3].tolist() == [0, 85, 171]
    assert colour_plane(pure, "saturation").tolist() == [[255, 255, 255, 0]]
    assert colour_plane(pure, "a")[0, 3] == colour_plane(pure, "b")[0, 3] == 128


@pytest.mark.parametrize("order", ["".join(letters) for letters in itertools.permutations("rgb")])
def test_any_order_of_channels(order: str, photo: np.ndarray) -> None:
    got = reorder_channels(photo, order)
    for index, letter in enumerate(order):
        np.testing.assert_array_equal(got[..., index], photo[..., "rgb".index(letter)])
    assert got.flags.c_contiguous


def test_a_grey_array_has_no_order(photo: np.ndarray) -> None:
    grey = photo[..., 0]
    assert reorder_channels(grey, "bgr") is grey


def test_a_grey_photo_in_three_channels_is_recognised(photo: np.ndarray) -> None:
    grey = photo[..., 1]
    np.testing.assert_array_equal(shared_plane(np.dstack([grey] * 3)), grey)
    assert shared_plane(photo) is None
    for channel in range(3):
        nearly = np.dstack([grey] * 3)
        nearly[-1, -1, channel] ^= 1
        assert shared_plane(nearly) is None


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_channels_first_and_back(dtype: type) -> None:
    batch = np.arange(2 * 4 * 5 * 3).reshape(2, 4, 5, 3).astype(dtype)
    first = to_channels_first(batch)
    assert (first.shape, first.dtype) == ((2, 3, 4, 5), dtype)
    assert first.flags.c_contiguous
    assert first[1, 2, 3, 4] == batch[1, 3, 4, 2]
    np.testing.assert_array_equal(to_channels_last(first), batch)
    np.testing.assert_array_equal(to_channels_first(batch[0]), first[0])
    np.testing.assert_array_equal(to_channels_last(first[0]), batch[0])


@pytest.mark.parametrize("convert", [to_channels_first, to_channels_last])
@pytest.mark.parametrize("shape", [(4, 5), (1, 2, 3, 4, 5)])
def test_channels_need_an_axis(convert, shape: tuple[int, ...]) -> None:
    with pytest.raises(
        UserError, match=r"must have 3 axes \(one photo\) or 4 \(a batch\), got shape .*array\[\.\.\., N"
    ):
        convert(np.zeros(shape))
