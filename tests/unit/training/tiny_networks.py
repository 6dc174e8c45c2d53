"""Networks and photos small enough to train in a test: 8 px, a few hundred weights, tenths of a second."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from teliti.recipe.train import TrainRecipe
from teliti.training.batches import TrainingData

SIDE = 8
CALM: dict[str, Any] = {
    "mode": "scratch", "device": "cpu", "precision": "f32", "replicas": 1, "compile": False, "threads": 1,
    "batch_size": 8, "epochs": 3, "lr": 0.01, "num_workers": 0, "augment_on": "cpu", "warmup_epochs": 0,
}  # fmt: skip
"""Options that leave nothing to a probe."""


def options(**values: Any) -> TrainRecipe:
    """Calm options with some values replaced."""
    return TrainRecipe.model_validate({**CALM, **values})


def striped_photos(
    count: int, *, seed: int = 0, classes: int = 2, noise: float = 20.0
) -> tuple[np.ndarray, np.ndarray]:
    """(count, 8, 8, 3) uint8 grey noise with a bright row or column of its class, and (count,) labels in turn."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    photos = rng.normal(100.0, noise, (count, SIDE, SIDE, 3))
    for photo, label in zip(photos, labels, strict=True):
        place = rng.integers(2, SIDE - 2)
        if label == 0:
            photo[place] += 90.0
        elif label == 1:
            photo[:, place] += 90.0
        else:
            photo[np.arange(SIDE), np.arange(SIDE)] += 90.0
    return np.clip(photos, 0, 255).astype(np.uint8), labels


def training_data(count: int = 48, *, held_out: int = 16, classes: int = 2, **values: Any) -> TrainingData:
    """Striped photos, the last `held_out` of them for validation."""
    photos, labels = striped_photos(count, classes=classes)
    facts: dict[str, Any] = {
        "images": photos,
        "targets": labels,
        "train": np.arange(count - held_out),
        "val": np.arange(count - held_out, count),
        "task": "classification",
        "num_classes": classes,
        "mean": (0.5, 0.5, 0.5),
        "std": (0.25, 0.25, 0.25),
        "names": [f"photo-{number}.png" for number in range(count)],
        "class_names": ["row", "column", "diagonal"][:classes],
    }
    return TrainingData(**(facts | values))


def conv_net(
    outputs: int = 2, *, dropout: float = 0.0, act: Callable[[], nn.Module] = nn.ReLU, seed: int = 0
) -> nn.Module:
    """Convolution, BatchNorm, activation, pooling, dropout, dense; about 150 weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), act(), nn.AdaptiveMaxPool2d(2), nn.Flatten(),
            nn.Dropout(dropout), nn.Linear(16, outputs),
        )  # fmt: skip


def same_state(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    """Equal to the last bit."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
