"""Photos of made-up marks for tests: two independent ones are two labels, and the place of a dot is two numbers."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from parts import encode_png

SIDE = 32
LABELS = ("bar", "blob")


def draw_marks(seed: int, *, bar: bool, blob: bool) -> NDArray[np.uint8]:
    """A grey plate (32, 32, 3) uint8 RGB with a dark bar, a red blob, both or neither."""
    random = np.random.default_rng(seed)
    plate = np.repeat(random.normal(150.0, 8.0, (SIDE, SIDE, 1)).clip(0, 255).astype(np.uint8), 3, axis=2)
    if bar:
        row = int(random.integers(4, SIDE - 6))
        plate[row : row + 3] = 20
    if blob:
        x, y = (int(value) for value in random.integers(6, SIDE - 6, 2))
        cv2.circle(plate, (x, y), 4, (230, 30, 30), -1)
    return plate


def write_marks(folder: Path, *, photos: int, columns: bool = False) -> Path:
    """Photos with `labels.csv` beside them: names in one cell, or a column of 0 and 1 for each."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["path," + (",".join(LABELS) if columns else "label")]
    for number in range(photos):
        has = (number % 2 == 0, number % 3 == 0)  # of six photos one has both, two have neither
        (folder / f"{number:03d}.png").write_bytes(encode_png(draw_marks(number, bar=has[0], blob=has[1])))
        names = ";".join(name for name, there in zip(LABELS, has, strict=True) if there) or "none"
        lines.append(f"{number:03d}.png," + (",".join(str(int(there)) for there in has) if columns else names))
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder


def write_dots(folder: Path, *, photos: int) -> Path:
    """Photos of a white dot with `labels.csv`: its place across in tenths, its place down in hundredths."""
    folder.mkdir(parents=True, exist_ok=True)
    random, lines = np.random.default_rng(1), ["path,label_x,label_y"]
    for number in range(photos):
        x, y = random.uniform(0.15, 0.85, 2)
        plate = draw_marks(1000 + number, bar=False, blob=False)
        cv2.circle(plate, (int(x * SIDE), int(y * SIDE)), 4, (255, 255, 255), -1)
        (folder / f"{number:03d}.png").write_bytes(encode_png(plate))
        lines.append(f"{number:03d}.png,{10 * x:.3f},{100 * y:.2f}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder
