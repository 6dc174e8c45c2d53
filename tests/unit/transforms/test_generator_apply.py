"""Moving pixels without `keras_compatible`: one warp about the centre, every parameter where its name says."""

from __future__ import annotations

import builtins
import importlib.util

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from teliti.errors import MissingExtraError, UserError
from teliti.workflow.generator import ImageDataGenerator


def spot(row: int, column: int, size: tuple[int, int] = (9, 13)) -> np.ndarray:
    """A black photo with one white pixel."""
    photo = np.zeros((*size, 3), dtype=np.uint8)
    photo[row, column] = 255
    return photo


def places(photo: np.ndarray) -> list[tuple[int, int]]:
    return [(int(row), int(column)) for row, column in np.argwhere(photo[..., 0] > 127)]


@pytest.fixture
def photo() -> np.ndarray:
    return cv2.GaussianBlur(np.random.default_rng(2).integers(0, 256, (24, 32, 3), dtype=np.uint8), (5, 5), 1.5)


BLACK = ImageDataGenerator(fill_mode="constant")


@pytest.mark.parametrize(
    ("parameters", "place"),
    [
        ({"tx": 2}, (1, 4)),
        ({"ty": 2}, (3, 2)),
        ({"theta": 180}, (5, 8)),
        ({"flip_horizontal": True}, (3, 8)),
        ({"flip_vertical": True}, (5, 4)),
        ({"zx": 0.5}, (3, 2)),
        ({"zy": 0.5}, (2, 4)),
    ],
)
def test_where_a_pixel_goes(parameters: dict, place: tuple[int, int]) -> None:
    assert place in places(BLACK.apply_transform(spot(3, 4), parameters))


def test_an_oblong_photo_turns_about_its_own_centre_and_keras_about_another() -> None:
    centre = spot(4, 6)
    assert places(BLACK.apply_transform(centre, {"theta": 90})) == [(4, 6)]
    keras = ImageDataGenerator(fill_mode="constant", keras_compatible=True)
    assert places(keras.apply_transform(centre.astype(np.float32), {"theta": 90})) != [(4, 6)]


def test_height_shift_moves_along_the_height_and_in_keras_along_the_width() -> None:
    keras = ImageDataGenerator(fill_mode="constant", keras_compatible=True)
    assert places(BLACK.apply_transform(spot(3, 4), {"tx": 2})) == [(1, 4)]
    assert places(keras.apply_transform(spot(3, 4).astype(np.float32), {"tx": 2})) == [(3, 2)]


@pytest.mark.parametrize("fill", ["nearest", "reflect", "mirror", "grid-wrap"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_the_warp_agrees_with_scipy(photo: np.ndarray, fill: str, dtype: type) -> None:
    square = photo[:, :24].astype(dtype)
    parameters = {"theta": 21.0, "shear": 9.0, "zx": 0.8, "zy": 1.2}
    ours = ImageDataGenerator(fill_mode=fill).apply_transform(square, parameters)
    keras = ImageDataGenerator(fill_mode=fill, keras_compatible=True)
    theirs = keras.apply_transform(square.astype(np.float32), parameters)
    assert ours.dtype == dtype
    assert np.abs(ours.astype(np.float32) - theirs).max() <= 2.0  # OpenCV 4 rounds places to 1/32 pixel


def test_more_than_four_channels_and_nearest_neighbour() -> None:
    photo = np.random.default_rng(0).uniform(0, 255, (12, 16, 6)).astype(np.float32)
    nearest = ImageDataGenerator(interpolation_order=0)
    moved = nearest.apply_transform(photo, {"tx": 1.0, "ty": -2.0})
    np.testing.assert_array_equal(moved[:-1, 2:], photo[1:, :-2])


def test_constant_fill_uses_cval(photo: np.ndarray) -> None:
    for pixels in (photo, photo.astype(np.float32)):
        filled = ImageDataGenerator(fill_mode="constant", cval=9.0).apply_transform(pixels, {"tx": 4})
        assert np.all(filled[-4:] == 9)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_no_parameter_changes_nothing(photo: np.ndarray, dtype: type) -> None:
    pixels = photo.astype(dtype)
    parameters = {"theta": 0.0, "tx": 0.0, "zx": 1.0, "brightness": 1.0, "channel_shift_intensity": [0.0, 0.0, 0.0]}
    for chosen in ({}, parameters):
        result = ImageDataGenerator().apply_transform(pixels, chosen)
        assert result.dtype == dtype
        np.testing.assert_array_equal(result, pixels)


@given(seed=st.integers(0, 10_000))
def test_range_shape_and_type_stay_and_the_photo_is_not_touched(seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (10, 14, 3), dtype=np.uint8)
    kept = pixels.copy()
    generator = ImageDataGenerator(
        rotation_range=90, width_shift_range=0.4, zoom_range=0.5, shear_range=30, channel_shift_range=80,
        brightness_range=(0.1, 3), horizontal_flip=True, fill_mode="wrap",
    )  # fmt: skip
    result = generator.random_transform(pixels, seed=seed)
    assert (result.shape, result.dtype) == (pixels.shape, np.uint8)
    np.testing.assert_array_equal(pixels, kept)
    floats = generator.random_transform(pixels.astype(np.float32), seed=seed)
    assert floats.min() >= 0.0
    assert floats.max() <= 255.0


def test_a_shift_for_each_channel(photo: np.ndarray) -> None:
    shifted = ImageDataGenerator().apply_transform(photo, {"channel_shift_intensity": [10.0, 0.0, -10.0]})
    difference = shifted.astype(int) - photo
    lowest, highest = int(photo.min()), int(photo.max())
    np.testing.assert_array_equal(shifted, np.clip(photo + np.array([10, 0, -10]), lowest, highest))
    assert difference[..., 0].max() == 10
    assert difference[..., 2].min() == -10


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_brightness_of_bytes_is_that_of_floats_rounded(channels: int) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (6, 7, channels), dtype=np.uint8)
    lit = ImageDataGenerator().apply_transform(pixels, {"brightness": 1.37})
    floats = ImageDataGenerator().apply_transform(pixels.astype(np.float32), {"brightness": 1.37})
    assert (lit.shape, lit.dtype) == (pixels.shape, np.uint8)
    np.testing.assert_array_equal(lit, np.rint(floats))


@pytest.mark.parametrize(("factor", "value"), [(0.5, 50.0), (2.0, 200.0), (3.0, 255.0), (1.01, 101.0)])
def test_brightness_keeps_decimals_and_alpha(factor: float, value: float) -> None:
    grey = np.full((4, 4, 4), 100.0, dtype=np.float32)
    lit = ImageDataGenerator().apply_transform(grey, {"brightness": factor})
    assert np.allclose(lit[..., :3], value)
    assert np.all(lit[..., 3] == 100.0)


def test_brightness_of_a_photo_in_zero_to_one() -> None:
    lit = ImageDataGenerator().apply_transform(np.full((4, 4, 3), 0.4, dtype=np.float32), {"brightness": 4.0})
    assert np.all(lit == 1.0)


def test_channels_first_is_the_same_photo(photo: np.ndarray) -> None:
    parameters = {"theta": 33.0, "tx": 2.0, "zx": 0.9, "flip_horizontal": True, "brightness": 0.7}
    last = ImageDataGenerator().apply_transform(photo, parameters)
    first = ImageDataGenerator(data_format="channels_first").apply_transform(photo.transpose(2, 0, 1), parameters)
    np.testing.assert_array_equal(first.transpose(1, 2, 0), last)


def test_cubic_is_near_the_spline(photo: np.ndarray) -> None:
    square = photo[:, :24].astype(np.float32)
    cubic = ImageDataGenerator(interpolation_order=3).apply_transform(square, {"theta": 15.0})
    spline = ImageDataGenerator(interpolation_order=3, keras_compatible=True).apply_transform(square, {"theta": 15.0})
    assert np.abs(cubic - spline)[4:-4, 4:-4].mean() < 2.0
    assert np.abs(cubic - square).mean() > 5.0


@pytest.mark.parametrize(
    ("pixels", "parameters", "sentence"),
    [
        (np.zeros((4, 4), np.uint8), {}, r"A photo must be an array of rank 3, got shape \(4, 4\)"),
        (np.zeros((4, 4, 3), np.uint8), {"thetta": 3}, "must be one of theta, .*got 'thetta'. Did you mean \"theta\""),
        (np.zeros((4, 4, 3), np.uint8), {"channel_shift_intensity": [1, 2]}, "must be one number or 3, got 2"),
    ],
)
def test_what_is_refused(pixels: np.ndarray, parameters: dict, sentence: str) -> None:
    for compatible in (False, True):
        with pytest.raises(UserError, match=sentence):
            ImageDataGenerator(keras_compatible=compatible).apply_transform(pixels, parameters)


def test_brightness_of_two_channels_is_refused_where_pillow_does_it() -> None:
    keras = ImageDataGenerator(keras_compatible=True)
    with pytest.raises(UserError, match="A picture must have 1, 3 or 4 channels"):
        keras.apply_transform(np.zeros((4, 4, 2), np.float32), {"brightness": 2.0})


def test_scipy_is_named_when_it_is_missing(monkeypatch: pytest.MonkeyPatch, photo: np.ndarray) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "scipy" else find(name, *rest))
    keras = ImageDataGenerator(keras_compatible=True)
    with pytest.raises(
        MissingExtraError, match=r'scipy.ndimage is needed to move pixels .* pip install "teliti\[train\]"'
    ):
        keras.apply_transform(photo, {"theta": 3.0})
    np.testing.assert_array_equal(keras.apply_transform(photo, {"flip_vertical": True}), photo[::-1])


def test_without_the_switch_scipy_is_never_asked_for(monkeypatch: pytest.MonkeyPatch, photo: np.ndarray) -> None:
    load = builtins.__import__

    def refuse(name: str, *rest: object, **named: object) -> object:
        assert not name.startswith("scipy")
        return load(name, *rest, **named)

    monkeypatch.setattr(ndimage, "affine_transform", None)
    monkeypatch.setattr(builtins, "__import__", refuse)
    for order in (0, 1, 3):
        moved = ImageDataGenerator(interpolation_order=order, rotation_range=20).random_transform(photo, seed=1)
        assert moved.shape == photo.shape
