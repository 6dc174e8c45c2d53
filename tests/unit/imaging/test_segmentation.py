"""Segmentation: the part is found on dark and light backgrounds, always alike; scikit-image and sklearn agree."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.filters import threshold_otsu

from teliti.imaging.segmentation import segment_grabcut, segment_kmeans, segment_otsu, segment_watershed

METHODS = {
    "otsu": segment_otsu,
    "kmeans": lambda image: segment_kmeans(image, clusters=2),
    "watershed": lambda image: segment_watershed(image, core=0.5),
    "grabcut": lambda image: segment_grabcut(image, border=0.05, iterations=3),
}
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


def parts(*, bright: bool = True, colour: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """A photo of a disc and a block, and where they are."""
    rng = np.random.default_rng(4)
    rows, columns = np.mgrid[:56, :64]
    block = (rows > 30) & (rows < 48) & (columns > 34) & (columns < 54)
    truth = ((rows - 20) ** 2 + (columns - 20) ** 2 < 110) | block
    part, background = ((215, 190, 70), (40, 50, 60)) if bright else ((60, 30, 50), (200, 190, 205))
    image = np.where(truth[..., None], part, background) + rng.normal(0, 8, (56, 64, 3))
    image = np.clip(image, 0, 255).astype(np.uint8)
    return (image if colour else image[..., 0].copy()), truth


def overlap(mask: np.ndarray, truth: np.ndarray) -> float:
    return ((mask > 0) & truth).sum() / ((mask > 0) | truth).sum()


@every_method
@pytest.mark.parametrize("bright", [True, False])
@pytest.mark.parametrize("colour", [True, False])
def test_the_parts_are_found_whatever_the_background(method, bright: bool, colour: bool) -> None:
    image, truth = parts(bright=bright, colour=colour)
    mask = method(image)
    assert (mask.shape, mask.dtype) == (truth.shape, np.uint8)
    assert set(np.unique(mask)) == {0, 255}
    assert overlap(mask, truth) > 0.9


@every_method
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 2), (5, 3), (3, 40)])
def test_tiny_photos_and_photos_of_one_value_have_a_mask_too(method, shape: tuple[int, int]) -> None:
    assert not method(np.full((*shape, 3), 90, dtype=np.uint8)).any()
    noise = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    assert method(noise).shape == shape


@every_method
def test_the_mask_does_not_depend_on_what_ran_before_or_beside_it(method) -> None:
    image = np.random.default_rng(9).integers(0, 256, (40, 50, 3), dtype=np.uint8)  # no clear answer
    before = image.copy()
    first = method(image)
    cv2.setRNGSeed(12345)
    np.testing.assert_array_equal(method(image), first)
    with ThreadPoolExecutor(4) as pool:
        for other in pool.map(method, [image] * 8):
            np.testing.assert_array_equal(other, first)
    np.testing.assert_array_equal(image, before)


@every_method
@given(seed=st.integers(0, 2**32))
def test_three_equal_channels_get_the_mask_of_one(method, seed: int) -> None:
    rng = np.random.default_rng(seed)
    grey = rng.integers(0, 256, tuple(rng.integers(1, 40, 2)), dtype=np.uint8)
    np.testing.assert_array_equal(method(grey), method(np.repeat(grey[..., None], 3, axis=2)))


@given(seed=st.integers(0, 2**32))
def test_otsu_splits_where_scikit_image_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    grey = np.clip(rng.normal(rng.choice([60, 170], (20, 20)), 15), 0, 255).astype(np.uint8)
    bright = grey > threshold_otsu(grey)
    edge = np.concatenate([bright[0], bright[-1], bright[1:-1, 0], bright[1:-1, -1]])
    expected = ~bright if edge.mean() > 0.5 else bright
    np.testing.assert_array_equal(segment_otsu(grey) > 0, expected)


@pytest.mark.parametrize("bright", [True, False])
def test_kmeans_groups_as_sklearn_does(bright: bool) -> None:
    from sklearn.cluster import KMeans

    image, truth = parts(bright=bright)
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).reshape(-1, 3).astype(float)
    labels = KMeans(2, n_init=3, random_state=0).fit_predict(lab).reshape(truth.shape)
    part = labels == labels[20, 20]  # the middle of the disc
    np.testing.assert_array_equal(segment_kmeans(image, clusters=2) > 0, part)


def test_kmeans_takes_every_colour_that_is_not_on_the_edge() -> None:
    image = np.full((30, 40, 3), 30, dtype=np.uint8)
    image[5:15, 5:15], image[15:25, 20:35] = (220, 40, 40), (40, 60, 220)
    mask = segment_kmeans(image, clusters=3)
    np.testing.assert_array_equal(mask > 0, image.max(axis=2) > 30)


def test_kmeans_finds_its_centres_on_a_small_copy_and_labels_every_pixel() -> None:
    image, truth = parts()
    large = cv2.resize(image, (256, 224), interpolation=cv2.INTER_NEAREST)
    assert overlap(segment_kmeans(large, clusters=2), truth.repeat(4, axis=0).repeat(4, axis=1)) > 0.9


def test_the_watershed_puts_the_border_on_the_edge_where_otsu_is_fooled_by_a_shadow() -> None:
    """A soft shadow beside a sharp part: Otsu's mask takes some of it in, the flood ends at the sharp edge."""
    image = np.full((60, 60), 210, dtype=np.uint8)
    shadow = np.linspace(60, 200, 16).astype(np.uint8)
    image[15:45, 40:56] = shadow  # right of the part, ever lighter
    image[15:45, 15:40] = 20
    truth = np.zeros((60, 60), dtype=bool)
    truth[15:45, 15:40] = True
    assert overlap(segment_watershed(image, core=0.6), truth) > overlap(segment_otsu(image), truth) + 0.1


def test_specks_beside_the_part_are_no_seeds_of_the_flood() -> None:
    image, truth = parts(colour=False)
    speckled = image.copy()
    specks = [(3, 50), (12, 40), (50, 8), (44, 22)]
    for row, column in specks:
        speckled[row, column] = 250
    assert all(segment_otsu(speckled)[speck] for speck in specks)
    assert overlap(segment_watershed(speckled, core=0.5), truth) > 0.9
    assert not any(segment_watershed(speckled, core=0.5)[speck] for speck in specks[:2])


def test_the_watershed_agrees_with_scikit_image_on_a_plain_part() -> None:
    from skimage.filters import sobel
    from skimage.segmentation import watershed

    image, truth = parts(colour=False)
    markers = np.zeros(truth.shape, dtype=int)
    markers[[0, -1], :] = markers[:, [0, -1]] = 1
    markers[20, 20] = markers[39, 44] = 2
    expected = watershed(sobel(cv2.GaussianBlur(image, (5, 5), 1.5)), markers) == 2
    assert overlap(segment_watershed(image, core=0.5), expected) > 0.9


def test_grabcut_keeps_what_lies_inside_its_border() -> None:
    image, truth = parts()
    mask = segment_grabcut(image, border=0.25, iterations=2)
    assert not mask[:14].any()
    assert not mask[:, -16:].any()
    assert overlap(segment_grabcut(image, border=0.1, iterations=2), truth) > 0.9


def test_grabcut_without_room_inside_its_border_finds_nothing() -> None:
    image, _ = parts()
    assert not segment_grabcut(image[:2], border=0.4, iterations=1).any()


@pytest.mark.parametrize("bright", [True, False])
def test_grabcut_agrees_with_a_random_walk_from_the_border_and_the_parts(bright: bool) -> None:
    from skimage.segmentation import random_walker

    image, _ = parts(bright=bright)
    seeds = np.zeros(image.shape[:2], dtype=int)
    seeds[[0, -1], :] = seeds[:, [0, -1]] = 1
    seeds[18:23, 18:23] = seeds[36:42, 40:48] = 2
    expected = random_walker(image / 255.0, seeds, beta=300, mode="bf", channel_axis=-1) == 2
    assert overlap(segment_grabcut(image, border=0.05, iterations=3), expected) > 0.9
