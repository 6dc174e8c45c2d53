"""Where a run's photos are augmented: by the loader's threads or on the network's device, by timing a batch both ways.

On a CPU nothing is timed: threads that augment one photo each by OpenCV cost less than torch on the same cores, and
they do it while the network computes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch

from teliti.recipe.train import AugmentOn, TrainRecipe
from teliti.training.batches import TrainingData
from teliti.training.feed import Feed
from teliti.types import Record

_PROBE_SECONDS = 0.5  # for each way, warm-up included
_MOST_ROUNDS = 8


@dataclass(frozen=True)
class Cost:
    """What the photos of one step cost.

    Attributes:
        assembling: Seconds of one loader thread.
        finishing: Seconds of the device, and of what brings them there.
    """

    assembling: float
    finishing: float

    def of_a_step(self, step: float, *, workers: int) -> float:
        """Seconds from one step to the next.

        Args:
            step: Seconds of the network alone.
            workers: Threads that assemble the next batches meanwhile; 0: one after the other.
        """
        if not workers:
            return self.assembling + self.finishing + step
        return max(self.assembling / workers, self.finishing + step)


def is_place_open(data: TrainingData, options: TrainRecipe) -> bool:
    """True when both ways are possible and nobody has said which."""
    return options.augment_on == "auto" and options.device == "cuda" and data.device_augment is not None


def settled_place(data: TrainingData, options: TrainRecipe) -> AugmentOn:
    """What needs no probe: "cpu" unless the device is asked for and has something to do."""
    return "device" if options.augment_on == "device" and data.device_augment is not None else "cpu"


def choose_place(
    data: TrainingData, options: TrainRecipe, *, device: torch.device, step: float
) -> tuple[AugmentOn, tuple[Record, ...]]:
    """The way that gives a step its photos sooner; the device where both do, since it leaves cores to others.

    Args:
        data: With an augmentation of which the device can do something.
        options: Batch size and workers.
        device: Of the network.
        step: Seconds of the network for a batch.

    Returns:
        The place, and one record for each: augment_on, photos_per_s, chosen.
    """
    places: tuple[AugmentOn, ...] = ("device", "cpu")
    photos = min(options.batch_size, len(data.train))
    seconds = [
        time_photos(data, photos, device=device, place=place).of_a_step(step, workers=options.num_workers)
        for place in places
    ]
    best = places[int(np.argmin(seconds))]
    return best, tuple(
        {"augment_on": place, "photos_per_s": round(photos / taken, 1), "chosen": place == best}
        for place, taken in zip(places, seconds, strict=True)
    )


def time_photos(data: TrainingData, photos: int, *, device: torch.device, place: AugmentOn) -> Cost:
    """The best of several batches, a warm-up before them.

    Args:
        data: Photos.
        photos: Of a batch.
        device: Of the network.
        place: Which way.
    """
    feed = Feed(data, TrainRecipe(num_workers=0, augment_on=place), seed=0, device=device)
    plan, began = [np.resize(data.train, photos)], time.perf_counter()
    best = Cost(float("inf"), float("inf"))
    for number in range(1 + _MOST_ROUNDS):
        start = time.perf_counter()
        batch = next(feed.loader.batches(plan, epoch=number))
        assembled = time.perf_counter()
        feed.finish(batch)
        if device.type == "cuda":
            torch.cuda.synchronize()
        done = time.perf_counter()
        if number:
            best = Cost(min(best.assembling, assembled - start), min(best.finishing, done - assembled))
        if number and done - began > _PROBE_SECONDS:
            break
    return best
