"""Photos of a job made by hand: labels, parts and groups as the test wants them, nothing on disk."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from teliti.data.fingerprints import THUMBNAIL_SIDE, Fingerprint
from teliti.data.origins import ArrayOrigin
from teliti.types import Catalog, Sample
from teliti.workflow.shared.photos import Photos


def draw_thumbnail(number: int) -> np.ndarray:
    """A blurred random picture, (64, 64) uint8; no two numbers look alike."""
    noise = np.random.default_rng(number).normal(size=(THUMBNAIL_SIDE, THUMBNAIL_SIDE)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3.0)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


@pytest.fixture(scope="session")
def make_photos() -> Callable[..., Photos]:
    """`make_photos(labels, parts=..., groups=..., copies={3: 0})`: photo 3 is a byte copy of photo 0."""

    def make(
        labels: Sequence[str | float],
        *,
        parts: Sequence[str | None] | None = None,
        groups: Sequence[str | None] | None = None,
        copies: Mapping[int, int] | None = None,
        image_size: tuple[int, int] = (48, 64),
    ) -> Photos:
        is_regression = isinstance(labels[0], float)
        classes = () if is_regression else tuple(sorted(set(labels)))
        samples, marks = [], []
        for index, label in enumerate(labels):
            content = (copies or {}).get(index, index)
            origin = ArrayOrigin(bytes([content % 256]) * 12, 2, 2, 3)
            part, group = (given[index] if given else None for given in (parts, groups))
            samples.append(Sample(f"photo-{index:03d}", origin, label=label, split=part, group=group))
            digest = hashlib.sha256(str(content).encode()).digest()
            marks.append(Fingerprint(digest, *image_size, draw_thumbnail(content)))
        task = "regression" if is_regression else "classification"
        catalog = Catalog("by hand", tuple(samples), (), task, classes, has_given_split=parts is not None)
        targets = np.array(labels if is_regression else [classes.index(label) for label in labels])
        return Photos(catalog, tuple(samples), tuple(marks), targets, ())

    return make


@pytest.fixture
def folded_run(parts_folder: Path, tmp_path: Path) -> Path:
    """The stored sample bundle in the folder of a run that had four folds of the made-up parts, twelve photos each."""
    run = tmp_path / "folded"
    shutil.copytree(Path(__file__).resolve().parents[2] / "data" / "bundles" / "2", run / "bundle")
    state = {"schema": 1, "source": str(parts_folder), "photos": "", "command": "", "state": "done"}
    (run / "run.json").write_text(json.dumps(state), encoding="utf-8")
    with (run / "splits.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(("path", "label", "split", "fold", "group", "sha256"))
        for number, photo in enumerate(sorted(parts_folder.rglob("*.png"))):
            name, digest = photo.relative_to(parts_folder).as_posix(), hashlib.sha256(photo.read_bytes()).hexdigest()
            table.writerow((name, photo.parent.name, "fold", number % 4, number, digest))
    return run


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Callable[[object, str], None]:
    """`interrupt(module, name)`: Ctrl-C when that function of a module is called, once."""

    def at(module: object, name: str) -> None:
        function, left = getattr(module, name), [1]

        def interrupted(*place: object, **options: object) -> object:
            if left:
                left.pop()
                raise KeyboardInterrupt
            return function(*place, **options)

        monkeypatch.setattr(module, name, interrupted)

    return at
