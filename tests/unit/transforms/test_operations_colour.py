"""Look-up tables and the colour matrix: against Pillow, scikit-image and plain arithmetic."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance
from skimage import color

from teliti.transforms.operations_colour import Brightness, ChannelShift, ColourJitter, Contrast, colour_matrix

LEVELS = np.arange(256)


def photo() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


@given(st.floats(0.0, 10.0))
def test_brightness_multiplies_and_saturates(factor: float) -> None:
    table = Brightness().table({"factor": factor})
    assert (table.shape, table.dtype) == ((256,), np.uint8)
    np.testing.assert_allclose(table, np.clip(LEVELS * factor, 0, 255), atol=0.501)


@pytest.mark.parametrize("factor", [0.3, 0.9, 1.4])
def test_brightness_is_pillows_up_to_its_rounding_down(factor: float) -> None:
    expected = np.asarray(ImageEnhance.Brightness(Image.fromarray(photo())).enhance(factor)).astype(int)
    difference = Brightness().table({"factor": factor})[photo()] - expected
    assert set(np.unique(difference)) <= {0, 1}


@given(st.floats(0.0, 10.0))
def test_contrast_turns_about_the_middle(factor: float) -> None:
    table = Contrast().table({"factor": factor})
    np.testing.assert_allclose(table, np.clip((LEVELS - 127.5) * factor + 127.5, 0, 255), atol=0.501)


@given(st.floats(-255.0, 255.0), st.floats(-255.0, 255.0), st.floats(-255.0, 255.0))
def test_channel_shift_adds_to_each_channel(red: float, green: float, blue: float) -> None:
    table = ChannelShift().table({"amounts": [red, green, blue]})
    assert (table.shape, table.dtype) == ((256, 3), np.uint8)
    expected = np.clip(LEVELS[:, None] + np.array([red, green, blue]), 0, 255)
    np.testing.assert_allclose(table, expected, atol=0.501)


def test_channel_shift_by_one_amount_is_one_table() -> None:
    operation = ChannelShift(amount=30, per_channel=False)
    values = operation.draw([0.75, 0.1, 0.2])
    assert values == {"amounts": [15.0]}
    np.testing.assert_array_equal(operation.table(values), np.clip(LEVELS + 15, 0, 255))


def test_per_channel_draws_three_amounts() -> None:
    assert ChannelShift(amount=20).draw([0.0, 0.5, 0.75]) == {"amounts": [-20.0, 0.0, 10.0]}


@pytest.mark.parametrize(
    ("operation", "values"),
    [(Brightness(factor=0), None), (Contrast(factor=0), None), (ChannelShift(amount=0), None)],
)  # fmt: skip
def test_without_strength_the_table_changes_nothing(operation, values) -> None:
    values = operation.draw([0.9, 0.1, 0.4])
    table = operation.table(values)
    np.testing.assert_array_equal(table, LEVELS if table.ndim == 1 else np.repeat(LEVELS[:, None], 3, axis=1))


@pytest.mark.parametrize("saturation", [0.0, 0.4, 1.5])
def test_saturation_is_pillows(saturation: float) -> None:
    expected = np.asarray(ImageEnhance.Color(Image.fromarray(photo())).enhance(saturation)).astype(int)
    ours = ColourJitter().apply(photo(), {"saturation": saturation, "hue": 0.0})
    assert np.abs(ours - expected).max() <= 1


@pytest.mark.parametrize("hue", [-120.0, 25.0, 180.0])
def test_hue_turns_the_colour_plane_of_scikit_image(hue: float) -> None:
    soft = 90 + photo() // 4  # far from black and white, so that nothing saturates
    yiq, angle = color.rgb2yiq(soft.astype(float)), -math.radians(hue)
    turned = yiq.copy()
    turned[..., 1] = yiq[..., 1] * math.cos(angle) - yiq[..., 2] * math.sin(angle)
    turned[..., 2] = yiq[..., 1] * math.sin(angle) + yiq[..., 2] * math.cos(angle)
    ours = ColourJitter().apply(soft, {"saturation": 1.0, "hue": hue})
    np.testing.assert_allclose(ours, color.yiq2rgb(turned), atol=0.5 + 3 * 255 / 2048)  # the grid of the matrix


def test_a_third_of_the_circle_takes_red_to_green() -> None:
    red = np.full((2, 2, 3), (180, 60, 60), dtype=np.uint8)
    assert ColourJitter().apply(red, {"saturation": 1.0, "hue": 120.0})[0, 0].argmax() == 1


@given(st.floats(0.0, 10.0), st.floats(-180.0, 180.0))
def test_luminance_stays(saturation: float, hue: float) -> None:
    luminance = np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(luminance @ colour_matrix(saturation, hue), luminance, atol=1 / 1024)


@given(st.floats(0.0, 10.0), st.floats(-180.0, 180.0))
def test_greys_stay_to_the_last_bit(saturation: float, hue: float) -> None:
    greys = np.repeat(LEVELS.astype(np.uint8)[:, None, None], 3, axis=2)
    np.testing.assert_array_equal(ColourJitter().apply(greys, {"saturation": saturation, "hue": hue}), greys)


def test_jitter_leaves_grey_photos_and_strength_zero_alone() -> None:
    jitter = ColourJitter()
    grey = photo()[..., 0]
    assert jitter.apply(grey, {"saturation": 0.5, "hue": 20.0}) is grey
    colour = photo()
    assert jitter.apply(colour, ColourJitter(saturation=0, hue=0).draw([0.2, 0.9])) is colour


def test_words_name_the_values() -> None:
    assert Brightness().words({"factor": 0.956}) == "brightness times 0.96"
    assert Contrast().words({"factor": 1.2}) == "contrast times 1.20"
    assert ChannelShift().words({"amounts": [3.4, -8.0, 0.0]}) == "channels shifted by +3, -8, +0 grey levels"
    assert ColourJitter().words({"saturation": 1.1, "hue": 5.0}) == "saturation times 1.10, hue turned by 5.0 degrees"
