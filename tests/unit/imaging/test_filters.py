"""Filters: the textbook's tables and worked values; SciPy, scikit-image and a plain loop as judges of the rest."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
import skimage.filters
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from teliti.errors import PhotoRefused, UserError
from teliti.imaging import filters
from teliti.imaging.filters import (
    FILTER_NAMES,
    KERNELS,
    apply_filter,
    check_filter,
    check_kernel,
    convolve,
    kernel_size,
    named_kernel,
    to_picture,
)

FIVE = np.array(
    [
        [105, 102, 100, 97, 96],
        [103, 99, 103, 101, 102],
        [101, 98, 104, 102, 100],
        [99, 101, 106, 104, 99],
        [104, 104, 104, 100, 98],
    ],
    dtype=np.uint8,
)
SHARPEN = [[0, -1, 0], [-1, 5, -1], [0, -1, 0]]
AROUND = [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]]
FOUR = [[0, 1, 0], [1, -4, 1], [0, 1, 0]]
TABLES = {  # name: table, divisor
    "identity": ([[0, 0, 0], [0, 1, 0], [0, 0, 0]], 1),
    "edge_a": ([[1, 0, -1], [0, 0, 0], [-1, 0, 1]], 1),
    "edge_b": (FOUR, 1),
    "edge_c": (AROUND, 1),
    "ridge": (AROUND, 1),
    "laplacian": (FOUR, 1),
    "sharpen": (SHARPEN, 1),
    "box_blur": ([[1, 1, 1], [1, 1, 1], [1, 1, 1]], 9),
    "gaussian_3x3": ([[1, 2, 1], [2, 4, 2], [1, 2, 1]], 16),
    "gaussian_5x5": (
        [[1, 4, 6, 4, 1], [4, 16, 24, 16, 4], [6, 24, 36, 24, 6], [4, 16, 24, 16, 4], [1, 4, 6, 4, 1]],
        256,
    ),
    "unsharp": (
        [[1, 4, 6, 4, 1], [4, 16, 24, 16, 4], [6, 24, -476, 24, 6], [4, 16, 24, 16, 4], [1, 4, 6, 4, 1]],
        -256,
    ),
    "sobel_x": ([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], 1),
    "sobel_y": ([[-1, -2, -1], [0, 0, 0], [1, 2, 1]], 1),
}
NUMPY_BORDERS = {"zero": "constant", "nearest": "edge", "reflect": "symmetric", "mirror": "reflect", "wrap": "wrap"}


@pytest.fixture
def photo() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (13, 18), dtype=np.uint8)


def slide_over(image: np.ndarray, kernel: np.ndarray, stride: int) -> np.ndarray:
    """Cross-correlation without border, written as its definition says."""
    windows = np.lib.stride_tricks.sliding_window_view(image.astype(np.float64), kernel.shape)
    return (windows * kernel).sum(axis=(-2, -1))[::stride, ::stride]


@pytest.mark.parametrize("name", TABLES)
def test_a_named_kernel_is_the_textbooks_table(name: str) -> None:
    rows, divisor = TABLES[name]
    np.testing.assert_array_equal(named_kernel(name), np.array(rows) / divisor)
    assert not named_kernel(name).flags.writeable


def test_every_name_has_its_table_here() -> None:
    assert set(KERNELS) == set(TABLES)
    assert (*KERNELS, "sobel") == FILTER_NAMES
    assert KERNELS["edge_c"] is KERNELS["ridge"]


def test_sharpening_the_worked_photo_gives_320_first_and_is_not_clipped() -> None:
    sharp = convolve(FIVE, SHARPEN, padding="same", border="zero")
    assert sharp.dtype == np.float32
    assert sharp[0, 0] == 320
    np.testing.assert_array_equal(sharp, ndimage.correlate(FIVE.astype(float), np.array(SHARPEN), mode="constant"))
    assert sharp.max() > 255


def test_the_worked_photo_without_border_gives_the_worked_result() -> None:
    image = np.array([[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 0], [0, 1, 1, 0, 0]])
    kernel = [[1, 0, 1], [0, 1, 0], [1, 0, 1]]
    expected = [[4, 3, 4], [2, 4, 3], [2, 3, 4]]
    assert convolve(image.astype(np.uint8), kernel, padding="valid").tolist() == expected
    assert convolve(image.astype(np.float32), kernel, padding="valid").tolist() == expected


@pytest.mark.parametrize(
    ("stride", "padding", "side"), [(1, "valid", 5), (2, "valid", 3), (1, 1, 7), (1, "same", 7), (2, "same", 4)]
)
def test_a_kernel_of_3_on_7_pixels_has_so_many_places(stride: int, padding: str | int, side: int) -> None:
    assert convolve(np.zeros((7, 7), np.uint8), np.ones((3, 3)), stride=stride, padding=padding).shape == (side, side)


def test_the_kernel_is_not_flipped() -> None:
    dot = np.zeros((3, 3), np.uint8)
    dot[1, 1] = 1
    kernel = np.arange(9.0).reshape(3, 3)
    np.testing.assert_array_equal(convolve(dot, kernel), kernel[::-1, ::-1])
    np.testing.assert_array_equal(convolve(dot, kernel), ndimage.correlate(dot.astype(float), kernel, mode="constant"))


def test_negative_results_are_kept() -> None:
    ramp = np.tile(np.arange(6, dtype=np.uint8)[::-1] * 40, (4, 1))
    assert convolve(ramp, KERNELS["sobel_x"], padding="valid").min() == -320


def test_an_uneven_border_puts_the_extra_row_and_column_last() -> None:
    image = np.arange(16, dtype=np.uint8).reshape(4, 4)
    kernel = np.arange(1.0, 10.0).reshape(3, 3)
    expected = slide_over(np.pad(image, ((0, 1), (0, 1))), kernel, 2)
    np.testing.assert_array_equal(convolve(image, kernel, stride=2, padding="same"), expected)


@given(
    seed=st.integers(0, 2**16),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    sides=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    stride=st.integers(1, 3),
    margin=st.integers(0, 4),
    border=st.sampled_from(sorted(NUMPY_BORDERS)),
)
@settings(max_examples=150, deadline=None)
def test_every_border_and_stride_agrees_with_the_definition(seed, size, sides, stride, margin, border) -> None:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, size, dtype=np.uint8)
    kernel = rng.integers(-9, 10, sides).astype(float)
    padded = np.pad(image, margin, mode=NUMPY_BORDERS[border])
    if padded.shape[0] < sides[0] or padded.shape[1] < sides[1]:
        with pytest.raises(PhotoRefused):
            convolve(image, kernel, stride=stride, padding=margin, border=border)
        return
    got = convolve(image, kernel, stride=stride, padding=margin, border=border)
    np.testing.assert_array_equal(got, slide_over(padded, kernel, stride))  # whole numbers: equal to the last bit


@given(seed=st.integers(0, 2**16), length=st.integers(1, 12), side=st.integers(1, 6), stride=st.integers(1, 4))
@settings(max_examples=100, deadline=None)
def test_same_gives_one_result_for_every_stride(seed: int, length: int, side: int, stride: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (length, length), dtype=np.uint8)
    got = convolve(image, np.ones((side, side)), stride=stride, padding="same")
    assert got.shape == (-(-length // stride),) * 2


@pytest.mark.parametrize("name", sorted(KERNELS))
def test_a_named_filter_agrees_with_scipy(name: str, photo: np.ndarray) -> None:
    expected = ndimage.correlate(photo.astype(float), KERNELS[name], mode="nearest")
    np.testing.assert_allclose(apply_filter(photo, name, border="nearest"), expected, rtol=0, atol=1e-4)


def test_a_large_kernel_is_as_exact_as_a_small_one(photo: np.ndarray) -> None:
    kernel = np.random.default_rng(1).integers(-50, 50, (15, 15)).astype(float)
    expected = ndimage.correlate(photo.astype(float), kernel, mode="constant")
    np.testing.assert_array_equal(convolve(photo, kernel), expected.astype(np.float32))


def test_laplacian_and_sobel_agree_with_scipy_and_scikit_image(photo: np.ndarray) -> None:
    values = photo.astype(float)
    np.testing.assert_array_equal(apply_filter(photo, "laplacian", border="reflect"), ndimage.laplace(values))
    np.testing.assert_array_equal(apply_filter(photo, "sobel_x", border="reflect"), ndimage.sobel(values, axis=1))
    np.testing.assert_array_equal(apply_filter(photo, "sobel_y", border="reflect"), ndimage.sobel(values, axis=0))
    # scikit-image divides each direction by 4 and the length by the root of 2; otherwise it is the same
    length = skimage.filters.sobel(values) * 4 * np.sqrt(2)
    np.testing.assert_allclose(apply_filter(photo, "sobel", border="reflect"), length, rtol=1e-6)


def test_unsharp_adds_what_the_gaussian_took(photo: np.ndarray) -> None:
    blurred = apply_filter(photo, "gaussian_5x5")
    np.testing.assert_array_equal(apply_filter(photo, "unsharp"), 2 * photo.astype(np.float32) - blurred)


def test_blurs_keep_a_flat_photo_and_edges_find_nothing_in_it() -> None:
    flat = np.full((9, 9), 77, np.uint8)
    for name in FILTER_NAMES:
        kept = name in {"identity", "sharpen", "unsharp", "box_blur", "gaussian_3x3", "gaussian_5x5"}
        result = apply_filter(flat, name, border="nearest")
        np.testing.assert_allclose(result, 77 if kept else 0, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("name", FILTER_NAMES)
def test_channels_are_filtered_apart_and_like_grey_photos(name: str) -> None:
    image = np.random.default_rng(2).integers(0, 256, (17, 23, 3), dtype=np.uint8)
    got = apply_filter(image, name)
    for channel in range(3):
        np.testing.assert_array_equal(got[..., channel], apply_filter(image[..., channel], name))


def test_the_input_is_not_written_to(photo: np.ndarray) -> None:
    before = photo.copy()
    photo.flags.writeable = False
    apply_filter(photo, "identity", padding=2)
    np.testing.assert_array_equal(photo, before)


@pytest.mark.parametrize(("negative", "expected"), [("clip", [0, 0, 0, 200, 255]), ("absolute", [255, 1, 0, 200, 255])])
def test_a_picture_clips(negative: str, expected: list[int]) -> None:
    assert to_picture(np.array([-300.0, -0.6, 0.4, 199.6, 400.0]), negative=negative).tolist() == expected


def test_a_picture_of_both_directions_has_grey_in_the_middle() -> None:
    got = to_picture(np.array([-256.0, -100.0, 0.0, 100.0, 254.0, 900.0]), negative="middle")
    assert got.tolist() == [0, 78, 128, 178, 255, 255]
    assert got.dtype == np.uint8


def test_a_photo_smaller_than_the_kernel_is_refused() -> None:
    with pytest.raises(PhotoRefused, match=r"2x9 pixels are too few for a kernel of 3x3 without padding"):
        convolve(np.zeros((2, 9), np.uint8), SHARPEN, padding="valid")


@pytest.mark.parametrize(
    ("kernel", "said"),
    [
        ([[1, 2], [3]], r"A kernel must be rows of numbers, all of one length, got \[\[1, 2\], \[3\]\]\. For instance"),
        ([1, 2, 3], r"all of one length, got \[1, 2, 3\]"),
        ([], r"all of one length, got \[\]"),
        (5, r"all of one length, got 5"),
        ([["1", "2"]], r"all of one length, got \[\['1', '2'\]\]"),
        ([[True, False]], r"all of one length, got \[\[True, False\]\]"),
        ([[1.0, float("nan")]], r"A kernel's numbers must be finite, got nan\. Write numbers"),
        ([[1.0, float("inf")]], r"A kernel's numbers must be finite, got inf\."),
        (np.ones((3, 32)), r"A kernel must be 31x31 or smaller, got 3x32\. Shrink the photo first"),
    ],
)
def test_a_kernel_that_cannot_be_used_is_refused(kernel: object, said: str) -> None:
    with pytest.raises(UserError, match=said):
        check_kernel(kernel)
    with pytest.raises(UserError, match=said):
        check_filter(kernel)


@pytest.mark.parametrize(("name", "hint"), [("sharpe", r'Did you mean "sharpen"\?'), ("zzz", r"Choose one of them")])
def test_an_unknown_name_is_refused(name: str, hint: str) -> None:
    for use in (named_kernel, check_filter, lambda word: apply_filter(FIVE, word)):
        with pytest.raises(UserError, match=rf"kernel must be one of identity, .*, got '{name}'\. {hint}"):
            use(name)


def test_the_size_of_a_kernel() -> None:
    assert kernel_size("gaussian_5x5") == (5, 5)
    assert kernel_size("sobel") == (3, 3)
    assert kernel_size([[1, 2, 3]]) == (1, 3)
    assert check_filter("sobel") == "sobel"
    np.testing.assert_array_equal(check_filter([[1, 2]]), [[1.0, 2.0]])


def test_the_example_in_the_documentation_runs() -> None:
    tried = doctest.testmod(filters)
    assert tried.attempted > 0
    assert tried.failed == 0
