"""Engines: where tasks run. The wall between what is tried and the machines it is tried on.

    engine = LocalEngine(workers=2)
    for outcome in engine.run(tasks, work):
        ...

An engine knows nothing of recipes or photos. It takes a function that can be pickled and an iterator of tasks, pulls a
task only when somebody is free to begin it, and gives outcomes in the order in which they are ready: who makes the
tasks may look at every outcome so far before the next one is made. A task whose worker died is given to another one;
the function must therefore do no harm when it is called twice. While it runs it may ask the driver something and waits
for the answer.

`LocalEngine` is this machine: spawned processes, each with its own share of threads. Another engine is a subclass of
`Engine` that keeps the same promises: `tuning.ray_engine` has one for several machines.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, Protocol, Self, TypeVar

from teliti.errors import UserError
from teliti.tuning.worker import Trouble, serve

A = TypeVar("A")
R = TypeVar("R")
A_contra = TypeVar("A_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)

Ask = Callable[[Any], Any]
"""Given to the work: sends something that can be pickled to the driver and returns its answer."""
Answer = Callable[[str, Any], Any]
"""Given by the driver: a task's key and what its work asks, to the answer."""

Shared = Callable[[], Any]
"""Called in a worker: gives what `Engine.share` was given."""

MOST_ATTEMPTS = 5
_GOODBYE_S = 2.0


class Work(Protocol[A_contra, R_co]):
    """What is done with a task's argument; a function or an object of a module, so that it can be pickled."""

    def __call__(self, argument: A_contra, ask: Ask, /) -> R_co: ...


@dataclass(frozen=True)
class Task(Generic[A]):
    """One piece of work.

    Attributes:
        key: Its name, unique in a run.
        argument: What the work is called with; can be pickled.
    """

    key: str
    argument: A


@dataclass(frozen=True)
class Outcome(Generic[R]):
    """What became of a task: a value, or trouble.

    Attributes:
        key: Of the task.
        value: What the work returned; None where there is trouble.
        trouble: What the work raised, or that its workers kept dying; None where all is well.
        seconds: Of the attempt that counts.
        attempts: How often it was begun.
    """

    key: str
    value: R | None
    trouble: Trouble | None
    seconds: float
    attempts: int


class Engine(ABC):
    """Runs tasks somewhere."""

    @property
    @abstractmethod
    def slots(self) -> int:
        """How many tasks run at the same time."""

    @property
    def is_here(self) -> bool:
        """True where all tasks run on this machine; False where that is not known."""
        return False

    @abstractmethod
    def run(self, tasks: Iterable[Task[A]], work: Work[A, R], *, answer: Answer | None = None) -> Iterator[Outcome[R]]:
        """Do every task once.

        Args:
            tasks: Pulled one by one, each when a slot is free; all outcomes so far were given by then.
            work: Called with a task's argument and an `Ask`.
            answer: Answers what the work asks, in this process; None: the answer is None.

        Yields:
            One outcome a task, in the order in which they are ready. Closing the iterator stops what is running.
        """

    def share(self, value: Any) -> Shared | None:  # noqa: ARG002 - of an engine that carries
        """Give the workers something large once, to be called for inside a task's argument or the work.

        Returns:
            A function that can be pickled and gives the value; None where workers find it in this machine's cache.
        """
        return None

    @abstractmethod
    def close(self) -> None:
        """Let go of everything that waits for the next run; the engine may be used again."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class LocalEngine(Engine):
    """Processes of this machine, spawned, each with its own share of threads.

    They stay for the next run, also of other work, with what they have loaded, until `close`.

    Args:
        workers: Processes at a time.
        threads: Of each; they find it in the environment before a numerical library is loaded.
        attempts: After so many deaths of its worker a task is in trouble.

    Raises:
        UserError: a number below 1.
    """

    def __init__(self, workers: int, *, threads: int = 1, attempts: int = MOST_ATTEMPTS) -> None:
        check_counts(workers=workers, threads=threads, attempts=attempts)
        self._workers, self._threads, self._attempts = workers, threads, attempts
        self._idle = list[_Worker]()

    @property
    def slots(self) -> int:
        return self._workers

    @property
    def is_here(self) -> bool:
        return True

    def run(self, tasks: Iterable[Task[A]], work: Work[A, R], *, answer: Answer | None = None) -> Iterator[Outcome[R]]:
        source, again, busy = iter(tasks), deque[_Job](), dict[Connection, _Worker]()
        try:
            while True:
                while len(busy) < self._workers and (job := _next_job(source, again)) is not None:
                    worker = self._idle.pop() if self._idle else _Worker(self._threads)
                    worker.begin(job, work)
                    busy[worker.connection] = worker
                if not busy:
                    return
                yield from self._listen(busy, again, answer=answer)
        finally:
            for worker in busy.values():
                worker.kill()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().dismiss()

    def _listen(
        self, busy: dict[Connection, _Worker], again: deque[_Job], *, answer: Answer | None
    ) -> list[Outcome[Any]]:
        """Wait until somebody speaks or dies, and hear all who did."""
        outcomes = list[Outcome[Any]]()
        for connection in wait(list(busy)):
            worker = busy[connection]  # type: ignore[index]
            try:
                outcome = worker.hear(answer)
            except (EOFError, OSError):  # it died; a message that was under way is lost with it
                del busy[worker.connection]
                worker.kill()
                if worker.job.attempts < self._attempts:
                    again.append(worker.job)
                else:
                    outcomes.append(given_up(worker.job.task.key, worker.job.attempts))
                continue
            if outcome is not None:
                del busy[worker.connection]
                self._idle.append(worker)
                outcomes.append(outcome)
        return outcomes


@dataclass
class _Job:
    task: Task[Any]
    attempts: int = 0


def _next_job(source: Iterator[Task[Any]], again: deque[_Job]) -> _Job | None:
    if again:
        return again.popleft()
    task = next(source, None)
    return None if task is None else _Job(task)


def given_up(key: str, attempts: int) -> Outcome[Any]:
    """The outcome of a task whose workers kept dying."""
    trouble = Trouble(
        "WorkerDied",
        f"The process that did this was killed {attempts} times, by the system or by somebody.",
        "Is there enough memory? Try fewer --workers.",
    )
    return Outcome(key, None, trouble, 0.0, attempts)


def check_counts(**counts: int) -> None:
    """Refuse numbers below 1.

    Raises:
        UserError: one of them is.
    """
    for name, value in counts.items():
        if value < 1:
            raise UserError(f"{name} must be at least 1, got {value}.", hint="One for each core is a good start.")


class _Worker:
    """One process and the line to it."""

    def __init__(self, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.job = _Job(Task("", None))
        self._began = 0.0
        self._work: Work[Any, Any] | None = None
        self._process = context.Process(target=serve, args=(theirs,), daemon=True)
        with environment_of(thread_limits(threads)):
            self._process.start()
        theirs.close()  # or its death would not be heard

    def begin(self, job: _Job, work: Work[Any, Any]) -> None:
        job.attempts += 1
        self.job, self._began = job, time.monotonic()
        with suppress(OSError):  # it died while idle: `hear` finds out
            self.connection.send((None if work is self._work else work, job.task.argument))
        self._work = work

    def hear(self, answer: Answer | None) -> Outcome[Any] | None:
        """An outcome; None where it only asked something.

        Raises:
            EOFError, OSError: it died.
        """
        kind, content = self.connection.recv()
        if kind == "ask":
            self.connection.send(None if answer is None else answer(self.job.task.key, content))
            return None
        value, trouble = (content, None) if kind == "done" else (None, content)
        seconds = time.monotonic() - self._began
        return Outcome(self.job.task.key, value, trouble, seconds, self.job.attempts)

    def kill(self) -> None:
        self._process.kill()
        self._process.join()
        self.connection.close()

    def dismiss(self) -> None:
        self.connection.close()  # it reads the end of the line and leaves
        self._process.join(_GOODBYE_S)
        self.kill()


def thread_limits(threads: int) -> dict[str, str]:
    """What a worker must find in its environment, so that no library takes more threads."""
    names = ("TELITI_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return dict.fromkeys(names, str(threads))


@contextmanager
def environment_of(values: Mapping[str, str]) -> Iterator[None]:
    """What a process started inside finds in its environment; afterwards this one's is as before."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)
