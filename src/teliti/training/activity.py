"""What the activations of a network do on a few photos: units that never fire, and outputs stuck at their limits.

A unit is one channel (or one output of a dense layer). It is dead when a ReLU gives 0 for every photo at every place:
no gradient reaches its weights. A sigmoid or tanh is saturated where its slope is below 4 % of its steepest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from teliti.types import Record

_SIGMOID_LIMIT = 0.99  # slope s (1 - s) = 0.0099, of at most 0.25
_TANH_LIMIT = 0.98  # slope 1 - t^2 = 0.0396, of at most 1


@dataclass(frozen=True)
class LayerActivity:
    """One activation layer on the photos that were shown.

    Attributes:
        name: Of the module.
        kind: "dead" (of ReLU units) or "saturated" (of sigmoid and tanh outputs).
        share: Of its units or outputs, in [0, 1].
        units: How many units it has.
    """

    name: str
    kind: str
    share: float
    units: int

    def to_record(self) -> Record:
        """JSON-ready."""
        return {"name": self.name, "kind": self.kind, "share": self.share, "units": self.units}


def measure_activity(net: nn.Module, x: Tensor, run: Callable[[Tensor], Tensor]) -> list[LayerActivity]:
    """Run photos through the network and look at each of its activation layers.

    Args:
        net: In evaluation mode.
        x: (N, C, H, W) float32, normalised.
        run: Calls the network (in the run's precision).
    """
    found: list[LayerActivity] = []

    def watch(name: str, module: nn.Module) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def hook(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
            found.append(_look(name, module, output.detach()))

        return hook

    handles = [
        module.register_forward_hook(watch(name, module))
        for name, module in net.named_modules()
        if isinstance(module, nn.ReLU | nn.ReLU6 | nn.Sigmoid | nn.Tanh)
    ]
    try:
        with torch.inference_mode():
            run(x)
    finally:
        for handle in handles:
            handle.remove()
    return found


def overall_share(layers: list[LayerActivity], kind: str) -> float | None:
    """The share over all units of the layers of a kind; None where the network has no such layer."""
    own = [layer for layer in layers if layer.kind == kind]
    units = sum(layer.units for layer in own)
    return sum(layer.share * layer.units for layer in own) / units if units else None


def _look(name: str, module: nn.Module, output: Tensor) -> LayerActivity:
    units = output.shape[1]
    if isinstance(module, nn.ReLU | nn.ReLU6):
        largest = output.amax(dim=[0, *range(2, output.ndim)])  # (units,)
        return LayerActivity(name, "dead", float((largest <= 0.0).float().mean()), units)
    values = output.float()
    far = values.abs() > _TANH_LIMIT
    if isinstance(module, nn.Sigmoid):
        far = (values > _SIGMOID_LIMIT) | (values < 1.0 - _SIGMOID_LIMIT)
    return LayerActivity(name, "saturated", float(far.float().mean()), units)
