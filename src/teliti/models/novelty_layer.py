"""Novelty as a torch module, written so that it exports to ONNX as it is; `novelty` has the formula and makes it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class NoveltyLayer(nn.Module):
    """Distance of features from those of the training photos; sums are taken in float64, as in the heads.

    Args:
        arrays: "centres" (K, D), "mean" (D,), "scale" (D,), "directions" (D, P) and "sharpness" (P,), float32.
        rest: One over the deviation in every other direction.
        unit: Distance that becomes 1.
        bound: Above 0; standardised features count as at most this.
    """

    centres: Tensor
    mean: Tensor
    scale: Tensor
    directions: Tensor
    sharpness: Tensor

    def __init__(self, arrays: Mapping[str, NDArray[np.float32]], *, rest: float, unit: float, bound: float) -> None:
        super().__init__()
        for name, array in arrays.items():
            self.register_buffer(name, torch.tensor(array))
        self.rest, self.unit, self.bound = rest, unit, bound

    def forward(self, features: Tensor) -> Tensor:
        """(N, D) float32 to (N,) float32 >= 0."""
        z = ((features.double() - self.mean.double()) * self.scale.double()).clamp(-self.bound, self.bound)
        directions, centres = self.directions.double(), self.centres.double()
        y = z @ directions
        r = z - y @ directions.T
        free = (y * self.sharpness.double()).unsqueeze(1) - centres @ directions * self.sharpness.double()
        apart = r.unsqueeze(1) - (centres - centres @ directions @ directions.T)
        squares = free.square().sum(dim=2) + apart.square().sum(dim=2) * self.rest**2
        return (squares.amin(dim=1).sqrt() / self.unit).float()
