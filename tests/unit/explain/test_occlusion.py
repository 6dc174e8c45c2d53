"""Occlusion finds what an answer rests on, by networks whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from teliti.explain.occlusion import CELLS, PASSES, draw_heat, occlusion_map


def picture_with_dot(row: int, column: int, *, height: int = 40, width: int = 40) -> np.ndarray:
    picture = np.full((height, width, 3), 100, dtype=np.uint8)
    picture[row : row + 4, column : column + 4] = 255
    return picture


@pytest.mark.parametrize(("row", "column"), [(0, 0), (6, 31), (18, 18), (36, 36), (33, 2)])
def test_a_planted_dot_is_found(row: int, column: int) -> None:
    asked = []

    def bright(picture: np.ndarray) -> float:
        asked.append(picture)
        return float((picture > 200).sum())

    found = occlusion_map(picture_with_dot(row, column), bright)
    assert len(asked) == PASSES
    assert found.shape == (CELLS, CELLS)
    at = np.unravel_index(int(found.argmax()), found.shape)
    assert abs(at[0] - (row + 2) / 40 * CELLS) <= 1
    assert abs(at[1] - (column + 2) / 40 * CELLS) <= 1
    far = [(CELLS - 1 if one < CELLS / 2 else 0) for one in at]
    assert found[far[0], far[1]] == 0


def test_what_speaks_against_is_below_zero() -> None:
    found = occlusion_map(picture_with_dot(10, 10), lambda picture: -float((picture > 200).sum()))
    assert found.min() < 0
    assert found.max() == 0


def test_by_hand() -> None:
    """A number that is the grey value of the upper left pixel, which is the upper left cell."""
    picture = np.zeros((CELLS, CELLS, 3), dtype=np.uint8)
    picture[0, 0] = 64
    found = occlusion_map(picture, lambda one: float(one[0, 0, 0]))
    assert found[0, 0] == 64 - 1  # covered with the mean colour, 64 / 49
    assert found[0, 1] == pytest.approx(63 / 2)  # of four squares over it two lie over the pixel
    assert found[1, 1] == pytest.approx(63 / 4)
    assert not found[2:, 2:].any()


@pytest.mark.parametrize("size", [(7, 7), (9, 31), (64, 17)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    picture = np.random.default_rng(1).integers(0, 255, (*size, 3), dtype=np.uint8)
    before = picture.copy()
    found = occlusion_map(picture, lambda one: float(one.mean()))
    assert np.isfinite(found).all()
    assert draw_heat(picture, found).shape == picture.shape
    assert (picture == before).all()


def test_heat_is_drawn_where_it_speaks_for_it_and_nowhere_else() -> None:
    picture = np.full((16, 16, 3), 100, dtype=np.uint8)
    attribution = np.full((CELLS, CELLS), -1.0, dtype=np.float32)
    assert draw_heat(picture, attribution) is picture
    attribution[0, 0] = 2.0
    drawn = draw_heat(picture, attribution)
    assert drawn[0, 0].tolist() == [178, 55, 55]
    assert (drawn[8:, 8:] == 100).all()
