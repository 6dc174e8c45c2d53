"""A job that goes on where it was, a search or a table, and its folder. One request a folder.

`run.json` holds the request. Started again with the same one the job goes on; with another one it is refused, because
half of the answers would be to the old question.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from teliti import __version__
from teliti.errors import RunInterrupted, UserError
from teliti.files import write_text_atomic
from teliti.recipe import Recipe, parse_recipe
from teliti.tuning.engines import Engine
from teliti.tuning.machines import Machines, opened
from teliti.types import Record, Reporter, SilentReporter
from teliti.workflow.learning.learn import learns_network
from teliti.workflow.shared.run_folder import RunFolder, create_run_folder
from teliti.workflow.shared.shared_pictures import shared_folder

PICTURES = "pictures"
"""Of the folder: prepared photos that trainings share while the job runs."""
_FREE = {"trials", "budget_s", "workers", "watts"}  # of a request: may be others when the job goes on


def open_job_folder(
    out: Path | None, *, kind: str, source: str, request: Mapping[str, Any], digest: str, command: str
) -> tuple[RunFolder, Record]:
    """The folder of a new job, or of the same job begun before.

    Args:
        out: New, empty, or of the same job; None makes one below `runs`.
        kind: The job's verb.
        source: As for `train`.
        request: What was asked for, JSON-ready.
        digest: Of the photos.
        command: How it was asked.

    Returns:
        The folder and its state, the request in it as it is now.

    Raises:
        UserError: the folder is of another job, of another request or of other photos.
        StorageError: it cannot be made.
    """
    state: Record = {"schema": 1, "kind": kind, "source": source, "photos": digest, "command": command,
                     "version": __version__, "state": "started", "request": dict(request)}  # fmt: skip
    if out is None or not (out / "run.json").is_file():
        folder = create_run_folder(out, source=source, verb=kind)
        folder.write_state(state)
        return folder, state
    folder = RunFolder(out)
    kept = read_job(out, kind=kind)
    _check_same(kept, state, out)
    if kept["state"] != "done":
        kept["request"] = state["request"]
        folder.write_state(kept)
    return folder, kept


def read_job(folder: Path, *, kind: str) -> Record:
    """The state of a job's folder.

    Raises:
        UserError: the folder is not one, or is of another kind of job.
    """
    state = RunFolder(folder).read_state()
    found = state.get("kind", "train")
    if found != kind:
        raise UserError(
            f'"{folder}" must be the folder of teliti {kind}, got one of teliti {found}.',
            hint="Choose another folder with --out.",
        )
    return state


@dataclass(frozen=True)
class Asked:
    """What was asked for, now or when the job began.

    Attributes:
        kind: The job's verb.
        source: As for `train`.
        recipe: As given, without a budget, which is the job's.
        request: Everything else, JSON-ready.
        out: The folder; None makes one below `runs`.
        engine: Where trainings run; None: processes of this machine.
        reporter: Told how far it is.
        command: How it was asked; None: by its verb and source.
    """

    kind: str
    source: str
    recipe: Recipe
    request: Record
    out: Path | None = None
    engine: Engine | Machines | None = None
    reporter: Reporter = field(default_factory=SilentReporter)
    command: str | None = None

    @property
    def runs_here(self) -> bool:
        """True where all trainings run on this machine, see `Engine.is_here`."""
        engine = self.engine if isinstance(self.engine, Engine) else (self.engine or Machines()).open()
        return engine.is_here

    @property
    def is_done(self) -> bool:
        """True where the folder's job is finished: its record is read back, and nothing is trained.

        Raises:
            UserError: the folder is of another kind of job.
        """
        if self.out is None or not (self.out / "run.json").is_file():
            return False
        return bool(read_job(self.out, kind=self.kind)["state"] == "done")

    @classmethod
    def before(
        cls, folder: str | Path, *, kind: str, engine: Engine | Machines | None, reporter: Reporter | None
    ) -> Asked:
        """What a folder's job was asked.

        Raises:
            UserError: not the folder of such a job.
        """
        state = read_job(Path(folder), kind=kind)
        recipe = parse_recipe(tomllib.loads(state["request"]["recipe"]))
        return cls(kind, state["source"], recipe, state["request"], Path(folder), engine, reporter or SilentReporter(),
                   state["command"])  # fmt: skip


def do_job(
    asked: Asked,
    request: Mapping[str, Any],
    run: Callable[[RunFolder, Record, Engine], Record],
    *,
    digest: str,
    base: Recipe,
) -> Record:
    """Do a job in its locked folder, which Ctrl-C leaves to go on later; a finished one's record is read back.

    Args:
        asked: What was asked.
        request: Of it, with what the photos decided.
        run: Does the job with the folder, its state and an open engine, and returns its record.
        digest: Of the photos.
        base: Resolved; what each worker takes of its machine follows from it.

    Raises:
        RunInterrupted: Ctrl-C.
        UserError: the folder is of another job, or another process holds it.
    """
    folder, state = open_job_folder(
        asked.out, kind=asked.kind, source=asked.source, request=request, digest=digest,
        command=asked.command or f"teliti {asked.kind} {asked.source}",
    )  # fmt: skip
    if state["state"] == "done":
        asked.reporter.note("This is finished already.")
        return dict(state["record"])
    needs = {"threads": base.train.threads or 1, "gpus": int(learns_network(base) and base.train.device == "cuda")}
    with folder.locked(), shared_folder(folder.path / PICTURES):
        try:
            with opened(asked.engine, workers=request["workers"], **needs) as engine:
                folder.write_recipe(asked.recipe)
                return run(folder, state, engine)
        except KeyboardInterrupt as interruption:
            raise RunInterrupted(folder.path, verb=asked.kind) from interruption


def finish_job(folder: RunFolder, state: Record, record: Record, *, page: str) -> Record:
    """Keep a job's record and its page: from now on it is done.

    Args:
        folder: Of the job.
        state: Of it.
        record: What came out.
        page: The report.

    Raises:
        StorageError: the folder is not writable.
    """
    write_text_atomic(folder.report, page)
    folder.write_record(f"{state['kind']}.json", record)
    folder.write_state({**state, "state": "done", "record": record})
    return record


def _check_same(kept: Record, asked: Record, folder: Path) -> None:
    old, new = kept["request"], asked["request"]
    differs = [name for name in new if name not in _FREE and new[name] != old.get(name)]
    if kept["source"] != asked["source"]:
        differs.insert(0, "DATA")
    if differs:
        raise UserError(
            f'"{folder}" must be asked the same as when it began, and {differs[0]} is another.',
            hint=f'Go on with: teliti {kept["kind"]} --resume "{folder}", or choose another folder with --out.',
        )
    if kept["photos"] != asked["photos"]:
        raise UserError(
            f'The photos of "{kept["source"]}" must be those that the job began with, and some have changed.',
            hint="Choose another folder with --out.",
        )
