"""Many small things in portions of an engine's tasks: each counted once, in the order in which they are ready."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TypeVar

from teliti.errors import RunError
from teliti.tuning.engines import Engine, Task, Work
from teliti.types import Reporter

A = TypeVar("A")
R = TypeVar("R")
PORTION = 32
"""Things in a task: what the death of a worker costs at most, against what a task costs itself, some milliseconds."""


def do_portions(
    items: Sequence[A],
    work: Work[Sequence[A], Sequence[R]],
    *,
    engine: Engine,
    title: str,
    reporter: Reporter,
    portion: int = PORTION,
) -> Iterator[tuple[int, R]]:
    """Do something with every item.

    Args:
        items: Each can be pickled.
        work: Some items to as many answers, in their order.
        engine: Where.
        title: Of the progress.
        reporter: Told how far it is.
        portion: Items in a task.

    Yields:
        Position of an item, and its answer.

    Raises:
        RunError: the work failed, or its workers kept dying.
    """
    tasks = (Task(str(start), items[start : start + portion]) for start in range(0, len(items), portion))
    with reporter.task(title, len(items)) as advance, closing(engine.run(tasks, work)) as outcomes:  # type: ignore[type-var]
        for outcome in outcomes:
            if outcome.trouble is not None:
                raise RunError(outcome.trouble.message, hint=outcome.trouble.hint)
            answers = outcome.value or ()
            yield from enumerate(answers, int(outcome.key))
            advance(len(answers))
