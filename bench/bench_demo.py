"""The demo as a user runs it: cold cache, warm cache, and ten photos more; wall time, stages, memory."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from teliti.data.catalog import read_catalog

STAGES = ("read", "split", "imports", "backbone", "features", "fit", "export", "parity", "measure", "report")
APART = {"imports", "backbone", "export", "parity"}


ROUNDS = 3


def run() -> dict:
    """One row a kind of run, medians of the rounds; whole processes, so that imports count."""
    work = Path(tempfile.mkdtemp())
    try:
        cold, warm = [], []
        for _ in range(ROUNDS):
            shutil.rmtree(work / "cache", ignore_errors=True)
            cold.append(_measure(["demo"], work))
            warm.append(_measure(["demo"], work))
        first, second = _folders(work)
        _measure(["train", str(first)], work)
        added = [_measure(["train", str(second)], work)]
    finally:
        shutil.rmtree(work)
    return {
        "name": "The demo, whole processes",
        "about": f"`teliti demo` with an empty and with a filled cache in turn, {ROUNDS} times, medians and in "
        "brackets the lowest and the highest wall time; then once the same photos as class folders, with ten re-drawn "
        "photos added. `own work` leaves out imports, backbone and head export and the comparison with torch. Memory "
        "is the largest of any of the runs.",
        "rows": [
            _row("demo, cold cache", cold),
            _row("demo, warm cache", warm),
            _row("ten photos added to 2,624 (one run)", added),
        ],
    }


def _measure(words: list[str], work: Path) -> dict[str, float]:
    out = work / f"run-{time.monotonic_ns()}"
    environment = os.environ | {"TELITI_CACHE": str(work / "cache")}
    command = [sys.executable, "-m", "teliti", *words, "--out", str(out), "--json", "--quiet"]
    begin = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        printed = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - begin
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}.")
    record = json.loads(printed)
    seconds = {stage: record["seconds"].get(stage, 0.0) for stage in STAGES}
    return {
        "wall": wall,
        "own": sum(value for stage, value in seconds.items() if stage not in APART),
        **seconds,
        "computed": record["features_computed"],
        "accuracy": record["test"]["accuracy_at_half"],
        "memory": used.ru_maxrss * 1024 / 1e9,
    }


def _row(title: str, runs: list[dict[str, float]]) -> dict[str, str]:
    middle = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    walls = [run["wall"] for run in runs]
    spread = f" ({min(walls):.1f} to {max(walls):.1f})" if len(runs) > 1 else ""
    return {
        "run": title,
        "wall, s": f"{middle['wall']:.1f}{spread}",
        "own work, s": f"{middle['own']:.1f}",
        **{f"{stage}, s": f"{middle[stage]:.1f}" for stage in STAGES},
        "features computed": f"{middle['computed']:.0f}",
        "accuracy at 0.5": f"{middle['accuracy']:.3f}",
        "largest memory, GB": f"{max(run['memory'] for run in runs):.2f}",
    }


def _folders(work: Path) -> tuple[Path, Path]:
    """The elpv photos as class folders, and the same with ten more (mirrored corners, so that bytes are new)."""
    import cv2

    first, second = work / "photos", work / "photos-and-ten"
    samples = read_catalog("elpv").samples
    for sample in samples:
        for root in (first, second):
            place = root / str(sample.label) / Path(sample.name).name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(sample.origin.read_bytes())
    for number, sample in enumerate(samples[:10]):
        image = cv2.imread(str(first / str(sample.label) / Path(sample.name).name))
        image[:150] = image[:150][::-1]
        cv2.imwrite(str(second / str(sample.label) / f"added-{number}.png"), image)
    return first, second
