"""The parts of a head as torch modules, written so that they export to ONNX as they are; `heads` puts them together.

Distances and weighted sums are taken in float64: a kernel head adds up a thousand large terms of either sign, and
in float32 two engines would differ by more than the logits may.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from teliti.models.bend import FAR, pieces

_Float32 = NDArray[np.float32]


class Standardise(nn.Module):
    """(features - mean) * scale, clipped.

    Args:
        mean: (D,) float32.
        scale: (D,) float32.
        limit: Above 0; bound of what comes out.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: _Float32, scale: _Float32, *, limit: float) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("scale", torch.tensor(scale))
        self.limit = limit

    def forward(self, features: Tensor) -> Tensor:
        """(N, D) float32 to (N, D) float64 in [-limit, limit]."""
        return ((features - self.mean) * self.scale).clamp(-self.limit, self.limit).double()


class GaussianKernel(nn.Module):
    """exp(-|row - support|^2) to M kept photos.

    Args:
        supports: (M, D) float32.
    """

    supports: Tensor
    squares: Tensor

    def __init__(self, supports: _Float32) -> None:
        super().__init__()
        self.register_buffer("supports", torch.tensor(supports))  # float32, since float64 would double the file
        self.register_buffer("squares", self.supports.double().square().sum(dim=1))  # (M,)

    def forward(self, z: Tensor) -> Tensor:
        """(N, D) float64 to (N, M) float64 in [0, 1]."""
        distances = z.square().sum(dim=1, keepdim=True) + self.squares - 2.0 * (z @ self.supports.double().T)
        return torch.exp(-distances.clamp_min(0.0))


class AffineMap(nn.Module):
    """inputs @ weight + bias.

    Args:
        weight: (D, K') or (M, K') float32.
        bias: (K',) float32.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: _Float32, bias: _Float32) -> None:
        super().__init__()
        self.register_buffer("weight", torch.tensor(weight).double())
        self.register_buffer("bias", torch.tensor(bias).double())

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, D) or (N, M) float64 to (N, K') float32."""
        return (inputs @ self.weight + self.bias).float()


class Bend(nn.Module):
    """The rising curve of `models.bend`, for the log-odds of class 1 or for the logits of more classes.

    Args:
        knots: (2, M) float32, places and heights, both rising.
        size: K', the columns that go through it; 1: the log-odds of class 1.
    """

    places: Tensor
    turns: Tensor
    apart: Tensor

    def __init__(self, knots: _Float32, *, size: int) -> None:
        super().__init__()
        self.start, self.slope, places, turns = pieces(knots)
        self.is_binary = size == 1
        self.register_buffer("places", torch.from_numpy(places))
        self.register_buffer("turns", torch.from_numpy(turns))
        self.register_buffer("apart", torch.diag(torch.full((size,), FAR, dtype=torch.float64)))

    def forward(self, outputs: Tensor) -> Tensor:
        """(N, K') float32 to (N, K') float32."""
        exact = outputs.double()
        if self.is_binary:
            return self._bend(exact).float()
        others = exact.unsqueeze(1) + self.apart  # (N, K, K) without the class itself
        most = others.amax(dim=2)
        rest = most + torch.exp(others - most.unsqueeze(2)).sum(dim=2).log()
        bent = self._bend(exact - rest)
        return (-torch.relu(-bent) - torch.log(1.0 + torch.exp(-bent.abs()))).float()

    def _bend(self, values: Tensor) -> Tensor:
        ramps = torch.relu(values.unsqueeze(-1) - self.places) * self.turns
        return self.start + self.slope * values + ramps.sum(dim=-1)


class ClassHead(nn.Module):
    """Logits and probabilities from a head's outputs.

    Args:
        outputs: (N, D) to (N, K').
        is_binary: One column, the log-odds of class 1; a column of zeros is put before it.
    """

    def __init__(self, outputs: nn.Module, *, is_binary: bool) -> None:
        super().__init__()
        self.outputs = outputs
        self.is_binary = is_binary

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(N, D) float32 to logits (N, K) and probabilities (N, K)."""
        logits = self.outputs(features)
        if self.is_binary:
            logits = torch.cat([torch.zeros_like(logits), logits], dim=1)
        return logits, torch.softmax(logits, dim=1)


class LabelHead(nn.Module):
    """Logits and probabilities of labels, each by itself, from a head's outputs.

    Args:
        outputs: (N, D) to (N, K).
    """

    def __init__(self, outputs: nn.Module) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(N, D) float32 to logits (N, K) and probabilities (N, K)."""
        logits = self.outputs(features)
        return logits, torch.sigmoid(logits)
