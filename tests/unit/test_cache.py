"""The cache of rows: kept by content, shared by processes, bounded in size."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import teliti
from teliti import cache as cache_module
from teliti.cache import DEFAULT_LIMIT_BYTES, RowCache, cache_folder, cached_file, keep_file
from teliti.errors import StorageError

SOURCE = Path(teliti.__file__).parents[1]


def digest(number: int) -> bytes:
    return number.to_bytes(32, "big")


@pytest.fixture
def cache(tmp_path: Path) -> RowCache:
    return RowCache(tmp_path)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch):
    """A clock that goes one second further at each look."""
    now = [0.0]

    def look() -> float:
        now[0] += 1.0
        return now[0]

    monkeypatch.setattr(cache_module.time, "time", look)


def test_rows_come_back_and_unknown_digests_are_absent(cache: RowCache) -> None:
    cache.write("space", {digest(1): b"one", digest(2): b""})
    assert cache.read("space", [digest(2), digest(9), digest(1)]) == {digest(1): b"one", digest(2): b""}


def test_spaces_do_not_see_each_other(cache: RowCache) -> None:
    cache.write("left", {digest(1): b"l"})
    cache.write("right", {digest(1): b"r"})
    assert cache.read("left", [digest(1)]) == {digest(1): b"l"}
    assert cache.read("nowhere", [digest(1)]) == {}


def test_a_row_written_again_has_the_new_value(cache: RowCache) -> None:
    cache.write("space", {digest(1): b"old"})
    cache.write("space", {digest(1): b"new"})
    assert cache.read("space", [digest(1)]) == {digest(1): b"new"}


def test_an_empty_cache_reads_nothing_and_asking_for_nothing_is_fine(cache: RowCache) -> None:
    assert cache.overview() == []
    assert cache.read("space", []) == {}
    assert cache.read("space", [digest(1)]) == {}


def test_more_digests_than_one_query_takes(cache: RowCache) -> None:
    rows = {digest(number): str(number).encode() for number in range(1203)}
    cache.write("space", rows)
    assert cache.read("space", [*rows, *rows]) == rows


@settings(max_examples=15)
@given(st.dictionaries(st.binary(min_size=32, max_size=32), st.binary(max_size=40), max_size=20))
def test_whatever_is_written_is_read(rows: dict[bytes, bytes]) -> None:
    shared = RowCache(cache_folder() / "any-rows")
    space = str(len(rows))
    shared.write(space, rows)
    assert shared.read(space, rows) == rows


def test_two_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from teliti.cache import RowCache\n"
        "cache, start = RowCache(Path(sys.argv[1])), int(sys.argv[2])\n"
        "for first in range(start, start + 400, 20):\n"
        "    rows = {n.to_bytes(32, 'big'): b'x' * 500 + str(n).encode() for n in range(first, first + 20)}\n"
        "    cache.write('shared', rows, about='both')\n"
        "    assert cache.read('shared', rows) == rows\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path), str(start)], env=environment, stderr=subprocess.PIPE, text=True
        )
        for start in (0, 300)  # they overlap: both write 300 to 399
    ]
    assert [run.communicate(timeout=60)[1] for run in runs] == ["", ""]
    rows = RowCache(tmp_path).read("shared", [digest(number) for number in range(700)])
    assert len(rows) == 700
    assert all(value.endswith(str(int.from_bytes(key, "big")).encode()) for key, value in rows.items())


class JustMade(sqlite3.Connection):
    """As when another process makes the file at this moment: the switch to the write-ahead log fails at once."""

    left = 3

    def execute(self, query: str, *values: object) -> sqlite3.Cursor:
        if "journal_mode" in query and JustMade.left:
            JustMade.left -= 1
            raise sqlite3.OperationalError("locking protocol" if JustMade.left else "database is locked")
        return super().execute(query, *values)


def test_a_file_that_another_process_is_just_making_is_waited_for(
    cache: RowCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = sqlite3.connect
    monkeypatch.setattr(cache_module.sqlite3, "connect", lambda *at, **how: connect(*at, factory=JustMade, **how))
    cache.write("space", {digest(1): b"one"})
    assert cache.read("space", [digest(1)]) == {digest(1): b"one"}
    assert JustMade.left == 0


def test_a_file_that_stays_locked_is_a_storage_error(cache: RowCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "_WAIT_S", 0.05)
    cache.write("space", {digest(1): b"one"})
    with closing(sqlite3.connect(cache.path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match=r"rows\.sqlite\" could not be written: database is locked"):
            cache.write("space", {digest(2): b"two"})


@pytest.mark.usefixtures("clock")
def test_overview_tells_what_is_there_most_recent_first(cache: RowCache) -> None:
    cache.write("old", {digest(1): b"12345"}, about="lite0 224")
    cache.write("new", {digest(1): b"1", digest(2): b"22"}, about="lite0 300")
    rows = [{key: space[key] for key in ("key", "about", "rows", "bytes")} for space in cache.overview()]
    assert rows == [
        {"key": "new", "about": "lite0 300", "rows": 2, "bytes": 3},
        {"key": "old", "about": "lite0 224", "rows": 1, "bytes": 5},
    ]


@pytest.mark.usefixtures("clock")
def test_reading_makes_a_space_recent(cache: RowCache) -> None:
    cache.write("first", {digest(1): b"1"})
    cache.write("second", {digest(1): b"1"})
    cache.read("first", [digest(1)])
    assert [space["key"] for space in cache.overview()] == ["first", "second"]


@pytest.mark.usefixtures("clock")
def test_over_the_bound_the_spaces_used_longest_ago_go_and_the_file_shrinks(tmp_path: Path) -> None:
    cache = RowCache(tmp_path, limit_bytes=250_000)
    for name in ("a", "b", "c"):
        cache.write(name, {digest(number): bytes(1000) for number in range(100)})
    assert [space["key"] for space in cache.overview()] == ["c", "b"]
    cache.read("b", [digest(0)])
    cache.write("d", {digest(number): bytes(1000) for number in range(100)})
    assert [space["key"] for space in cache.overview()] == ["d", "b"]
    alone = RowCache(tmp_path / "alone")
    for name in ("b", "d"):
        alone.write(name, {digest(number): bytes(1000) for number in range(100)})
    assert cache.path.stat().st_size <= alone.path.stat().st_size


@pytest.mark.usefixtures("clock")
def test_the_space_just_written_is_never_dropped(tmp_path: Path) -> None:
    cache = RowCache(tmp_path, limit_bytes=10_000)
    cache.write("small", {digest(1): b"x"})
    rows = {digest(number): bytes(1000) for number in range(100)}
    cache.write("big", rows)
    assert [space["key"] for space in cache.overview()] == ["big"]
    assert cache.read("big", rows) == rows


def test_a_cache_that_cannot_shrink_further_is_not_rebuilt_at_every_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = RowCache(tmp_path, limit_bytes=10_000)
    statements: list[str] = []
    connect = sqlite3.connect

    def traced(*place: object, **options: object) -> sqlite3.Connection:
        connection = connect(*place, **options)
        connection.set_trace_callback(statements.append)
        return connection

    monkeypatch.setattr(cache_module.sqlite3, "connect", traced)
    for number in range(20):
        cache.write("only", {digest(number): bytes(5000)})
    assert any(statement.startswith("INSERT") for statement in statements)
    assert "VACUUM" not in statements


def test_a_full_disk_is_a_storage_error(cache: RowCache, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = sqlite3.connect

    def full(*place: object, **options: object) -> sqlite3.Connection:
        connection = connect(*place, **options)
        connection.execute("PRAGMA max_page_count = 8")  # SQLite's own way of saying that no page is left
        return connection

    monkeypatch.setattr(cache_module.sqlite3, "connect", full)
    with pytest.raises(StorageError, match=r"The disk is full: .*rows\.sqlite\" could not be written \(100,000 bytes"):
        cache.write("space", {digest(1): bytes(100_000)})


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="could not be written"):
        RowCache(tmp_path / "file" / "below").write("space", {digest(1): b"x"})


def test_a_damaged_cache_is_one_sentence_that_says_which_file_to_delete(cache: RowCache) -> None:
    cache.path.write_bytes(b"this is not a database, whatever its name says" * 100)
    for use in (
        lambda: cache.read("space", [digest(1)]),
        lambda: cache.write("space", {digest(1): b"x"}),
        cache.overview,
    ):
        with pytest.raises(StorageError, match=r"The cache \".*rows\.sqlite\" is damaged.* Delete that file"):
            use()


def test_the_cache_lies_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TELITI_CACHE", str(tmp_path / "own"))
    assert cache_folder() == RowCache().folder == tmp_path / "own"
    monkeypatch.delenv("TELITI_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "shared"))
    assert cache_folder() == tmp_path / "shared" / "teliti"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert cache_folder() == tmp_path / ".cache" / "teliti"


def test_the_bound_comes_from_the_environment_in_gigabytes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TELITI_CACHE_GB", "0.5")
    assert RowCache(tmp_path).limit_bytes == 512 * 1024**2
    monkeypatch.delenv("TELITI_CACHE_GB")
    assert RowCache(tmp_path).limit_bytes == DEFAULT_LIMIT_BYTES


def test_a_larger_artefact_lies_beside_the_rows(tmp_path: Path) -> None:
    path = keep_file("net.onnx", b"graph", tmp_path)
    assert path == cached_file("net.onnx", tmp_path) == tmp_path / "files" / "net.onnx"
    assert path.read_bytes() == b"graph"
