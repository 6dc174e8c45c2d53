"""Augmentations that mix the photos of a batch and the weights of their labels: mixup and cutmix.

Labels become weights: row i says what share of photo i's label each class has. `one_hot` starts from class indices;
a loss that takes class probabilities (cross-entropy does) takes the mixed rows as they are.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from teliti.errors import UserError
from teliti.transforms.operations import OPERATIONS, BatchOperation, Mixture
from teliti.types import FloatArray, IntArray, UInt8Image

Alpha = Annotated[float, Field(ge=0.0, le=100.0)]


def one_hot(labels: IntArray, num_classes: int) -> FloatArray:
    """Label weights of unmixed photos: (N,) class indices to (N, num_classes) float32 of 0 and 1.

    Raises:
        UserError: an index outside 0..num_classes - 1.
    """
    labels = np.asarray(labels)
    outside = labels[(labels < 0) | (labels >= num_classes)]
    if outside.size:
        raise UserError(
            f"labels must be class indices from 0 to {num_classes - 1}, got {int(outside[0])}.",
            hint="Give num_classes as the number of all classes of the data.",
        )
    weights = np.zeros((len(labels), num_classes), dtype=np.float32)
    weights[np.arange(len(labels)), labels] = 1.0
    return weights


@OPERATIONS.register("mixup")
class Mixup(BatchOperation):
    """Lay another photo of the batch over each photo (H. Zhang and others, ICLR 2018).

    Attributes:
        alpha: Of the Beta(alpha, alpha) law of a photo's own share; 0 mixes nothing, 1 mixes by any share alike.
    """

    step: Literal["mixup"] = "mixup"
    alpha: Alpha = 0.2

    def draw(self, count: int, size: tuple[int, int], *, rng: np.random.Generator) -> Mixture:  # noqa: ARG002
        """Partners and shares; see `BatchOperation.draw`."""
        return Mixture(*_partners(count, self.alpha, rng))


@OPERATIONS.register("cutmix")
class CutMix(BatchOperation):
    """Put a rectangle of another photo of the batch into each photo (S. Yun and others, ICCV 2019).

    Attributes:
        alpha: Of the Beta(alpha, alpha) law of a photo's own share of the area; 0 mixes nothing.
    """

    step: Literal["cutmix"] = "cutmix"
    alpha: Alpha = 1.0

    def draw(self, count: int, size: tuple[int, int], *, rng: np.random.Generator) -> Mixture:
        """Partners and rectangles; see `BatchOperation.draw`. Label weights follow the area that is seen."""
        partner, own = _partners(count, self.alpha, rng)
        centres = rng.random((count, 2))
        windows = np.zeros((count, 4), dtype=np.int64)
        for i, share in enumerate(own):
            side = math.sqrt(1.0 - share)
            top, bottom = _span(centres[i, 0], side, size[0])
            left, right = _span(centres[i, 1], side, size[1])
            windows[i] = top, bottom, left, right
            own[i] = 1.0 - (bottom - top) * (right - left) / (size[0] * size[1])
        return Mixture(partner, own, windows)


def check_batch(images: UInt8Image, weights: FloatArray) -> None:
    """Refuse a batch that cannot be mixed.

    Raises:
        UserError: not uint8 photos, or not one row of label weights for each.
    """
    if images.dtype != np.uint8 or images.ndim not in {3, 4}:
        raise UserError(
            f"images must be uint8 of shape (N, H, W, 3) or (N, H, W), got {images.dtype} of shape {images.shape}.",
            hint="Mix before the photos become numbers.",
        )
    if weights.ndim != 2 or len(weights) != len(images) or not np.issubdtype(weights.dtype, np.floating):
        raise UserError(
            f"weights must be floats of shape ({len(images)}, classes), got {weights.dtype} of shape {weights.shape}.",
            hint="Make them from class indices with one_hot.",
        )


def _partners(count: int, alpha: float, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
    """For each photo another one of the batch and its own share of the mixture, both (N,)."""
    partner = rng.permutation(count)
    own = rng.beta(alpha, alpha, size=count) if alpha > 0.0 else np.ones(count)
    return partner, own


def _span(centre: float, side: float, length: int) -> tuple[int, int]:
    """First and last-but-one pixel of a stretch of `side` (share of the length) about `centre`, inside the photo."""
    return max(0, round((centre - side / 2) * length)), min(length, round((centre + side / 2) * length))
