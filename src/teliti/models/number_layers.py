"""The number steps of a prepare chain as a torch module, so that they stand inside the exported graph.

The steps' records and fitted arrays come as plain data; the arithmetic is that of `imaging.standardize`, in float32.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from teliti.types import Record


class NumberLayers(nn.Module):
    """Number steps in order, on photos (N, H, W, C) float32 of 0..255.

    Args:
        records: The steps' parameters, as in a chain's record.
        arrays: What each step learnt from the training photos: `mean` and `std` (C,), `matrix` (D, D).
    """

    def __init__(self, records: Sequence[Record], arrays: Sequence[Mapping[str, NDArray[Any]]]) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(_LAYERS[record["step"]](record, own) for record, own in zip(records, arrays, strict=True))
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) float32 to the same shape."""
        numbers: Tensor = self.layers(x)
        return numbers


class NumberInput(nn.Module):
    """uint8 photos as a network wants them that has number steps in the place of mean and std.

    Args:
        numbers: The steps.
    """

    def __init__(self, numbers: NumberLayers) -> None:
        super().__init__()
        self.numbers = numbers

    def forward(self, image: Tensor) -> Tensor:
        """(N, H, W, C) uint8 to (N, C, H, W) float32."""
        numbers: Tensor = self.numbers(image.to(torch.float32)).permute(0, 3, 1, 2)
        return numbers


class _Rescale(nn.Module):
    def __init__(self, record: Record, arrays: Mapping[str, NDArray[Any]]) -> None:  # noqa: ARG002
        super().__init__()
        self.factor, self.offset = float(record["factor"]), float(record["offset"])

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor + self.offset


class _BySample(nn.Module):
    def __init__(self, record: Record) -> None:
        super().__init__()
        self.axes = (1, 2) if record["per_channel"] else (1, 2, 3)
        self.eps = float(record["eps"]) if record["step"] == "standardize" else None

    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean(dim=self.axes, keepdim=True)
        if self.eps is None:
            return centred
        return centred / (centred.square().mean(dim=self.axes, keepdim=True).sqrt() + self.eps)


class _ByFeature(nn.Module):
    mean: Tensor
    scale: Tensor

    def __init__(self, record: Record, arrays: Mapping[str, NDArray[Any]]) -> None:
        super().__init__()
        std = np.asarray(arrays.get("std", np.zeros_like(arrays["mean"])), dtype=np.float64)
        divisor = np.where(std > 0, std + float(record.get("eps", 0.0)), 1.0)
        self.register_buffer("mean", torch.tensor(arrays["mean"], dtype=torch.float32))
        self.register_buffer("scale", torch.tensor(1.0 / divisor, dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) * self.scale


class _Whiten(nn.Module):
    mean: Tensor
    matrix: Tensor

    def __init__(self, record: Record, arrays: Mapping[str, NDArray[Any]]) -> None:  # noqa: ARG002
        super().__init__()
        self.register_buffer("mean", torch.tensor(arrays["mean"], dtype=torch.float32).flatten())
        self.register_buffer("matrix", torch.tensor(arrays["matrix"], dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(1)
        mean = self.mean if len(self.mean) == flat.shape[1] else self.mean.repeat(flat.shape[1] // len(self.mean))
        return ((flat - mean) @ self.matrix).reshape(x.shape)


def _by(record: Record, arrays: Mapping[str, NDArray[Any]]) -> nn.Module:
    return _BySample(record) if record["by"] == "sample" else _ByFeature(record, arrays)


_LAYERS: dict[str, Any] = {"rescale": _Rescale, "center": _by, "standardize": _by, "zca": _Whiten}
