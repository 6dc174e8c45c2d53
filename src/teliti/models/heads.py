"""Heads: the fixed function from features to logits, as named arrays, in numpy and in torch.

Two kinds cover every head that training offers. "linear" is an affine map of the standardised features (logistic
regression, softmax, linear SVM, ridge). "rbf" is an affine map of their Gaussian kernel to kept photos: the
support vectors of an SVM, or landmarks. Calibration is affine too and is folded into the last map; isotonic
calibration adds a curve of straight pieces behind it. Fitting is not here, and neither is any threshold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from teliti.errors import BundleError, UserError
from teliti.models.bend import bend_logits

if TYPE_CHECKING:
    from torch import nn

HeadKind = Literal["linear", "rbf"]
_Float32 = NDArray[np.float32]
_Float = TypeVar("_Float", np.float32, np.float64)
DEFAULT_LIMIT = 5.0
"""Standard deviations beyond which a feature counts as this many."""
_ROWS_PER_BLOCK = 2048  # bounds the kernel block in memory: 2048 x supports x 4 bytes


@dataclass(frozen=True, eq=False)
class HeadWeights:
    """Everything that turns features into logits.

    The formula, with z = (features - mean) * scale clipped to [-limit, limit]: "linear" gives z @ weight + bias;
    "rbf" gives exp(-|z - support|^2) @ weight + bias, the kernel's width being part of `scale`. Clipping bounds
    what one feature that hardly varied in training can do to the score of a photo where it does. A classifier of
    two classes has one column, the log-odds of class 1, and a column of zeros is put before it. Where a photo may have
    several labels, every column is the log-odds of one.

    Attributes:
        mean: (D,) float32, subtracted from the features.
        scale: (D,) float32; 0 where a feature was constant in training.
        weight: (D, K') float32 for "linear", (M, K') for "rbf"; K' = 1 for two classes and for one number.
        bias: (K',) float32.
        supports: (M, D) float32, already standardised, for "rbf"; None for "linear".
        limit: Above 0; bound of the standardised features, in units of `scale`.
        is_regression: True when the outputs are the numbers themselves.
        is_multilabel: True when every output is a label of its own.
        bend: (2, M) float32, the knots of a rising curve that the log-odds of classes go through at last; None: they
            stay as they are.
    """

    mean: _Float32
    scale: _Float32
    weight: _Float32
    bias: _Float32
    supports: _Float32 | None = None
    limit: float = DEFAULT_LIMIT
    is_regression: bool = False
    is_multilabel: bool = False
    bend: _Float32 | None = None

    @property
    def kind(self) -> HeadKind:
        """Which formula it is."""
        return "linear" if self.supports is None else "rbf"

    @property
    def num_features(self) -> int:
        """D, the length of a feature vector."""
        return len(self.mean)

    @property
    def num_outputs(self) -> int:
        """K: the number of classes, labels or numbers."""
        return 2 if self._is_binary else self.weight.shape[1]

    def logits(self, features: _Float32) -> _Float32:
        """Logits of photos.

        Args:
            features: (N, D) float32.

        Returns:
            (N, K) float32 whose softmax (of labels: sigmoid) is the calibrated probability; column 0 is 0 for two
            classes. For regression the numbers themselves.

        Raises:
            UserError: the features have another length than those of the training.
        """
        if features.ndim != 2 or features.shape[1] != self.num_features:
            raise UserError(
                f"Features must have shape (N, {self.num_features}), got {features.shape}.",
                hint="Use the backbone, stages and pooling that this head was trained with.",
            )
        blocks = [
            self._block(features[start : start + _ROWS_PER_BLOCK]) for start in range(0, len(features), _ROWS_PER_BLOCK)
        ]
        return np.concatenate(blocks) if blocks else np.zeros((0, self.num_outputs), np.float32)

    def probs(self, features: _Float32) -> _Float32:
        """Class probabilities of photos: (N, D) float32 to (N, K) float32 in [0, 1]; of classes rows sum to 1.

        Raises:
            UserError: the head gives numbers, not classes, or the features have a wrong length.
        """
        if self.is_regression:
            raise UserError(
                "Probabilities must come from a classification head, got a regression head.",
                hint="Use logits(), which gives the number itself.",
            )
        return np.asarray(self.outputs(self.logits(features)), dtype=np.float32)

    def outputs(self, logits: _Float32) -> _Float32:
        """Probabilities of logits, or the numbers as they are: (N, K) float32 to (N, K) float32."""
        if self.is_regression:
            return logits
        if self.is_multilabel:
            return np.asarray(sigmoid(logits.astype(np.float64)), dtype=np.float32)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """The weights as named arrays, for safetensors; `from_arrays` reads them back."""
        arrays: dict[str, NDArray[np.generic]] = {
            "mean": self.mean,
            "scale": self.scale,
            "weight": self.weight,
            "bias": self.bias,
            "limit": np.array([self.limit], dtype=np.float32),
            "is_regression": np.array([self.is_regression], dtype=np.uint8),
        }
        if self.supports is not None:
            arrays["supports"] = self.supports
        if self.is_multilabel:
            arrays["is_multilabel"] = np.array([True], dtype=np.uint8)
        if self.bend is not None:
            arrays["bend"] = self.bend
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> HeadWeights:
        """The head of arrays that `to_arrays` gave.

        Raises:
            BundleError: an array is missing or has a shape that does not fit the others.
        """
        wanted = {"mean", "scale", "weight", "bias", "limit", "is_regression"}
        missing = sorted(wanted - set(arrays))
        if missing:
            raise BundleError(
                f"The head's weights must have {', '.join(sorted(wanted))}, got none named {', '.join(missing)}.",
                hint="Train again, or take the bundle from its source again.",
            )
        floats = {name: np.asarray(arrays[name], np.float32) for name in ("mean", "scale", "weight", "bias")}
        supports = np.asarray(arrays["supports"], np.float32) if "supports" in arrays else None
        limit = float(np.asarray(arrays["limit"], np.float32).max(initial=0.0))
        is_regression = bool(np.any(arrays["is_regression"]))
        is_multilabel = bool(np.any(arrays.get("is_multilabel", False)))
        bend = np.asarray(arrays["bend"], np.float32) if "bend" in arrays else None
        head = cls(
            **floats, supports=supports, limit=limit, is_regression=is_regression, is_multilabel=is_multilabel,
            bend=bend,
        )  # fmt: skip
        head._check_shapes()
        return head

    @property
    def _is_binary(self) -> bool:
        return not (self.is_regression or self.is_multilabel) and self.weight.shape[1] == 1

    def _block(self, features: _Float32) -> _Float32:
        inputs = standardise(features, self.mean, self.scale, limit=self.limit).astype(np.float64)
        if self.supports is not None:
            inputs = gaussian_kernel(inputs, self.supports.astype(np.float64))
        outputs = (inputs @ self.weight.astype(np.float64) + self.bias).astype(np.float32)
        logits = np.concatenate([np.zeros_like(outputs), outputs], axis=1) if self._is_binary else outputs
        return logits if self.bend is None else bend_logits(logits, self.bend)

    def _check_shapes(self) -> None:
        dims, rows = self.mean.shape, self.mean.shape if self.supports is None else self.supports.shape[:1]
        fits = (
            len(dims) == 1
            and self.scale.shape == dims
            and self.weight.ndim == 2
            and self.weight.shape[:1] == rows
            and self.bias.shape == self.weight.shape[1:]
            and (self.supports is None or self.supports.shape[1:] == dims)
            and (self.bend is None or _is_rising(self.bend))
        )
        if not fits:
            shapes = {name: array.shape for name, array in self.to_arrays().items()}
            raise BundleError(
                f"The head's weights must fit each other, got shapes {shapes}.",
                hint="Train again, or take the bundle from its source again.",
            )


def _is_rising(knots: _Float32) -> bool:
    """True for (2, M) places and heights, M >= 2, both rising."""
    return knots.ndim == 2 and knots.shape[0] == 2 and knots.shape[1] > 1 and bool((np.diff(knots) > 0).all())


def sigmoid(logits: NDArray[_Float]) -> NDArray[_Float]:
    """1 / (1 + exp(-logits)), of any shape, without overflow."""
    shrunk = np.exp(-np.abs(logits))
    return np.asarray(np.where(logits >= 0, 1.0, shrunk) / (1.0 + shrunk), dtype=logits.dtype)


def standardise(features: _Float32, mean: _Float32, scale: _Float32, *, limit: float) -> _Float32:
    """(features - mean) * scale clipped to [-limit, limit]: (N, D) float32 to (N, D) float32."""
    z: _Float32 = features.astype(np.float32, copy=False) - mean
    z *= scale
    np.clip(z, -np.float32(limit), np.float32(limit), out=z)
    return z


def gaussian_kernel(rows: NDArray[_Float], others: NDArray[_Float], *, width: float = 1.0) -> NDArray[_Float]:
    """exp(-width |row - other|^2) for every pair.

    Args:
        rows: (N, D) float32 or float64.
        others: (M, D) of the same type.
        width: Above 0.

    Returns:
        (N, M) of the same type, in [0, 1].
    """
    kernel = squared_distances(rows, others)
    kernel *= kernel.dtype.type(-width)
    return np.exp(kernel, out=kernel)


def squared_distances(rows: NDArray[_Float], others: NDArray[_Float]) -> NDArray[_Float]:
    """|row - other|^2 for every pair, by the binomial formula: one matrix product, never below 0.

    Args:
        rows: (N, D) float32 or float64.
        others: (M, D) of the same type.

    Returns:
        (N, M) of the same type.
    """
    squares = np.einsum("nd,nd->n", rows, rows)[:, None] + np.einsum("md,md->m", others, others)[None, :]
    distances: NDArray[_Float] = squares - 2.0 * (rows @ others.T)
    np.maximum(distances, 0.0, out=distances)
    return distances


def head_module(weights: HeadWeights) -> nn.Module:
    """The head as a torch module of the same formula, for export.

    Returns:
        A module in evaluation mode: (N, D) float32 to (logits (N, K), probs (N, K)), or to the numbers (N, K) for
        regression.
    """
    from torch import nn  # torch is not needed to score with numpy

    from teliti.models.head_layers import AffineMap, Bend, ClassHead, GaussianKernel, LabelHead, Standardise

    columns = weights.weight.shape[1]
    steps: list[nn.Module] = [Standardise(weights.mean, weights.scale, limit=weights.limit)]
    if weights.supports is not None:
        steps.append(GaussianKernel(weights.supports))
    steps.append(AffineMap(weights.weight, weights.bias))
    if weights.bend is not None:
        steps.append(Bend(weights.bend, size=columns))
    outputs = nn.Sequential(*steps)
    if weights.is_regression:
        return outputs.eval()
    if weights.is_multilabel:
        return LabelHead(outputs).eval()
    return ClassHead(outputs, is_binary=columns == 1).eval()
