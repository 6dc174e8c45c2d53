"""The journal as its writers and readers use it: append many at once, look up, walk through, verify."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import sqlalchemy as sa

from teliti.journal.chain import find_problem
from teliti.journal.database import Database
from teliti.journal.entry import Entry, Head, Row, hash_row, make_row, storable, to_record
from teliti.journal.tables import DELIVERIES, HEAD, RECORDS, SCHEMAS

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from teliti.types import Record

_PAGE = 2000
_KEYS_PER_QUERY = 500
_CLOCK_SLACK_S = 1.0  # between the machines that write to one server


def _now() -> datetime:
    return datetime.now(UTC)


class Journal:
    """An append-only, hash-chained journal in SQLite or PostgreSQL.

    Safe to use from several threads and processes: each `append` is one transaction that holds the chain's head. It
    returns when the records are on the disk. Many entries in one call cost hardly more than one.

    Args:
        place: A path, or a URL of SQLite or PostgreSQL.
        create: Make what is missing; otherwise a journal must be there.
        clock: The time, aware.

    Raises:
        UserError: no journal there, of a newer schema, or no such place.
        StorageError: it cannot be reached, read or written.
        MissingExtraError: the driver of PostgreSQL is not installed.
    """

    def __init__(self, place: str | Path, *, create: bool = True, clock: Callable[[], datetime] = _now) -> None:
        self._database = Database(place, create=create)
        self._clock = clock

    @property
    def shown(self) -> str:
        """Its place, without a password."""
        return self._database.shown

    def __enter__(self) -> Journal:
        """The journal; closed at the end of the block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give back every connection."""
        self._database.close()

    def free_bytes(self) -> int | None:
        """Room on its disk; None for a server, whose disk is not seen from here.

        Raises:
            StorageError: the folder is gone.
        """
        return self._database.free_bytes()

    def append(self, entries: Sequence[Entry]) -> list[Record]:
        """Add records to the end of the chain, all of them or none.

        Args:
            entries: In order. One whose `once` is there already adds nothing.

        Returns:
            The record of each entry: the new one, or the one that was there.

        Raises:
            StorageError: not written: disk full, removed, unreachable.
        """
        with self._database.writing() as connection:
            head, time = self._lock_head(connection)  # first, so that nobody adds a key after it was looked up
            known = _by_once(connection, [entry.once for entry in entries if entry.once is not None])
            added: list[Row] = []
            rows: list[Row] = []
            for entry in entries:
                row = None if entry.once is None else known.get(storable(entry.once))
                if row is None:
                    now = self._clock().astimezone(UTC)
                    row = make_row(_with_clock_note(entry, now=now, last=time), after=head, time=now)
                    head, time = Head(row["position"], row["hash"]), now
                    added.append(row)
                    if row["once"] is not None:
                        known[row["once"]] = row
                rows.append(row)
            if added:
                connection.execute(sa.insert(RECORDS), added)
                connection.execute(sa.update(HEAD).values(position=head.position, hash=head.hash))
        return [to_record(row) for row in rows]

    def head(self) -> Head:
        """The end of the chain; written down elsewhere, it lets `verify` find a journal that was made anew."""
        with self._database.reading() as connection:
            return _head(connection)

    def verify(self, *, expect: Head | None = None, advance: Callable[[int], None] | None = None) -> Record:
        """Check every record: {"schema", "journal", "records", "head", "whole", "problem"}.

        Args:
            expect: A head that was written down earlier.
            advance: Told how many records were read.
        """
        with self._database.reading() as connection:
            head = _head(connection)
            count = connection.execute(sa.select(sa.func.count()).select_from(RECORDS)).scalar_one()
            problem = find_problem(_told(_walk(connection), advance), head=head, expect=expect)
        found = None
        if problem is not None:
            found = {"position": problem.position, "kind": problem.kind, "message": problem.sentence}
        return {
            "schema": 1,
            "journal": self.shown,
            "journal_schema": SCHEMAS[-1],
            "records": count,
            "head": str(head),
            "whole": problem is None,
            "problem": found,
        }

    def records(
        self, *, after: int = 0, kind: str | None = None, source: str | None = None, most: int | None = None
    ) -> Iterator[Record]:
        """Records in their order, a page at a time.

        Args:
            after: From the next one on.
            kind: Only these.
            source: Only those that this writer added.
            most: Not more than that many.
        """
        with self._database.reading() as connection:
            chosen = [RECORDS.c.kind == kind] if kind else []
            chosen += [RECORDS.c.source == storable(source)] if source is not None else []
            for row in _walk(connection, after=after, chosen=chosen, most=most):
                yield to_record(row)

    def at(self, position: int) -> Record | None:
        """The record of that number."""
        return next(iter(self._find(RECORDS.c.position == position)), None)

    def by_serial(self, serial: str) -> list[Record]:
        """Every record about a part, in order: verdicts and their corrections."""
        return self._find(RECORDS.c.serial == storable(serial))

    def by_once(self, keys: Iterable[str]) -> dict[str, Record]:
        """The records that have these keys, by key."""
        with self._database.reading() as connection:
            return {key: to_record(row) for key, row in _by_once(connection, keys).items()}

    def corrections_of(self, positions: Sequence[int]) -> list[Record]:
        """The human corrections of these records, in order."""
        return self._find(RECORDS.c.corrects.in_(positions))

    def model_of(self, record: Record) -> Record | None:
        """The record with the facts of the model that judged: bundle, training run, data, recipe, versions."""
        told = self._find(RECORDS.c.kind == "model", RECORDS.c.model_hash == record["model_hash"])
        bundle = record["details"].get("bundle_hash")
        same = [model for model in told if model["details"].get("bundle_hash") == bundle]
        return (same or told)[-1] if told else None

    def is_intact(self, record: Record) -> bool:
        """True when the record, as it is now, has the content that its hash was made of."""
        with self._database.reading() as connection:
            query = sa.select(RECORDS).where(RECORDS.c.position == record["position"])
            row = connection.execute(query).mappings().one_or_none()
        found = None if row is None else dict(row)
        return found is not None and hash_row(found) == found["hash"] == record["hash"]

    def delivered(self, target: str, *, source: str) -> int | None:
        """Up to which record a receiver was told of a source; None when it never was."""
        same = (DELIVERIES.c.target == target) & (DELIVERIES.c.source == storable(source))
        with self._database.reading() as connection:
            position: int | None = connection.execute(sa.select(DELIVERIES.c.position).where(same)).scalar()
        return position

    def mark_delivered(self, target: str, *, source: str, position: int) -> None:
        """Keep up to which record a receiver was told."""
        same = (DELIVERIES.c.target == target) & (DELIVERIES.c.source == storable(source))
        with self._database.writing() as connection:
            if connection.execute(sa.update(DELIVERIES).where(same).values(position=position)).rowcount == 0:
                row = {"target": target, "source": storable(source), "position": position}
                connection.execute(sa.insert(DELIVERIES).values(row))

    def _find(self, *conditions: sa.ColumnElement[bool]) -> list[Record]:
        query = sa.select(RECORDS).where(*conditions).order_by(RECORDS.c.position)
        with self._database.reading() as connection:
            return [to_record(dict(row)) for row in connection.execute(query).mappings()]

    def _lock_head(self, connection: Connection) -> tuple[Head, datetime | None]:
        """The end of the chain, nobody else's until this transaction ends, and the time of the last record."""
        row = connection.execute(sa.select(HEAD).with_for_update()).mappings().one()
        query = sa.select(RECORDS.c.time).where(RECORDS.c.position == row["position"])
        time = connection.execute(query).scalar()
        return Head(row["position"], row["hash"]), None if time is None else datetime.fromisoformat(time)


def _with_clock_note(entry: Entry, *, now: datetime, last: datetime | None) -> Entry:
    """The entry, with a note where the clock stands before the last record's time: the order is that of positions."""
    back = 0.0 if last is None else (last - now).total_seconds()
    if back <= _CLOCK_SLACK_S:
        return entry
    return replace(entry, details={**entry.details, "clock_back_s": round(back, 3)})


def _head(connection: Connection) -> Head:
    row = connection.execute(sa.select(HEAD)).mappings().one()
    return Head(row["position"], row["hash"])


def _walk(
    connection: Connection, *, after: int = 0, chosen: Sequence[sa.ColumnElement[bool]] = (), most: int | None = None
) -> Iterator[Row]:
    """Rows in order, fetched in pages so that memory does not grow with the journal."""
    left = most
    while left is None or left > 0:
        size = _PAGE if left is None else min(left, _PAGE)
        query = sa.select(RECORDS).where(RECORDS.c.position > after, *chosen).order_by(RECORDS.c.position).limit(size)
        page = [dict(row) for row in connection.execute(query).mappings()]
        yield from page
        if len(page) < size:
            return
        after = page[-1]["position"]
        left = None if left is None else left - len(page)


def _by_once(connection: Connection, keys: Iterable[str]) -> dict[str, Row]:
    wanted = [storable(key) for key in dict.fromkeys(keys)]
    found: dict[str, Row] = {}
    for start in range(0, len(wanted), _KEYS_PER_QUERY):
        query = sa.select(RECORDS).where(RECORDS.c.once.in_(wanted[start : start + _KEYS_PER_QUERY]))
        found |= {row["once"]: dict(row) for row in connection.execute(query).mappings()}
    return found


def _told(rows: Iterator[Row], advance: Callable[[int], None] | None) -> Iterator[Row]:
    for row in rows:
        if advance is not None:
            advance(1)
        yield row
