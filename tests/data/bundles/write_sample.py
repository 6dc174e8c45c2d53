"""Writes the stored sample bundles of today's schema: `python tests/data/bundles/write_sample.py`, from the root.

A sample that is there is never written again: it stands for the bundles that people have. Schema 1 is from before
the fields of review, by `write_brightness_bundle` of tests/handmade.py at revision 07c66d4, run there. When the schema
gets a new number, run this once and keep the older folders.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1])]  # tests/, for the photos

RECIPE = {
    "data": {"image_size": 16},
    "train": {"mode": "scratch", "engine": "onnxruntime", "threads": 1, "epochs": 8, "lr": 0.01, "precision": "f32"},
    "model": {
        "backbone": "none",
        "layers": [
            {"kind": "conv", "filters": 6, "kernel_size": 3, "activation": "relu"},
            {"kind": "max_pool"},
            {"kind": "conv", "filters": 8, "kernel_size": 3, "activation": "relu"},
            {"kind": "avg_pool", "kernel_size": "global"},
            {"kind": "flatten"},
        ],
    },
}


def main() -> None:
    """Train a network of two convolutions on made-up photos, once for each kind of answer, and keep the bundles."""
    import teliti
    from marks import write_dots, write_marks
    from parts import write_parts
    from teliti.bundle import SCHEMA
    from teliti.recipe import parse_recipe

    kinds = {
        f"{SCHEMA}": lambda folder: write_parts(folder, per_class=24),
        f"{SCHEMA}-labels": lambda folder: write_marks(folder, photos=48),
        f"{SCHEMA}-numbers": lambda folder: write_dots(folder, photos=48),
    }
    for name, write in kinds.items():
        if (HERE / name).exists():
            continue
        with tempfile.TemporaryDirectory() as work:
            photos = write(Path(work) / "photos")
            record = teliti.train(str(photos), recipe=parse_recipe(RECIPE), out=Path(work) / "run")
            shutil.copytree(record["bundle"], HERE / name)


if __name__ == "__main__":
    main()
