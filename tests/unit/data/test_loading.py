"""Photos in order, a few ahead, and threads that stop when nobody listens."""

import itertools
import threading
import time

import numpy as np
import pytest

from photos import encode
from teliti.data.loading import AHEAD_PER_THREAD, load_prepared, map_ahead
from teliti.errors import PhotoRefused
from teliti.types import Sample


class Given:
    """An origin that holds its bytes, or refuses when it has none."""

    def __init__(self, data):
        self.data = data

    def read_bytes(self):
        if self.data is None:
            raise PhotoRefused("the file does not exist (any more)")
        return self.data


def grey(value, height=4):
    return Sample(f"{value}.png", Given(encode(np.full((height, 6, 3), value, np.uint8), "PNG")))


@pytest.mark.parametrize("threads", [1, 4])
def test_photos_come_prepared_and_in_order(threads):
    samples = [grey(value) for value in range(80)]
    loaded = list(load_prepared(samples, lambda image, _: image[:2], threads=threads))
    assert [index for index, _ in loaded] == list(range(80))
    assert all(image.shape == (2, 6, 3) and (image == index).all() for index, image in loaded)


def test_a_refused_photo_keeps_its_place_with_its_reason():
    samples = [grey(1), Sample("broken.png", Given(b"no photo")), Sample("gone.png", Given(None)), grey(3)]
    answers = [answer for _, answer in load_prepared(samples, lambda image, _: image, threads=2)]
    assert isinstance(answers[1], PhotoRefused)
    assert answers[1].reason.startswith("not an image")
    assert answers[2].reason == "the file does not exist (any more)"
    assert (answers[0].mean(), answers[3].mean()) == (1, 3)


def test_a_step_that_refuses_a_photo_refuses_that_photo_only():
    def picky(image, _):
        if len(image) < 8:
            raise PhotoRefused("too small for this step")
        return image

    kept, refused = (answer for _, answer in load_prepared([grey(1, height=8), grey(2)], picky, threads=1))
    assert kept.shape == (8, 6, 3)
    assert refused.reason == "too small for this step"


def test_nothing_comes_from_no_samples():
    assert list(load_prepared([], lambda image, _: image, threads=2)) == []


def test_only_a_few_items_are_taken_ahead():
    taken = itertools.count()
    results = map_ahead(lambda number: number * number, taken, threads=2)
    assert [next(results) for _ in range(10)] == [number * number for number in range(10)]
    assert next(taken) <= 10 + 2 * AHEAD_PER_THREAD
    results.close()


def test_closing_early_stops_the_threads_after_the_work_in_hand():
    before, done = threading.active_count(), []
    results = map_ahead(lambda item: (time.sleep(0.02), done.append(item)), range(10_000), threads=3)
    next(results)
    start = time.perf_counter()
    results.close()
    assert time.perf_counter() - start < 1.0
    assert len(done) < 20
    assert threading.active_count() == before


def test_an_error_of_the_work_reaches_the_caller_and_stops_the_threads():
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        list(map_ahead(lambda item: 1 // item, [1, 0, 2], threads=2))
    assert threading.active_count() == before


def test_threads_really_work_side_by_side():
    meeting = threading.Barrier(3, timeout=10)
    assert list(map_ahead(lambda number: (meeting.wait(), number)[1], range(3), threads=3)) == [0, 1, 2]
