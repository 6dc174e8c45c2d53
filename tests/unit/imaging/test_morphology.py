"""Morphology: scikit-image as the judge, exactly; the laws that hold between the operations."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.morphology as judge
from hypothesis import given, settings
from hypothesis import strategies as st

from teliti.imaging.morphology import apply_morphology, structuring_element

SHAPES = ["rectangle", "ellipse", "cross"]
OPERATIONS = ["erode", "dilate", "open", "close", "gradient", "tophat", "blackhat"]


def judged(image: np.ndarray, operation: str, element: np.ndarray) -> np.ndarray:
    if operation == "gradient":
        return judge.dilation(image, element) - judge.erosion(image, element)
    names = {"erode": "erosion", "dilate": "dilation", "open": "opening", "close": "closing"}
    names |= {"tophat": "white_tophat", "blackhat": "black_tophat"}
    return getattr(judge, names[operation])(image, element)


@pytest.fixture
def grey() -> np.ndarray:
    return np.random.default_rng(4).integers(0, 256, (23, 31), dtype=np.uint8)


@pytest.fixture
def binary() -> np.ndarray:
    return np.where(np.random.default_rng(6).random((23, 31)) < 0.6, 255, 0).astype(np.uint8)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(("shape", "size"), [("rectangle", (3, 5)), ("ellipse", (5, 5)), ("cross", (7, 3))])
def test_agrees_with_scikit_image(operation: str, shape: str, size: tuple[int, int], grey, binary) -> None:
    element = structuring_element(shape, size)
    for image in (grey, binary):
        got = apply_morphology(image, operation, shape=shape, size=size)
        np.testing.assert_array_equal(got, judged(image, operation, element))


@pytest.mark.parametrize("operation", ["erode", "dilate"])
def test_iterations_repeat(operation: str, grey: np.ndarray) -> None:
    element = structuring_element("ellipse", (5, 5))
    expected = judged(judged(grey, operation, element), operation, element)
    np.testing.assert_array_equal(apply_morphology(grey, operation, size=(5, 5), iterations=2), expected)


def test_opening_twice_erodes_twice_and_then_dilates_twice(grey: np.ndarray) -> None:
    eroded = apply_morphology(grey, "erode", iterations=2)
    expected = apply_morphology(eroded, "dilate", iterations=2)
    np.testing.assert_array_equal(apply_morphology(grey, "open", iterations=2), expected)


def test_elements_have_the_shape_they_are_called_by() -> None:
    assert structuring_element("rectangle", (2 + 1, 5)).tolist() == [[1] * 5] * 3
    assert structuring_element("cross", (3, 5)).tolist() == [[0, 0, 1, 0, 0], [1] * 5, [0, 0, 1, 0, 0]]
    ellipse = structuring_element("ellipse", (9, 5))
    assert ellipse.shape == (9, 5)
    np.testing.assert_array_equal(ellipse, ellipse[::-1, ::-1])
    assert ellipse[0].sum() < ellipse[4].sum() == 5
    assert not ellipse.flags.writeable


def test_the_border_does_not_count() -> None:
    full = np.full((6, 6), 255, np.uint8)
    np.testing.assert_array_equal(apply_morphology(full, "erode"), full)
    np.testing.assert_array_equal(apply_morphology(255 - full, "dilate"), 255 - full)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_channels_are_treated_apart(operation: str) -> None:
    image = np.random.default_rng(8).integers(0, 256, (14, 17, 3), dtype=np.uint8)
    got = apply_morphology(image, operation, size=(3, 5), iterations=2)
    for channel in range(3):
        plane = apply_morphology(np.ascontiguousarray(image[..., channel]), operation, size=(3, 5), iterations=2)
        np.testing.assert_array_equal(got[..., channel], plane)


@given(
    seed=st.integers(0, 2**16),
    shape=st.sampled_from(SHAPES),
    half=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    iterations=st.integers(1, 2),
)
@settings(max_examples=60, deadline=None)
def test_the_laws_of_opening_and_closing(seed: int, shape: str, half: tuple[int, int], iterations: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (12, 15), dtype=np.uint8)
    given = {"shape": shape, "size": (2 * half[0] + 1, 2 * half[1] + 1), "iterations": iterations}
    opened, closed = (apply_morphology(image, name, **given) for name in ("open", "close"))
    assert (opened <= image).all()
    assert (closed >= image).all()
    np.testing.assert_array_equal(apply_morphology(opened, "open", **given), opened)  # once is enough
    np.testing.assert_array_equal(apply_morphology(closed, "close", **given), closed)
    np.testing.assert_array_equal(apply_morphology(255 - image, "close", **given), 255 - opened)  # light against dark


@pytest.mark.parametrize("operation", OPERATIONS)
def test_binary_stays_binary(operation: str, binary: np.ndarray) -> None:
    before = binary.copy()
    assert set(np.unique(apply_morphology(binary, operation))) <= {0, 255}
    np.testing.assert_array_equal(binary, before)
