"""Batches on their way to the network: brought to its device, augmented there, on a GPU one ahead of the step.

On a GPU the photos of the next batch travel from pinned memory and are augmented on a stream of their own while the
network computes the present one. On a CPU there is nothing to overlap: a batch is finished when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TypeVar

import torch

from teliti.recipe.train import TrainRecipe
from teliti.training.batches import Batch, BatchLoader, TrainingData
from teliti.training.device_augment import DeviceAugment
from teliti.types import IntArray

T = TypeVar("T")
R = TypeVar("R")


class Feed:
    """A loader's batches, ready for the network.

    Args:
        data: Photos.
        options: How many threads assemble batches, and where photos are augmented: "device" does there what can be.
        seed: Of the run.
        device: Of the network.

    Attributes:
        loader: Assembles them.
    """

    def __init__(self, data: TrainingData, options: TrainRecipe, *, seed: int, device: torch.device) -> None:
        self._device = device
        self._augment: DeviceAugment | None = data.device_augment if options.augment_on == "device" else None
        is_gpu = device.type == "cuda"
        self._stream = torch.cuda.Stream(device) if is_gpu else None  # type: ignore[no-untyped-call]
        self.loader = BatchLoader(
            data, seed=seed, workers=options.num_workers, pin=is_gpu, device_augment=self._augment, kept=int(is_gpu)
        )

    def batches(
        self, plan: Sequence[IntArray], *, epoch: int, first: int = 0, rank: int = 0, world: int = 1
    ) -> Iterator[Batch]:
        """The batches of an epoch as `BatchLoader.batches` has them, with nothing left to do."""
        source = self.loader.batches(plan, epoch=epoch, first=first, rank=rank, world=world)
        with closing(source):  # type: ignore[type-var]  # a generator
            if self._stream is None:
                yield from map(self.finish, source)
            else:
                yield from map(self._settle, one_ahead(source, self._send))

    def finish(self, batch: Batch) -> Batch:
        """The batch on the device, its photos augmented to the end."""
        images = batch.images.to(self._device, non_blocking=True)
        if self._augment is not None and batch.left is not None:
            images = self._augment.finish(images, batch.left)
        return replace(batch, images=images, left=None)

    def _send(self, batch: Batch) -> tuple[Batch, torch.cuda.Event]:
        with torch.cuda.stream(self._stream):
            sent = self.finish(batch)
            return sent, torch.cuda.current_stream().record_event()

    @staticmethod
    def _settle(sent: tuple[Batch, torch.cuda.Event]) -> Batch:
        """The batch when all of it has arrived, so that its buffer may be filled anew."""
        batch, arrived = sent
        arrived.synchronize()
        batch.images.record_stream(torch.cuda.current_stream())
        return batch


def one_ahead(items: Iterator[T], start: Callable[[T], R]) -> Iterator[R]:
    """What `start` gives for each item, in order; the next one is started before one is handed out."""
    started: list[R] = []
    for item in items:
        started.append(start(item))
        if len(started) > 1:
            yield started.pop(0)
    yield from started
