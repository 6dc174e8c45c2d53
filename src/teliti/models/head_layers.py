"""Heads as torch modules: the formulas of `heads.HeadWeights`, written so that they export to ONNX as they are.

Distances and weighted sums are taken in float64: a kernel head adds up a thousand large terms of either sign, and
in float32 two engines would differ by more than the logits may.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from teliti.models.bend import FAR, pieces

if TYPE_CHECKING:
    from teliti.models.heads import HeadWeights


class Standardise(nn.Module):
    """(features - mean) * scale, clipped."""

    mean: Tensor
    scale: Tensor

    def __init__(self, weights: HeadWeights) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(weights.mean))
        self.register_buffer("scale", torch.tensor(weights.scale))
        self.limit = weights.limit

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

    def __init__(self, supports: Tensor) -> None:
        super().__init__()
        self.register_buffer("supports", supports)  # (M, D); float32, since float64 would double the file
        self.register_buffer("squares", supports.double().square().sum(dim=1))  # (M,)

    def forward(self, z: Tensor) -> Tensor:
        """(N, D) float64 to (N, M) float64 in [0, 1]."""
        distances = z.square().sum(dim=1, keepdim=True) + self.squares - 2.0 * (z @ self.supports.double().T)
        return torch.exp(-distances.clamp_min(0.0))


class AffineMap(nn.Module):
    """inputs @ weight + bias."""

    weight: Tensor
    bias: Tensor

    def __init__(self, weights: HeadWeights) -> None:
        super().__init__()
        self.register_buffer("weight", torch.tensor(weights.weight).double())
        self.register_buffer("bias", torch.tensor(weights.bias).double())

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, D) or (N, M) float64 to (N, K') float32."""
        return (inputs @ self.weight + self.bias).float()


class Bend(nn.Module):
    """The rising curve of `models.bend`, for the log-odds of class 1 or for the logits of more classes.

    Args:
        weights: Of a head with a curve.
    """

    places: Tensor
    turns: Tensor
    apart: Tensor

    def __init__(self, weights: HeadWeights) -> None:
        super().__init__()
        if weights.bend is None:
            raise ValueError("a curve needs knots")
        self.start, self.slope, places, turns = pieces(weights.bend)
        self.is_binary = weights.weight.shape[1] == 1
        self.register_buffer("places", torch.from_numpy(places))
        self.register_buffer("turns", torch.from_numpy(turns))
        size = weights.weight.shape[1]
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


def build_head(weights: HeadWeights) -> nn.Module:
    """The torch module of a head, in evaluation mode."""
    steps: list[nn.Module] = [Standardise(weights)]
    if weights.supports is not None:
        steps.append(GaussianKernel(torch.tensor(weights.supports)))
    steps.append(AffineMap(weights))
    outputs = nn.Sequential(*steps, *([] if weights.bend is None else [Bend(weights)]))
    if weights.is_regression:
        return outputs.eval()
    if weights.is_multilabel:
        return LabelHead(outputs).eval()
    return ClassHead(outputs, is_binary=weights.weight.shape[1] == 1).eval()
