"""Which machines a job shall run on: what a user says, before the job knows how many threads a task takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from teliti.errors import UserError
from teliti.runtime import default_threads
from teliti.tuning.engines import Engine, LocalEngine

EngineName = Literal["local", "ray"]


@dataclass(frozen=True)
class Machines:
    """This machine, or those of a Ray cluster.

    Attributes:
        engine: "local" for processes of this machine, or "ray".
        address: Of a cluster, see `RayEngine`; None: Ray is started on this machine and stopped afterwards.

    Raises:
        UserError: an address of another form, or one for the local engine.
        MissingExtraError: Ray is not installed.
    """

    engine: EngineName = "local"
    address: str | None = None

    def __post_init__(self) -> None:
        if self.engine == "local" and self.address is not None:
            raise UserError(
                f"--address must stand with --engine ray, got {self.address} alone.", hint="Add --engine ray."
            )
        if self.engine == "ray":
            self.open()  # a mistake is told before anything is read

    def open(self, *, workers: int | None = None, threads: int = 1, gpus: int = 0) -> Engine:
        """An engine, which starts or joins with its first task.

        Args:
            workers: Tasks at a time; None: one for each core.
            threads: Of each.
            gpus: Of each, on a cluster; the processes of this machine share its GPU.
        """
        if self.engine == "local":
            return LocalEngine(default_threads() if workers is None else workers, threads=threads)
        from teliti.tuning.ray_engine import RayEngine

        return RayEngine(address=self.address, workers=workers, threads=threads, gpus=gpus)


@contextmanager
def opened(engine: Engine | Machines | None, *, workers: int | None, threads: int, gpus: int = 0) -> Iterator[Engine]:
    """The engine of a job. One that the caller opened is left open for its next job.

    Args:
        engine: One that is open, or which machines; None: this one.
        workers: Tasks at a time; None: one for each core.
        threads: Of each.
        gpus: Likewise, see `Machines.open`.
    """
    if isinstance(engine, Engine):
        yield engine
        return
    with (engine or Machines()).open(workers=workers, threads=threads, gpus=gpus) as own:
        yield own
