"""Affine maps: arithmetic against numpy, pixels against SciPy and scikit-image, copies where pixels meet pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from skimage import transform

from teliti.imaging.geometry import (
    IDENTITY,
    Affine,
    about_centre,
    as_matrix,
    compose,
    invert,
    rotation,
    warp,
    warp_labels,
)

SCIPY_MODES = {"nearest": "nearest", "constant": "grid-constant", "reflect": "reflect", "wrap": "grid-wrap"}
SHAPES = [(40, 60), (33, 17), (64, 64), (5, 3), (1, 1)]
ROUNDING = 0.51  # grey levels: half a level, and OpenCV's float32 coordinates


def noise(shape: tuple[int, ...], *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def smooth(side: int) -> np.ndarray:
    """A photo of slow waves, (side, side, 3), in which an interpolation loses little."""
    y, x = np.mgrid[0:side, 0:side] / side
    waves = [np.sin(3 * x + 2 * y), np.cos(2 * x - 3 * y), np.sin(4 * x * y)]
    return np.rint(128 + 100 * np.stack(waves, axis=-1)).astype(np.uint8)


@st.composite
def maps(draw: st.DrawFn, size: tuple[int, int] = (48, 48)) -> Affine:
    """Turned, stretched, slanted and shifted, as an augmentation would."""
    turn = rotation(draw(st.floats(-180, 180)), size)
    stretch = about_centre(
        (draw(st.floats(0.6, 1.6)), draw(st.floats(-0.4, 0.4)), 0.0, draw(st.floats(0.6, 1.6))), size
    )
    a, b, c, d, e, f = compose(turn, stretch)
    return (a, b, c + draw(st.floats(-9, 9)), d, e, f + draw(st.floats(-9, 9)))


@given(maps(), maps())
def test_composing_is_the_product_of_matrices(first: Affine, then: Affine) -> None:
    np.testing.assert_allclose(as_matrix(compose(first, then)), as_matrix(then) @ as_matrix(first), atol=1e-9)


@given(maps())
def test_the_inverse_is_that_of_the_matrix(matrix: Affine) -> None:
    np.testing.assert_allclose(as_matrix(invert(matrix)), np.linalg.inv(as_matrix(matrix)), atol=1e-9)


def test_a_positive_angle_turns_counter_clockwise() -> None:
    photo = np.zeros((9, 9), dtype=np.uint8)
    photo[4, 7] = 255  # right of the centre
    assert warp(photo, rotation(90.0, (9, 9)))[1, 4] == 255  # above it


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("fill", SCIPY_MODES)
@given(data=st.data())
def test_the_pixels_are_those_of_scipy(fill, shape: tuple[int, int], data: st.DataObject) -> None:
    matrix = data.draw(maps(shape))
    photo = noise((*shape, 3))
    back = invert(matrix)
    rows = np.array([[back[4], back[3]], [back[1], back[0]]])  # SciPy counts (row, column)
    expected = [
        ndimage.affine_transform(
            photo[..., channel].astype(float), rows, (back[5], back[2]), order=1, mode=SCIPY_MODES[fill], cval=40.0
        )
        for channel in range(3)
    ]
    np.testing.assert_allclose(warp(photo, matrix, fill=fill, value=40.0), np.stack(expected, -1), atol=ROUNDING)


@given(maps())
def test_the_pixels_are_those_of_scikit_image(matrix: Affine) -> None:
    photo = noise((48, 48))
    expected = transform.warp(
        photo.astype(float), transform.AffineTransform(matrix=as_matrix(invert(matrix))), order=1, mode="edge"
    )
    inside = np.s_[1:-1, 1:-1]  # the last half pixel at the rim is that library's own affair
    moved = warp(photo, matrix)
    far = transform.warp(
        np.ones_like(photo, float), transform.AffineTransform(matrix=as_matrix(invert(matrix))), order=1
    )
    agrees = np.abs(moved - expected) <= ROUNDING
    assert agrees[inside][far[inside] >= 1.0].all()


@given(maps())
def test_there_and_back_returns_the_interior(matrix: Affine) -> None:
    photo = smooth(48)
    returned = warp(warp(photo, matrix), invert(matrix))
    stayed = warp_labels(warp_labels(np.full((48, 48), 255, np.uint8), matrix, fill="constant"), invert(matrix),
                         fill="constant")  # fmt: skip
    interior = ndimage.binary_erosion(stayed == 255, iterations=3)
    assert np.abs(returned.astype(int) - photo)[interior].max(initial=0) <= 4


@given(maps())
def test_grey_is_one_channel_of_colour_to_the_last_bit(matrix: Affine) -> None:
    grey = noise((48, 48))
    colour = warp(np.repeat(grey[..., None], 3, axis=2), matrix, fill="reflect")
    np.testing.assert_array_equal(colour, np.repeat(warp(grey, matrix, fill="reflect")[..., None], 3, axis=2))


@pytest.mark.parametrize("shape", [(7, 12), (7, 12, 3)])
def test_flips_are_copies(shape: tuple[int, ...]) -> None:
    photo, (height, width) = noise(shape), shape[:2]
    mirrored = (-1.0, 0.0, width - 1.0, 0.0, 1.0, 0.0)
    upside_down = (1.0, 0.0, 0.0, 0.0, -1.0, height - 1.0)
    np.testing.assert_array_equal(warp(photo, mirrored), photo[:, ::-1])
    np.testing.assert_array_equal(warp(photo, upside_down), photo[::-1])
    np.testing.assert_array_equal(warp(photo, compose(mirrored, upside_down)), photo[::-1, ::-1])


@pytest.mark.parametrize("quarters", [1, 2, 3])
@pytest.mark.parametrize("side", [1, 8, 9, 224])
def test_quarter_turns_of_a_square_are_copies(quarters: int, side: int) -> None:
    photo = noise((side, side, 3))
    np.testing.assert_array_equal(warp(photo, rotation(90.0 * quarters, (side, side))), np.rot90(photo, quarters))


@given(st.integers(-12, 12), st.integers(-12, 12), st.booleans())
def test_shifts_by_whole_pixels_are_copies(right: int, down: int, is_colour: bool) -> None:
    photo = noise((9, 11, 3) if is_colour else (9, 11))
    moved = warp(photo, (1.0, 0.0, float(right), 0.0, 1.0, float(down)), fill="wrap")
    np.testing.assert_array_equal(moved, np.roll(photo, (down, right), axis=(0, 1)))


def test_the_identity_is_the_photo_itself() -> None:
    photo = noise((9, 11, 3))
    assert warp(photo, IDENTITY) is photo


def test_the_constant_fill_has_a_colour() -> None:
    moved = warp(noise((9, 9, 3)), (1.0, 0.0, 4.5, 0.0, 1.0, 0.0), fill="constant", value=(10.0, 20.0, 30.0))
    np.testing.assert_array_equal(moved[:, :4], np.broadcast_to(np.array([10, 20, 30]), (9, 4, 3)))


@given(maps())
def test_masks_keep_their_labels(matrix: Affine) -> None:
    mask = noise((48, 48)) % 3 * 70
    assert set(np.unique(warp_labels(mask, matrix, fill="constant", value=9))) <= {0, 70, 140, 9}


@given(maps())
def test_masks_stay_with_the_pixels(matrix: Affine) -> None:
    disc = np.zeros((48, 48), dtype=np.uint8)
    y, x = np.mgrid[0:48, 0:48]
    disc[(x - 24) ** 2 + (y - 24) ** 2 < 90] = 255
    photo, mask = warp(disc, matrix), warp_labels(disc, matrix)
    np.testing.assert_array_equal((photo > 191) & (mask == 0), False)
    np.testing.assert_array_equal((photo < 64) & (mask == 255), False)


@pytest.mark.parametrize("shape", [(9, 11), (9, 11, 3)])
def test_the_photo_is_not_written_to(shape: tuple[int, ...]) -> None:
    photo = noise(shape)
    before = photo.copy()
    warp(photo, rotation(20.0, shape[:2]))
    np.testing.assert_array_equal(photo, before)


def test_a_view_into_a_larger_photo_is_read_rightly() -> None:
    large = noise((40, 50, 3))
    part = large[5:25:2, ::-1]
    matrix = rotation(20.0, part.shape[:2])
    np.testing.assert_array_equal(warp(part, matrix), warp(np.ascontiguousarray(part), matrix))


def test_a_map_that_flattens_the_photo_has_no_way_back() -> None:
    with pytest.raises(ZeroDivisionError, match="division by zero"):
        invert((1.0, 1.0, 0.0, 1.0, 1.0, 0.0))
