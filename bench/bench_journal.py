"""The inspection journal at 100,000 records: appending, verifying, and the way from a serial number to its facts."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from teliti.journal.entry import Entry
from teliti.journal.store import Journal
from teliti.workflow.journal import trace

RECORDS, BATCH, ROUNDS = 100_000, 1000, 9


def run() -> dict[str, Any]:
    """One SQLite journal with full synchronisation, filled in calls of 1,000 records."""
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder, "journal.sqlite")) as journal:
        facts = {"bundle_hash": "b", "provenance": {"run": "first"}}
        journal.append([Entry("model", "bench", model_hash="c" * 64, details=facts)])
        began = time.perf_counter()
        for start in range(0, RECORDS, BATCH):
            journal.append([_verdict(start + number) for number in range(BATCH)])
        filled = time.perf_counter() - began
        single = _median(lambda number: journal.append([_verdict(RECORDS + number)]))
        traced = _median(lambda number: trace(journal, f"A{number * 10_007}"))
        command = [sys.executable, "-m", "teliti", "journal", "trace", "A77777", "--journal", journal.shown]
        whole = _median(lambda _: subprocess.run(command, check=True, capture_output=True))
        began = time.perf_counter()
        if not journal.verify()["whole"]:
            raise RuntimeError("the journal of the benchmark is not whole")
        verified = time.perf_counter() - began
    return {
        "name": f"The inspection journal at {RECORDS:,} records",
        "about": "SQLite, write-ahead log, full synchronisation: a call returns when its records are on the disk. "
        f"Single calls: medians of {ROUNDS}.",
        "rows": [
            _row("append, 1,000 records a call", f"{RECORDS / filled:,.0f} records/s"),
            _row("append, one record a call", f"{single * 1000:.1f} ms"),
            _row("trace a serial number", f"{traced * 1000:.1f} ms"),
            _row("teliti journal trace, the whole process", f"{whole:.2f} s"),
            _row("verify the whole chain", f"{verified:.1f} s"),
        ],
    }


def _verdict(number: int) -> Entry:
    return Entry(
        "verdict", "bench", serial=f"A{number}", photo=f"a{number}.png", photo_hash=f"{number:064x}",
        model_hash="c" * 64, verdict="pass", label="good", score=0.125, probs={"good": 0.875, "scratch": 0.125},
        threshold=0.5, operator="Ana", details={"folder": "/line/in", "bundle_hash": "b"},
    )  # fmt: skip


def _median(call: Callable[[int], Any]) -> float:
    seconds = []
    for number in range(ROUNDS):
        began = time.perf_counter()
        call(number)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def _row(what: str, measured: str) -> dict[str, str]:
    return {"what": what, "measured": measured}
