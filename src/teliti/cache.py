"""A cache of rows that are dear to compute, kept by content: photo fingerprints and backbone features.

One SQLite file (write-ahead log), so that two runs at once share it safely and a killed run leaves whole rows
only. A row's place is (space, digest): the space names how it was computed, the digest what it was computed
from. The file has a size bound; the spaces used longest ago go first. Larger artefacts (exported backbones)
lie beside it as files.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from contextvars import ContextVar
from pathlib import Path

from teliti.errors import StorageError
from teliti.files import storage_error, write_bytes_atomic
from teliti.types import Record

DEFAULT_LIMIT_BYTES = 4 * 1024**3
_SCHEMA = """
CREATE TABLE IF NOT EXISTS space (key TEXT PRIMARY KEY, about TEXT NOT NULL, used_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS row (
  space TEXT NOT NULL, digest BLOB NOT NULL, value BLOB NOT NULL, PRIMARY KEY (space, digest)
);
"""
_VARIABLES_PER_QUERY = 500
_WAIT_S = 60.0  # for another process to finish its write


_lent: ContextVar[Path | None] = ContextVar("lent", default=None)


@contextmanager
def caching_in(folder: Path) -> Iterator[None]:
    """Keep rows in another folder for a while: an empty one means that everything is computed anew.

    Args:
        folder: Made when something is kept.
    """
    token = _lent.set(folder)
    try:
        yield
    finally:
        _lent.reset(token)


def cache_folder() -> Path:
    """`TELITI_CACHE`, else `XDG_CACHE_HOME`/teliti, else ~/.cache/teliti; within `caching_in` what that names."""
    lent = _lent.get()
    if lent is not None:
        return lent
    own = os.environ.get("TELITI_CACHE")
    if own:
        return Path(own)
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "teliti"


class RowCache:
    """Rows of bytes by (space, digest) in one SQLite file.

    Args:
        folder: Where the file lies; made when missing.
        limit_bytes: Size bound over all spaces, checked after writing.
    """

    def __init__(self, folder: Path | None = None, *, limit_bytes: int | None = None) -> None:
        self.folder = cache_folder() if folder is None else folder
        self.limit_bytes = _limit_from_environment() if limit_bytes is None else limit_bytes
        self.path = self.folder / "rows.sqlite"

    def read(self, space: str, digests: Iterable[bytes]) -> dict[bytes, bytes]:
        """The rows that are there, by digest; missing ones are simply absent."""
        wanted = list(dict.fromkeys(digests))
        found: dict[bytes, bytes] = {}
        with self._open() as connection:
            for start in range(0, len(wanted), _VARIABLES_PER_QUERY):
                part = wanted[start : start + _VARIABLES_PER_QUERY]
                marks = ",".join("?" * len(part))
                query = f"SELECT digest, value FROM row WHERE space = ? AND digest IN ({marks})"  # noqa: S608
                found.update(connection.execute(query, [space, *part]).fetchall())
            with connection:
                connection.execute("UPDATE space SET used_at = ? WHERE key = ?", (time.time(), space))
        return found

    def write(self, space: str, rows: Mapping[bytes, bytes], *, about: str = "") -> None:
        """Keep rows (one transaction) and drop the spaces used longest ago while over the bound.

        Raises:
            StorageError: the disk is full or the folder is not writable.
        """
        size = sum(len(value) for value in rows.values())
        with self._open(size=size) as connection, connection:
            connection.execute(
                "INSERT INTO space VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET used_at = excluded.used_at",
                (space, about, time.time()),
            )
            connection.executemany("INSERT OR REPLACE INTO row VALUES (?, ?, ?)", _with_space(space, rows))
        self._trim(keep=space)

    def overview(self) -> list[Record]:
        """One record a space: key, about, rows, bytes, used_at (seconds since 1970), most recent first."""
        if not self.path.exists():
            return []
        query = (
            "SELECT key, about, used_at, COUNT(digest), COALESCE(SUM(LENGTH(value)), 0)"
            " FROM space LEFT JOIN row ON row.space = space.key GROUP BY key ORDER BY used_at DESC"
        )
        with self._open() as connection:
            rows = connection.execute(query).fetchall()
        return [dict(zip(("key", "about", "used_at", "rows", "bytes"), row, strict=True)) for row in rows]

    def _trim(self, *, keep: str) -> None:
        if self.path.stat().st_size <= self.limit_bytes:  # the file bounds the rows; overview() scans them all
            return
        spaces = self.overview()
        total = sum(space["bytes"] for space in spaces)
        dropped = []
        for space in reversed(spaces):
            if total > self.limit_bytes and space["key"] != keep:
                dropped.append((space["key"],))
                total -= space["bytes"]
        if not dropped:
            return
        with self._open() as connection:
            with connection:
                connection.executemany("DELETE FROM row WHERE space = ?", dropped)
                connection.executemany("DELETE FROM space WHERE key = ?", dropped)
            connection.execute("VACUUM")  # rewrites the file, so only after something went

    @contextmanager
    def _open(self, *, size: int | None = None) -> Iterator[sqlite3.Connection]:
        """A connection, closed at the end; what SQLite says about the disk or the file becomes our sentence."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=_WAIT_S)) as connection:
                _switch_to_wal(connection)
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.executescript(_SCHEMA)
                yield connection
        except sqlite3.OperationalError as error:
            number = errno.ENOSPC if "full" in str(error) else 0
            raise storage_error(self.path, OSError(number, str(error)), size=size) from error
        except sqlite3.DatabaseError as error:
            raise StorageError(
                f'The cache "{self.path}" is damaged: {error}.', hint="Delete that file; it is made anew."
            ) from error
        except OSError as error:
            raise storage_error(self.path, error, size=size) from error


def cached_file(name: str, folder: Path | None = None) -> Path:
    """The place of a larger artefact beside the rows; the caller writes it with `keep_file`."""
    return (cache_folder() if folder is None else folder) / "files" / name


def keep_file(name: str, data: bytes, folder: Path | None = None) -> Path:
    """Write an artefact atomically and return its path."""
    path = cached_file(name, folder)
    write_bytes_atomic(path, data)
    return path


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """The one step for which SQLite does not wait by itself, when two processes make the file at once."""
    deadline = time.monotonic() + _WAIT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "lock" not in str(error) or time.monotonic() > deadline:  # also "locking protocol", of a slow neighbour
                raise
            time.sleep(0.01)
        else:
            return


def _with_space(space: str, rows: Mapping[bytes, bytes]) -> Sequence[tuple[str, bytes, bytes]]:
    return [(space, digest, value) for digest, value in rows.items()]


def _limit_from_environment() -> int:
    gigabytes = os.environ.get("TELITI_CACHE_GB")
    return DEFAULT_LIMIT_BYTES if not gigabytes else int(float(gigabytes) * 1024**3)
