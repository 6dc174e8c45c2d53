"""Which photos come in which batch, and where each photo's random numbers come from.

`SeededOrder` is a function of (seed, epoch, photo): any number of threads may ask in any order. `KerasOrder` repeats
what Keras does with NumPy's process-wide generator, seeds it included.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from teliti.transforms.generator_draw import GLOBAL, RandomSource, seed_global
from teliti.types import IntArray


@dataclass(frozen=True)
class Turn:
    """One batch: the epoch that it belongs to, and its photos as positions in the set."""

    epoch: int
    indices: IntArray


class BatchOrder(Protocol):
    """What a reader asks of an order."""

    def batch(self, number: int) -> Turn:
        """The batch of that number in the current epoch."""
        ...

    def next_batch(self) -> Turn:
        """The next batch, without end."""
        ...

    def end_epoch(self) -> None:
        """Go on to the next epoch for `batch`."""
        ...

    def restart(self) -> None:
        """Begin anew."""
        ...

    def source(self, epoch: int, index: int) -> RandomSource:
        """The random numbers of one photo in one epoch."""
        ...


class SeededOrder:
    """An order that depends on nothing but its seed.

    Args:
        count: Photos.
        batch_size: At least 1.
        shuffle: Another order in every epoch.
        seed: None draws one from the system.
    """

    def __init__(self, count: int, batch_size: int, *, shuffle: bool, seed: int | None) -> None:
        self.count, self.batch_size, self.shuffle = count, batch_size, shuffle
        self._seed: int = np.random.SeedSequence(seed).entropy  # type: ignore[assignment]
        self._lock = threading.Lock()
        self._taken = 0
        self._epoch = 0
        self._kept = (-1, np.arange(count))  # the last epoch's order; one assignment, so that threads may share it

    def batch(self, number: int) -> Turn:
        return self._turn(self._epoch, number)

    def next_batch(self) -> Turn:
        with self._lock:
            ticket, self._taken = self._taken, self._taken + 1
        return self._turn(*divmod(ticket, -(-self.count // self.batch_size)))

    def end_epoch(self) -> None:
        self._epoch += 1

    def restart(self) -> None:
        with self._lock:
            self._taken = self._epoch = 0

    def source(self, epoch: int, index: int) -> RandomSource:
        return np.random.default_rng([self._seed, 1, epoch, index])

    def _turn(self, epoch: int, number: int) -> Turn:
        kept, order = self._kept
        if self.shuffle and kept != epoch:
            order = np.random.default_rng([self._seed, 0, epoch]).permutation(self.count)
            self._kept = (epoch, order)
        return Turn(epoch, order[number * self.batch_size : (number + 1) * self.batch_size])


class KerasOrder:
    """Keras's order: NumPy's process-wide generator, seeded with seed + batches seen so far before each batch.

    Args:
        count: Photos.
        batch_size: At least 1.
        shuffle: Another order in every epoch.
        seed: None leaves the process-wide generator as it is.
    """

    def __init__(self, count: int, batch_size: int, *, shuffle: bool, seed: int | None) -> None:
        self.count, self.batch_size, self.shuffle, self.seed = count, batch_size, shuffle, seed
        self._lock = threading.Lock()
        self._order: IntArray | None = None
        self._seen = 0
        self._place = 0
        self._endless = self._walk()

    def batch(self, number: int) -> Turn:
        seed_global(None if self.seed is None else self.seed + self._seen)
        self._seen += 1
        order = self._shuffled() if self._order is None else self._order
        return Turn(0, order[number * self.batch_size : (number + 1) * self.batch_size])

    def next_batch(self) -> Turn:
        with self._lock:
            return next(self._endless)

    def end_epoch(self) -> None:
        self._shuffled()

    def restart(self) -> None:
        self._place = 0

    def source(self, epoch: int, index: int) -> RandomSource:  # noqa: ARG002 - one generator for all photos
        return GLOBAL

    def _walk(self) -> Iterator[Turn]:
        while True:
            seed_global(None if self.seed is None else self.seed + self._seen)
            if self._place == 0 or self._order is None:
                self._shuffled()
            first = self._place * self.batch_size
            self._place = self._place + 1 if self.count > first + self.batch_size else 0
            self._seen += 1
            yield Turn(0, np.asarray(self._order)[first : first + self.batch_size])

    def _shuffled(self) -> IntArray:
        self._order = np.random.permutation(self.count) if self.shuffle else np.arange(self.count)
        return self._order
