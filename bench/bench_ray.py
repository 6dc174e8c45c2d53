"""What Ray costs: 200 short trials and the same table, by processes of this machine and by Ray on the same cores.

And how the time grows: with trials, with photos, and from one node to two. TELITI_BENCH_TRIALS and TELITI_BENCH_PHOTOS
make it smaller for a try.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ray_nodes import Marks

FOLDER = Path(__file__).resolve().parent
TRIALS = int(os.environ.get("TELITI_BENCH_TRIALS", "200"))
PHOTOS = int(os.environ.get("TELITI_BENCH_PHOTOS", "2000"))


def run() -> dict:
    """Trials, a table, a prediction; one node, and two."""
    from teliti.tuning.machines import Machines

    work = Path(tempfile.mkdtemp(prefix="teliti-bench-ray-"))
    try:
        rows = [*_trials(work, Machines), *_table(work, Machines), *_photos(work, Machines), *_nodes(work)]
    finally:
        shutil.rmtree(work, ignore_errors=True)
    here, there = (row["seconds"] for row in rows[:2])
    return {
        "name": "Several machines: what Ray costs",
        "about": f"{TRIALS} trials of the features mode on elpv, the same by both: all are drawn at random, since what "
        "a search tries next depends on the order in which trials end. Features cached, two workers on two cores, all "
        f"from the start of the command to its record: Ray takes {100 * (there / here - 1):+.0f} % of the time of "
        "processes, its own start and stop included. The table has the same numbers by both. Nodes are Ray nodes on "
        "this machine with one core each, their workers running when the clock starts: they show what the work gains "
        "by a node, not what a network between machines costs.",
        "rows": rows,
    }


def _row(what: str, where: str, seconds: float, *, note: str) -> dict[str, Any]:
    print(what, where, f"{seconds:.1f} s", note, file=sys.stderr)
    return {"work": what, "where": where, "seconds": round(seconds, 1), "note": note}


def _timed(job: Callable[..., Any], *arguments: Any, **options: Any) -> tuple[float, Any]:
    began = time.perf_counter()
    found = job(*arguments, **options)
    return time.perf_counter() - began, found


def _trials(work: Path, machines: Any) -> list[dict[str, Any]]:
    from teliti.tuning import study
    from teliti.workflow.tune import tune

    study._RANDOM_TRIALS = TRIALS  # a draw then depends on the seed and the trial's number alone
    tune("elpv", trials=2, repeats=2, finalists=1, out=work / "warm")
    rows, tried = [], []
    for where in ("local", "ray"):
        marks = Marks("Trying", (TRIALS // 4, TRIALS // 2, TRIALS))
        choices = {"trials": TRIALS, "repeats": 2, "finalists": 1, "workers": 2}
        seconds, record = _timed(tune, "elpv", **choices, out=work / where, engine=machines(where), reporter=marks)
        inside = sum(row["seconds"] for row in record["rows"])
        tried.append([(row["factors"], row["mean"]) for row in record["rows"]])
        note = f"{record['trials']['done']} done in {inside:.0f} s of workers; {_growth(marks.seconds.items())}"
        rows.append(_row(f"{TRIALS} trials", where, seconds, note=note))
    if tried[0] != tried[1]:
        raise RuntimeError("trials by Ray must have the choices and values of trials by this machine")
    return rows


def _growth(marks: Iterable[tuple[int, float]]) -> str:
    return ", ".join(f"{count} after {seconds:.1f} s" for count, seconds in marks)


def _table(work: Path, machines: Any) -> list[dict[str, Any]]:
    from teliti.recipe import parse_recipe
    from teliti.workflow.sensitivity import TableRequest, sensitivity

    table = TableRequest(networks=("tiny_vgg",), prepares=("none",), quick=True)
    recipe = parse_recipe({"train": {"mode": "scratch", "precision": "f32"}})
    rows, values = [], []
    for where in ("local", "ray"):
        seconds, record = _timed(
            sensitivity,
            "elpv",
            table,
            recipe=recipe,
            repeats=2,
            workers=2,
            out=work / f"table-{where}",
            engine=machines(where),
        )
        values.append([row["values"] for row in record["rows"]])
        rows.append(_row(f"table of {len(record['rows'])} cells, 2 repeats", where, seconds, note="the same numbers"))
    if values[0] != values[1]:
        raise RuntimeError("a table by Ray must have the numbers of a table by this machine")
    return rows


def _photos(work: Path, machines: Any) -> list[dict[str, Any]]:
    from teliti.workflow.predict import predict

    bundle, photos = _bundle(work), _some_photos(work)
    rows, records = [], []
    for where in (None, "ray"):
        engine = None if where is None else machines(where)
        seconds, record = _timed(predict, bundle, photos, engine="onnxruntime", machines=engine, workers=2)
        records.append(record)
        rows.append(
            _row(f"verdicts of {PHOTOS} photos", where or "local", seconds, note=f"{PHOTOS / seconds:.0f} photos/s")
        )
    if records[0] != records[1]:
        raise RuntimeError("verdicts by Ray must be those of this process")
    return rows


def _nodes(work: Path) -> list[dict[str, Any]]:
    """The same photos on one node of one core, and on two."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    rows, rates = [], []
    for count in (1, 2):
        command = [sys.executable, str(FOLDER / "ray_nodes.py"), str(work / "bundle"), str(work / "photos"), str(count)]
        said = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
        found = json.loads(said.splitlines()[-1])
        rates.append(PHOTOS / found["seconds"])
        note = f"{rates[-1]:.0f} photos/s, {rates[-1] / rates[0]:.2f} times those of one; {_growth(found['marks'])}"
        where = f"{count} node{'s' if count > 1 else ''} of one core"
        rows.append(_row(f"verdicts of {PHOTOS} photos", where, found["seconds"], note=note))
    return rows


def _bundle(work: Path) -> Path:
    import teliti
    from teliti.recipe import parse_recipe

    recipe = parse_recipe(
        {"data": {"folds": 0}, "model": {"head": "logistic", "c": 1.0}, "train": {"mode": "features"}}
    )
    record = teliti.train("elpv", recipe=recipe, out=work / "run")
    return Path(record["bundle"]).rename(work / "bundle")


def _some_photos(work: Path) -> Path:
    from teliti.data.catalog import read_catalog

    folder = work / "photos"
    folder.mkdir()
    for number, sample in enumerate(read_catalog("elpv").samples[:PHOTOS]):
        (folder / f"{number:05d}.png").write_bytes(sample.origin.read_bytes())
    return folder
