"""How unlike the training photos a photo is: a distance of its features, in numpy and as a torch module.

The features of each class are taken for a Gaussian about a centre of its own; all classes share one covariance (K. Lee
and others 2018), which has some free directions and one common variance in all others (probabilistic principal
components: M. Tipping and C. Bishop 1999, B. Moghaddam and A. Pentland 1997), since a full covariance of more features
than photos cannot be inverted. The distance is Mahalanobis' to the nearest centre. Fitting is not here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import nn

_Float32 = NDArray[np.float32]
BOUND = 1e4
"""Standardised features count as at most this, so that no distance overflows."""


@dataclass(frozen=True, eq=False)
class NoveltyWeights:
    """Everything that turns features into novelty.

    With z = (features - mean) * scale - c for a centre c, y = z @ directions and r = z - y @ directions.T, the distance
    is sqrt(|y * sharpness|^2 + |r|^2 * rest^2) / unit, and the least over the centres counts.

    Attributes:
        centres: (K, D) float32, of the standardised features, one for each class; or a single row of zeros.
        mean: (D,) float32, subtracted from the features.
        scale: (D,) float32, above 0.
        directions: (D, P) float32, orthonormal columns.
        sharpness: (P,) float32, one over the deviation along each of them.
        rest: One over the deviation in every other direction.
        unit: Distance of a usual photo, so that its novelty is 1.
    """

    centres: _Float32
    mean: _Float32
    scale: _Float32
    directions: _Float32
    sharpness: _Float32
    rest: float
    unit: float = 1.0

    def measure(self, features: _Float32) -> NDArray[np.float64]:
        """Novelty of photos: (N, D) float32 to (N,) float64 >= 0, 1 being usual."""
        z = np.clip((features.astype(np.float64) - self.mean) * self.scale, -BOUND, BOUND)
        squares = np.min([self._squares(z - centre) for centre in self.centres.astype(np.float64)], axis=0)
        return np.asarray(np.sqrt(squares) / self.unit, dtype=np.float64)

    def _squares(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        y = z @ self.directions.astype(np.float64)
        r = z - y @ self.directions.T.astype(np.float64)
        return np.asarray(((y * self.sharpness) ** 2).sum(axis=1) + (r**2).sum(axis=1) * self.rest**2)

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """The weights as named arrays, for safetensors; `from_arrays` reads them back."""
        return {
            "novelty_centres": self.centres,
            "novelty_mean": self.mean,
            "novelty_scale": self.scale,
            "novelty_directions": self.directions,
            "novelty_sharpness": self.sharpness,
            "novelty_rest": np.array([self.rest, self.unit], dtype=np.float64),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> NoveltyWeights | None:
        """The weights of arrays that `to_arrays` gave; None where they hold none."""
        if "novelty_rest" not in arrays:
            return None
        names = ("mean", "scale", "directions", "sharpness")
        rest, unit = np.asarray(arrays["novelty_rest"], np.float64)
        floats = {name: np.asarray(arrays[f"novelty_{name}"], np.float32) for name in names}
        centres = arrays.get("novelty_centres", np.zeros((1, len(floats["mean"]))))  # older files have none
        return cls(np.asarray(centres, np.float32), **floats, rest=float(rest), unit=float(unit))


def novelty_module(weights: NoveltyWeights) -> nn.Module:
    """The same formula as a torch module, for export: (N, D) float32 to (N,) float32."""
    from teliti.models.novelty_layer import NoveltyLayer  # torch is not needed to measure with numpy

    arrays = {name: getattr(weights, name) for name in ("centres", "mean", "scale", "directions", "sharpness")}
    return NoveltyLayer(arrays, rest=weights.rest, unit=weights.unit, bound=BOUND).eval()
