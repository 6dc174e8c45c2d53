"""The demo as a user runs it: cold cache, warm cache, and ten photos more; wall time, stages, memory."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from teliti.data.catalog import read_catalog

STAGES = ("read", "split", "imports", "backbone", "features", "fit", "export", "parity", "measure", "report")
APART = {"imports", "backbone", "export", "parity"}


def run() -> dict:
    """One row a run; whole processes, so that imports count."""
    work = Path(tempfile.mkdtemp())
    try:
        rows = [_row("demo, cold cache", ["demo"], work), _row("demo, warm cache", ["demo"], work)]
        first, second = _folders(work)
        _row("", ["train", str(first)], work)
        rows.append(_row("ten photos added to 2,624", ["train", str(second)], work))
    finally:
        shutil.rmtree(work)
    return {
        "name": "The demo, whole processes",
        "about": "`teliti demo` with an empty and with a filled cache, then the same photos as class folders, with ten "
        "re-drawn photos added. `own work` leaves out imports, backbone and head export and the comparison with torch.",
        "rows": rows,
    }


def _row(title: str, words: list[str], work: Path) -> dict[str, str]:
    out = work / f"run-{time.monotonic_ns()}"
    environment = os.environ | {"TELITI_CACHE": str(work / "cache")}
    begin = time.perf_counter()
    command = [sys.executable, "-m", "teliti", *words, "--out", str(out), "--json", "--quiet"]
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    wall = time.perf_counter() - begin
    record = json.loads(done.stdout)
    seconds = record["seconds"]
    own = sum(seconds.get(stage, 0.0) for stage in STAGES if stage not in APART)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # of the largest child so far
    return {
        "run": title,
        "wall, s": f"{wall:.1f}",
        "own work, s": f"{own:.1f}",
        **{f"{stage}, s": f"{seconds.get(stage, 0.0):.1f}" for stage in STAGES},
        "features computed": str(record["features_computed"]),
        "accuracy at 0.5": f"{record['test']['accuracy_at_half']:.3f}",
        "largest memory so far, GB": f"{peak * 1024 / 1e9:.2f}",
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
