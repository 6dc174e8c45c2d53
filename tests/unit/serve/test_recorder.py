"""The recorder: many requests in one transaction, everything or nothing, and a note where something was withheld."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from journals import verdict_entry
from teliti.errors import StorageError
from teliti.journal.store import Journal
from teliti.serve.recorder import Recorder


def test_each_request_gets_its_own_records(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.sqlite") as journal:
        recorder = Recorder(journal, source="serve")

        def ask(number: int) -> list[str]:
            entries = [verdict_entry(10 * number + step) for step in range(3)]
            return [record["serial"] for record in recorder.submit(entries).result(20)]

        with ThreadPoolExecutor(8) as clients:
            answers = list(clients.map(ask, range(40)))
        recorder.close()
        assert answers == [[f"A{10 * number + step}" for step in range(3)] for number in range(40)]
        assert journal.verify()["whole"]
        assert journal.head().position == 120


def test_a_request_that_left_is_not_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Journal(tmp_path / "journal.sqlite") as journal:
        go, append = threading.Event(), journal.append
        monkeypatch.setattr(journal, "append", lambda entries: (go.wait(20), append(entries))[1])
        recorder = Recorder(journal, source="serve")
        first = recorder.submit([verdict_entry(1)])
        while not first.running():
            time.sleep(0.001)
        left = recorder.submit([verdict_entry(2)])
        assert left.cancel()
        go.set()
        recorder.close()
        assert [record["serial"] for record in journal.records()] == ["A1"]


def test_a_failure_reaches_everyone_who_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise ValueError("not a storage error")

    with Journal(tmp_path / "journal.sqlite") as journal:
        recorder = Recorder(journal, source="serve")
        with monkeypatch.context() as broken:
            broken.setattr(journal, "append", fail)
            with pytest.raises(StorageError, match="The journal failed: not a storage error"):
                recorder.submit([verdict_entry(1)]).result(20)
        assert recorder.submit([verdict_entry(2)]).result(20)[0]["serial"] == "A2"
        note, _ = journal.records()
        recorder.close()
    assert note["reason"] == "the journal could not be written before this; verdicts withheld: 1"


def test_the_probe_writes_no_record(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.sqlite") as journal:
        recorder = Recorder(journal, source="serve")
        recorder.probe()
        recorder.probe()
        assert journal.head().position == 0
        (tmp_path / "journal.sqlite").unlink()
        with pytest.raises(StorageError, match="was removed or replaced"):
            recorder.probe()
        recorder.close()
