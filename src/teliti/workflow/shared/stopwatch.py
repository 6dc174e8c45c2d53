"""Seconds per stage of a job."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Adds up wall seconds by stage name; `total` is since the start."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a block; blocks of one name add up."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[name] = self._seconds.get(name, 0.0) + time.perf_counter() - begin

    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._start

    def to_record(self) -> dict[str, float]:
        """Seconds by stage in order of first use, and the total."""
        return {name: round(value, 3) for name, value in self._seconds.items()} | {"total": round(self.elapsed(), 3)}
