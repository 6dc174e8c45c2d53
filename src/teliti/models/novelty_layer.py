"""Novelty as a torch module: the formula of `novelty.NoveltyWeights`, written so that it exports to ONNX as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from teliti.models.novelty import BOUND

if TYPE_CHECKING:
    from teliti.models.novelty import NoveltyWeights


class NoveltyLayer(nn.Module):
    """Distance of features from those of the training photos; sums are taken in float64, as in the heads."""

    centres: Tensor
    mean: Tensor
    scale: Tensor
    directions: Tensor
    sharpness: Tensor

    def __init__(self, weights: NoveltyWeights) -> None:
        super().__init__()
        for name in ("centres", "mean", "scale", "directions", "sharpness"):
            self.register_buffer(name, torch.tensor(getattr(weights, name)))
        self.rest, self.unit = weights.rest, weights.unit

    def forward(self, features: Tensor) -> Tensor:
        """(N, D) float32 to (N,) float32 >= 0."""
        z = ((features.double() - self.mean.double()) * self.scale.double()).clamp(-BOUND, BOUND)
        directions, centres = self.directions.double(), self.centres.double()
        y = z @ directions
        r = z - y @ directions.T
        free = (y * self.sharpness.double()).unsqueeze(1) - centres @ directions * self.sharpness.double()
        apart = r.unsqueeze(1) - (centres - centres @ directions @ directions.T)
        squares = free.square().sum(dim=2) + apart.square().sum(dim=2) * self.rest**2
        return (squares.amin(dim=1).sqrt() / self.unit).float()
