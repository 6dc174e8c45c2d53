"""An exponential moving average of the weights, by torch's `AveragedModel`.

The decay grows with the steps up to its final value, min(decay, (1 + n) / (10 + n)) (the warm-up of TensorFlow's
ExponentialMovingAverage), so that a short run is not an average of its random start.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def warm_decay(decay: float, steps: int) -> float:
    """The decay after so many averaged steps."""
    return min(decay, (1 + steps) / (10 + steps))


def start_ema(net: nn.Module, decay: float) -> AveragedModel:
    """An average that begins as a copy of the network; `update_parameters(net)` after each step.

    Buffers, as the statistics of BatchNorm, are copied and not averaged.

    Args:
        net: The network that learns.
        decay: Final decay, in (0, 1).
    """

    @torch.no_grad()
    def move(averaged: Sequence[Tensor], current: Sequence[Tensor], steps: Tensor | int) -> None:
        weight = 1.0 - warm_decay(decay, int(steps))
        torch._foreach_lerp_(list(averaged), list(current), weight)

    move_any: Any = move
    return AveragedModel(net, multi_avg_fn=move_any)
