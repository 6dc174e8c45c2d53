"""Tiles: all of one size, every pixel covered, neighbours overlapping as asked, evenly spread."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teliti.imaging.framing import Rectangle
from teliti.imaging.tiling import count_tiles, draw_tiles, tile_rectangles, tile_starts

lengths, sizes, overlaps = st.integers(1, 400), st.integers(1, 200), st.floats(0, 0.9)


@given(lengths, sizes, overlaps)
def test_one_side_is_covered_with_the_overlap_that_was_asked_for(length: int, size: int, overlap: float) -> None:
    starts = tile_starts(length, size, overlap=overlap)
    assert starts[0] == 0
    assert starts[-1] + size >= length
    if length > size:
        assert starts[-1] + size == length
        steps = np.diff(starts)
        assert steps.min() >= 1
        assert steps.max() <= max(1, size * (1 - overlap)) + 1e-9
        assert steps.max() - steps.min() <= 1  # evenly spread


@given(st.tuples(lengths, lengths), st.tuples(sizes, sizes), st.sampled_from([0.0, 0.2, 0.5]))
def test_every_pixel_lies_in_a_tile_of_one_size(shape: tuple[int, int], size: tuple[int, int], overlap: float) -> None:
    if count_tiles(shape, size, overlap=overlap) > 2000:
        return
    tiles = tile_rectangles(shape, size, overlap=overlap)
    assert len(tiles) == count_tiles(shape, size, overlap=overlap)
    seen = np.zeros(shape, dtype=bool)
    for tile in tiles:
        part = tile.cut(seen)
        assert part.shape == (min(shape[0], size[0]), min(shape[1], size[1]))
        part[...] = True
    assert seen.all()


def test_tiles_come_in_reading_order() -> None:
    assert tile_rectangles((10, 14), (6, 8), overlap=0.0) == [
        Rectangle(0, 0, 6, 8), Rectangle(0, 6, 6, 14), Rectangle(4, 0, 10, 8), Rectangle(4, 6, 10, 14)
    ]  # fmt: skip


@pytest.mark.parametrize("grey", [False, True])
def test_drawn_tiles_stand_on_a_copy(grey: bool) -> None:
    image = np.zeros((10, 14) if grey else (10, 14, 3), dtype=np.uint8)
    drawn = draw_tiles(image, tile_rectangles((10, 14), (6, 8), overlap=0.0))
    assert drawn.shape == (10, 14, 3)
    assert drawn[0].any(axis=1).all()
    assert drawn[:, 5:7].any()
    assert not drawn[2, 3].any()
    assert not image.any()
