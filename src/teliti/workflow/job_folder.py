"""The folder of a job that goes on where it was: a search, or a table. One request a folder.

`run.json` holds the request. Started again with the same one the job goes on; with another one it is refused, because
half of the answers would be to the old question.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from teliti import __version__
from teliti.errors import RunInterrupted, UserError
from teliti.recipe import Recipe, parse_recipe
from teliti.tuning.engines import Engine
from teliti.tuning.machines import Machines, opened
from teliti.types import Record
from teliti.workflow.run_folder import RunFolder, create_run_folder

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


def asked_recipe(state: Record) -> Recipe:
    """The recipe of a job's request."""
    return parse_recipe(tomllib.loads(state["request"]["recipe"]))


@contextmanager
def held(
    folder: RunFolder, engine: Engine | Machines | None, *, workers: int | None, threads: int, verb: str
) -> Iterator[Engine]:
    """The folder locked and an engine open for the length of a job, which Ctrl-C leaves to go on later.

    Args:
        folder: Of the job.
        engine: See `opened`.
        workers: Likewise.
        threads: Likewise.
        verb: What goes on with it.

    Raises:
        RunInterrupted: Ctrl-C.
        UserError: another process holds the folder.
    """
    with folder.locked():
        try:
            with opened(engine, workers=workers, threads=threads) as own:
                yield own
        except KeyboardInterrupt as interruption:
            raise RunInterrupted(folder.path, verb=verb) from interruption


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
