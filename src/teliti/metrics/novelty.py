"""From which novelty on a photo is unlike the training photos: a limit from photos that were not learnt from.

Of n held-out photos the k-th smallest novelty, k = ceil((n + 1)(1 - share)), is exceeded by a further photo of their
kind with at most that probability (split conformal prediction: V. Vovk and others 2005). Too few photos have no such
k; the limit is then the upper end of a prediction interval of their log-normal spread, and no less than the largest.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from teliti.types import FloatArray

_FEWEST = 5


def novelty_limit(novelty: FloatArray, *, share: float) -> float | None:
    """The limit that about this share of photos like the held-out ones exceeds.

    Args:
        novelty: (N,) float > 0, of photos that were not learnt from.
        share: In (0, 1).

    Returns:
        A limit midway to the next larger value where there is one; None with fewer than five photos.
    """
    values = np.sort(np.asarray(novelty, dtype=np.float64))
    count = len(values)
    if count < _FEWEST:
        return None
    place = math.ceil((count + 1) * (1.0 - share) - 1e-9)
    if place < count:
        return float(values[place - 1] + values[place]) / 2.0
    logs = np.log(np.maximum(values, 1e-9))
    spread = float(logs.std(ddof=1)) * math.sqrt(1.0 + 1.0 / count)
    far = math.exp(float(logs.mean()) + _student(1.0 - share, count - 1) * spread)
    return max(far, float(values[-1]) * (1.0 + 1e-3))


def _student(level: float, freedom: int) -> float:
    """Quantile of Student's t, by the first terms of its expansion about the normal one (Fisher and Cornish 1960)."""
    z = NormalDist().inv_cdf(level)
    first = (z**3 + z) / 4.0
    second = (5.0 * z**5 + 16.0 * z**3 + 3.0 * z) / 96.0
    return z + first / freedom + second / freedom**2
