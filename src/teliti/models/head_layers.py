"""Heads as torch modules: the formulas of `heads.HeadWeights`, written so that they export to ONNX as they are.

Distances and weighted sums are taken in float64: a kernel head adds up a thousand large terms of either sign, and
in float32 two engines would differ by more than the logits may.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

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
    outputs = nn.Sequential(*steps, AffineMap(weights))
    if weights.is_regression:
        return outputs.eval()
    if weights.is_multilabel:
        return LabelHead(outputs).eval()
    return ClassHead(outputs, is_binary=weights.weight.shape[1] == 1).eval()
