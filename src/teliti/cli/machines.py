"""`--engine`, `--address` and `--workers`: where a verb's work is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Group, Parameter

from teliti.errors import UserError

if TYPE_CHECKING:
    from teliti.tuning.machines import Machines


@Parameter(name="*", group=Group("Machines", sort_key=5))
@dataclass(frozen=True)
class MachineOptions:
    """Where the work is done.

    Attributes:
        engine: local: this machine. ray: a Ray cluster, or Ray on this machine, started and stopped by the command.
        address: HOST:PORT of the cluster to join, or auto for the one that runs on this machine.
    """

    engine: Annotated[Literal["local", "ray"], Parameter(show_default=True)] = "local"
    address: Annotated[str | None, Parameter(metavar="HOST:PORT")] = None

    def chosen(self) -> Machines | None:
        """What the workflow takes; None: this machine.

        Raises:
            UserError: an address without --engine ray, or of another form.
            MissingExtraError: Ray is not installed.
        """
        if self.engine == "local" and self.address is None:
            return None
        from teliti.tuning.machines import Machines

        return Machines(self.engine, self.address)


DEFAULT_MACHINES = MachineOptions()


def refuse_workers_here(workers: int | None, machines: MachineOptions) -> None:
    """Where this machine's own way has no workers.

    Raises:
        UserError: --workers without --engine ray.
    """
    if workers is not None and machines.engine == "local":
        raise UserError(
            f"--workers must stand with --engine ray here, got {workers} alone.",
            hint="Add --engine ray, or leave it out: on this machine all cores are used.",
        )
