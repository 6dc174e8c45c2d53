"""Train on several workers of a Ray cluster: each computes its share of every batch, and the first one is the run.

Ray places the workers, all at once, the first on this machine, where the run's folder is; torch.distributed connects
them, as it does under `torchrun`. When one of them is lost the others end, too, and the run goes on from its last
checkpoint with new ones.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from teliti import errors
from teliti.errors import RunError, RunInterrupted, TelitiError, UserError
from teliti.recipe import Recipe, load_recipe
from teliti.runtime import default_threads
from teliti.training.meeting import TRUST, require_trust
from teliti.tuning.engines import Ask, Outcome, Task, environment_of, thread_limits
from teliti.tuning.machines import Machines
from teliti.tuning.ray_engine import RayEngine
from teliti.tuning.worker import Trouble
from teliti.types import Record, Reporter, SilentReporter
from teliti.workflow.learning.learn import learns_network
from teliti.workflow.learning.told import AskingReporter, Listener
from teliti.workflow.shared.photos import stay_findable
from teliti.workflow.shared.run_folder import RunFolder, name_run
from teliti.workflow.train import help_train, resume, train

MOST_LOSSES = 5
_LOST = "WorkerDied"
_CUT = ("gloo", "nccl", "connection", "socket", "broken pipe", "cannot meet")


@dataclass(frozen=True)
class Share:
    """What one worker does of a training.

    Attributes:
        place: Its number; the first one makes the run.
        environment: What torch.distributed and the libraries read, for this worker.
        kind: Whether the run begins or goes on.
        source: The photos.
        recipe: As asked, or as the run's folder has it.
        run: The run's folder.
        command: For the report.
    """

    place: int
    environment: dict[str, str]
    kind: Literal["train", "resume"]
    source: str
    recipe: Recipe
    run: str
    command: str | None


def train_together(
    source: str | Path,
    *,
    machines: Machines,
    workers: int,
    recipe: Recipe | str | Path | None = None,
    out: str | Path | None = None,
    reporter: Reporter | None = None,
    command: str | None = None,
) -> Record:
    """`train` with every batch shared by several workers; the weights are those of one worker, but for rounding.

    Args:
        source: As for `train`; every machine must see it under this name.
        machines: A Ray cluster, or Ray on this machine.
        workers: How many, at least 1; they begin together.
        recipe: As for `train`, with a mode that trains a network.
        out: As for `train`; on this machine.
        reporter: Told what the first worker says.
        command: As for `train`.

    Returns:
        As `train`.

    Raises:
        UserError: as `train`; a mode that trains no network, or no room for all workers at once.
        RunError: as `train`, or workers kept dying.
        RunInterrupted: Ctrl-C; the run goes on with `resume_together` or `resume`.
    """
    chosen = recipe if isinstance(recipe, Recipe) else load_recipe(None if recipe is None else Path(recipe))
    folder = RunFolder((name_run(str(source)) if out is None else Path(out)).absolute())
    return _run(stay_findable(source), chosen, folder, machines=machines, workers=workers, reporter=reporter,
                command=command or f"teliti train {source}")  # fmt: skip


def resume_together(run: str | Path, *, machines: Machines, workers: int, reporter: Reporter | None = None) -> Record:
    """`resume` with every batch shared by several workers, as many as before or not.

    Args:
        run: The run's folder.
        machines: See `train_together`.
        workers: Likewise.
        reporter: Likewise.

    Raises:
        UserError: not a run folder, in use by another process, or of a mode that trains no network.
    """
    folder = RunFolder(Path(run).absolute())
    state = folder.read_state()
    return _run(state["source"], folder.read_asked(), folder, machines=machines, workers=workers, reporter=reporter,
                command=None)  # fmt: skip


def do_share(share: Share, ask: Ask) -> Record | None:
    """A worker's part, a `Work`: the first one gives the record of the run.

    Raises:
        UserError: as `train`.
        RunError: likewise.
    """
    with environment_of(share.environment):
        if share.place > 0:
            help_train(share.source, recipe=share.recipe)
            return None
        if share.kind == "resume":
            return resume(share.run, reporter=AskingReporter(ask))
        return train(share.source, recipe=share.recipe, out=share.run, reporter=AskingReporter(ask),
                     command=share.command)  # fmt: skip


def _run(
    source: str,
    recipe: Recipe,
    folder: RunFolder,
    *,
    machines: Machines,
    workers: int,
    reporter: Reporter | None,
    command: str | None,
) -> Record:
    if not learns_network(recipe):
        raise UserError(
            f"--engine ray must train a network itself, got train.mode = {recipe.train.mode}.",
            hint="Add --mode finetune or --mode scratch; the features mode computes everything once, on this machine.",
        )
    reporter = reporter or SilentReporter()
    threads = int(recipe.train.threads or max(1, default_threads() // workers))
    engine = machines.open(workers=workers, threads=threads, gpus=int(recipe.train.device == "cuda"))
    if not isinstance(engine, RayEngine):
        raise UserError("--workers must stand with --engine ray, got local.", hint="Here all cores are used already.")
    with engine:
        for _ in range(MOST_LOSSES):
            is_begun = (folder.path / "run.json").is_file()
            asked = folder.read_asked() if is_begun else recipe
            kind: Literal["train", "resume"] = "resume" if is_begun else "train"
            shares = [Share(place, {}, kind, source, asked, str(folder.path), command) for place in range(workers)]
            outcome = _attempt(engine, _connect(shares, host=engine.host, threads=threads), folder, reporter=reporter)
            if outcome.trouble is None:
                return dict(outcome.value or {})
            if not _is_loss(outcome.trouble):
                raise _as_error(outcome.trouble)
            reporter.note("A worker was lost: the run goes on from its last checkpoint.")
    raise RunError(
        f"Workers were lost {MOST_LOSSES} times.",
        hint=f'Is there enough memory? Go on with: teliti train --resume "{folder.path}"',
    )


def _connect(shares: Sequence[Share], *, host: str, threads: int) -> list[Share]:
    """The shares with what torch.distributed reads; one process a machine, as far as it knows."""
    require_trust(host)
    with socket.socket() as probe:
        probe.bind(("", 0))
        port = probe.getsockname()[1]
    common = {"MASTER_ADDR": host, "MASTER_PORT": str(port), "WORLD_SIZE": str(len(shares)), "LOCAL_RANK": "0",
              "LOCAL_WORLD_SIZE": "1", TRUST: os.environ.get(TRUST, ""), **thread_limits(threads)}  # fmt: skip
    return [replace(share, environment={**common, "RANK": str(share.place)}) for share in shares]


def _attempt(engine: RayEngine, shares: Sequence[Share], folder: RunFolder, *, reporter: Reporter) -> Outcome[Any]:
    """The first worker's outcome, or that of the one that ended the others' work."""
    listener = Listener(reporter)
    tasks = [Task(str(share.place), share) for share in shares]
    try:
        with closing(engine.run_together(tasks, do_share, answer=listener)) as outcomes:  # type: ignore[type-var]
            return next(one for one in outcomes if one.trouble is not None or one.key == tasks[0].key)
    except KeyboardInterrupt as interruption:
        if (folder.path / "run.json").is_file():
            raise RunInterrupted(folder.path) from interruption
        raise
    finally:
        listener.close()


def _is_loss(trouble: Trouble) -> bool:
    """True where a worker died, or where one tells that its line to another was cut."""
    said = trouble.message.lower()
    return trouble.kind == _LOST or trouble.kind.startswith("Dist") or any(word in said for word in _CUT)


def _as_error(trouble: Trouble) -> TelitiError:
    """What the worker raised, raised here."""
    found = getattr(errors, trouble.kind, RunError)
    is_plain = found in {errors.UserError, errors.RecipeError, errors.CatalogError, errors.SplitError, errors.RunError,
                         errors.StorageError, errors.ParityError}  # fmt: skip
    return (found if is_plain else RunError)(trouble.message, hint=trouble.hint)
