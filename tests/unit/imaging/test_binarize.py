"""Binarization: scikit-image and SciPy as judges; on dark and on light ground the part is what is found."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import skimage.filters
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from teliti.imaging.binarize import binarize, border_share

METHODS = ["fixed", "otsu", "triangle", "adaptive_mean", "adaptive_gaussian"]


def part_on_ground(part: float, ground: float, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A disc on even ground with a little noise: (40, 56) uint8 photo and bool truth."""
    rows, columns = np.mgrid[:40, :56]
    truth = (rows - 18) ** 2 + (columns - 30) ** 2 < 11**2
    noise = np.random.default_rng(seed).normal(0, 3, truth.shape)
    return (np.where(truth, part, ground) + noise).clip(0, 255).astype(np.uint8), truth


@pytest.fixture
def photo() -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (37, 45), dtype=np.uint8)


@pytest.mark.parametrize("threshold", [0, 1, 100, 254, 255])
def test_fixed_splits_above_the_threshold(threshold: int, photo: np.ndarray) -> None:
    bright = binarize(photo, method="fixed", threshold=threshold, polarity="bright")
    np.testing.assert_array_equal(bright, np.where(photo > threshold, 255, 0))
    dark = binarize(photo, method="fixed", threshold=threshold, polarity="dark")
    np.testing.assert_array_equal(dark, np.where(photo > threshold, 0, 255))


@pytest.mark.parametrize("seed", range(20))
def test_otsu_splits_as_scikit_image(seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = [rng.normal(rng.uniform(20, 230), rng.uniform(2, 25), 300) for _ in range(rng.integers(2, 5))]
    photo = np.concatenate(groups).clip(0, 255).astype(np.uint8)[None]
    expected = photo > skimage.filters.threshold_otsu(photo)
    np.testing.assert_array_equal(binarize(photo, method="otsu", polarity="bright"), np.where(expected, 255, 0))


@pytest.mark.parametrize("tail", [1, -1])
@pytest.mark.parametrize("seed", range(10))
def test_triangle_splits_where_scikit_image_does(seed: int, tail: int) -> None:
    drawn = 120 + tail * np.random.default_rng(seed).exponential(30, (40, 40)) * 0.9
    photo = drawn.clip(0, 255).astype(np.uint8)
    level = skimage.filters.threshold_triangle(photo)
    ours = binarize(photo, method="triangle", polarity="bright")
    # Both take the bin farthest from the line between peak and far end; OpenCV's line starts one bin beyond the last
    # filled one and its answer is one level nearer the peak, so the splits may differ by a level.
    assert any(np.array_equal(ours > 0, photo > level + step) for step in (-1, 0, 1))


@pytest.mark.parametrize("block_size", [3, 7, 15])
@pytest.mark.parametrize("offset", [0, 5, 12.5, -8])
def test_adaptive_mean_agrees_with_scikit_image(block_size: int, offset: float, photo: np.ndarray) -> None:
    mean = skimage.filters.threshold_local(photo.astype(float), block_size, method="mean", mode="nearest")
    settled = np.rint(mean)  # OpenCV rounds the mean to a grey level; scikit-image does not
    given = {"method": "adaptive_mean", "block_size": block_size, "offset": offset}
    bright, dark = (binarize(photo, polarity=polarity, **given) > 0 for polarity in ("bright", "dark"))
    np.testing.assert_array_equal(bright, photo > settled + offset)
    np.testing.assert_array_equal(dark, photo < settled - offset)


@pytest.mark.parametrize("block_size", [3, 11, 31])
def test_adaptive_gaussian_agrees_with_scipy(block_size: int, photo: np.ndarray) -> None:
    sigma = 0.3 * ((block_size - 1) / 2 - 1) + 0.8  # OpenCV's width for a block; scikit-image takes (block - 1) / 6
    taps = np.exp(-((np.arange(block_size) - block_size // 2) ** 2) / (2 * sigma**2))
    if block_size == 3:
        taps = np.array([1.0, 2.0, 1.0])  # OpenCV has a fixed table for this size
    taps /= taps.sum()
    mean = ndimage.correlate1d(
        ndimage.correlate1d(photo.astype(float), taps, 0, mode="nearest"), taps, 1, mode="nearest"
    )
    decided = np.abs(mean % 1 - 0.5) > 1e-3  # its float32 sum may round either way at a half
    assert decided.mean() > 0.9
    for polarity, expected in (("bright", photo > np.rint(mean) + 4), ("dark", photo < np.rint(mean) - 4)):
        got = binarize(photo, method="adaptive_gaussian", polarity=polarity, block_size=block_size, offset=4) > 0
        np.testing.assert_array_equal(got[decided], expected[decided])


@pytest.mark.parametrize("method", ["fixed", "otsu", "triangle"])
@pytest.mark.parametrize(("part", "ground"), [(200, 60), (60, 200), (250, 10), (10, 250)])
def test_auto_finds_the_part_on_dark_and_on_light_ground(method: str, part: int, ground: int) -> None:
    photo, truth = part_on_ground(part, ground)
    if method == "triangle":  # made for one broad peak and a tail, so it splits near the peak of the ground
        found = binarize(cv2.GaussianBlur(photo, (0, 0), 1.5), method=method) > 0
        assert found[truth].mean() > 0.95
        assert found[~truth].mean() < 0.35
        return
    np.testing.assert_array_equal(binarize(photo, method=method, threshold=128), np.where(truth, 255, 0))


@pytest.mark.parametrize("method", ["adaptive_mean", "adaptive_gaussian"])
@pytest.mark.parametrize(("part", "ground"), [(200, 60), (60, 200)])
def test_auto_finds_thin_parts_on_a_slope_of_light(method: str, part: int, ground: int) -> None:
    slope = np.tile(np.linspace(-40, 40, 56), (40, 1))
    truth = np.zeros((40, 56), dtype=bool)
    truth[8:32, 14] = truth[8:32, 40] = truth[20, 10:50] = True
    photo = (np.where(truth, part, ground) + slope).clip(0, 255).astype(np.uint8)
    found = binarize(photo, method=method, block_size=15, offset=20)
    np.testing.assert_array_equal(found, np.where(truth, 255, 0))


def test_auto_is_the_same_for_a_photo_and_its_negative() -> None:
    photo, _ = part_on_ground(180, 90)
    for method in ("otsu", "adaptive_mean"):
        np.testing.assert_array_equal(binarize(photo, method=method), binarize(255 - photo, method=method))


def test_a_part_that_touches_the_border_a_little_is_still_the_part() -> None:
    photo = np.full((30, 40), 220, np.uint8)
    photo[10:20, :25] = 30  # 10 of 136 border pixels
    np.testing.assert_array_equal(binarize(photo), np.where(photo == 30, 255, 0))


def test_where_both_sides_cover_the_border_alike_the_bright_one_is_the_part() -> None:
    photo = np.zeros((8, 8), np.uint8)
    photo[:, 4:] = 200
    np.testing.assert_array_equal(binarize(photo), np.where(photo > 0, 255, 0))


@pytest.mark.parametrize("level", [0, 1, 128, 255])
@pytest.mark.parametrize("method", ["otsu", "triangle", "adaptive_mean", "adaptive_gaussian"])
@pytest.mark.parametrize("polarity", ["bright", "dark", "auto"])
def test_an_empty_photo_has_no_part(level: int, method: str, polarity: str) -> None:
    flat = np.full((9, 12), level, np.uint8)
    assert not binarize(flat, method=method, polarity=polarity, block_size=5).any()


def test_border_share_counts_every_outermost_pixel_once() -> None:
    mask = np.zeros((4, 5), np.uint8)
    mask[0] = 255
    assert border_share(mask) == 5 / 14
    mask[1:3, 1:4] = 255  # the inside does not count
    assert border_share(mask) == 5 / 14
    assert border_share(np.full((4, 5), 255, np.uint8)) == 1.0
    assert border_share(np.full((1, 1), 255, np.uint8)) == 1.0


@pytest.mark.parametrize("method", METHODS)
@given(seed=st.integers(0, 2**16), size=st.tuples(st.integers(1, 20), st.integers(1, 20)))
@settings(max_examples=30, deadline=None)
def test_the_result_is_binary_and_the_same_for_grey_in_three_channels(method, seed: int, size) -> None:
    grey = np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)
    grey.flags.writeable = False
    mask = binarize(grey, method=method)
    assert (mask.shape, mask.dtype) == (size, np.uint8)
    assert set(np.unique(mask)) <= {0, 255}
    np.testing.assert_array_equal(binarize(np.dstack([grey] * 3), method=method), mask)


def test_colour_is_judged_by_its_luma() -> None:
    photo = np.zeros((12, 12, 3), np.uint8)
    photo[..., 2] = 200  # blue: luma 23
    photo[4:8, 4:8] = (0, 200, 0)  # green: luma 117
    expected = np.zeros((12, 12), np.uint8)
    expected[4:8, 4:8] = 255
    np.testing.assert_array_equal(binarize(photo), expected)
