"""Training runs in processes of their own, which tests may kill: forked from a server that has torch loaded."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from sockets import listening
from teliti.errors import RunError
from teliti.training import loop as loop_module
from teliti.training import progress as progress_module
from teliti.training.batches import Batch
from teliti.training.feed import Feed
from unit.training.tiny_networks import conv_net, options, training_data

_SERVER = multiprocessing.get_context("forkserver")
# the second is what torch loads at the first step of any optimiser; seconds each
_SERVER.set_forkserver_preload(["teliti.training.loop", "torch._dynamo"])


@dataclass(frozen=True)
class Outcome:
    """What a child left: see `train_and_tell`."""

    digest: str
    history: list[dict[str, Any]]
    best_epoch: int
    weights: np.ndarray
    steps: list[list[int]]
    seconds: float
    listening: list[str]

    @property
    def seen(self) -> list[int]:
        """Positions of the photos in the order in which they were shown."""
        return [index for step in self.steps for index in step]


def start_child(
    out: Path,
    *,
    checkpoints: Path | None,
    net: str = "conv",
    environment: Mapping[str, str] | None = None,
    **values: Any,
) -> BaseProcess:
    """Train in a process of its own; `values` are options."""
    child = _SERVER.Process(
        target=train_and_tell, args=(str(out), checkpoints and str(checkpoints), net, dict(environment or {}), values)
    )
    child.start()
    return child


def read_outcome(out: Path) -> Outcome:
    """What the child wrote when it was done."""
    record = json.loads(out.read_text(encoding="utf-8"))
    return Outcome(**{**record, "weights": np.array(record["weights"])})


def train_and_tell(
    out: str, checkpoints: str | None, net: str, environment: Mapping[str, str], values: Mapping[str, Any]
) -> None:
    """Train, then write hash of the weights, history, best epoch, weights and the photos of each step."""
    os.environ.update(environment)
    steps: list[list[int]] = []
    heard: set[str] = set()

    class WatchedFeed(Feed):
        """Notes what it hands out."""

        def batches(self, *place: Any, **chosen: Any) -> Any:
            for batch in super().batches(*place, **chosen):
                if not steps:
                    heard.update(listening(os.getpid()))
                steps.append(_indices(batch))
                yield batch

    progress_module.Feed = WatchedFeed
    torch.manual_seed(0)
    network = conv_net(dropout=0.25) if net == "conv" else nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveMaxPool2d(2), nn.Flatten(), nn.Linear(16, 2)
    )  # fmt: skip
    Path(f"{out}.begun").touch()
    started = time.monotonic()
    fitted = loop_module.fit_network(
        network, training_data(96, held_out=24), options(**values), seed=5,
        folder=None if checkpoints is None else Path(checkpoints),
    )  # fmt: skip
    seconds = time.monotonic() - started
    digest = hashlib.sha256()
    for name, tensor in fitted.state.items():
        digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
    flat = torch.cat([tensor.double().flatten() for tensor in fitted.state.values()])
    record = {
        "digest": digest.hexdigest(), "history": list(fitted.history), "best_epoch": fitted.best_epoch,
        "weights": flat.tolist(), "steps": steps, "seconds": seconds,
        "listening": sorted(heard),
    }  # fmt: skip
    Path(out).write_text(json.dumps(record), encoding="utf-8")


def start_breaking_child(out: Path, *, environment: Mapping[str, str]) -> BaseProcess:
    """Train where one photo's loss is not finite, in a process of its own, which writes what it was told."""
    child = _SERVER.Process(target=_break_and_tell, args=(str(out), dict(environment)))
    child.start()
    return child


def _break_and_tell(out: str, environment: Mapping[str, str]) -> None:
    os.environ.update(environment)
    targets = np.zeros(48, dtype=np.float32)
    targets[7] = 1e30  # whose square is not a float32
    data = training_data(targets=targets, task="regression", num_classes=1)
    try:
        loop_module.fit_network(conv_net(outputs=1), data, options(batch_size=32), seed=5)
    except RunError as error:
        Path(out).write_text(error.message, encoding="utf-8")


def _indices(batch: Batch) -> list[int]:
    return [int(index) for index in batch.indices]
