"""Finished work by key, one file each: what a killed job need not do again, and cannot count twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from teliti.errors import RunError
from teliti.files import write_json_atomic
from teliti.tuning.engines import Engine, Task, Work
from teliti.types import Record, Reporter

A = TypeVar("A")
_FORESEEN = {"RecipeError", "RunError", "SplitError", "UserError"}


class Ledger:
    """Records of finished tasks in a folder that one process writes to.

    Args:
        folder: Made with the first record.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._records = dict[str, Record]()
        for path in sorted(folder.glob("*.json")):
            content = json.loads(path.read_text(encoding="utf-8"))
            self._records[content["key"]] = content["record"]

    def __contains__(self, key: str) -> bool:
        return key in self._records

    def __getitem__(self, key: str) -> Record:
        return self._records[key]

    def keep(self, key: str, record: Record) -> None:
        """Keep a record; the first one of a key stays.

        Raises:
            StorageError: the disk is full or the folder is not writable.
        """
        if key in self._records:
            return
        name = hashlib.sha256(key.encode()).hexdigest()[:24]
        write_json_atomic(self._folder / f"{name}.json", {"key": key, "record": record})
        self._records[key] = record


def do_missing(
    tasks: Mapping[str, A],
    work: Work[A, Record],
    *,
    engine: Engine,
    ledger: Ledger,
    title: str,
    reporter: Reporter,
    on_done: Callable[[str, Record], None] | None = None,
) -> None:
    """Do the tasks that the ledger does not have.

    What the work refuses (a recipe that cannot be used, a loss that is no longer finite) would be refused again: it is
    kept as {"trouble": sentence}. Anything else that goes wrong stops the job, so that it can go on later.

    Args:
        tasks: By key.
        work: Gives a record.
        engine: Where they run.
        ledger: Of what is done.
        title: What the progress is called.
        reporter: Told of every task.
        on_done: Called with each new key and record.

    Raises:
        RunError: the work failed in a way that it did not foresee, or its workers kept dying.
        StorageError: the ledger cannot be written.
    """
    missing = {key: argument for key, argument in tasks.items() if key not in ledger}
    if not missing:
        return
    with reporter.task(title, len(tasks)) as advance:
        advance(len(tasks) - len(missing))
        for outcome in engine.run((Task(key, argument) for key, argument in missing.items()), work):
            record = outcome.value
            if outcome.trouble is not None:
                if outcome.trouble.kind not in _FORESEEN:
                    raise RunError(f"{outcome.key}: {outcome.trouble.message}", hint=outcome.trouble.hint)
                record = {"trouble": outcome.trouble.message, "seconds": outcome.seconds}
            ledger.keep(outcome.key, record or {})
            if on_done is not None:
                on_done(outcome.key, ledger[outcome.key])
            advance(1)
