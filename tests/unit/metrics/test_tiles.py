"""One answer for a photo from the answers for its tiles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teliti.metrics.tiles import combine_parts


def combine_by_hand(outputs: np.ndarray, counts: list[int], *, how: str, rejects: tuple[int, ...]) -> list[np.ndarray]:
    """The same in words: go through the photos one by one, and through the tiles of each."""
    answers, first = [], 0
    for count in counts:
        tiles = [outputs[first + number] for number in range(count)]
        first += count
        worst, highest = tiles[0], -np.inf
        for tile in tiles:
            score = tile[0] if len(tile) == 1 else sum(tile[index] for index in rejects)
            if score > highest:
                worst, highest = tile, score
        takes_worst = how == "max" and (rejects or len(tiles[0]) == 1)
        answers.append(worst if takes_worst else sum(tiles) / len(tiles))
    return answers


@st.composite
def jobs(draw: st.DrawFn) -> tuple[np.ndarray, list[int], tuple[int, ...]]:
    """Probabilities of tiles (or numbers), tiles of each photo, and the classes that are rejected."""
    counts = draw(st.lists(st.integers(1, 5), min_size=1, max_size=6))
    columns = draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    outputs = rng.normal(size=(sum(counts), columns)) if columns == 1 else rng.dirichlet(np.ones(columns), sum(counts))
    rejects = draw(st.sets(st.integers(0, columns - 1), max_size=columns - 1)) if columns > 1 else set()
    return outputs.astype(np.float32), counts, tuple(sorted(rejects))


@given(job=jobs(), how=st.sampled_from(["max", "mean"]))
def test_it_is_the_plain_loop(job: tuple, how: str) -> None:
    outputs, counts, rejects = job
    answers = combine_parts(outputs, np.array(counts), how=how, rejects=rejects)
    assert answers.shape == (len(counts), outputs.shape[1])
    assert answers.dtype == np.float32
    np.testing.assert_allclose(answers, combine_by_hand(outputs, counts, how=how, rejects=rejects), rtol=1e-5)


@given(job=jobs())
def test_the_worst_answer_is_one_of_the_tiles_own_and_the_mean_lies_between(job: tuple) -> None:
    outputs, counts, rejects = job
    worst = combine_parts(outputs, np.array(counts), how="max", rejects=rejects or (0,))
    mean = combine_parts(outputs, np.array(counts), how="mean", rejects=rejects)
    for tiles, one, middle in zip(np.split(outputs, np.cumsum(counts)[:-1]), worst, mean, strict=True):
        assert any(np.array_equal(one, tile) for tile in tiles)
        assert (middle >= tiles.min(axis=0) - 1e-6).all()
        assert (middle <= tiles.max(axis=0) + 1e-6).all()


@given(job=jobs(), how=st.sampled_from(["max", "mean"]))
def test_equal_tiles_and_one_tile_change_nothing(job: tuple, how: str) -> None:
    outputs, _, rejects = job
    alone = combine_parts(outputs, np.ones(len(outputs), np.int64), how=how, rejects=rejects)
    np.testing.assert_array_equal(alone, outputs)
    three_times = combine_parts(np.repeat(outputs, 3, axis=0), np.full(len(outputs), 3), how=how, rejects=rejects)
    np.testing.assert_allclose(three_times, outputs, rtol=1e-6)


PHOTO = np.array([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4], [0.5, 0.5, 0.0]], dtype=np.float32)


@pytest.mark.parametrize(
    ("how", "rejects", "answer"),
    [
        ("max", (2,), PHOTO[1]),
        ("max", (1,), PHOTO[2]),
        ("max", (1, 2), PHOTO[1]),  # 0.3, 0.7, 0.5: the classes that are rejected count together
        ("max", (), PHOTO.mean(axis=0)),  # nothing is bad, so no tile is the worst
        ("mean", (2,), PHOTO.mean(axis=0)),
    ],
)
def test_one_defect_in_one_tile_is_enough(how: str, rejects: tuple[int, ...], answer: np.ndarray) -> None:
    photos = np.concatenate([PHOTO, [[1.0, 0.0, 0.0]]]).astype(np.float32)
    combined = combine_parts(photos, np.array([3, 1]), how=how, rejects=rejects)
    np.testing.assert_allclose(combined, [answer, [1, 0, 0]], rtol=1e-6)


def test_numbers_take_the_largest_or_the_average() -> None:
    numbers = np.array([[3.0], [-1.0], [4.0], [-5.0], [-9.0]], dtype=np.float32)
    counts = np.array([3, 2])
    assert combine_parts(numbers, counts, how="max", rejects=()).tolist() == [[4.0], [-5.0]]
    assert combine_parts(numbers, counts, how="mean", rejects=()).tolist() == [[2.0], [-7.0]]
