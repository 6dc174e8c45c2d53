"""Contrast: CLAHE as OpenCV has it, and SciPy and scikit-image as judges of the rest."""

from __future__ import annotations

import threading

import cv2
import numpy as np
import pytest
import skimage.exposure
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from teliti.imaging.contrast import (
    MAX_GAIN,
    apply_clahe,
    apply_gamma,
    blur_widely,
    equalize_histogram,
    flatten_illumination,
)


@pytest.fixture
def dull() -> np.ndarray:
    """A low-contrast grey ramp with a little noise, (48, 64) uint8."""
    ramp = np.linspace(100, 140, 64)[None] + np.random.default_rng(3).normal(0, 2, (48, 64))
    return ramp.astype(np.uint8)


@pytest.mark.parametrize(("clip_limit", "tile_grid"), [(2.0, (8, 8)), (4.0, (2, 3)), (0.5, (1, 1))])
def test_a_grey_photo_gets_what_opencv_gives(dull: np.ndarray, clip_limit: float, tile_grid: tuple[int, int]) -> None:
    rows, columns = tile_grid
    expected = cv2.createCLAHE(clipLimit=clip_limit, tileGridSize=(columns, rows)).apply(dull)
    image = np.repeat(dull[..., None], 3, axis=2)
    got = apply_clahe(image, clip_limit=clip_limit, tile_grid=tile_grid)
    for channel in range(3):
        np.testing.assert_array_equal(got[..., channel], expected)
    assert got.std() > dull.std()


def test_rows_of_tiles_are_rows(dull: np.ndarray) -> None:
    image = np.repeat(dull[..., None], 3, axis=2)
    upright = apply_clahe(image, clip_limit=4.0, tile_grid=(2, 4))
    turned = apply_clahe(np.ascontiguousarray(image.transpose(1, 0, 2)), clip_limit=4.0, tile_grid=(4, 2))
    difference = np.abs(upright.astype(int) - turned.transpose(1, 0, 2))
    assert difference.max() <= 1  # OpenCV interpolates along rows first, which rounds differently


def test_a_colour_photo_keeps_its_hue(dull: np.ndarray) -> None:
    tint = np.array([1.0, 0.7, 0.4])
    image = (dull[..., None] * tint).astype(np.uint8)
    got = apply_clahe(image, clip_limit=3.0, tile_grid=(4, 4))
    before, after = (cv2.cvtColor(photo, cv2.COLOR_RGB2LAB).astype(int) for photo in (image, got))
    assert np.abs(after[..., 1:] - before[..., 1:]).mean() < 2.0
    assert after[..., 0].std() > 1.5 * before[..., 0].std()


def test_size_kind_and_input_are_kept(dull: np.ndarray) -> None:
    image = np.dstack([dull, dull, dull[::-1]])
    before = image.copy()
    got = apply_clahe(image, clip_limit=2.0, tile_grid=(8, 8))
    assert (got.shape, got.dtype) == (image.shape, np.uint8)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (1, 40)])
def test_photos_smaller_than_the_grid_work(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert apply_clahe(image, clip_limit=2.0, tile_grid=(8, 8)).shape == (*shape, 3)


def test_colour_pixels_are_those_of_lab_lightness(dull: np.ndarray) -> None:
    image = np.dstack([dull, dull // 2, dull[::-1]])
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    lab[..., 0] = cv2.createCLAHE(3.0, (5, 4)).apply(np.ascontiguousarray(lab[..., 0]))
    expected = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)
    np.testing.assert_array_equal(apply_clahe(image, clip_limit=3.0, tile_grid=(4, 5)), expected)


def test_one_tile_without_clipping_is_scikit_images_equalisation(dull: np.ndarray) -> None:
    # scikit-image's own CLAHE pads, bins and clips in another way, so its pixels differ; where nothing is clipped
    # (no bin is a hundred times the mean) and there is one tile, both are the cumulative histogram.
    got = apply_clahe(dull, clip_limit=100.0, tile_grid=(1, 1))
    np.testing.assert_array_equal(got, np.rint(skimage.exposure.equalize_hist(dull) * 255))


def clipped_curve(image: np.ndarray, clip_limit: float) -> np.ndarray:
    """Zuiderveld's curve of one tile: bins above the limit are cut off, and what was cut is shared out to all bins."""
    bins = np.bincount(image.ravel(), minlength=256)
    limit = max(int(clip_limit * image.size / 256), 1)
    excess = int(np.maximum(bins - limit, 0).sum())
    bins = np.minimum(bins, limit) + excess // 256
    if rest := excess % 256:
        bins[:: max(256 // rest, 1)][:rest] += 1
    return np.rint(np.cumsum(bins) * 255 / image.size)


@pytest.mark.parametrize("clip_limit", [0.5, 1.0, 2.0, 4.0, 8.0])
def test_bins_are_clipped_at_a_multiple_of_the_mean_bin(clip_limit: float, dull: np.ndarray) -> None:
    got = apply_clahe(dull, clip_limit=clip_limit, tile_grid=(1, 1))
    np.testing.assert_array_equal(got, clipped_curve(dull, clip_limit)[dull])


def test_clahe_looks_like_scikit_images() -> None:
    photo = ndimage.gaussian_filter(np.random.default_rng(1).normal(size=(64, 64)), 4)
    photo = np.rint(90 + 40 * (photo - photo.min()) / np.ptp(photo)).astype(np.uint8)
    ours = apply_clahe(photo, clip_limit=4.0, tile_grid=(4, 4))
    theirs = skimage.exposure.equalize_adapthist(photo, kernel_size=(16, 16), clip_limit=4 / 256)
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.9  # another clipping rule: alike, not equal


def test_threads_and_changing_settings_do_not_disturb_each_other(dull: np.ndarray) -> None:
    grids = [(rows, columns) for rows in range(1, 6) for columns in range(1, 5)]  # more than are kept
    alone = [cv2.createCLAHE(3.0, grid[::-1]).apply(dull) for grid in grids]
    differing: list[tuple[int, int]] = []

    def work() -> None:
        for grid, expected in zip(grids * 3, alone * 3, strict=True):
            if not np.array_equal(apply_clahe(dull, clip_limit=3.0, tile_grid=grid), expected):
                differing.append(grid)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert differing == []


def test_equalisation_agrees_with_scikit_image(dull: np.ndarray) -> None:
    # OpenCV takes the lowest level out of the cumulative histogram so that it becomes 0; scikit-image leaves it in.
    lowest = np.count_nonzero(dull == dull.min())
    cumulative = skimage.exposure.equalize_hist(dull) * dull.size
    expected = np.rint((cumulative - lowest) / (dull.size - lowest) * 255)
    np.testing.assert_array_equal(equalize_histogram(dull), expected)


def test_equalisation_of_colour_changes_the_lightness_alone(dull: np.ndarray) -> None:
    image = (dull[..., None] * np.array([1.0, 0.8, 0.5])).astype(np.uint8)
    before = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    expected = before.copy()
    expected[..., 0] = cv2.equalizeHist(np.ascontiguousarray(before[..., 0]))
    np.testing.assert_array_equal(equalize_histogram(image), cv2.cvtColor(expected, cv2.COLOR_LAB2RGB))


def test_a_photo_of_one_level_stays() -> None:
    flat = np.full((8, 9), 77, np.uint8)
    np.testing.assert_array_equal(equalize_histogram(flat), flat)


@pytest.mark.parametrize("gamma", [0.05, 0.4, 0.7, 1.0, 2.2, 20.0])
def test_gamma_agrees_with_scikit_image(gamma: float) -> None:
    levels = np.tile(np.arange(256, dtype=np.uint8), (2, 1))
    exact = skimage.exposure.adjust_gamma(levels / 255.0, gamma) * 255  # floats: its 8-bit table cuts decimals off
    np.testing.assert_array_equal(apply_gamma(levels, gamma), np.rint(exact))


def test_gamma_of_one_is_the_identity_and_gamma_brightens_below_one(dull: np.ndarray) -> None:
    np.testing.assert_array_equal(apply_gamma(dull, 1.0), dull)
    assert (apply_gamma(dull, 0.5) > dull).all()
    assert (apply_gamma(dull, 2.0) < dull).all()
    assert apply_gamma(np.array([[0, 255]], np.uint8), 0.5).tolist() == [[0, 255]]


@pytest.mark.parametrize("sigma", [0.7, 3.0, 11.9, 12.0, 20.0, 40.0, 97.0])
def test_a_wide_blur_agrees_with_scipys_exact_one(sigma: float) -> None:
    photo = ndimage.gaussian_filter(np.random.default_rng(2).normal(size=(61, 83)), 2)
    photo = np.rint(255 * (photo - photo.min()) / np.ptp(photo)).astype(np.uint8)
    exact = ndimage.gaussian_filter(photo.astype(float), sigma, mode="reflect")
    np.testing.assert_allclose(blur_widely(photo, sigma=sigma), exact, atol=0.5)


@pytest.fixture
def uneven() -> tuple[np.ndarray, np.ndarray]:
    """A shallow dent, dark or bright by 20 %, under light that falls to a half: (48, 64) light and part factors."""
    light = np.tile(np.linspace(220.0, 110.0, 64), (48, 1))
    part = np.zeros((48, 64))
    part[20:25, 40:45] = 1
    return light, part


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("method", ["divide", "subtract"])
def test_uneven_light_goes_and_the_part_stays_on_its_side(sign: int, method: str, uneven) -> None:
    light, part = uneven
    photo = np.rint(light * (1 + sign * 0.15 * part) if method == "divide" else light + sign * 25 * part)
    photo = photo.clip(0, 255).astype(np.uint8)
    flat = flatten_illumination(photo, method=method, sigma=0.25).astype(float)
    ground = flat[:, 12:-12][part[:, 12:-12] == 0]
    assert np.ptp(ground) < 0.35 * np.ptp(photo[:, 12:-12][part[:, 12:-12] == 0])  # the border is not judged: a
    assert sign * (flat[part == 1].mean() - ground.mean()) > 12  # mirrored ramp has a kink there
    assert abs(flat.mean() - photo.mean()) < 6


def test_division_is_the_formula_with_scipys_blur(dull: np.ndarray) -> None:
    light = ndimage.gaussian_filter(dull.astype(float), 0.1 * 48, mode="reflect")
    for method, exact in (("divide", dull / light * light.mean()), ("subtract", dull - light + light.mean())):
        got = flatten_illumination(dull, method=method, sigma=0.1)
        assert np.abs(got - exact).max() < 0.52


def test_subtraction_treats_bright_and_dark_alike(uneven) -> None:
    light, part = uneven
    photo = np.rint(light + 25 * part).astype(np.uint8)
    got = flatten_illumination(photo, method="subtract", sigma=0.2).astype(int)
    negative = flatten_illumination(255 - photo, method="subtract", sigma=0.2).astype(int)
    assert np.abs(255 - got - negative).max() <= 1


def test_shadows_are_not_blown_up() -> None:
    photo = np.zeros((64, 64), np.uint8)
    photo[:, 40:] = 200
    photo[::2, :20] = 2  # noise in the shadow
    flat = flatten_illumination(photo, method="divide", sigma=0.05)
    assert flat[:, :20].max() <= 2 * MAX_GAIN


def test_even_light_is_left_alone() -> None:
    for value in (0, 1, 90, 255):
        flat = np.full((30, 20), value, np.uint8)
        for method in ("divide", "subtract"):
            np.testing.assert_array_equal(flatten_illumination(flat, method=method, sigma=0.3), flat)


def test_a_colour_photo_gets_one_gain_for_its_three_channels(uneven) -> None:
    photo = np.rint(uneven[0][..., None] * np.array([1.0, 0.6, 0.3])).astype(np.uint8)
    flat = flatten_illumination(photo, method="divide", sigma=0.25).astype(float)
    np.testing.assert_allclose(flat[..., 1] / flat[..., 0], 0.6, atol=0.02)
    np.testing.assert_allclose(flat[..., 2] / flat[..., 0], 0.3, atol=0.02)


CHANGES = {
    "clahe": lambda image: apply_clahe(image, clip_limit=2.0, tile_grid=(3, 2)),
    "equalize": equalize_histogram,
    "gamma": lambda image: apply_gamma(image, 0.6),
    "divide": lambda image: flatten_illumination(image, method="divide", sigma=0.2),
    "subtract": lambda image: flatten_illumination(image, method="subtract", sigma=0.9),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@given(seed=st.integers(0, 2**16), size=st.tuples(st.integers(1, 24), st.integers(1, 24)))
@settings(max_examples=30, deadline=None)
def test_grey_as_a_plane_and_as_three_channels_give_the_same_bits(change, seed: int, size: tuple[int, int]) -> None:
    grey = np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)
    grey.flags.writeable = False
    plane, photo = change(grey), change(np.dstack([grey] * 3))
    assert (plane.shape, plane.dtype) == (size, np.uint8)
    np.testing.assert_array_equal(photo, np.dstack([plane] * 3))
