"""The watch folder and the journal under what happens in a factory: kills, full disks, a hundred thousand records."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from journals import verdict_entry
from kills import check_kills
from teliti.journal.entry import Entry
from teliti.journal.store import Journal
from teliti.workflow.journal import trace

pytestmark = pytest.mark.reliability


def test_two_thousand_photos_and_ten_kills(tmp_path: Path) -> None:
    check_kills(tmp_path, photos=2000, kills=10, photos_per_second=60)


def test_a_verdict_is_traced_back_among_a_hundred_thousand(tmp_path: Path) -> None:
    """S23: from a serial number to picture, model, run, data, recipe, code, operator, threshold in one second."""
    with Journal(tmp_path / "journal.sqlite") as journal:
        facts = {"bundle_hash": "b", "version": "0.1.0", "provenance": {"run": "first", "data": {"sha256": "d" * 64}}}
        journal.append([Entry("model", "x", model_hash="c" * 64, details=facts)])
        for start in range(0, 100_000, 5000):
            journal.append([verdict_entry(start + number, details={"bundle_hash": "b"}) for number in range(5000)])
        (verdict,) = trace(journal, "A77777")["verdicts"]
    words = ("journal", "trace", "A77777", "--json", "--journal", str(tmp_path / "journal.sqlite"))
    seconds = []
    for _ in range(3):  # the whole command, from its start; the best of three, since others work here, too
        began = time.perf_counter()
        told = subprocess.run([sys.executable, "-m", "teliti", *words], capture_output=True, check=True)
        seconds.append(time.perf_counter() - began)
    assert min(seconds) <= 1.0
    assert json.loads(told.stdout)["verdicts"] == [verdict]
    assert verdict["model"]["provenance"]["run"] == "first"
    assert (verdict["operator"], verdict["threshold"], verdict["intact"]) == ("Ana", 0.5, True)
