"""Forty trials, four workers; a worker is killed again and again, the coordinator twice: forty counted, each once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import search_coordinator

TRIALS, WORKERS = 40, 4
_BETWEEN_KILLS_S, _LONGEST_WAIT_S = 0.6, 0.5
_PATIENCE_S = 240.0


def start(folder: Path, trials: int = TRIALS, workers: int = WORKERS, *where: str) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    arguments = [search_coordinator.__file__, str(folder), str(trials), str(workers), *where]
    return subprocess.Popen([sys.executable, *arguments], env=environment)


def begun(folder: Path) -> list[tuple[int, float]]:
    path = folder / "begun"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [(int(number), float(x)) for number, x in map(str.split, lines)]


def kill_the_worker_at_work(folder: Path) -> bool:
    """Wait until a worker says that it begins a trial, and kill it in it; False when none begins."""
    path, until = folder / "worker", time.monotonic() + _LONGEST_WAIT_S
    before = written_at(path)
    while written_at(path) == before:
        if time.monotonic() > until:
            return False
        time.sleep(0.002)
    with suppress(OSError, ValueError):
        os.kill(int(path.read_text(encoding="utf-8")), signal.SIGKILL)
        return True
    return False


def written_at(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


def test_forty_trials_are_counted_once_whatever_is_killed(tmp_path: Path) -> None:
    coordinator, deaths, kills = start(tmp_path), 0, 0
    deadline, last = time.monotonic() + _PATIENCE_S, time.monotonic()
    while coordinator.poll() is None or coordinator.returncode == -signal.SIGKILL:
        assert time.monotonic() < deadline
        time.sleep(0.05)
        if time.monotonic() - last > _BETWEEN_KILLS_S:
            last = time.monotonic()
            kills += kill_the_worker_at_work(tmp_path)
        if deaths < 2 and len({number for number, _ in begun(tmp_path)}) >= 12 * (deaths + 1):
            coordinator.kill()
            coordinator.wait()
            deaths += 1
            coordinator = start(tmp_path)
    assert (coordinator.returncode, deaths) == (0, 2)
    assert kills >= 2
    rows = search_coordinator.open_study(tmp_path).rows()
    assert [row.number for row in rows] == list(range(TRIALS))
    assert all(row.state == "done" and row.value == -((row.point["x"] - 3.0) ** 2) for row in rows)
    tried = {number: {x for own, x in begun(tmp_path) if own == number} for number in range(TRIALS)}
    assert all(chosen == {row.point["x"]} for row, chosen in zip(rows, tried.values(), strict=True))
    assert len(begun(tmp_path)) > TRIALS  # some were under way when the coordinator was killed
    assert sum(row.facts["attempts"] for row in rows) > TRIALS  # and some when their worker was
