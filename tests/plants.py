"""Photos with a planted cheat: what tells the classes apart is the background, the part, or the size of the part."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from parts import encode_png

SIDE = 48
CLASSES = ("dark", "bright")


def draw(seed: int, *, ground: float, part: float, radius: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """A disc somewhere near the middle, and its mask: (48, 48, 3) and (48, 48) uint8."""
    random = np.random.default_rng(seed)
    centre = tuple(int(value) for value in random.integers(20, 29, 2))
    mask = np.zeros((SIDE, SIDE), np.uint8)
    cv2.circle(mask, centre, radius, 255, -1)
    levels = np.where(mask > 0, part + random.normal(0.0, 6.0), ground + random.normal(0.0, 6.0))
    photo = np.clip(levels + random.normal(0.0, 3.0, levels.shape), 0, 255).astype(np.uint8)
    return np.repeat(photo[..., None], 3, axis=2), mask


PLANTS: dict[str, dict[str, dict[str, float]]] = {
    "background": {"dark": {"ground": 40, "part": 200}, "bright": {"ground": 80, "part": 200}},
    "part": {"dark": {"ground": 50, "part": 120}, "bright": {"ground": 50, "part": 230}},
    "size of the part": {
        "dark": {"ground": 50, "part": 200, "radius": 6},
        "bright": {"ground": 50, "part": 200, "radius": 13},
    },
}


def write_plant(folder: Path, name: str, *, each: int = 30, masked: tuple[str, ...] = ()) -> Path:
    """30 discs of each class, with masks beside those of some classes."""
    for at, class_name in enumerate(CLASSES):
        (folder / class_name).mkdir(parents=True)
        for number in range(each):
            photo, mask = draw(2 * number + at, **PLANTS[name][class_name])
            (folder / class_name / f"{number}.png").write_bytes(encode_png(photo))
            if class_name in masked:
                (folder / class_name / f"{number}_mask.png").write_bytes(encode_png(np.repeat(mask[..., None], 3, 2)))
    return folder


def write_boxes(folder: Path) -> Path:
    """The same photos with their masks turned into files of boxes."""
    for path in sorted(folder.rglob("*_mask.png")):
        left, top, width, height = cv2.boundingRect(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))
        corners = {"xmin": left + 1, "ymin": top + 1, "xmax": left + width, "ymax": top + height}
        box = "".join(f"<{name}>{value}</{name}>" for name, value in corners.items())
        text = f"<annotation><object><bndbox>{box}</bndbox></object></annotation>"
        path.with_name(path.name.replace("_mask.png", ".xml")).write_text(text)
        path.unlink()
    return folder
