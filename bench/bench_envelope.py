"""The envelope of light, blur, size and scale: what it costs a photo, which photos it warns of, how far verdicts hold.

elpv is always inspected. More sets come from the environment, as NAME=PATH separated by commas: TELITI_BENCH_TRAIN
(labelled photos, as for `teliti train`).
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

import teliti
from teliti.bundle import open_bundle
from teliti.data.decoded import read_photo
from teliti.predictor import Predictor
from teliti.recipe import load_recipe
from teliti.transforms.sweeps import SWEEPS
from teliti.types import Sample, UInt8Image
from teliti.workflow.shared.sealed import even_choice, photos_of_run

PHOTOS = 200
ROUNDS = 5
SEED = 7
_CHANGES: dict[str, Callable[[UInt8Image], UInt8Image]] = {
    "as they are": lambda photo: photo,
    "light at 30 %": lambda photo: cv2.convertScaleAbs(photo, alpha=0.3),
    "light at 200 %": lambda photo: cv2.convertScaleAbs(photo, alpha=2.0),
    "blurred by 3 pixels": lambda photo: cv2.GaussianBlur(photo, (0, 0), 3.0),
    "half the pixels a side": lambda photo: cv2.resize(photo, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
}


def run() -> dict:
    """One row for each inspector and what was asked of it."""
    given = [pair.partition("=") for pair in os.environ.get("TELITI_BENCH_TRAIN", "").split(",") if pair]
    trained = {"elpv": "elpv", **{name: path for name, _, path in given}}
    rows = []
    with tempfile.TemporaryDirectory() as work:
        for name, source in trained.items():
            recipe = load_recipe(None, preset="fast")
            record = teliti.train(source, recipe=recipe, out=Path(work) / name)
            rows += [{"inspector": name, **row} for row in _measure(Path(record["bundle"]))]
    return {
        "name": "The envelope of a bundle",
        "about": f"Inspectors trained with `--preset fast`, seed {SEED}: the shortest time a photo on offer. "
        f"{PHOTOS} photos of the sealed test part, one thread; the cost is the median over {ROUNDS} rounds of the CPU "
        "time from decoded photo to verdict, with and without envelope in turn. Last, `teliti stress` puts measured "
        "limits into the bundle, and the photos are inspected at the last level that holds and at the first that does "
        "not.",
        "rows": rows,
    }


def _measure(bundle: Path) -> list[dict[str, str]]:
    opened = open_bundle(bundle)
    own = photos_of_run(opened)
    samples = even_choice(own.sealed, most=PHOTOS)
    predictor = Predictor(opened, threads=1)
    rows = [
        {"measured": f"warned of, {said}", "value": f"{100 * _warned(predictor, samples, change):.1f} %"}
        for said, change in _CHANGES.items()
    ]
    photos = {sample.name: read_photo(sample) for sample in samples}
    without, more = _cost(predictor, Predictor(replace(opened, envelope=None), threads=1), samples, photos=photos)
    rows.append({"measured": "CPU time a photo without envelope", "value": f"{without:.2f} ms"})
    rows.append({"measured": "more with it", "value": f"{more:.2f} ms, {100 * more / without:.1f} %"})
    return rows + _stressed(bundle, samples)


def _stressed(bundle: Path, samples: list[Sample]) -> list[dict[str, str]]:
    """How far each sweep that the envelope knows may go, and how many photos are warned of within and beyond."""
    names = [sweep.name for sweep in SWEEPS if sweep.limits is not None]
    record = teliti.stress(bundle, sweeps=names, most=PHOTOS)
    predictor, rows = Predictor.open(bundle, threads=1), []
    for row, sweep in zip(record["sweeps"], (one for one in SWEEPS if one.name in names), strict=True):
        said = []
        for word, level in (("holds to", row["limit"]), ("broken at", row["first_broken"])):
            if level is not None:
                warned = _warned(
                    predictor, samples, lambda photo, sweep=sweep, level=level: sweep.change(photo, level, 0)
                )
                said.append(f"{word} {level:g} ({100 * warned:.1f} % warned of)")
        rows.append({"measured": f"stress, {sweep.name}", "value": ", ".join(said)})
    rows.append({"measured": "stress, time of these sweeps", "value": f"{record['seconds']['sweeps']:.0f} s"})
    return rows


def _warned(predictor: Predictor, samples: list[Sample], change: Callable[[UInt8Image], UInt8Image]) -> float:
    answers = predictor.predict_samples(samples, read=lambda sample: change(read_photo(sample)))
    return sum(bool(answer.warnings) for _, answer in answers) / len(samples)


def _cost(
    with_it: Predictor, without: Predictor, samples: list[Sample], *, photos: dict[str, UInt8Image]
) -> tuple[float, float]:
    """Milliseconds of CPU a photo without the envelope, and how much more with it; medians over photos and rounds."""
    times = []
    for number in range(ROUNDS * len(samples)):
        sample = [samples[number % len(samples)]]
        pair = {}
        for predictor in (with_it, without) if number % 2 else (without, with_it):
            start = time.process_time()
            list(predictor.predict_samples(sample, read=lambda one: photos[one.name]))
            pair[predictor is with_it] = time.process_time() - start
        times.append((pair[False], pair[True] - pair[False]))
    median = np.median(np.array(times), axis=0) * 1e3
    return float(median[0]), float(median[1])
