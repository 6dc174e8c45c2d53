"""What all sides of bench_throughput.py share: the conversation, a round of steps, and how steps are counted."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator

SEED, CLASSES, LR = 7, 2, 1e-3
ROUND_S = 2.5  # about; a side does as many whole steps as fit
Round = Callable[[], tuple[int, float]]
"""Trains for a while; photos and seconds."""


class Talk:
    """The conversation with the bench, over this process's input and output."""

    def __init__(self) -> None:
        self._answers = os.fdopen(os.dup(1), "w", buffering=1)
        os.dup2(2, 1)  # what libraries print must not be taken for an answer

    def ready(self, facts: dict) -> None:
        """The side is made and warm."""
        print("ready", json.dumps(facts), file=self._answers)

    def words(self) -> Iterator[str]:
        """What is asked for, until the input ends."""
        return (line.strip() for line in sys.stdin)

    def answer(self, photos: int, seconds: float) -> None:
        """Of a round."""
        print(photos, seconds, file=self._answers)


def steps_for(step: Callable[[], None], batch: int) -> Round:
    """A round of whole steps, their number fixed after a warm-up; a step that is still running counts as time."""
    for _ in range(3):
        step()
    began = time.perf_counter()
    step()
    step()
    count = max(2, round(ROUND_S / ((time.perf_counter() - began) / 2)))

    def work() -> tuple[int, float]:
        begin = time.perf_counter()
        done = 0
        while done < count and (done < 2 or time.perf_counter() - begin < 3 * ROUND_S):  # a busy machine: fewer
            step()
            done += 1
        return done * batch, time.perf_counter() - begin

    return work


def flop_of_a_step(net, x) -> float:  # noqa: ANN001
    """Operations of forward and backward: three times the forward pass, but no gradient of the photos.

    torch's count of a backward pass takes depthwise convolutions for dense ones.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    first = next(module for module in net.modules() if isinstance(module, torch.nn.Conv2d))
    counts = []
    with torch.no_grad():
        for module in (net, first):
            with FlopCounterMode(display=False) as counter:
                module(x)
            counts.append(counter.get_total_flops())
    return 3 * counts[0] - counts[1]
