"""Photos of another set shown to an inspector: how many go to review, beside how many of its own test photos.

elpv is always inspected. More sets come from the environment, as NAME=PATH separated by commas: TELITI_BENCH_TRAIN
(labelled photos, as for `teliti train`) and TELITI_BENCH_OTHERS (folders of photos that no inspector knows).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

import teliti
from teliti.predictor import Predictor
from teliti.recipe import load_recipe

PHOTOS = 100
SEED = 7
_SIDE = 300
_PHOTO = {".png", ".jpg", ".jpeg", ".bmp"}


def run() -> dict:
    """One row for each pair of an inspector and a set of photos."""
    trained = {"elpv": "elpv", **_named("TELITI_BENCH_TRAIN")}
    rows = []
    with tempfile.TemporaryDirectory() as work:
        others = {"made textures": _write_textures(Path(work) / "textures"), **_named("TELITI_BENCH_OTHERS")}
        for name, source in trained.items():
            record = teliti.train(source, recipe=load_recipe(None, preset="fast"), out=Path(work) / name)
            own = record["decision"]["three_verdicts"]
            rows.append(_row(name, f"{name}, its own test part", (own["as_new"], own["photos"])))
            predictor = Predictor.open(record["bundle"])
            sets = {**others, **{other: path for other, path in trained.items() if other not in {name, "elpv"}}}
            rows += [_row(name, other, _reviewed(predictor, Path(folder))) for other, folder in sets.items()]
    return {
        "name": "Photos unlike the training photos",
        "about": f"Inspectors trained with `--preset fast` and otherwise the defaults (`decide.novelty_share = 0.02`), "
        f"seed {SEED}; then {PHOTOS} photos of each other set, evenly taken from its sorted names. Shown is how many "
        "are sent to review because they look new.",
        "rows": rows,
    }


def _row(name: str, photos: str, counts: tuple[int, int]) -> dict[str, object]:
    new, shown = counts
    share = f"{100 * new / shown:.1f} %"
    return {"inspector": name, "photos": photos, "shown": shown, "to review": new, "share": share}


def _reviewed(predictor: Predictor, folder: Path) -> tuple[int, int]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _PHOTO)
    chosen = [paths[at] for at in np.linspace(0, len(paths) - 1, min(PHOTOS, len(paths))).astype(int)]
    answers = predictor.predict(chosen)
    return sum(answer.verdict == "review" for answer in answers), len(answers)


def _named(variable: str) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in os.environ.get(variable, "").split(",") if pair]
    return {name: path for name, _, path in pairs}


def _write_textures(folder: Path) -> str:
    folder.mkdir(parents=True)
    for number, picture in enumerate(islice(_textures(np.random.default_rng(SEED)), PHOTOS)):
        cv2.imwrite(str(folder / f"{number:03}.png"), np.clip(picture, 0, 255).astype(np.uint8))
    return str(folder)


def _textures(rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Waves, chessboards, noise, clouds and slopes, in turn, for ever."""
    y, x = np.mgrid[:_SIDE, :_SIDE].astype(float)
    while True:
        turn, size = rng.uniform(0, np.pi), int(rng.integers(6, 50))
        yield 128 + 100 * np.sin(2 * np.pi * (x * np.cos(turn) + y * np.sin(turn)) / size)
        yield 255.0 * ((x // size + y // size) % 2)
        yield rng.normal(128, rng.uniform(10, 60), (_SIDE, _SIDE))
        cloud = cv2.GaussianBlur(rng.normal(size=(_SIDE, _SIDE)), (0, 0), float(rng.uniform(2, 15)))
        yield 128 + 50 * cloud / cloud.std()
        yield x * rng.uniform(0.2, 0.8) + y * rng.uniform(0.0, 0.2)
