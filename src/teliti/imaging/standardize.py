"""Numbers instead of pixels: centring, standardisation and ZCA whitening, fitted batch by batch.

Batches are (N, H, W, C) float64; nothing here needs all photos at once. Sample-wise formulas use one photo alone,
feature-wise ones what was fitted on the training photos. Deviations are those of the population (divided by N).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from teliti.errors import UserError

Batch = NDArray[np.float64]
_MATRIX_BYTES = 4  # the whitening matrix is kept as float32


def rescale(batch: Batch, *, factor: float, offset: float) -> Batch:
    """`factor` times each value plus `offset`."""
    return batch * factor + offset


def center_sample(batch: Batch, *, per_channel: bool) -> Batch:
    """Subtract each photo's own mean: one over all its values, or one for each channel.

    Args:
        batch: (N, H, W, C) float64.
        per_channel: A mean for each channel of each photo.
    """
    return np.asarray(batch - batch.mean(axis=(1, 2) if per_channel else (1, 2, 3), keepdims=True))


def standardize_sample(batch: Batch, *, per_channel: bool, eps: float) -> Batch:
    """`center_sample`, then divide by each photo's own standard deviation plus `eps`.

    Args:
        batch: (N, H, W, C) float64.
        per_channel: Mean and deviation for each channel of each photo.
        eps: Added to the deviation, above 0: a photo of one value becomes zeros.
    """
    axes = (1, 2) if per_channel else (1, 2, 3)
    return np.asarray(center_sample(batch, per_channel=per_channel) / (batch.std(axis=axes, keepdims=True) + eps))


def standardize_feature(batch: Batch, *, mean: Batch, std: Batch, eps: float) -> Batch:
    """Subtract the training photos' mean and divide by their deviation plus `eps`.

    Args:
        batch: (N, H, W, C) float64.
        mean: (C,) of the training photos.
        std: (C,) of the training photos; a channel that is constant there (0) is only centred.
        eps: Added to the deviation.
    """
    return np.asarray((batch - mean) / np.where(std > 0, std + eps, 1.0))


class ChannelMoments:
    """Mean and standard deviation of each channel over any number of batches.

    Batches are merged pairwise (T. Chan, G. Golub, R. LeVeque, 1979), so that a long run loses no digits.
    """

    def __init__(self) -> None:
        self.count = 0
        self._mean: Batch = np.zeros(0)
        self._squares: Batch = np.zeros(0)

    def update(self, batch: Batch) -> None:
        """Take a batch in: (N, H, W, C) float64."""
        values = batch.reshape(-1, batch.shape[-1])
        mean = values.mean(axis=0)
        squares = ((values - mean) ** 2).sum(axis=0)
        if self.count == 0:
            self.count, self._mean, self._squares = len(values), mean, squares
            return
        total = self.count + len(values)
        apart = mean - self._mean
        self._mean = self._mean + apart * (len(values) / total)
        self._squares = self._squares + squares + apart**2 * (self.count * len(values) / total)
        self.count = total

    @property
    def mean(self) -> Batch:
        """(C,) mean.

        Raises:
            UserError: no photo was taken in.
        """
        self._check_fitted()
        return self._mean

    @property
    def std(self) -> Batch:
        """(C,) standard deviation of the population.

        Raises:
            UserError: no photo was taken in.
        """
        self._check_fitted()
        return np.sqrt(self._squares / self.count)

    def _check_fitted(self) -> None:
        if self.count == 0:
            raise UserError("Feature-wise numbers are fitted on training photos, got none.", hint="Give at least one.")


def estimate_zca_bytes(shape: tuple[int, int, int]) -> int:
    """Bytes of the whitening matrix, float32, for (H, W, C) photos: 4 (H W C)^2; fitting takes about ten times that."""
    return _MATRIX_BYTES * math.prod(shape) ** 2


def check_zca_memory(shape: tuple[int, int, int], *, limit_bytes: int) -> None:
    """Refuse a whitening that would not fit, before anything is computed.

    Args:
        shape: (H, W, C) of the photos.
        limit_bytes: Largest matrix allowed.

    Raises:
        UserError: the matrix would be larger; says which image size would fit.
    """
    needed = estimate_zca_bytes(shape)
    if needed > limit_bytes:
        fitting = math.isqrt(math.isqrt(limit_bytes // _MATRIX_BYTES) // shape[2])
        size = "x".join(str(side) for side in shape)
        raise UserError(
            f"ZCA whitening of {size} photos would need {needed / 1e9:.3g} GB for its matrix, "
            f"over the limit of {limit_bytes / 1e9:g} GB.",
            hint=f"Set data.image_size to {fitting} or less, raise its limit, or take standardize instead.",
        )


class ZcaFit:
    """The whitening matrix that stays closest to the photos, fitted batch by batch (A. Bell, T. Sejnowski, 1997).

    With the centred photos as rows of X = U S V^T the matrix is V diag(sqrt(N) / (S + eps)) V^T. Up to as many
    photos as values of one photo are kept as rows and decomposed directly (SVD); beyond that only their matrix of
    products is kept (eigenvalues), so memory does not grow with the number of photos. Directions in which the training
    photos do not differ beyond rounding are dropped rather than blown up.

    Args:
        shape: (H, W, C) of the photos.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.shape = shape
        self.count = 0
        self._size = math.prod(shape)
        self._origin: Batch | None = None  # (D,) taken off at once, so that sums of squares keep their digits
        self._rows: list[Batch] = []
        self._num_rows = 0
        self._sum: Batch = np.zeros(self._size)
        self._products: Batch | None = None  # (D, D)

    def update(self, batch: Batch) -> None:
        """Take a batch in: (N, H, W, C) float64, of the shape that was said.

        Raises:
            UserError: photos of another shape.
        """
        if batch.shape[1:] != self.shape:
            raise UserError(f"ZCA whitening is fitted on photos of one shape {self.shape}, got {batch.shape[1:]}.")
        if self._origin is None:
            self._origin = self._spread(batch.mean(axis=(0, 1, 2)))
        rows = batch.reshape(len(batch), self._size) - self._origin
        self.count += len(rows)
        self._sum += rows.sum(axis=0)
        self._rows.append(rows)
        self._num_rows += len(rows)
        if self._num_rows > self._size:
            self._fold()

    def finish(self, *, eps: float) -> tuple[Batch, NDArray[np.float32]]:
        """Fit.

        Args:
            eps: Added to the singular values.

        Returns:
            (C,) mean of each channel, and the (D, D) float32 matrix, D = H W C; see `whiten`.

        Raises:
            UserError: no photo was taken in.
        """
        if self._origin is None:
            raise UserError("ZCA whitening is fitted on training photos, got none.", hint="Give at least one.")
        channels = self.shape[2]
        apart = (self._sum / self.count).reshape(-1, channels).mean(axis=0)  # from the origin to the channels' means
        values, directions = self._decompose(self._spread(apart))
        kept = values > values.max(initial=0.0) * max(self.count, self._size) * np.finfo(np.float64).eps
        if self._products is not None:  # eigenvalues are squares: half of the digits
            kept = values > values.max(initial=0.0) * math.sqrt(self._size * np.finfo(np.float64).eps)
        factors = math.sqrt(self.count) / (values[kept] + eps)
        matrix = (directions[:, kept] * factors) @ directions[:, kept].T
        return self._origin[:channels] + apart, matrix.astype(np.float32)

    def _decompose(self, mean: Batch) -> tuple[Batch, Batch]:
        """Singular values of the centred photos and their directions as columns (D, K)."""
        if self._products is None:
            centred = np.concatenate(self._rows) - mean
            _, values, directions = np.linalg.svd(centred, full_matrices=False)
            return values, directions.T
        self._fold()
        cross = np.outer(mean, self._sum)
        scatter = self._products - cross - cross.T + self.count * np.outer(mean, mean)
        squares, vectors = np.linalg.eigh(scatter)
        return np.sqrt(np.maximum(squares, 0.0)), vectors

    def _fold(self) -> None:
        """Turn the kept rows into products."""
        if not self._rows:
            return
        rows = np.concatenate(self._rows)
        self._rows, self._num_rows = [], 0
        if self._products is None:
            self._products = np.zeros((self._size, self._size))
        self._products += rows.T @ rows

    def _spread(self, by_channel: Batch) -> Batch:
        """(C,) repeated for every pixel: (D,)."""
        return np.tile(by_channel, self._size // self.shape[2])


def whiten(batch: Batch, *, mean: Batch, matrix: NDArray[np.float32]) -> Batch:
    """Apply a whitening: the centred photo as a row times the matrix.

    Args:
        batch: (N, H, W, C) float64.
        mean: (C,) of the training photos.
        matrix: (D, D) float32, D = H W C.

    Returns:
        (N, H, W, C) float64.
    """
    rows = (batch - mean).reshape(len(batch), -1)
    return np.asarray(rows @ matrix.astype(np.float64)).reshape(batch.shape)
