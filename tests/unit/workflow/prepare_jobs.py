"""Jobs of preparation that are trained end to end in tests, and the photos and masks they need."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from parts import draw_part, encode_png
from teliti.recipe import Recipe, parse_recipe

SCRATCH = {"mode": "scratch", "epochs": 3, "batch_size": 16, "precision": "f32", "replicas": 1}
LENET = {"backbone": "lenet"}
TINY_NET = {"backbone": "test_resnet", "weights": "random", "stages": ["head"], "pooling": "avg", "head": "logistic",
            "c": 1.0}  # fmt: skip
PARTS = {"train": 14, "val": 5, "test": 5}
MASK = {"step": "mask_from_file", "pattern": "{stem}_mask.png", "background": "neutral"}
JOBS: dict[str, dict] = {
    "six steps": {
        "prepare": [
            {"step": "clahe"},
            {"step": "binarize", "method": "adaptive_mean", "block_size": 9},
            {"step": "remove_elements", "keep_largest": 3},
            {"step": "morphology", "operation": "dilate", "size": [5, 5]},
            {"step": "crop_to_part", "margin": 2, "unit": "pixels"},
            {"step": "mask", "background": "blurred"},
        ]
    },
    "tiles": {"prepare": [{"step": "tile", "size": 30, "overlap": 0.2, "combine": "max"}]},
    "masks in a folder": {"prepare": [MASK]},
    "masks in an archive": {"prepare": [{**MASK, "pattern": "../masks/{stem}.png", "apply": False}, {"step": "mask"}]},
    "standardize and whiten": {
        "data": {"image_size": 16},
        "prepare": [{"step": "standardize"}, {"step": "zca", "eps": 1.0}],
    },
    "augmented views": {
        "augment": [{"step": "flip", "horizontal": 0.5, "vertical": 0.5}, {"step": "brightness"}],
        "train": {"views": 2},
    },
    "tiles for a network": {
        "prepare": [{"step": "tile", "size": 30, "overlap": 0.2, "combine": "max"}],
        "augment": [{"step": "flip", "horizontal": 0.5}],
        "model": LENET,
        "train": SCRATCH,
    },
    "standardize and whiten for a network": {
        "data": {"image_size": 16},
        "prepare": [{"step": "standardize"}, {"step": "zca", "eps": 1.0}],
        "model": LENET,
        "train": SCRATCH,
    },
    "numbers of the photo itself for a finetuned network": {
        "prepare": [{"step": "rescale"}, {"step": "standardize", "by": "sample", "per_channel": True}],
        "model": {"backbone": "test_resnet", "weights": "random"},
        "train": {**SCRATCH, "mode": "finetune"},
    },
}


def write_mask(path: Path, *, side: int = 48) -> None:
    """An ellipse in the middle."""
    mask = np.zeros((side, side, 3), np.uint8)
    cv2.ellipse(mask, (side // 2, side // 2), (side // 2 - 4, side // 3), 20, 0, 360, (255, 255, 255), -1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(mask))


def write_split(folder: Path) -> Path:
    """48 photos in train, val and test folders of class folders."""
    seed = 3000
    for part, per_class in PARTS.items():
        for class_name in ("good", "scratch"):
            (folder / part / class_name).mkdir(parents=True)
            for number in range(per_class):
                seed += 1
                photo = draw_part(seed, scratched=class_name == "scratch")
                (folder / part / class_name / f"{class_name}-{number}.png").write_bytes(encode_png(photo))
    return folder


def recipe_of(job: str, **more: object) -> Recipe:
    """A job's recipe, with other sections in the place of its own."""
    own = JOBS[job]
    return parse_recipe({
        "data": {"image_size": 32, "folds": 0, **own.get("data", {})},
        "model": own.get("model", TINY_NET),
        "train": {"engine": "onnxruntime", "threads": 1, **own.get("train", {})},
        "prepare": own.get("prepare", []),
        "augment": own.get("augment", []),
        **more,
    })  # fmt: skip
