"""An engine without processes: the smallest one that keeps the promises, and a quick one for tests."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

from teliti.errors import TelitiError
from teliti.tuning.engines import Answer, Engine, Outcome, Task
from teliti.tuning.worker import Trouble


def _ask(answer: Answer | None, key: str) -> Any:
    return lambda question: None if answer is None else answer(key, question)


class InlineEngine(Engine):
    """One task after the other in this process.

    Args:
        stop_after: Raise KeyboardInterrupt in the place of the task that follows so many.
    """

    def __init__(self, *, stop_after: int | None = None) -> None:
        self.begun: list[str] = []
        self._stop_after = stop_after

    @property
    def slots(self) -> int:
        return 1

    def run(self, tasks: Iterable[Task[Any]], work: Any, *, answer: Answer | None = None) -> Iterator[Outcome[Any]]:
        for task in tasks:
            if len(self.begun) == self._stop_after:
                raise KeyboardInterrupt
            self.begun.append(task.key)
            began = time.monotonic()
            value, trouble = None, None
            try:
                value = work(task.argument, _ask(answer, task.key))
            except TelitiError as error:
                trouble = Trouble(type(error).__name__, error.message, error.hint)
            yield Outcome(task.key, value, trouble, time.monotonic() - began, 1)

    def close(self) -> None:
        """Nothing waits."""
