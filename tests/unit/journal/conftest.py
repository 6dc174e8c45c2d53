"""Every test that takes `place` runs twice: on SQLite and on a real PostgreSQL server."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from postgres import NO_SERVER, find_binaries, running_server

_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a server of this worker, without a database's name."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip(NO_SERVER)
    with running_server(binaries) as url:
        yield url


@pytest.fixture
def new_schema(postgres_server: str) -> Callable[[], str]:
    """A function that makes an empty place in the server's database and gives its URL."""
    import psycopg

    def make() -> str:
        name = f"journal_{next(_numbers)}"
        with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}")
        return f"{postgres_server}/postgres?options=-csearch_path%3D{name}"

    return make


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a new journal may be."""
    if request.param == "sqlite":
        return str(tmp_path / "journal.sqlite")
    return request.getfixturevalue("new_schema")()
