"""One database of the journal: where it is, how it is opened, what its failures are called.

SQLite runs with a write-ahead log and full synchronisation: a transaction that was committed is on the disk. Writers
take the write lock when they begin, so that nobody's chain head is stale. PostgreSQL locks the head's row instead.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from teliti.errors import MissingExtraError, StorageError, UserError
from teliti.files import storage_error
from teliti.journal.tables import SCHEMAS, VERSION_TABLE
from teliti.runtime import is_installed

if TYPE_CHECKING:
    from sqlalchemy.engine import URL, Connection, Engine

_WAIT_S = 60.0  # for another writer
_CONNECT_S = 10
_MIGRATION_LOCK = 7348291  # any number, the same for every Teliti that opens the database
_PLACES = "a path for SQLite, or postgresql://USER@HOST/DATABASE"
_SAFE = "Nothing was passed on without its record. Repair the journal, then run the command again."


class Database:
    """A journal's database, its tables up to date.

    Args:
        place: A path, or a URL of SQLite or PostgreSQL.
        create: Make what is missing; otherwise a journal must be there.

    Raises:
        UserError: no journal there, of a newer schema, or no such place.
        StorageError: it cannot be reached, read or written.
        MissingExtraError: the driver of PostgreSQL is not installed.
    """

    def __init__(self, place: str | Path, *, create: bool) -> None:
        self.url = _parse(place)
        self.shown = self.url.database or "" if self.is_sqlite else self.url.render_as_string(hide_password=True)
        self._file: tuple[int, int] | None = None
        if self.is_sqlite:
            self._prepare_file(Path(self.shown), create=create)
        self.engine = _make_engine(self.url)
        try:
            self._migrate(create=create)
        except BaseException:
            self.close()
            raise
        if self.is_sqlite:
            self._file = _identity(Path(self.shown))

    @property
    def is_sqlite(self) -> bool:
        """True for a file, False for a server."""
        return self.url.get_backend_name() == "sqlite"

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that holds the journal for this writer; committed at the end.

        Raises:
            StorageError: it could not be written; nothing of the transaction is there.
        """
        self._require_same_file()
        with self._failing("written"), self.engine.connect() as plain:
            connection = plain.execution_options(teliti_writes=True)
            with connection.begin():
                yield connection
        self._require_same_file()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one state of the journal.

        Raises:
            StorageError: it could not be read.
        """
        self._require_same_file()
        with self._failing("read"), self.engine.connect() as plain:
            level = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
            yield plain.execution_options(**level)

    def free_bytes(self) -> int | None:
        """Room on the disk of the file; None for a server.

        Raises:
            StorageError: the folder is gone.
        """
        if not self.is_sqlite:
            return None
        folder = Path(self.shown).resolve().parent
        try:
            return shutil.disk_usage(folder).free
        except OSError as error:
            raise storage_error(folder, error) from error

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()

    def _prepare_file(self, path: Path, *, create: bool) -> None:
        if path.is_symlink():
            raise UserError(
                f'The journal must be a file of its own, got the link "{path}".', hint="Name the file it leads to."
            )
        if path.exists():
            return
        if not create:
            raise _missing(self.shown)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0), 0o600))
        except OSError as error:
            raise storage_error(path, error) from error

    def _require_same_file(self) -> None:
        """A file that was deleted can still be written: records that nobody will find."""
        if self._file is not None and _identity(Path(self.shown)) != self._file:
            raise StorageError(f'The journal "{self.shown}" was removed or replaced while it was in use.', hint=_SAFE)

    def _migrate(self, *, create: bool) -> None:
        with self._failing("opened"), self.engine.connect() as connection:
            if self._is_current(connection, create=create):
                return
        with self.writing() as connection:
            if not self.is_sqlite:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
            if not self._is_current(connection, create=create):
                _upgrade(connection)

    def _is_current(self, connection: Connection, *, create: bool) -> bool:
        revision = None
        if sa.inspect(connection).has_table(VERSION_TABLE):
            revision = connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalar()  # noqa: S608
        if revision is None and not create:
            raise _missing(self.shown)
        if revision is not None and revision not in SCHEMAS:
            raise UserError(
                f'The journal "{self.shown}" has schema {revision}, this version reads up to {SCHEMAS[-1]}.',
                hint="Use the Teliti version that wrote it, or a newer one.",
            )
        return bool(revision == SCHEMAS[-1])

    @contextmanager
    def _failing(self, what: str) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            said = str(error.orig if isinstance(error, DBAPIError) else error).strip().splitlines()
            raise StorageError(
                f'The journal "{self.shown}" could not be {what}: {said[0] if said else type(error).__name__}.',
                hint=_SAFE,
            ) from error


def _parse(place: str | Path) -> URL:
    text = str(place)
    if "://" not in text:
        return sa.URL.create("sqlite", database=text)
    try:
        url = sa.make_url(text)
    except (ArgumentError, ValueError) as error:
        raise UserError("The journal's URL cannot be read.", hint=f"Give {_PLACES}.") from error
    backend = url.get_backend_name()
    if backend not in {"sqlite", "postgresql"} or (backend == "sqlite" and url.database in {None, "", ":memory:"}):
        raise UserError(f"The journal must be {_PLACES}, got {url.render_as_string(hide_password=True)}.")
    if backend == "sqlite":
        return url
    if not is_installed("psycopg"):
        raise MissingExtraError("postgres", purpose="keep the journal in PostgreSQL", library="psycopg")
    return url.set(drivername="postgresql+psycopg")


def _make_engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return sa.create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": _CONNECT_S})
    engine = sa.create_engine(url, connect_args={"timeout": _WAIT_S})

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # transactions begin below, not where the driver thinks fit
        _switch_to_wal(connection)
        connection.execute("PRAGMA synchronous = FULL")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("teliti_writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _switch_to_wal(connection: Any) -> None:
    """The one step for which SQLite does not wait by itself, when two processes make the file at once."""
    deadline = time.monotonic() + _WAIT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except Exception as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(files("teliti.journal") / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _missing(shown: str) -> UserError:
    return UserError(
        f'There is no journal at "{shown}".',
        hint="Give the one that `teliti watch` or `teliti serve` writes: --journal.",
    )
