"""Noise, blur, JPEG, erasing and appearance: sizes of their effects, repeatability, and nothing at strength zero."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from teliti.imaging.appearance import detexturise, enhance_edges, salient_edges
from teliti.transforms.operations_pixels import (
    Blur,
    Decolourise,
    Detexturise,
    EnhanceEdges,
    Erase,
    Jpeg,
    Noise,
    SalientEdges,
)

units = st.floats(0.0, 1.0, exclude_max=True)


def colour(side: int = 48) -> np.ndarray:
    plain = ndimage.gaussian_filter(np.random.default_rng(0).normal(128, 200, (side, side, 3)), (2, 2, 0))
    return np.clip(plain, 0, 255).astype(np.uint8)


def test_noise_has_its_standard_deviation_and_no_mean() -> None:
    even = np.full((128, 128, 3), 128, dtype=np.uint8)
    added = Noise().apply(even, {"std": 6.0, "seed": 3}).astype(float) - 128.0
    assert added.std() == pytest.approx(6.0, rel=0.02)
    assert added.mean() == pytest.approx(0.0, abs=0.1)
    assert abs(np.corrcoef(added[..., 0].ravel(), added[..., 1].ravel())[0, 1]) < 0.03


def test_noise_can_be_without_colour() -> None:
    even = np.full((16, 16, 3), 128, dtype=np.uint8)
    noisy = Noise(per_channel=False).apply(even, {"std": 6.0, "seed": 3})
    np.testing.assert_array_equal(noisy[..., 0], noisy[..., 2])
    assert noisy.std() > 0


def test_noise_follows_its_seed() -> None:
    first, again, other = (Noise().apply(colour(), {"std": 5.0, "seed": seed}) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("sigma", [0.8, 2.5])
def test_blur_is_scipys_gaussian(sigma: float) -> None:
    expected = ndimage.gaussian_filter(colour().astype(float), (sigma, sigma, 0), mode="nearest")
    np.testing.assert_allclose(Blur().apply(colour(), {"sigma": sigma}), expected, atol=2.0)


@pytest.mark.parametrize("quality", [20, 75])
def test_jpeg_is_pillows(quality: int) -> None:
    file = io.BytesIO()
    Image.fromarray(colour()).save(file, "JPEG", quality=quality)
    expected = np.asarray(Image.open(file)).astype(int)
    assert np.abs(Jpeg().apply(colour(), {"quality": quality}) - expected).max() <= 2


def test_jpeg_of_a_grey_photo_stays_grey() -> None:
    grey = colour()[..., 0]
    pressed = Jpeg().apply(grey, {"quality": 10})
    assert pressed.shape == grey.shape
    assert 0.0 < np.abs(pressed.astype(int) - grey).mean() < 20.0


def test_jpeg_draws_every_quality_from_the_lowest_to_100() -> None:
    drawn = {Jpeg(quality=97).draw([unit])["quality"] for unit in np.linspace(0, 0.999, 50)}
    assert drawn == {97, 98, 99, 100}


@given(st.lists(units, min_size=5, max_size=5), st.floats(0.0, 0.9), st.floats(1.0, 10.0))
def test_the_erased_rectangle_lies_inside_and_has_its_area(numbers: list[float], area: float, aspect: float) -> None:
    values = Erase(area=(area, area), aspect=aspect).draw(numbers)
    assert 0.0 <= values["top"] <= values["top"] + values["height"] <= 1.0 + 1e-9
    assert 0.0 <= values["left"] <= values["left"] + values["width"] <= 1.0 + 1e-9
    assert values["height"] * values["width"] <= area + 1e-9
    if max(values["height"], values["width"]) < 1.0 and area > 0.0:
        assert values["height"] * values["width"] == pytest.approx(area)
        ratio = values["height"] / values["width"]
        assert 1 / aspect - 1e-6 <= ratio <= aspect + 1e-6


@pytest.mark.parametrize("shape", [(48, 48, 3), (48, 48)])
@pytest.mark.parametrize("fill", ["noise", "mean", 17])
def test_only_the_rectangle_is_covered(fill, shape: tuple[int, ...]) -> None:
    photo = colour()[..., 0] if len(shape) == 2 else colour()
    values = {"top": 0.25, "left": 0.5, "height": 0.25, "width": 0.25, "seed": 4}
    erased = Erase(fill=fill).apply(photo, values)
    hole = np.zeros(shape[:2], dtype=bool)
    hole[12:24, 24:36] = True
    np.testing.assert_array_equal(erased[~hole], photo[~hole])
    if fill == "noise":
        assert erased[hole].std() > 60.0
    else:
        wanted = np.rint(photo.mean(axis=(0, 1))) if fill == "mean" else 17
        np.testing.assert_array_equal(erased[hole], np.broadcast_to(wanted, erased[hole].shape))


@pytest.mark.parametrize(
    ("operation", "view"),
    [
        (Detexturise(), detexturise(colour())),
        (SalientEdges(), np.repeat(salient_edges(colour())[..., None], 3, axis=2)),
    ],
    ids=["detexturise", "salient_edges"],
)
def test_appearance_blends_with_its_view(operation, view: np.ndarray) -> None:
    np.testing.assert_array_equal(operation.apply(colour(), {"strength": 1.0}), view)
    half = operation.apply(colour(), {"strength": 0.5})
    np.testing.assert_allclose(half, (colour().astype(float) + view) / 2, atol=0.51)


def test_colour_goes_and_edges_rise_by_strength() -> None:
    plain = Decolourise().apply(colour(), {"strength": 1.0})
    np.testing.assert_array_equal(plain[..., 0], plain[..., 2])
    raised = EnhanceEdges(sigma=2.0).apply(colour(), {"strength": 1.5})
    np.testing.assert_array_equal(raised, enhance_edges(colour(), strength=1.5, sigma=2.0))


@pytest.mark.parametrize(
    "operation",
    [Noise(std=0), Blur(sigma=0), Jpeg(quality=100), Erase(area=0), Detexturise(strength=0), Decolourise(strength=0),
     EnhanceEdges(strength=0), SalientEdges(strength=0)],
    ids=lambda operation: operation.step,
)  # fmt: skip
@given(st.lists(units, min_size=5, max_size=5))
def test_without_strength_the_photo_itself_comes_back(operation, numbers: list[float]) -> None:
    for photo in (colour(), colour()[..., 0]):
        assert operation.apply(photo, operation.draw(numbers[: operation.units])) is photo


def test_a_view_without_strength_range_is_drawn_from_zero_to_one() -> None:
    assert Detexturise(strength=0.5).draw([0.5]) == {"strength": 0.25}
    assert EnhanceEdges(strength=(1, 3)).draw([0.5]) == {"strength": 2.0}
    assert math.isclose(Noise(std=8).draw([0.5, 0.5])["std"], 4.0)


def test_words_name_the_values() -> None:
    assert Noise().words({"std": 4.04, "seed": 1}) == "noise of 4.0 grey levels"
    assert Blur().words({"sigma": 1.5}) == "blurred by 1.50 pixels"
    assert Jpeg().words({"quality": 80}) == "JPEG quality 80"
    assert Erase().words({"height": 0.5, "width": 0.25}) == "12.5 % erased"
    assert Detexturise().words({"strength": 0.5}) == "texture lowered by 50 %"
    assert Decolourise().words({"strength": 0.25}) == "colour lowered by 25 %"
    assert EnhanceEdges().words({"strength": 1.5}) == "edges raised by 1.50 times their detail"
    assert SalientEdges().words({"strength": 1.0}) == "100 % edge map"
