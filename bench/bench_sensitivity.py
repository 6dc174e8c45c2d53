"""The course's sensitivity table with --quick on a folder of photos: its time, and the same table after two kills.

The folder is named by TELITI_BENCH_PHOTOS; without it, elpv. Small tries: TELITI_BENCH_NETWORKS=tiny_vgg.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

KILLS = 2


def run() -> dict:
    """Once undisturbed, once killed twice; the tables must be equal to the bit."""
    work = Path(tempfile.mkdtemp())
    began = time.perf_counter()
    whole = _finish(work / "whole")
    seconds = time.perf_counter() - began
    every = _finish_with_kills(work / "killed", trainings=sum(row["repeats"] for row in whole["rows"]))
    same = [(row["factors"], row["values"]) for row in whole["rows"]] == [
        (row["factors"], row["values"]) for row in every["rows"]
    ]
    if not same:
        raise RuntimeError("a table that was killed must end with the same numbers")
    rows = [
        {
            "network": entry["network"],
            "choice": f"{entry['factor']} {entry['value']}",
            "ours": round(whole["rows"][entry["cell"]]["mean"], 3),
            "interval": [round(end, 3) for end in whole["rows"][entry["cell"]]["interval"] or ()],
            "course table": entry["course"],
            "at chance": whole["rows"][entry["cell"]]["at_chance"],
            "seconds a training": whole["rows"][entry["cell"]]["seconds"],
        }
        for entry in whole["table"]
    ]
    return {
        "name": "The sensitivity table in quick",
        "about": f"{len(whole['rows'])} cells, {whole['repeats']} repeats, {whole['photos']} photos of 64 px: "
        f"{seconds:.0f} s undisturbed. Killed {KILLS} times it ended with the same numbers to the bit.",
        "rows": rows,
    }


def _command(out: Path) -> list[str]:
    photos = os.environ.get("TELITI_BENCH_PHOTOS", "elpv")
    networks = os.environ.get("TELITI_BENCH_NETWORKS", "resnet50,vgg16")
    return [sys.executable, "-m", "teliti", "sensitivity", photos, "--quick", "--repeats", "2", "--networks", networks,
            "--out", str(out), "--json", "--quiet"]  # fmt: skip


def _finish(out: Path) -> dict:
    done = subprocess.run(_command(out), check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


def _finish_with_kills(out: Path, *, trainings: int) -> dict:
    for number in range(1, KILLS + 1):
        process = subprocess.Popen(_command(out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and _finished(out) < number * trainings // (KILLS + 1):
            time.sleep(0.2)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()
    return _finish(out)


def _finished(out: Path) -> int:
    return len(list((out / "trainings").glob("*.json")))
