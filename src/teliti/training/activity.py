"""What the activations of a network do on a few photos: units that never fire, and outputs stuck at their limits.

A unit is one channel (or one output of a dense layer). It is dead when a ReLU gives 0 for every photo at every place:
no gradient reaches its weights. A sigmoid or tanh is saturated where its slope is below 4 % of its steepest.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from teliti.types import Record

_SIGMOID_LIMIT = 0.99  # slope s (1 - s) = 0.0099, of at most 0.25
_FEW_ROWS = 64
_TANH_LIMIT = 0.98  # slope 1 - t^2 = 0.0396, of at most 1
Jobs = Callable[[Callable[[int], Any], int], list[Any]]


def _in_turn(work: Callable[[int], Any], jobs: int) -> list[Any]:
    return [work(job) for job in range(jobs)]


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


def measure_activity(
    net: nn.Module, parts: Sequence[Tensor], run: Callable[[Tensor], Tensor], *, side_by_side: Jobs = _in_turn
) -> list[LayerActivity]:
    """Run photos through the network and look at each of its activation layers.

    Args:
        net: In evaluation mode.
        parts: Of the photos, each (N, C, H, W) float32, normalised.
        run: Calls the network (in the run's precision).
        side_by_side: Does job 0 ... jobs - 1 and gives the results in order, as `Replicas.run`.
    """
    here = threading.local()

    def watch(name: str, module: nn.Module) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def hook(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
            here.found.append((name, module, _look(module, output.detach())))

        return hook

    def look_at(place: int) -> list[tuple[str, nn.Module, Tensor]]:
        here.found = []
        with torch.inference_mode():
            run(parts[place])
        return here.found  # type: ignore[no-any-return]

    handles = [
        module.register_forward_hook(watch(name, module))
        for name, module in net.named_modules()
        if isinstance(module, nn.ReLU | nn.ReLU6 | nn.Sigmoid | nn.Tanh)
    ]
    try:
        looks = side_by_side(look_at, len(parts))
    finally:
        for handle in handles:
            handle.remove()
    return [_activity([look[place] for look in looks]) for place in range(len(looks[0]))]


def overall_share(layers: list[LayerActivity], kind: str) -> float | None:
    """The share over all units of the layers of a kind; None where the network has no such layer."""
    own = [layer for layer in layers if layer.kind == kind]
    units = sum(layer.units for layer in own)
    return sum(layer.share * layer.units for layer in own) / units if units else None


def _look(module: nn.Module, output: Tensor) -> Tensor:
    """(units,) largest output of each unit of a ReLU; of others how many outputs are at a limit, of how many, units."""
    if isinstance(module, nn.ReLU | nn.ReLU6):
        return _largest(output)
    values = output.float()
    far = values.abs() > _TANH_LIMIT
    if isinstance(module, nn.Sigmoid):
        far = (values > _SIGMOID_LIMIT) | (values < 1.0 - _SIGMOID_LIMIT)
    return torch.tensor([float(far.sum()), float(far.numel()), float(output.shape[1])])


def _largest(output: Tensor) -> Tensor:
    """(units,) of (N, units, ...); by halves, since torch's maximum along an axis takes four times as long in bf16."""
    rows = output.movedim(1, -1).reshape(-1, output.shape[1])
    while output.dtype == torch.bfloat16 and len(rows) > _FEW_ROWS:
        half = -(-len(rows) // 2)  # of an odd number, the middle row is in both
        rows = torch.maximum(rows[:half], rows[-half:])
    return rows.amax(dim=0)


def _activity(looks: Sequence[tuple[str, nn.Module, Tensor]]) -> LayerActivity:
    """One layer, from what was seen of it in each part."""
    name, module, _ = looks[0]
    seen = torch.stack([look.float() for _, _, look in looks])  # (parts, ...)
    if isinstance(module, nn.ReLU | nn.ReLU6):
        return LayerActivity(name, "dead", float((seen.amax(dim=0) <= 0.0).float().mean()), seen.shape[1])
    return LayerActivity(name, "saturated", float(seen[:, 0].sum() / seen[:, 1].sum()), int(seen[0, 2]))
