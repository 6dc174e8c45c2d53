"""Work in two parts: the first for each item alone, the second for several at once, whatever waits.

The first part (decoding) runs on all threads side by side. What it leaves for the second part (the network) is gathered
while others are still waiting for their first part: until there are as many as the second part takes, or the oldest
has waited for long enough. When nobody waits, nobody is waited for: a lone item goes through without a pause. Work
without a second part may take long, so what is gathered goes before it. The same threads do both parts, so that work
for a number of cores never runs on more threads than that.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from teliti.serve.pace import give_way

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")
R = TypeVar("R")
_WINDOW_S = 0.02
"""An item that waited so long for company goes on with what there is."""


@dataclass(frozen=True, slots=True, eq=False)
class Half(Generic[K, T]):
    """What a first part leaves for the second.

    Attributes:
        key: Only items of one key are done together.
        item: What the second part takes.
    """

    key: K
    item: T


@dataclass(frozen=True, slots=True, eq=False)
class _Ticket(Generic[K, T, R]):
    first: Callable[[], Half[K, T] | R]
    future: Future[R]
    is_whole: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Gathered(Generic[K, T, R]):
    ticket: _Ticket[K, T, R]
    item: T
    since: float


class Batcher(Generic[K, T, R]):
    """Threads that do first parts one by one and second parts several at a time.

    Args:
        workers: How many threads.
        together: The second part: a key and its items to one answer each, in order; an answer that is an exception is
            that item's failure.
        most: How many items of a key one call of `together` takes at most.
    """

    def __init__(
        self,
        *,
        workers: int,
        together: Callable[[K, Sequence[T]], Sequence[R | Exception]],
        most: Callable[[K], int],
    ) -> None:
        self._together = together
        self._most = most
        self._waiting: deque[_Ticket[K, T, R]] = deque()
        self._gathered: dict[K, deque[_Gathered[K, T, R]]] = {}
        self._changed = threading.Condition()
        self._idle = 0
        self._is_closed = False
        names = (f"teliti-judge-{number}" for number in range(workers))
        self._threads = [threading.Thread(target=self._run, name=name, daemon=True) for name in names]
        for thread in self._threads:
            thread.start()

    def submit(self, first: Callable[[], Half[K, T] | R]) -> Future[R]:
        """Have an item done: `first` gives a `Half` for the second part, or the answer itself.

        A future that is cancelled before its first part began costs nothing.
        """
        return self._enqueue(_Ticket(first, Future(), is_whole=False))

    def submit_whole(self, work: Callable[[], R]) -> Future[R]:
        """Have work done that has one part only and may take long: it is company for nobody."""
        return self._enqueue(_Ticket(work, Future(), is_whole=True))

    def close(self) -> None:
        """Finish what was begun, cancel the rest, end the threads."""
        with self._changed:
            self._is_closed = True
            for ticket in self._waiting:
                ticket.future.cancel()
            self._waiting.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _enqueue(self, ticket: _Ticket[K, T, R]) -> Future[R]:
        with self._changed:
            if self._is_closed:
                ticket.future.cancel()
            else:
                self._waiting.append(ticket)
                self._changed.notify()
        return ticket.future

    def _run(self) -> None:
        give_way()
        while (turn := self._next_turn()) is not None:
            turn()

    def _next_turn(self) -> Callable[[], None] | None:
        """What the calling thread does next; None when it is to end."""
        with self._changed:
            while True:
                for key in self._gathered:
                    if some := self._due(key):
                        return partial(self._finish, key, some)
                if self._waiting:
                    ticket = self._waiting.popleft()
                    if ticket.future.set_running_or_notify_cancel():
                        return partial(self._begin, ticket)
                elif self._is_closed:
                    return None
                else:
                    self._idle += 1
                    self._changed.wait()
                    self._idle -= 1

    def _due(self, key: K) -> list[_Gathered[K, T, R]]:
        """Items of a key that are to be done now, taken out; shared with the threads that have nothing to do."""
        gathered, most = self._gathered[key], self._most(key)
        is_company_near = bool(self._waiting) and not self._waiting[0].is_whole
        if is_company_near and len(gathered) < most and time.monotonic() - gathered[0].since < _WINDOW_S:
            return []
        share = -(-len(gathered) // (1 + self._idle))
        some = [gathered.popleft() for _ in range(min(share, most))]
        if gathered:
            self._changed.notify()
        else:
            del self._gathered[key]
        return some

    def _begin(self, ticket: _Ticket[K, T, R]) -> None:
        try:
            value = ticket.first()
        except Exception as error:  # noqa: BLE001 - whoever waits is told, and the thread goes on
            ticket.future.set_exception(error)
            return
        if not isinstance(value, Half):
            ticket.future.set_result(value)
            return
        with self._changed:
            self._gathered.setdefault(value.key, deque()).append(_Gathered(ticket, value.item, time.monotonic()))

    def _finish(self, key: K, some: Sequence[_Gathered[K, T, R]]) -> None:
        answers: Sequence[R | Exception]
        try:
            answers = self._together(key, [one.item for one in some])
        except Exception as error:  # noqa: BLE001 - whoever waits is told, and the thread goes on
            answers = [error] * len(some)
        for one, answer in zip(some, answers, strict=True):
            if isinstance(answer, Exception):
                one.ticket.future.set_exception(answer)
            else:
                one.ticket.future.set_result(answer)
