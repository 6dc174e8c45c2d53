"""Cleaning: what is removed, filled and kept, with scikit-image and SciPy as judges."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.measure
import skimage.morphology
import skimage.segmentation
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial import ConvexHull

from teliti.imaging.cleaning import apply_median, despeckle, fill_holes, remove_elements


def random_mask(seed: int, *, share: float = 0.45, size: tuple[int, int] = (24, 30)) -> np.ndarray:
    return np.where(np.random.default_rng(seed).random(size) < share, 255, 0).astype(np.uint8)


def picture(*rows: str) -> np.ndarray:
    """# is the part."""
    return np.array([[255 if letter == "#" else 0 for letter in row] for row in rows], dtype=np.uint8)


def as_mask(truth: np.ndarray) -> np.ndarray:
    return np.where(truth, 255, 0).astype(np.uint8)


@pytest.mark.parametrize("connectivity", [4, 8])
@given(seed=st.integers(0, 2**16), area=st.integers(0, 40))
@settings(max_examples=40, deadline=None)
def test_small_elements_go_as_in_scikit_image(connectivity: int, seed: int, area: int) -> None:
    mask = random_mask(seed)
    labels = skimage.measure.label(mask > 0, connectivity=connectivity // 4)
    large = [region.label for region in skimage.measure.regionprops(labels) if region.area >= area]
    got = remove_elements(mask, min_area=area, connectivity=connectivity)
    np.testing.assert_array_equal(got, as_mask(np.isin(labels, large)))
    rest = remove_elements(mask, max_area=area - 1, connectivity=connectivity)
    np.testing.assert_array_equal(rest, mask - got)


@pytest.mark.parametrize("connectivity", [4, 8])
@given(seed=st.integers(0, 2**16))
@settings(max_examples=30, deadline=None)
def test_elements_at_the_border_go_as_in_scikit_image(connectivity: int, seed: int) -> None:
    mask = random_mask(seed, share=0.3)
    labels = skimage.measure.label(mask > 0, connectivity=connectivity // 4)
    expected = as_mask(skimage.segmentation.clear_border(labels) > 0)
    np.testing.assert_array_equal(remove_elements(mask, clear_border=True, connectivity=connectivity), expected)


@given(seed=st.integers(0, 2**16), keep=st.integers(1, 6))
@settings(max_examples=30, deadline=None)
def test_the_largest_are_kept(seed: int, keep: int) -> None:
    mask = random_mask(seed, share=0.3)
    regions = skimage.measure.regionprops(skimage.measure.label(mask > 0, connectivity=2))
    regions.sort(key=lambda region: (-region.area, region.bbox[0], region.bbox[1]))
    expected = np.zeros_like(mask)
    for region in regions[:keep]:
        expected[tuple(region.coords.T)] = 255
    np.testing.assert_array_equal(remove_elements(mask, keep_largest=keep), expected)


@given(seed=st.integers(0, 2**16), low=st.floats(0.3, 1.0))
@settings(max_examples=30, deadline=None)
def test_solidity_is_area_over_the_hull_of_the_pixels_corners(seed: int, low: float) -> None:
    mask = random_mask(seed, share=0.4)
    expected = np.zeros_like(mask)
    for region in skimage.measure.regionprops(skimage.measure.label(mask > 0, connectivity=2)):
        corners = np.concatenate([region.coords + step for step in ((0, 0), (0, 1), (1, 0), (1, 1))])
        hull_area = round(2 * ConvexHull(corners).volume) / 2  # in the plane "volume" is the area, here in halves
        if region.area / hull_area >= low:
            expected[tuple(region.coords.T)] = 255
    np.testing.assert_array_equal(remove_elements(mask, solidity=(low, 1.0)), expected)


def test_solidity_tells_a_block_from_a_corner() -> None:
    mask = picture(
        "###....#..",
        "###....#..",
        "###....###",
    )
    np.testing.assert_array_equal(remove_elements(mask, solidity=(1.0, 1.0))[:, :3], mask[:, :3])
    assert not remove_elements(mask, solidity=(1.0, 1.0))[:, 7:].any()
    # the corner: 5 pixels; the hull of their corners is the 3x3 square less a triangle of 2x2 / 2
    np.testing.assert_array_equal(remove_elements(mask, solidity=(0.7, 5 / 7))[:, 7:], mask[:, 7:])
    assert not remove_elements(mask, solidity=(0.72, 0.99)).any()


def test_aspect_is_long_over_short_side_at_any_angle() -> None:
    mask = np.zeros((60, 60), np.uint8)
    mask[2:5, 3:24] = 255  # 3 x 21: aspect 7
    mask[40:46, 4:10] = 255  # 6 x 6: aspect 1
    for step in range(20):
        mask[20 + step, 30 + step : 32 + step] = 255  # a diagonal scratch
    rows, columns = np.mgrid[:60, :60]
    mask[(rows - 50) ** 2 + (columns - 45) ** 2 <= 36] = 255  # a disc
    scratches = remove_elements(mask, aspect=(5.0, 100.0))
    assert scratches[2:5, 3:24].all()
    assert scratches[30, 40] == 255
    assert not scratches[40:].any()
    compact = remove_elements(mask, aspect=(1.0, 1.5))
    np.testing.assert_array_equal(compact + scratches, mask)
    np.testing.assert_array_equal(remove_elements(mask, aspect=(7.0, 7.0))[:10], mask[:10])
    assert not remove_elements(mask, aspect=(1.0, 6.9))[:10].any()
    assert remove_elements(mask, aspect=(1.0, 1.0))[40:46, 4:10].all()


def test_limits_apply_in_their_order_and_the_largest_come_last() -> None:
    mask = picture(
        "#####.....",
        "#####.....",
        "......###.",
        "......###.",
        ".##.......",
        "..........",
    )
    inner = picture(*["." * 10] * 2, "......###.", "......###.", *["." * 10] * 2)
    np.testing.assert_array_equal(remove_elements(mask, clear_border=True, keep_largest=1), inner)
    np.testing.assert_array_equal(remove_elements(mask, max_area=6, keep_largest=1), inner)


def test_of_equal_elements_the_upper_left_one_is_kept() -> None:
    mask = picture("...#..", "......", "#....#")
    assert np.argwhere(remove_elements(mask, keep_largest=1)).tolist() == [[0, 3]]
    assert np.argwhere(remove_elements(mask, keep_largest=2)).tolist() == [[0, 3], [2, 0]]


def test_pixels_that_touch_at_a_corner() -> None:
    mask = picture("#..", ".#.", "..#")
    np.testing.assert_array_equal(remove_elements(mask, min_area=3, connectivity=8), mask)
    assert not remove_elements(mask, min_area=3, connectivity=4).any()


def test_without_limits_or_elements_nothing_changes() -> None:
    mask = random_mask(3)
    np.testing.assert_array_equal(remove_elements(mask), mask)
    empty = np.zeros((5, 6), np.uint8)
    np.testing.assert_array_equal(remove_elements(empty, min_area=3, keep_largest=2), empty)
    np.testing.assert_array_equal(fill_holes(empty), empty)
    full = empty + np.uint8(255)
    np.testing.assert_array_equal(fill_holes(full), full)


@pytest.mark.parametrize("connectivity", [4, 8])
@given(seed=st.integers(0, 2**16))
@settings(max_examples=40, deadline=None)
def test_holes_are_filled_as_in_scipy(connectivity: int, seed: int) -> None:
    mask = random_mask(seed, share=0.6)
    ground = ndimage.generate_binary_structure(2, 1 if connectivity == 8 else 2)  # the ground connects the other way
    expected = as_mask(ndimage.binary_fill_holes(mask > 0, structure=ground))
    np.testing.assert_array_equal(fill_holes(mask, connectivity=connectivity), expected)


@given(seed=st.integers(0, 2**16), area=st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_small_holes_are_filled_as_in_scikit_image(seed: int, area: int) -> None:
    mask = random_mask(seed, share=0.6)
    closed = np.pad(mask, 1)  # scikit-image also fills ground at the border; a frame of ground joins that together
    expected = skimage.morphology.remove_small_holes(closed > 0, max_size=area, connectivity=1)
    np.testing.assert_array_equal(fill_holes(closed, max_area=area), as_mask(expected))


def test_a_bay_is_no_hole_and_a_ring_closed_over_corners_is_one_for_8() -> None:
    ring = picture(".....", "..#..", ".#.#.", "..#..", ".....")
    np.testing.assert_array_equal(
        fill_holes(ring, connectivity=8), picture(".....", "..#..", ".###.", "..#..", ".....")
    )
    np.testing.assert_array_equal(fill_holes(ring, connectivity=4), ring)
    bay = picture("#.#", "#.#", "###")
    np.testing.assert_array_equal(fill_holes(bay), bay)


@pytest.mark.parametrize("size", [3, 5, 9])
def test_median_agrees_with_scipy(size: int) -> None:
    photo = np.random.default_rng(9).integers(0, 256, (17, 21, 3), dtype=np.uint8)
    expected = ndimage.median_filter(photo, size=(size, size, 1), mode="nearest")
    np.testing.assert_array_equal(apply_median(photo, size), expected)
    np.testing.assert_array_equal(apply_median(np.ascontiguousarray(photo[..., 0]), size), expected[..., 0])


@given(seed=st.integers(0, 2**16), threshold=st.integers(0, 255), size=st.sampled_from([3, 5]))
@settings(max_examples=40, deadline=None)
def test_despeckle_changes_outliers_alone(seed: int, threshold: int, size: int) -> None:
    photo = np.random.default_rng(seed).integers(0, 256, (11, 13), dtype=np.uint8)
    median = ndimage.median_filter(photo, size=size, mode="nearest")
    speck = np.abs(photo.astype(int) - median) > threshold
    got = despeckle(photo, size=size, threshold=threshold)
    np.testing.assert_array_equal(got, np.where(speck, median, photo))
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(despeckle(np.dstack([photo] * 3), size=size, threshold=threshold)[..., 1], got)


def test_despeckle_takes_salt_and_pepper_and_keeps_texture() -> None:
    texture = (100 + 10 * (np.indices((20, 20)).sum(axis=0) % 2)).astype(np.uint8)
    photo = texture.copy()
    photo[5, 5], photo[12, 7] = 255, 0
    cleaned = despeckle(photo, size=3, threshold=40)
    assert {int(cleaned[5, 5]), int(cleaned[12, 7])} <= {100, 110}
    cleaned[5, 5], cleaned[12, 7] = texture[5, 5], texture[12, 7]
    np.testing.assert_array_equal(cleaned, texture)


def test_the_input_is_not_written_to_and_stays_binary() -> None:
    mask = random_mask(4)
    mask.flags.writeable = False
    for result in (
        remove_elements(mask, min_area=4, keep_largest=3),
        fill_holes(mask),
        apply_median(mask, 3),
        despeckle(mask, size=3, threshold=100),
    ):
        assert set(np.unique(result)) <= {0, 255}
