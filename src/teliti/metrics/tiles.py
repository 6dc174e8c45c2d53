"""One answer for a photo from the answers for its parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from teliti.types import FloatArray, IntArray

Combine = Literal["max", "mean"]


def combine_parts(outputs: FloatArray, counts: IntArray, *, how: Combine, rejects: Sequence[int] | None) -> FloatArray:
    """The answer for each photo.

    Args:
        outputs: (R, K) class probabilities of the parts, or (R, 1) numbers; the parts of a photo stand together.
        counts: (N,) parts of each photo, at least 1, in the same order; they sum to R.
        how: "max": the answer of the part that is most likely rejected (its largest number for a regression), so
            that one defect in one part is enough; "mean": the average over the parts.
        rejects: Indices of the classes that are rejected; without one "max" is the average. None: every column is a
            label or a number of its own, and "max" its largest.

    Returns:
        (N, K), a row of `outputs`, the largest of each column, or an average of rows.
    """
    if len(counts) == len(outputs):
        return outputs
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
    if how == "max" and rejects is None:
        largest: FloatArray = np.maximum.reduceat(outputs, starts, axis=0)
        return largest
    is_numbers = outputs.shape[1] == 1
    if how == "max" and (is_numbers or rejects):
        score = outputs[:, 0] if is_numbers else outputs[:, list(rejects or ())].sum(axis=1)
        chosen = [start + int(np.argmax(score[start : start + n])) for start, n in zip(starts, counts, strict=True)]
        return outputs[chosen]
    sums = np.add.reduceat(outputs, starts, axis=0)
    means: FloatArray = (sums / counts[:, None]).astype(outputs.dtype)
    return means
