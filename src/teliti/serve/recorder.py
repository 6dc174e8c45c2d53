"""Verdicts into the journal, many in one transaction; nobody gets a verdict that is not on the disk."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING

from teliti.errors import StorageError
from teliti.journal.entry import Entry
from teliti.types import Record

if TYPE_CHECKING:
    from teliti.journal.store import Journal

_AT_ONCE = 64  # requests in one transaction
_PROBE = "readiness of the service"
_LEAST_FREE, _WAIT_S = 4 * 1024**2, 3.0

_Waiting = tuple[Sequence[Entry], "Future[list[Record]]"]


class Recorder:
    """The one thread that writes to the journal.

    After a failure it goes on trying with whatever comes next. The first record behind a gap says how many verdicts
    were withheld.

    Args:
        journal: Where records go.
        source: Who writes, for records about the service itself.
    """

    def __init__(self, journal: Journal, *, source: str) -> None:
        self._journal = journal
        self._source = source
        self._waiting: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._withheld = 0
        self._thread = threading.Thread(target=self._run, name="teliti-recorder", daemon=True)
        self._thread.start()

    def submit(self, entries: Sequence[Entry]) -> Future[list[Record]]:
        """Add entries: the future has their records once they are on the disk, or StorageError."""
        future: Future[list[Record]] = Future()
        self._waiting.put((entries, future))
        return future

    def probe(self) -> None:
        """Write something that is no record, to see whether records could be written.

        That little may fit where a record does not: so there must be room, too, and where records were withheld, the
        one that says so is written now.

        Raises:
            StorageError: they could not.
            TimeoutError: the database does not answer.
        """
        free = self._journal.free_bytes()
        if free is not None and free < _LEAST_FREE:
            raise StorageError(f"The disk of the journal is full: {free / 1e6:.1f} MB are free.", hint="Make room.")
        if self._withheld:
            self.submit([]).result(_WAIT_S)
        position = self._journal.head().position
        self._journal.mark_delivered(_PROBE, source=self._source, position=position)

    def close(self) -> None:
        """Write what waits, then end."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (first := self._waiting.get()) is not None:
            taken = [first]
            is_last = False
            while len(taken) < _AT_ONCE and not self._waiting.empty():
                following = self._waiting.get()
                if following is None:
                    is_last = True
                    break
                taken.append(following)
            wanted = [one for one in taken if one[1].set_running_or_notify_cancel()]  # else nobody waits any more
            if wanted:
                self._write(wanted)
            if is_last:
                return

    def _write(self, taken: Sequence[_Waiting]) -> None:
        entries = [entry for some, _ in taken for entry in some]
        note = self._gap()
        try:
            records = self._journal.append([*note, *entries])[len(note) :]
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody may wait for ever or get a verdict
            self._withheld += sum(entry.kind == "verdict" for entry in entries)
            cause = error if isinstance(error, StorageError) else StorageError(f"The journal failed: {error}.")
            for _, future in taken:
                future.set_exception(cause)
            return
        self._withheld = 0
        rest = iter(records)
        for some, future in taken:
            future.set_result([next(rest) for _ in some])

    def _gap(self) -> list[Entry]:
        if not self._withheld:
            return []
        reason = f"the journal could not be written before this; verdicts withheld: {self._withheld}"
        return [Entry("start", self._source, reason=reason, details={"withheld": self._withheld})]
