"""Photos of made-up parts for tests: brushed metal plates, with a scratch or without one.

Small enough to train on in a second, and learnable: a scratch is a dark line with a bright edge.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 48
CLASSES = ("good", "scratch")


def draw_part(seed: int, *, scratched: bool, side: int = SIDE, colour: bool = True) -> NDArray[np.uint8]:
    """One plate as (side, side, 3) uint8 RGB; equal channels unless `colour`. The same seed gives the same pixels."""
    random = np.random.default_rng(seed)
    plate = random.normal(150.0, 10.0, (side, side)).astype(np.float32)
    plate = cv2.blur(plate, (9, 1)) + random.uniform(-20.0, 20.0)  # brushed along x, each under its own light
    if scratched:
        middle = random.uniform(0.35 * side, 0.65 * side, 2)
        angle = random.uniform(0.0, np.pi)
        reach = 0.3 * side * np.array([np.cos(angle), np.sin(angle)])
        start, end = (tuple(int(v) for v in middle + sign * reach) for sign in (-1, 1))
        cv2.line(plate, start, end, 40.0, 2)
        cv2.line(plate, (start[0] + 2, start[1] + 2), (end[0] + 2, end[1] + 2), 230.0, 1)
    tint = np.array([1.0, 0.97, 0.92] if colour else [1.0, 1.0, 1.0], dtype=np.float32)
    return np.clip(plate[..., None] * tint, 0, 255).astype(np.uint8)


def encode_png(photo: NDArray[np.uint8]) -> bytes:
    """The PNG file of an (H, W, 3) RGB photo."""
    return cv2.imencode(".png", photo[..., ::-1])[1].tobytes()


def write_parts(folder: Path, *, per_class: int, seed: int = 0, colour: bool = True) -> Path:
    """A folder of class folders `good` and `scratch` with `per_class` PNG photos each, all different."""
    for index, class_name in enumerate(CLASSES):
        (folder / class_name).mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            photo = draw_part(seed + 2 * number + index, scratched=class_name == "scratch", colour=colour)
            (folder / class_name / f"{class_name}-{number:03d}.png").write_bytes(encode_png(photo))
    return folder
