"""A graphics card through all three modes, and what it takes over: photos augmented by threads and on the card.

Without a card there is nothing to measure, and the one row says so. `run(device="cpu")` tries the file itself.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from typing import Any

import numpy as np
import torch

from teliti.recipe.train import TrainRecipe
from teliti.runtime import default_threads
from teliti.training.augment_choice import time_photos
from teliti.training.batches import TrainingData
from teliti.transforms.augment import build_augment

CHAINS: dict[str, list[dict[str, Any]]] = {
    "flip": [{"step": "flip", "vertical": 0.5}],
    "rotate, contrast": [{"step": "rotate"}, {"step": "contrast"}],
    "rotate, blur, erase": [{"step": "rotate"}, {"step": "blur"}, {"step": "erase"}],
    "rotate, noise": [{"step": "rotate"}, {"step": "noise"}],
    "rotate, mixup": [{"step": "rotate"}, {"step": "mixup"}],
    "rotate, jpeg, blur": [{"step": "rotate"}, {"step": "jpeg"}, {"step": "blur"}],
}


def run(device: str = "cuda", *, source: str = "elpv", budget: str = "3m", side: int = 224, photos: int = 64) -> dict:
    """One row a mode, and one a chain of augmentations."""
    about = (
        "`teliti train --device` in a process for each mode, within a budget, with what its probe chose; accuracy at "
        "the chosen threshold. Augmentation: photos a second that one loader thread makes ready, and that the card "
        "does with its part of the work, the best of several batches; with `w` threads a step waits for the larger of "
        f"`photos / (w * rate)` and the card's own time. {photos} photos of {side} px a batch."
    )
    name = "A graphics card in training"
    if device == "cuda" and not torch.cuda.is_available():
        return {"name": name, "about": about, "rows": [{"what": "no graphics card at hand: nothing was measured"}]}
    card = torch.cuda.get_device_name() if device == "cuda" else "none, the processor"
    rows = [_train(source, mode, device=device, budget=budget) for mode in ("features", "finetune", "scratch")]
    rows += [row for chain in CHAINS for row in _augment(chain, device=device, side=side, photos=photos)]
    return {"name": name, "about": f"Card: {card}. {about}", "rows": rows}


def _train(source: str, mode: str, *, device: str, budget: str) -> dict:
    sets = ["--set", "model.backbone=small_cnn", "--set", "data.image_size=128"] if mode == "scratch" else []
    more = [] if mode == "features" else ["--budget", budget]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "teliti", "train", source, "--mode", mode, "--device", device, *more, *sets]
        command += ["--out", f"{folder}/run", "--json", "--quiet"]
        print(" ".join(command), file=sys.stderr)
        record = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    options, history = record["history"].get("options", {}), record["history"]
    rates = [row["photos_per_s"] for row in history.get("probe", ()) if row["chosen"]]
    return {
        "what": f"{mode}, {source}",
        "way": f"{options.get('precision', '-')}, photos augmented by {options.get('augment_on', '-')}",
        "photos/s": f"{rates[-1]:.0f}" if rates else "-",
        "epochs": str(len(history.get("rows", ())) or "-"),
        "whole s": f"{record['seconds']['total']:.0f}",
        "accuracy": f"{record['test']['accuracy']:.4f}",
    }


def _augment(chain: str, *, device: str, side: int, photos: int) -> list[dict]:
    noise = np.random.default_rng(0).integers(0, 256, (photos, side, side, 3), dtype=np.uint8)
    data = TrainingData(
        images=noise, targets=np.arange(photos) % 2, train=np.arange(photos), val=np.arange(0), task="classification",
        num_classes=2, mean=(0.5,) * 3, std=(0.25,) * 3, names=[str(n) for n in range(photos)],
        augment=build_augment(CHAINS[chain]),
    )  # fmt: skip
    torch.set_num_threads(default_threads())
    rows = []
    for place in ("cpu", "device"):
        cost = time_photos(data, photos, device=torch.device(device), place=TrainRecipe(augment_on=place).augment_on)
        rows.append(
            {
                "what": f"augmentation: {chain}",
                "way": place,
                "photos/s": f"{photos / cost.assembling:.0f} a thread, then {photos / cost.finishing:.0f}",
                "epochs": "-",
                "whole s": "-",
                "accuracy": "-",
            }
        )
    return rows
