"""Boxes follow the pixels: a painted rectangle and its box go the same way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teliti.errors import UserError
from teliti.imaging.boxes import box_areas, check_boxes, clip_boxes, move_boxes
from teliti.imaging.geometry import IDENTITY, about_centre, compose, rotation, warp

SIZE = (40, 60)


def painted(box: tuple[int, int, int, int]) -> np.ndarray:
    photo = np.zeros(SIZE, dtype=np.uint8)
    photo[box[1] : box[3], box[0] : box[2]] = 255
    return photo


def found(photo: np.ndarray) -> tuple[int, int, int, int]:
    """The box of the pixels that are at least half bright."""
    rows, columns = np.nonzero(photo >= 128)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


boxes = st.tuples(st.integers(8, 24), st.integers(8, 14), st.integers(32, 50), st.integers(22, 32))


@given(boxes, st.floats(-180, 180), st.floats(0.7, 1.3), st.floats(-6, 6))
def test_the_box_holds_the_part_and_touches_it(box, degrees: float, scale: float, shift: float) -> None:
    a, b, c, d, e, f = compose(rotation(degrees, SIZE), about_centre((scale, 0.0, 0.0, scale), SIZE))
    matrix = (a, b, c + shift, d, e, f)
    moved = move_boxes(np.array([box], dtype=np.float32), matrix, SIZE)[0]
    seen = np.array(found(warp(painted(box), matrix, fill="constant")))
    assert (moved[:2] <= seen[:2] + 0.51).all()
    assert (moved[2:] >= seen[2:] - 0.51).all()
    np.testing.assert_allclose(moved, seen, atol=2.6)  # a sharp corner's last pixels are under half bright


def test_a_flip_moves_a_box_to_the_pixel() -> None:
    mirrored = (-1.0, 0.0, SIZE[1] - 1.0, 0.0, 1.0, 0.0)
    box = (5, 3, 20, 30)
    np.testing.assert_array_equal(move_boxes(np.array([box]), mirrored, SIZE)[0], found(painted(box)[:, ::-1]))


def test_a_box_that_left_the_photo_keeps_its_row_and_has_no_area() -> None:
    far = (1.0, 0.0, 100.0, 0.0, 1.0, 0.0)
    moved = move_boxes(np.array([[5, 5, 20, 20], [0, 0, 60, 40]]), far, SIZE)
    assert moved.shape == (2, 4)
    np.testing.assert_array_equal(box_areas(moved), [0.0, 0.0])


def test_boxes_are_cut_off_at_the_edges() -> None:
    np.testing.assert_array_equal(clip_boxes(np.array([[-5.0, -1.0, 70.0, 20.0]]), SIZE), [[0.0, 0.0, 60.0, 20.0]])


def test_areas_are_width_times_height() -> None:
    np.testing.assert_array_equal(box_areas(np.array([[1.0, 2.0, 4.0, 8.0]])), [18.0])


def test_no_boxes_stay_no_boxes() -> None:
    assert move_boxes(np.zeros((0, 4)), IDENTITY, SIZE).shape == (0, 4)
    assert check_boxes(np.array([])).shape == (0, 4)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(UserError, match=r"boxes_xyxy must be an array of shape \(N, 4\), got \(4,\)"):
        check_boxes(np.array([1.0, 2.0, 3.0, 4.0]))


@pytest.mark.parametrize("row", [[5.0, 0.0, 1.0, 9.0], [0.0, 9.0, 1.0, 5.0], [0.0, 0.0, np.nan, 1.0]])
def test_corners_in_the_wrong_order_are_refused(row: list[float]) -> None:
    with pytest.raises(UserError, match=r"x_min <= x_max and y_min <= y_max, got .* \(row 1\)"):
        check_boxes(np.array([[0.0, 0.0, 1.0, 1.0], row]))
