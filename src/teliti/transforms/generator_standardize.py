"""Numbers of the generator: function, rescale, sample-wise and feature-wise centring and scaling, ZCA whitening.

The formulas are Keras's: 1e-6 is added to every standard deviation, and ZCA comes from the singular values of the
centred photos (Krizhevsky 2009, appendix A), with `zca_epsilon` added to them.
"""

from __future__ import annotations

import math
import os
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from teliti.errors import UserError
from teliti.imaging.standardize import ChannelMoments, ZcaFit, estimate_zca_bytes
from teliti.transforms.generator import GeneratorSettings

_STD_EPS = 1e-6
_FIT_BATCH = 64
_FEW_FACTOR, _MANY_FACTOR = 3, 10  # memory of fitting, in whitening matrices: few photos (SVD), many (products)


@dataclass
class Statistics:
    """What `fit_statistics` found on the training photos; None where it was not asked for.

    Attributes:
        mean: (1, 1, C) or (C, 1, 1) per-channel mean, after rescaling.
        std: Per-channel standard deviation, of the same shape.
        zca_matrix: (D, D) whitening matrix, D the number of values of a photo.
    """

    mean: NDArray[Any] | None = None
    std: NDArray[Any] | None = None
    zca_matrix: NDArray[Any] | None = None


def check_photos(settings: GeneratorSettings, photos: NDArray[Any], *, purpose: str) -> None:
    """Refuse an array that is no batch of photos, and warn where its channels are unusual.

    Raises:
        UserError: not of rank 4.
    """
    if photos.ndim != 4:
        raise UserError(
            f"The photos given to {purpose} must be an array of rank 4, got shape {photos.shape}.",
            hint="Grey photos need a channel axis of length 1.",
        )
    channels = photos.shape[settings.channel_axis]
    if channels not in (1, 3, 4):
        warnings.warn(
            f"The photos given to {purpose} have {channels} channels on axis {settings.channel_axis} "
            f'(data_format "{settings.data_format}"); 1, 3 or 4 are usual.',
            stacklevel=4,
        )


def fit_statistics(settings: GeneratorSettings, photos: NDArray[Any]) -> Statistics:
    """Mean, standard deviation and ZCA matrix, as far as they are asked for, in double precision.

    Args:
        settings: The switches.
        photos: (N, H, W, C) or (N, C, H, W) float, already rescaled; left as they are.

    Returns:
        Statistics in `settings.dtype`; directions in which no photo differs are dropped from the ZCA matrix.

    Raises:
        UserError: the ZCA matrix would not fit into memory.
    """
    last = photos if settings.data_format == "channels_last" else photos.transpose(0, 2, 3, 1)
    height, width, channels = last.shape[1:]
    if settings.zca_whitening:
        _require_memory((height, width, channels), len(last))
    moments, zca = ChannelMoments(), ZcaFit((height, width, channels))
    for first in range(0, len(last), _FIT_BATCH):
        batch = last[first : first + _FIT_BATCH].astype(np.float64)
        moments.update(batch)
        if settings.zca_whitening:
            zca.update(batch)
    shape = (1, 1, channels) if last is photos else (channels, 1, 1)
    found = Statistics()
    if settings.featurewise_center:
        found.mean = moments.mean.reshape(shape).astype(settings.dtype)
    if settings.featurewise_std_normalization:
        found.std = moments.std.reshape(shape).astype(settings.dtype)
    if settings.zca_whitening:
        matrix = zca.finish(eps=settings.zca_epsilon)[1].astype(settings.dtype)
        places = np.arange(matrix.shape[0]).reshape(height, width, channels)
        flat = places.ravel() if last is photos else places.transpose(2, 0, 1).ravel()
        found.zca_matrix = matrix[flat][:, flat]
    return found


def fit_like_keras(settings: GeneratorSettings, photos: NDArray[Any]) -> Statistics:
    """As `fit_statistics`, by Keras's own formulas in the precision of the photos, which are changed in place."""
    found = Statistics()
    axes = (0, settings.row_axis, settings.row_axis + 1)
    shape = [1, 1, 1]
    shape[settings.channel_axis - 1] = photos.shape[settings.channel_axis]
    if settings.featurewise_center:
        found.mean = np.mean(photos, axis=axes).reshape(shape)
        photos -= found.mean
    if settings.featurewise_std_normalization:
        found.std = np.std(photos, axis=axes).reshape(shape)
        photos /= found.std + _STD_EPS
    if settings.zca_whitening:
        u, s, _ = np.linalg.svd(photos.reshape(len(photos), -1).T, full_matrices=False)
        found.zca_matrix = (u * (np.sqrt(len(photos)) / (s + settings.zca_epsilon))) @ u.T
    return found


def standardize(settings: GeneratorSettings, statistics: Statistics, photos: NDArray[Any]) -> NDArray[Any]:
    """The numbers that a network gets; the given array stays as it is.

    Args:
        settings: What is done.
        statistics: From `fit_statistics`.
        photos: One photo (H, W, C) or (C, H, W), or a batch; sample-wise steps see each photo of a batch alone.

    Returns:
        The same shape in `settings.dtype`.
    """
    if settings.preprocessing_function is not None:
        photos = settings.preprocessing_function(photos.copy())
    return _standardize(settings, statistics, photos.astype(settings.dtype), own_axes=(-3, -2, -1))


def standardize_like_keras(settings: GeneratorSettings, statistics: Statistics, photos: NDArray[Any]) -> NDArray[Any]:
    """As `standardize`, but in place, and with one mean and deviation for a whole batch.

    Args:
        settings: What is done.
        statistics: From `fit_statistics`.
        photos: float; changed.
    """
    if settings.preprocessing_function is not None:
        photos = settings.preprocessing_function(photos)
    return _standardize(settings, statistics, photos, own_axes=None)


def _standardize(
    settings: GeneratorSettings, statistics: Statistics, x: NDArray[Any], *, own_axes: tuple[int, ...] | None
) -> NDArray[Any]:
    if settings.rescale:
        x *= settings.rescale
    if settings.samplewise_center:
        x -= np.mean(x, axis=own_axes, keepdims=True)
    if settings.samplewise_std_normalization:
        x /= np.std(x, axis=own_axes, keepdims=True) + _STD_EPS
    if settings.featurewise_center:
        x -= _fitted(statistics.mean, "featurewise_center", absent=0.0)
    if settings.featurewise_std_normalization:
        x /= _fitted(statistics.std, "featurewise_std_normalization", absent=1.0 - _STD_EPS) + _STD_EPS
    if settings.zca_whitening:
        matrix = statistics.zca_matrix
        if matrix is None:
            _fitted(None, "zca_whitening", absent=0.0)
        else:
            x = (x.reshape(-1, math.prod(x.shape[-3:])) @ matrix).reshape(x.shape)
    return x


def _fitted(found: NDArray[Any] | None, switch: str, *, absent: float) -> Any:
    """The statistic, or what changes nothing, said by a warning."""
    if found is None:
        warnings.warn(f"{switch} has no effect before fit(photos) was called.", stacklevel=5)
        return absent
    return found


def _require_memory(shape: tuple[int, int, int], count: int) -> None:
    matrix = estimate_zca_bytes(shape)
    present = _memory_bytes()
    if present is not None and matrix * (_FEW_FACTOR if count <= math.prod(shape) else _MANY_FACTOR) > present:
        raise UserError(
            f"zca_whitening must fit into memory, got a matrix of {matrix / 1e9:.1f} GB for photos of "
            f"{shape[0]}x{shape[1]}x{shape[2]} and several times that to fit it ({present / 1e9:.1f} GB are there).",
            hint="Use smaller photos (32x32x3 needs 0.04 GB), or featurewise_std_normalization.",
        )


def _memory_bytes() -> int | None:
    """The machine's memory; None where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # Windows
        return None
