"""The watch folder: photos that a camera drops are judged once each, in order, when they are completely written.

For each photo first the journal, then the move, then the telling. The journal is the memory: whatever happens in
between, the next start finds the verdict there by the photo's name and hash and only finishes what was left. Whatever
goes wrong ends the inspection; a photo without a record is never moved, so it never passes.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from teliti.errors import PhotoRefused, StorageError, TelitiError, UserError
from teliti.journal.entry import REFUSED, Entry, storable
from teliti.registry import closest
from teliti.serve.arrivals import Arrivals, Drop, is_same_file
from teliti.serve.notify import Deliveries, Receiver
from teliti.serve.places import Places
from teliti.serve.serial import serial_reader
from teliti.sessions import EngineWish
from teliti.types import Record, Reporter, SilentReporter
from teliti.workflow.inspection import Inspector, Photo, read_photo_file

if TYPE_CHECKING:
    from teliti.journal.store import Journal

_AT_ONCE = 16  # photos in one transaction of the journal
_VERDICTS = ("pass", "reject", "review", REFUSED)


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """How a folder is watched.

    Attributes:
        into: Folder by verdict; photos of other verdicts stay where they are.
        keep: Link photos into their folders and leave them in the watched one.
        serial: Pattern of the serial number in a photo's name, see `serial_reader`.
        operator: Who is at the line.
        settle_s: A file is settled when nothing changed for so long.
        patience_s: A settled file that is no whole photo after so long is refused.
        poll_s: Between two looks at the folder.
        until_empty: End when every photo that is there is judged.
        engine: What computes; see `Inspector`.
    """

    into: Mapping[str, Path] = field(default_factory=dict)
    keep: bool = False
    serial: str | None = None
    operator: str | None = None
    settle_s: float = 0.5
    patience_s: float = 5.0
    poll_s: float = 0.1
    until_empty: bool = False
    engine: EngineWish = "auto"


@dataclass(frozen=True, slots=True)
class _Taken:
    """A photo that was read whole, or a refusal of what cannot be read."""

    drop: Drop
    photo: Photo
    once: str
    refusal: PhotoRefused | None = None


def watch(
    bundle: str | Path,
    folder: str | Path,
    *,
    journal: Journal,
    options: WatchOptions | None = None,
    receivers: Sequence[Receiver] = (),
    stop: threading.Event | None = None,
    on_verdict: Callable[[Record], None] | None = None,
    reporter: Reporter | None = None,
) -> Record:
    """Judge the photos of a folder as they come, until told to stop.

    Args:
        bundle: The bundle's folder.
        folder: Where photos are dropped; its subfolders are not looked at.
        journal: Where every verdict is kept, and what was judged is looked up.
        options: How.
        receivers: Who is told of each verdict.
        stop: Set it to end after the photos in hand.
        on_verdict: Called with each new record, once the photo is in its place.
        reporter: Told where the verdicts go.

    Returns:
        {"schema", "bundle", "folder", "journal", "judged", "refused", "verdicts", "head"}, for this call alone.

    Raises:
        UserError: no such folder, an unknown verdict in `into`, a wrong serial pattern; a bad bundle.
        MissingExtraError: OpenVINO was named and is not installed.
        RunError: the folder, the bundle or a receiver failed on the way. Nothing was passed since.
        StorageError: the journal or a place cannot be written. Nothing was passed since.
    """
    line = _Line(bundle, Path(folder), journal=journal, options=options or WatchOptions(), receivers=receivers)
    reporter = SilentReporter() if reporter is None else reporter
    reporter.note(f'Watching "{folder}". Every verdict is kept in "{journal.shown}".')
    return line.run(stop or threading.Event(), on_verdict or (lambda record: None))  # noqa: ARG005


class _Line:
    """One watched folder with everything that judges its photos."""

    def __init__(
        self,
        bundle: str | Path,
        folder: Path,
        *,
        journal: Journal,
        options: WatchOptions,
        receivers: Sequence[Receiver],
    ) -> None:
        if not folder.is_dir():
            raise UserError(
                f'"{folder}" must be an existing folder.', hint="Make it, or name the one the camera fills."
            )
        self._folder = folder.resolve()
        self._journal = journal
        self._options = options
        self._read_serial = serial_reader(options.serial)
        self._inspector = Inspector(bundle, engine=options.engine)
        _check_verdicts(options.into, classes=self._inspector.classes)
        self._places = Places(options.into, watched=self._folder, keep=options.keep)
        self._arrivals = Arrivals(
            self._folder, is_photo=self._inspector.is_photo, settle_s=options.settle_s, patience_s=options.patience_s
        )
        self._source = f"watch {self._folder}"
        self._deliveries = Deliveries(journal, receivers, source=self._source)
        self._counts: Counter[str] = Counter()
        self._bundle = bundle

    def run(self, stop: threading.Event, on_verdict: Callable[[Record], None]) -> Record:
        entry = Entry(
            "start",
            self._source,
            model_hash=self._inspector.model_hash,
            operator=self._options.operator,
            details={"engine": self._inspector.engine_record()["engine"]},
        )
        self._journal.append([self._inspector.model_entry(source=self._source), entry])
        try:
            self._deliveries.flush()
            self._watch(stop, on_verdict)
        except BaseException as error:
            with contextlib.suppress(StorageError):  # the first failure is the one to tell
                reason = error.message if isinstance(error, TelitiError) else type(error).__name__
                self._journal.append([Entry("stop", self._source, reason=reason)])
            raise
        finally:
            self._deliveries.close()
        self._journal.append([Entry("stop", self._source, reason="asked to")])
        return {
            "schema": 1,
            "bundle": str(self._bundle),
            "folder": str(self._folder),
            "journal": self._journal.shown,
            "judged": self._counts.total(),
            "refused": self._counts[REFUSED],
            "verdicts": dict(self._counts),
            "head": str(self._journal.head()),
        }

    def _watch(self, stop: threading.Event, on_verdict: Callable[[Record], None]) -> None:
        while not stop.is_set():
            self._inspector.require_unchanged()
            drops = self._arrivals.ready()
            for some in _batched(drops, _AT_ONCE):
                self._judge(some, on_verdict)
                self._deliveries.flush()
                if stop.is_set():
                    return
            if self._options.until_empty and not self._arrivals.is_waiting:
                return
            if not drops:
                stop.wait(self._options.poll_s)

    def _judge(self, drops: Sequence[Drop], on_verdict: Callable[[Record], None]) -> None:
        taken = [one for one in map(self._take, drops) if one is not None]
        known = self._journal.by_once([one.once for one in taken])
        entries = self._entries([one for one in taken if storable(one.once) not in known])
        records = self._journal.append(list(entries.values()))
        fresh = dict(zip(entries, records, strict=True))
        for one in taken:
            record = fresh.get(one.once) or known.get(storable(one.once))
            if record is None:
                continue  # not a whole photo yet
            if one.photo.data is not None:
                self._places.put(one.drop, data=one.photo.data, verdict=record["verdict"])
            self._arrivals.finish(one.drop)
            if one.once in fresh:
                self._counts[record["verdict"] or record["label"] or "measured"] += 1
                on_verdict(record)

    def _take(self, drop: Drop) -> _Taken | None:
        """The photo as it lies there; None when it changed meanwhile or may still become readable."""
        path = self._folder / drop.name
        refusal = None
        data = None
        if not drop.is_regular:
            refusal = PhotoRefused("not a regular file, so it is left where it is")
        else:
            try:
                data = read_photo_file(path)
            except PhotoRefused as why:
                refusal = why
        if not is_same_file(path, drop):
            return None
        if refusal is not None and not self._arrivals.is_given_up(drop):
            self._arrivals.wait_for(drop)
            return None
        photo = Photo(drop.name, data, self._read_serial(drop.name))
        mark = photo.digest or f"unread {drop.inode} {drop.size} {drop.mtime_ns}"
        return _Taken(drop, photo, f"{self._source}/{drop.name} {mark}", refusal)

    def _entries(self, taken: Sequence[_Taken]) -> dict[str, Entry]:
        """What to add to the journal by its key; a photo that is not whole waits while it has time."""
        answers = iter(self._inspector.inspect([one.photo for one in taken if one.refusal is None]))
        entries = {}
        for one in taken:
            answer = next(answers) if one.refusal is None else one.refusal
            if isinstance(answer, PhotoRefused) and not self._arrivals.is_given_up(one.drop):
                self._arrivals.wait_for(one.drop)
                continue
            verdict = REFUSED if isinstance(answer, PhotoRefused) else answer.verdict
            entries[one.once] = self._inspector.entry(
                one.photo,
                answer,
                source=self._source,
                once=one.once,
                operator=self._options.operator,
                details=self._details(one.drop, verdict),
            )
        return entries

    def _details(self, drop: Drop, verdict: str | None) -> Record:
        place = self._places.folder_of(verdict)
        details: Record = {"folder": str(self._folder)}
        if place is not None:
            details["into"] = str(place)
        if storable(drop.name) != drop.name:
            details["file"] = drop.name
        return details


def _check_verdicts(into: Mapping[str, Path], *, classes: Sequence[str]) -> None:
    known = [*_VERDICTS, *classes]
    for verdict in into:
        if verdict not in known:
            near = closest(verdict, known)
            hint = f'Did you mean "{near}"?' if near else f"Choose from {', '.join(known)}."
            raise UserError(f'--into must name a verdict, got "{verdict}".', hint=hint)


def _batched(drops: Sequence[Drop], size: int) -> Iterator[list[Drop]]:
    rest = iter(drops)
    while some := list(itertools.islice(rest, size)):
        yield some
