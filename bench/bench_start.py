"""How soon a user reads something: help screens and the sentences about mistakes, whole processes."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 9


def run() -> dict:
    """Median and largest wall seconds of each command, commands in turn."""
    work = Path(tempfile.mkdtemp())
    (work / "empty").mkdir()
    (work / "one" / "good").mkdir(parents=True)
    (work / "one" / "good" / "a.pgm").write_bytes(b"P5 1 1 255\n0")
    commands = {
        "--help": (0, ["--help"]),
        "predict --help": (0, ["predict", "--help"]),
        "missing folder": (2, ["train", "missing"]),
        "empty folder": (2, ["train", "empty"]),
        "one class": (2, ["train", "one"]),
        "unknown recipe key": (2, ["train", "one", "--set", "data.positve=x"]),
        "unknown backbone": (2, ["train", "one", "--set", "model.backbone=resnet999"]),
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS + 1):
        for name, (code, words) in commands.items():
            begin = time.perf_counter()
            done = subprocess.run([sys.executable, "-m", "teliti", *words], cwd=work, capture_output=True, check=False)
            seconds[name].append(time.perf_counter() - begin)
            if done.returncode != code:
                raise SystemExit(f"{name} left with {done.returncode}, expected {code}: {done.stderr.decode()}")
    return {
        "name": "From the command to the first words",
        "about": f"Whole processes, {ROUNDS} rounds in turn after one that is not counted. Each must leave with its "
        "exit code: 0, and 2 for a mistake.",
        "rows": [
            {"command": name, "median, s": f"{statistics.median(v[1:]):.2f}", "largest, s": f"{max(v[1:]):.2f}"}
            for name, v in seconds.items()
        ],
    }
