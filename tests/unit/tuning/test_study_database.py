"""A study in PostgreSQL: two machines share it, one of them is killed, and every number counts once."""

from __future__ import annotations

import gc
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy

import search_coordinator
from unit.tuning.test_kills import begun, start

TRIALS, OPENERS = 16, 6


@pytest.fixture
def storage(new_schema: Callable[[], str]) -> str:
    """The address of an empty database."""
    return new_schema().replace("postgresql://", "postgresql+psycopg://")


def test_several_may_be_the_first_to_open_a_database(storage: str, tmp_path: Path) -> None:
    with ThreadPoolExecutor(OPENERS) as pool:
        studies = list(pool.map(lambda _: search_coordinator.open_study(tmp_path, storage), range(OPENERS)))
    numbers = [next(study.ask(trials=OPENERS))[0] for study in studies]
    for study in studies:
        study.close()
    del studies, study
    gc.collect()  # a connection that is still open would say so
    assert numbers == [0] * OPENERS  # one owner: what it has begun is its own to go on with


def test_tables_that_another_was_faster_to_make_leave_no_connection_open(
    storage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failures = sqlalchemy.MetaData.create_all, iter([True])

    def make_and_fail_once(tables: sqlalchemy.MetaData, bind: sqlalchemy.Engine) -> None:
        real(tables, bind)
        if next(failures, False):
            raise sqlalchemy.exc.ProgrammingError("CREATE TABLE studies", None, RuntimeError("it exists"))

    monkeypatch.setattr(sqlalchemy.MetaData, "create_all", make_and_fail_once)
    with closing(search_coordinator.open_study(tmp_path, storage)) as study:
        assert study.rows() == []
    assert next(failures, None) is None
    del study
    gc.collect()  # a connection that is still open would say so


def test_two_owners_share_a_study_and_each_trial_counts_once(storage: str, tmp_path: Path) -> None:
    folders = {owner: tmp_path / owner for owner in ("one", "two")}
    for folder in folders.values():
        folder.mkdir()
    alone, deadline = start(folders["two"], TRIALS, 2, storage, "two"), time.monotonic() + 120
    while len(begun(folders["two"])) < 4:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    alone.kill()
    assert alone.wait() == -signal.SIGKILL
    both = [start(folder, TRIALS, 2, storage, owner) for owner, folder in folders.items()]
    assert [process.wait(timeout=120) for process in both] == [0, 0]

    with closing(search_coordinator.open_study(tmp_path, storage)) as study:
        rows = study.rows()
    assert [row.number for row in rows] == list(range(TRIALS))
    assert all(row.state == "done" and row.value == -((row.point["x"] - 3.0) ** 2) for row in rows)
    tried = {owner: {number for number, _ in begun(folder)} for owner, folder in folders.items()}
    assert tried["one"] | tried["two"] == set(range(TRIALS))
    assert not tried["one"] & tried["two"]
    assert len(begun(folders["two"])) > len(tried["two"])  # what was under way at the kill was begun again
