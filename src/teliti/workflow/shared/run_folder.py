"""The run folder: what was asked, what came out, and whether it was finished.

`run.json` names the source and the state; `recipe.toml` is the recipe as asked at first and as resolved later.
A folder belongs to one process at a time: the lock names its process and host, a dead process's is taken over.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from teliti.errors import RunError, UserError
from teliti.files import spreadsheet_cell, storage_error, table_text, write_json_atomic, write_text_atomic
from teliti.recipe import Recipe, dump_recipe, load_recipe, parse_recipe
from teliti.types import Record

_STATE_KEYS = {"source", "photos", "command", "state"}


@dataclass(frozen=True)
class RunFolder:
    """A run's place on disk."""

    path: Path

    @property
    def bundle(self) -> Path:
        """Where the tested bundle stands."""
        return self.path / "bundle"

    @property
    def draft(self) -> Path:
        """Where a bundle waits for its test."""
        return self.path / "bundle-untested"

    def new_draft(self) -> Path:
        """The place of an untested bundle, emptied of what an interrupted run left there."""
        shutil.rmtree(self.draft, ignore_errors=True)
        return self.draft

    def accept_draft(self) -> None:
        """Make the draft the run's bundle: from now on it can be found and used."""
        shutil.rmtree(self.bundle, ignore_errors=True)
        self.draft.rename(self.bundle)

    @property
    def report(self) -> Path:
        """Where the report is written."""
        return self.path / "report.html"

    def write_recipe(self, recipe: Recipe) -> None:
        """Keep the recipe, asked or resolved."""
        write_text_atomic(self.path / "recipe.toml", dump_recipe(recipe))

    def read_recipe(self) -> Recipe:
        """The recipe as it stands."""
        return load_recipe(self.path / "recipe.toml")

    def read_asked(self) -> Recipe:
        """The recipe that an unfinished run goes on with.

        A resolved one, but for a network: its checkpoints belong to the recipe that it began with, which `run.json`
        keeps as "asked" from the moment when the resolved one is written.

        Raises:
            UserError: the folder is not a run.
        """
        asked = self.read_state().get("asked")
        return self.read_recipe() if asked is None else parse_recipe(asked)

    def write_record(self, name: str, record: Record) -> None:
        """Keep a JSON record, for instance `metrics.json`."""
        write_json_atomic(self.path / name, record)

    def write_table(self, name: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Keep a CSV table; cells that a spreadsheet would run as a formula get a leading apostrophe."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\r\n")  # with both in it, a name that holds one of them is quoted
        writer.writerow(header)
        writer.writerows([[spreadsheet_cell(cell) if isinstance(cell, str) else cell for cell in row] for row in rows])
        write_text_atomic(self.path / name, text.getvalue())

    def read_table(self, name: str) -> list[dict[str, str]]:
        """The rows of `write_table`, by column, as they stand there; names that are not UTF-8 keep their bytes.

        Raises:
            RunError: the file cannot be read.
        """
        path = self.path / name
        try:
            text = table_text(path.read_bytes())
        except OSError as error:
            message = f'"{path}" could not be read: {error.strerror or error}.'
            raise RunError(message, hint="The run is damaged.") from error
        return list(csv.DictReader(io.StringIO(text, newline="")))

    def read_state(self) -> Record:
        """`run.json`.

        Raises:
            UserError: the folder is not a run.
        """
        try:
            state: Record = json.loads((self.path / "run.json").read_text(encoding="utf-8"))
            if not set(state) >= _STATE_KEYS:
                raise ValueError("keys are missing")
        except (OSError, ValueError, TypeError) as error:
            raise UserError(
                f'"{self.path}" is not a run folder: it has no readable run.json.',
                hint="Give the folder that `teliti train` named.",
            ) from error
        return state

    def write_state(self, state: Record) -> None:
        """Replace `run.json`."""
        write_json_atomic(self.path / "run.json", state)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process.

        Raises:
            UserError: a living process of this host, or any process of another host, holds it.
        """
        lock = self.path / "lock.json"
        _take_lock(lock)
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def name_run(source: str) -> Path:
    """runs/<date>-<name> below the current folder; nothing is made."""
    name = re.sub(r"[^\w.-]+", "-", Path(source).stem).strip("-.") or "photos"
    return Path("runs") / f"{datetime.now().astimezone():%Y%m%d-%H%M%S}-{name[:40]}"


def create_run_folder(out: Path | None, *, source: str, verb: str = "train") -> RunFolder:
    """A new run folder: `out`, or runs/<date>-<name> below the current folder.

    Args:
        out: A new or empty folder; None: see above.
        source: Gives the name.
        verb: What would go on with a folder that is in use.

    Raises:
        UserError: `out` exists and is not empty.
        StorageError: it cannot be made.
    """
    if out is None:
        return RunFolder(_make_new(name_run(source)))
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise UserError(
                f'--out must be a new or an empty folder, got "{out}".',
                hint=f'Choose another one, or go on with: teliti {verb} --resume "{out}"',
            )
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(out, error) from error
    return RunFolder(out)


def _make_new(path: Path) -> Path:
    for number in range(1, 1000):
        candidate = path if number == 1 else path.with_name(f"{path.name}-{number}")
        try:
            candidate.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise storage_error(candidate, error) from error
        return candidate
    raise UserError(f'"{path}" and 999 more names are taken.', hint="Choose a folder with --out.")


def _take_lock(lock: Path) -> None:
    owner = {"process": os.getpid(), "host": socket.gethostname(), "since": datetime.now().astimezone().isoformat()}
    for _ in range(2):
        try:
            with lock.open("x", encoding="utf-8") as file:
                json.dump(owner, file)
        except FileExistsError:
            other = _read_owner(lock)
            if _is_alive(other):
                raise UserError(
                    f'"{lock.parent}" is in use by process {other["process"]} on {other["host"]} since '
                    f"{other['since']}.",
                    hint="Wait until it is done, or choose another folder with --out.",
                ) from None
            lock.unlink(missing_ok=True)
        except OSError as error:
            raise storage_error(lock, error) from error
        else:
            return
    raise UserError(f'"{lock.parent}" was taken by another process just now.', hint="Choose another folder with --out.")


def _read_owner(lock: Path) -> Record:
    try:
        owner = json.loads(lock.read_text(encoding="utf-8"))
        return {"process": int(owner["process"]), "host": str(owner["host"]), "since": str(owner["since"])}
    except (OSError, ValueError, TypeError, KeyError):
        return {"process": 0, "host": socket.gethostname(), "since": "an unknown time"}


def _is_alive(owner: Record) -> bool:
    if owner["host"] != socket.gethostname():
        return True  # cannot be known from here; the sentence names the host
    try:
        os.kill(int(owner["process"]), 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return int(owner["process"]) > 0
