"""Tasks on several machines. Ray schedules, retries, places and carries; the only file that knows it.

A task is a Ray task with `max_retries`: one whose process or machine dies is done again elsewhere. The work is put into
the object store once, so that a machine receives it once. No more tasks are under way than there are slots. What the
work asks reaches the driver through one actor on the driver's machine, which the driver awaits together with the tasks.

Without an address Ray is started on this machine, on its loop-back address, with a secret that nobody else knows and a
folder that is removed afterwards; with one, a running cluster is joined and left running. There, Teliti in the same
version must be installed on every machine.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import Any, NamedTuple

from teliti import __version__
from teliti.errors import RunError, UserError
from teliti.runtime import CALM, available_cores, require
from teliti.tuning.engines import (
    MOST_ATTEMPTS,
    A,
    Answer,
    Engine,
    Outcome,
    R,
    Shared,
    Task,
    Work,
    check_counts,
    environment_of,
    given_up,
    thread_limits,
)
from teliti.tuning.letterbox import Letterbox
from teliti.tuning.worker import Trouble, attempt

_LOOP_BACK = "127.0.0.1"
_REACHED_WITHIN_S, _PLACED_WITHIN_S = 5.0, 60.0
_A_LITTLE = 0.001  # of the resource that every machine has by its own name: binds to that machine
_PRIVATE = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),  # read once a process; without it Ray writes one into the home folder
    "RAY_worker_niceness": "0",  # 15 by itself: beside any other program workers would all but stand still
}


class RayEngine(Engine):
    """Ray tasks, here or on the machines of a cluster.

    Args:
        address: `host:port` of a cluster's head, or `auto` for the one that runs on this machine; None starts Ray here.
        workers: Tasks at a time; None: as many as the cores allow, also those that join or leave meanwhile.
        threads: Cores that a task takes.
        gpus: Graphics processors that a task takes, none of which another one is given meanwhile.
        attempts: After so many deaths of its worker a task is in trouble.

    Raises:
        MissingExtraError: Ray is not installed.
        UserError: a number below 1 (of `gpus` below 0), or an address of another form.
    """

    def __init__(
        self,
        *,
        address: str | None = None,
        workers: int | None = None,
        threads: int = 1,
        gpus: int = 0,
        attempts: int = MOST_ATTEMPTS,
    ) -> None:
        check_counts(workers=1 if workers is None else workers, threads=threads, attempts=attempts)
        if gpus:
            check_counts(gpus=gpus)
        if address is not None:
            check_address(address)
        with _calm(), environment_of({}):
            self._ray = require("ray", extra="cluster", purpose="compute on several machines")
        self._address, self._workers, self._threads, self._attempts = address, workers, threads, attempts
        self._gpus = gpus
        self._folder: str | None = None
        self._connection: object | None = None  # another one each time
        self._is_ours = False
        self._said: Any = None
        self._do = self._ray.remote(_do)  # once: each call makes another function, sent to every worker process
        self._work: tuple[Any, Any] | None = None

    @property
    def slots(self) -> int:
        if self._workers is not None and not self._gpus:
            return self._workers
        self.connect()
        has = self._ray.cluster_resources()
        found = int(has.get("CPU", 1)) // self._threads if self._workers is None else self._workers
        return max(1, min(found, int(has.get("GPU", 0)) // self._gpus) if self._gpus else found)

    @property
    def is_here(self) -> bool:
        """True where this engine starts Ray itself; what the program that calls has joined may be a cluster."""
        return self._address is None and (self._is_ours or not self._ray.is_initialized())

    @property
    def host(self) -> str:
        """The address of this machine by which the others reach it."""
        self.connect()
        return str(self._ray.util.get_node_ip_address())

    def connect(self) -> None:
        """Start Ray or join the cluster, where that is not done yet.

        Raises:
            UserError: there is no cluster at the address, or none of its machines has what a task takes.
            RunError: Ray did not start here.
        """
        if self._connection is not None:
            return
        if not self._ray.is_initialized():  # else by the program that calls: its own affair
            self._is_ours = True
            self._hush()
            with _calm():
                if self._address is None:
                    self._start_here()
                else:
                    self._join(self._address)
        self._connection = object()
        self._check_room()

    def _check_room(self) -> None:
        """Refuse what no machine has: Ray would wait for one that has it."""
        found = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        most = max((int(has.get("CPU", 0)) for has in found), default=0)
        if most < self._threads:
            raise UserError(
                f"A worker must have no more threads than a machine of the cluster has cores ({most}), got "
                f"{self._threads}.",
                hint="Give more --workers, or set train.threads.",
            )
        if not any(has.get("CPU", 0) >= self._threads and has.get("GPU", 0) >= self._gpus for has in found):
            raise UserError(
                f"A worker with train.device=cuda takes {self._gpus} GPU and {self._threads} cores, and no machine of "
                f"the cluster has them.",
                hint="Set train.device=cpu, or start Ray on a machine with a GPU.",
            )

    def run(self, tasks: Iterable[Task[A]], work: Work[A, R], *, answer: Answer | None = None) -> Iterator[Outcome[R]]:
        self.connect()
        options = {"num_cpus": self._threads, "num_gpus": self._gpus, "max_retries": self._attempts - 1}
        yield from self._carry(iter(tasks), work, answer=answer, options=lambda _: options)

    def run_together(
        self, tasks: Sequence[Task[A]], work: Work[A, R], *, answer: Answer | None = None
    ) -> Iterator[Outcome[R]]:
        """Do tasks that need each other: all begin at once, the first on the driver's machine, and none is done again.

        Args:
            tasks: All of them, no more than workers.
            work: See `run`.
            answer: Likewise.

        Raises:
            UserError: the machines have no room for all of them at once.
        """
        self.connect()
        ray, connection, gpus = self._ray, self._connection, self._gpus
        share = {"CPU": self._threads, **({"GPU": gpus} if gpus else {})}
        here = f"node:{self.host}"
        bundles = [{**share, **({here: _A_LITTLE} if place == 0 else {})} for place in range(len(tasks))]
        group = ray.util.placement_group(bundles, strategy="SPREAD")

        def options(place: int) -> dict[str, Any]:
            strategy = ray.util.scheduling_strategies.PlacementGroupSchedulingStrategy(
                group, placement_group_bundle_index=place
            )
            return {"num_cpus": self._threads, "num_gpus": gpus, "max_retries": 0, "scheduling_strategy": strategy}

        try:
            if not group.wait(_PLACED_WITHIN_S):
                raise UserError(
                    f"--workers must be as many as find room at once, got {len(tasks)} of {self._threads} cores"
                    f"{f' and {gpus} GPU' if gpus else ''} each.",
                    hint="Give fewer, fewer threads with --set train.threads=1, or more machines.",
                )
            yield from self._carry(iter(tasks), work, answer=answer, options=options)
        finally:
            if self._connection is connection:
                ray.util.remove_placement_group(group)

    def _carry(
        self, source: Iterator[Task[Any]], work: Any, *, answer: Answer | None, options: Callable[[int], dict[str, Any]]
    ) -> Iterator[Outcome[Any]]:
        """Keep as many tasks under way as there are slots, answer what they ask, and give what comes of them."""
        ray, keys, begun, connection = self._ray, dict[Any, str](), count(), self._connection
        box: Any = None if answer is None else _open_letterbox(ray)
        letters = None if box is None else box.take.remote()
        try:
            while True:
                while len(keys) < self.slots and (task := next(source, None)) is not None:
                    do = self._do.options(**options(next(begun)))
                    sent = do.remote(self._sent(work), task.argument, key=task.key, box=box, version=__version__)
                    keys[sent] = task.key
                if not keys:
                    return
                ready, _ = ray.wait([*keys, *([] if letters is None else [letters])])
                if ready[0] == letters:
                    for number, key, question in ray.get(letters):
                        box.answer.remote(number, answer(key, question) if answer else None)
                    letters = box.take.remote()
                else:
                    yield self._outcome(keys.pop(ready[0]), ready[0])
        finally:
            if self._connection is connection:  # else all has ended with it, and Ray would be started to be told
                for reference in keys:
                    ray.cancel(reference, force=True)
                if box is not None:
                    box.close.remote()  # whoever holds nothing of an actor any more ends it

    def share(self, value: Any) -> Shared:
        self.connect()
        return partial(_fetch, self._ray.put(value))

    def close(self) -> None:
        self._work = None
        if self._is_ours:
            self._ray.shutdown()  # stops what was started here, and only leaves what was joined
            self._ray._private.worker.print_to_stdstream = self._said
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
        self._connection, self._is_ours = None, False

    def _hush(self) -> None:
        """Keep what Ray tells of died workers, on stdout, away from the one document there; outcomes tell it, too."""
        self._said = self._ray._private.worker.print_to_stdstream
        self._ray._private.worker.print_to_stdstream = lambda *_, **__: None

    def _start_here(self) -> None:
        cores = available_cores() if self._workers is None else self._workers * self._threads
        self._folder = tempfile.mkdtemp(prefix="teliti-ray-")
        calm = {**CALM, **thread_limits(self._threads), **_PRIVATE}
        calm["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))  # a worker finds what this process finds
        try:
            with environment_of(calm), _as_given(self._ray):
                self._ray.init(
                    address="local", num_cpus=cores, include_dashboard=False, log_to_driver=False,
                    logging_level="ERROR", _node_ip_address=_LOOP_BACK, _temp_dir=self._folder,
                )  # fmt: skip
        except Exception as error:
            raise RunError(
                f"Ray could not be started on this machine: {_first_line(error)}.",
                hint="It gives up after half a minute on a very busy machine. Start again, or leave out --engine ray.",
            ) from error

    def _join(self, address: str) -> None:
        try:
            if address != "auto":
                host, _, port = address.rpartition(":")
                socket.create_connection((host, int(port)), timeout=_REACHED_WITHIN_S).close()
            self._ray.init(
                address=address, log_to_driver=False, logging_level="ERROR",
                runtime_env={"env_vars": thread_limits(self._threads) | CALM},
            )  # fmt: skip
        except Exception as error:
            raise UserError(
                f"--address must be that of a running Ray cluster, got {address}: {_first_line(error)}.",
                hint="On the first machine: ray start --head. Without --address Ray is started here.",
            ) from error

    def _sent(self, work: Any) -> Any:
        """The work in the object store."""
        if self._work is None or self._work[0] is not work:
            self._work = (work, self._ray.put(work))
        return self._work[1]

    def _outcome(self, key: str, reference: Any) -> Outcome[Any]:
        errors = self._ray.exceptions
        try:
            done: _Done = self._ray.get(reference)
        except (errors.WorkerCrashedError, errors.NodeDiedError, errors.OutOfMemoryError, errors.ObjectLostError):
            return given_up(key, self._attempts)
        except errors.RayError as error:
            said = str(error).strip().splitlines()[-1]
            return Outcome(key, None, Trouble(type(error).__name__, f"Ray could not do this: {said}"), 0.0, 1)
        value, trouble = (done.content, None) if done.kind == "done" else (None, done.content)
        return Outcome(key, value, trouble, done.seconds, done.attempts)


def check_address(address: str) -> None:
    """Refuse an address of another form.

    Raises:
        UserError: neither `auto` nor `host:port`.
    """
    host, _, port = address.rpartition(":")
    if address != "auto" and (not host or "/" in host or not port.isdecimal()):
        raise UserError(
            f"--address must be HOST:PORT of a Ray cluster's first machine, or auto, got {address!r}.",
            hint="`ray start --head` prints it; the usual port is 6379.",
        )


class _Done(NamedTuple):
    kind: str
    content: Any
    seconds: float
    attempts: int


def _do(work: Any, argument: Any, *, key: str, box: Any, version: str) -> _Done:
    """One task, in a Ray worker."""
    import ray

    began = time.monotonic()
    if version == __version__:
        kind, content = attempt(work, argument, partial(_ask, box, key))
    else:
        message = f"{socket.gethostname()} has Teliti {__version__}, and this command is {version}."
        kind, content = "trouble", Trouble("RunError", message, "Install the same version on every machine.")
    before = int(ray.get_runtime_context().worker.core_worker.get_current_task_attempt_number())
    return _Done(kind, content, time.monotonic() - began, 1 + before)


def _fetch(reference: Any) -> Any:
    import ray

    return ray.get(reference)


def _ask(box: Any, key: str, question: Any) -> Any:
    import ray

    return None if box is None else ray.get(box.ask.remote(key, question))


def _open_letterbox(ray: Any) -> Any:
    """On the driver's machine, so that both live and die together."""
    here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
        ray.get_runtime_context().get_node_id(), soft=False
    )
    actor = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=here)(Letterbox)
    return actor.remote()


@contextmanager
def _as_given(ray: Any) -> Iterator[None]:
    """Ray takes the loop-back address for that by which others reach the machine, and would listen to all of them."""
    services = ray._private.services
    resolve = services.resolve_ip_for_localhost
    services.resolve_ip_for_localhost = lambda host: host
    try:
        yield
    finally:
        services.resolve_ip_for_localhost = resolve


def _first_line(error: Exception) -> str:
    said = str(error).strip().splitlines()
    return said[0].rstrip(".") if said else type(error).__name__


@contextmanager
def _calm() -> Iterator[None]:
    """Without what Ray says about its own coming versions."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
