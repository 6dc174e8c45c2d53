"""Decoded and prepared photos in order, a few ahead: decoding overlaps whatever the caller computes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from teliti.data.decoded import read_photo
from teliti.errors import PhotoRefused
from teliti.types import Sample, UInt8Image

AHEAD_PER_THREAD = 16
T = TypeVar("T")
R = TypeVar("R")


def load_prepared(
    samples: Sequence[Sample],
    prepare: Callable[[UInt8Image, Sample], R],
    *,
    threads: int,
    read: Callable[[Sample], UInt8Image] = read_photo,
    ahead: int = AHEAD_PER_THREAD,
) -> Iterator[tuple[int, R | PhotoRefused]]:
    """Decode and prepare photos on threads, results in the order of the samples.

    Closing the iterator early stops the threads after the photos in hand.

    Args:
        samples: Where the photos are.
        prepare: A photo, (H, W, 3) uint8 RGB or (H, W) grey, and its sample, to what the caller needs; must be safe
            to call from threads and may raise PhotoRefused.
        threads: At least 1; decoding and OpenCV release the interpreter.
        read: Where pixels come from; raises PhotoRefused.
        ahead: How many photos a thread may have waiting; fewer where `prepare` makes many pictures of one.

    Yields:
        Index of the sample, and what `prepare` gave or why the photo cannot be used.
    """

    def load(sample: Sample) -> R | PhotoRefused:
        try:
            return prepare(read(sample), sample)
        except PhotoRefused as refusal:
            return refusal

    yield from enumerate(map_ahead(load, samples, threads=threads, ahead=ahead))


def map_ahead(
    work: Callable[[T], R], items: Iterable[T], *, threads: int, ahead: int = AHEAD_PER_THREAD
) -> Iterator[R]:
    """`map` on threads, in order, a few results ahead of the one that is taken.

    Args:
        work: Called from several threads.
        items: Taken one by one, only as far ahead as needed.
        threads: At least 1.
        ahead: How many results a thread may have waiting; fewer where they are large.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="teliti-load")
    waiting: deque[Future[R]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > ahead * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
