"""A reporter whose listener is elsewhere: what work in another process says, told by the driver's own reporter."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from teliti.tuning.engines import Ask
from teliti.types import Record, Reporter
from teliti.workflow.learning.epochs import EpochReporter

_BETWEEN_S = 0.5


class AskingReporter:
    """In the worker: every word is a question that has no answer.

    Args:
        ask: Reaches the driver.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._tasks = 0

    @contextmanager
    def task(self, title: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Work that tells at most twice a second how far it is."""
        self._tasks += 1
        number, waiting, told_at = self._tasks, 0, time.monotonic()
        self._ask(("begin", number, title, total))

        def advance(amount: int) -> None:
            nonlocal waiting, told_at
            waiting += amount
            if time.monotonic() - told_at >= _BETWEEN_S:
                self._ask(("advance", number, waiting))
                waiting, told_at = 0, time.monotonic()

        try:
            yield advance
        finally:
            self._ask(("end", number, waiting))

    def note(self, message: str) -> None:
        """One sentence."""
        self._ask(("note", message))

    def epoch(self, row: Record) -> None:
        """A row of a training."""
        self._ask(("epoch", row))


class Listener:
    """In the driver: tells a reporter what an `AskingReporter` said.

    Args:
        reporter: Who is told.
    """

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._open = dict[int, tuple[ExitStack, Callable[[int], None]]]()

    def __call__(self, key: str, said: tuple[Any, ...]) -> None:  # noqa: ARG002 - of an `Answer`
        """Tell one word."""
        word, *rest = said
        if word == "note":
            self._reporter.note(*rest)
        elif word == "epoch" and isinstance(self._reporter, EpochReporter):
            self._reporter.epoch(*rest)
        elif word == "begin":
            number, title, total = rest
            stack = ExitStack()
            self._open[number] = stack, stack.enter_context(self._task(title, total))
        elif word in {"advance", "end"} and rest[0] in self._open:
            stack, advance = self._open[rest[0]]
            advance(rest[1])
            if word == "end":
                del self._open[rest[0]]
                stack.close()

    def close(self) -> None:
        """End what a worker that died left open."""
        while self._open:
            self._open.popitem()[1][0].close()

    def _task(self, title: str, total: int | None) -> AbstractContextManager[Callable[[int], None]]:
        return self._reporter.task(title, total)
