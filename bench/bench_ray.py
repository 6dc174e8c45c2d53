"""What Ray costs: 200 short trials and the same table, by processes of this machine and by Ray on the same cores.

And how the time grows: with trials, with photos, and from one node to two. TELITI_BENCH_TRIALS, TELITI_BENCH_PHOTOS and
TELITI_BENCH_ROUNDS make it smaller for a try.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ray_nodes import Marks

FOLDER = Path(__file__).resolve().parent
TRIALS = int(os.environ.get("TELITI_BENCH_TRIALS", "200"))
PHOTOS = int(os.environ.get("TELITI_BENCH_PHOTOS", "2000"))
ROUNDS = int(os.environ.get("TELITI_BENCH_ROUNDS", "3"))


def run() -> dict:
    """Trials, a table, a prediction; one node, and two."""
    work = Path(tempfile.mkdtemp(prefix="teliti-bench-ray-"))
    try:
        rows = [*_trials(work), *_table(work), *_photos(work), *_nodes(work)]
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return {
        "name": "Several machines: what Ray costs",
        "about": f"{TRIALS} trials of the features mode on elpv, the same by both: all are drawn at random, since what "
        "a search tries next depends on the order in which trials end. Features cached, two workers on two cores, all "
        "from the start of the command to its record, so that Ray's own start and stop are included. The table has the "
        "same numbers by both, and so have the verdicts. Nodes are Ray nodes on this machine with one core each, their "
        "workers running when the clock starts: they show what the work gains by a node, not what a network between "
        f"machines costs. {ROUNDS} rounds, both sides in turn, every second round the other way round, after one that "
        "does not count; medians, and the median of the ratios of each round.",
        "rows": rows,
    }


@dataclass(frozen=True)
class Did:
    """What one side did in a round."""

    seconds: float
    result: Any
    note: str


Side = Callable[[Path], Did]
"""Does the work, with a folder of its own."""


def _in_turn(what: str, sides: Mapping[str, Side], work: Path, *, warm: bool = True) -> list[dict[str, Any]]:
    """A row for each side; what they found must be the same in all rounds.

    Args:
        what: Is done.
        sides: By where; ratios are against the first.
        work: Folder for theirs.
        warm: Do one round more, which does not count.
    """
    found: dict[str, list[Did]] = {where: [] for where in sides}
    for number in range(-1 if warm else 0, ROUNDS):
        for where in list(sides)[:: -1 if number % 2 else 1]:
            done = sides[where](work / f"{what.replace(' ', '-')}-{where.replace(' ', '-')}-{number}")
            print(what, where, f"{done.seconds:.1f} s", done.note, file=sys.stderr)
            if number >= 0:
                found[where].append(done)
    everything = [done.result for rounds in found.values() for done in rounds]
    if any(result != everything[0] for result in everything):
        raise RuntimeError(f"{what} must give the same wherever they are done")
    first, rows = next(iter(found.values())), []
    for where, rounds in found.items():
        middle = sorted(rounds, key=lambda done: done.seconds)[len(rounds) // 2]
        ratio = statistics.median(own.seconds / base.seconds for own, base in zip(rounds, first, strict=True))
        spread = f"{min(done.seconds for done in rounds):.1f} to {max(done.seconds for done in rounds):.1f}"
        rows.append({"work": what, "where": where, "seconds": round(middle.seconds, 1), "all rounds": spread,
                     "of the first": "-" if rounds is first else f"{ratio:.2f}", "note": middle.note})  # fmt: skip
    return rows


def _timed(job: Callable[..., Any], *arguments: Any, **options: Any) -> tuple[float, Any]:
    began = time.perf_counter()
    found = job(*arguments, **options)
    return time.perf_counter() - began, found


def _trials(work: Path) -> list[dict[str, Any]]:
    from teliti.tuning import study
    from teliti.tuning.machines import Machines
    from teliti.workflow.tune import tune

    study._RANDOM_TRIALS = TRIALS  # a draw then depends on the seed and the trial's number alone

    def search(where: str, out: Path) -> Did:
        marks = Marks("Trying", (TRIALS // 4, TRIALS // 2, TRIALS))
        choices = {"trials": TRIALS, "repeats": 2, "finalists": 1, "workers": 2}
        seconds, record = _timed(tune, "elpv", **choices, out=out, engine=Machines(where), reporter=marks)
        inside = sum(row["seconds"] for row in record["rows"])
        note = f"{record['trials']['done']} done in {inside:.0f} s of workers; {_growth(marks.seconds.items())}"
        return Did(seconds, [(row["factors"], row["mean"]) for row in record["rows"]], note)

    tune("elpv", trials=2, repeats=2, finalists=1, out=work / "warm")
    return _in_turn(f"{TRIALS} trials", _by_both(search), work, warm=False)


def _by_both(job: Callable[[str, Path], Did]) -> dict[str, Side]:
    return {where: partial(job, where) for where in ("local", "ray")}


def _growth(marks: Iterable[tuple[int, float]]) -> str:
    return ", ".join(f"{count} after {seconds:.1f} s" for count, seconds in marks)


def _table(work: Path) -> list[dict[str, Any]]:
    from teliti.recipe import parse_recipe
    from teliti.tuning.machines import Machines
    from teliti.workflow.sensitivity import TableRequest, sensitivity

    table = TableRequest(networks=("tiny_vgg",), prepares=("none",), quick=True)
    recipe = parse_recipe({"train": {"mode": "scratch", "precision": "f32"}})

    def fill(where: str, out: Path) -> Did:
        options = {"recipe": recipe, "repeats": 2, "workers": 2, "out": out, "engine": Machines(where)}
        seconds, record = _timed(sensitivity, "elpv", table, **options)
        return Did(seconds, [row["values"] for row in record["rows"]], "the same numbers")

    return _in_turn(f"table of {len(table.cells())} cells, 2 repeats", _by_both(fill), work)


def _photos(work: Path) -> list[dict[str, Any]]:
    from teliti.tuning.machines import Machines
    from teliti.workflow.predict import predict

    bundle, photos = _bundle(work), _some_photos(work)

    def judge(where: str, _: Path) -> Did:
        machines = None if where == "local" else Machines(where)
        options = {"engine": "onnxruntime", "machines": machines, "workers": 2}
        seconds, record = _timed(predict, bundle, photos, **options)
        return Did(seconds, record, f"{PHOTOS / seconds:.0f} photos/s")

    return _in_turn(f"verdicts of {PHOTOS} photos", _by_both(judge), work)


def _nodes(work: Path) -> list[dict[str, Any]]:
    """The same photos on one node of one core, and on two."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}

    def judge(count: int, _: Path) -> Did:
        command = [sys.executable, str(FOLDER / "ray_nodes.py"), str(work / "bundle"), str(work / "photos"), str(count)]
        said = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
        found = json.loads(said.splitlines()[-1])
        return Did(found["seconds"], None, f"{PHOTOS / found['seconds']:.0f} photos/s; {_growth(found['marks'])}")

    sides = {"1 node of one core": partial(judge, 1), "2 nodes of one core": partial(judge, 2)}
    return _in_turn(f"verdicts of {PHOTOS} photos", sides, work, warm=False)


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
