"""CLAHE: OpenCV's own on grey photos; on colour photos only the lightness changes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from teliti.imaging.contrast import apply_clahe


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
