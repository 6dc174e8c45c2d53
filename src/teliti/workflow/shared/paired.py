"""Means over repeats, and paired differences between two of them, with intervals that know the repeats share photos.

The training parts of repeats overlap, so the plain t interval of their scores is far too narrow. Nadeau and Bengio
widen the variance of the mean from s^2 / J to s^2 (1 / J + n_test / n_train); Bouckaert and Frank show that this keeps
its promise for repeated folds. Several comparisons at once are judged by Holm's rule.

Sources: C. Nadeau and Y. Bengio, "Inference for the Generalization Error", Machine Learning 52 (2003); R. Bouckaert
and E. Frank, "Evaluating the Replicability of Significance Tests for Comparing Learning Algorithms" (2004); S. Holm,
"A Simple Sequentially Rejective Multiple Test Procedure" (1979).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from teliti.runtime import require

CONFIDENCE = 0.95
_ROUNDING = 1e-12  # spread below this share of the values is rounding


@dataclass(frozen=True)
class Estimate:
    """What repeats say about one number.

    Attributes:
        mean: Of the repeats.
        interval: Lower and upper end, 95 %; None where the repeats do not vary or there is one only.
        p: Two-sided probability of a mean this far from zero if the true one were zero; 1 where every repeat is zero,
            None where nothing can be said.
        error: Standard error of the mean; 0 where the repeats do not vary, None where there is one only.
    """

    mean: float
    interval: tuple[float, float] | None
    p: float | None
    error: float | None = None


def estimate(values: Sequence[float], *, test_to_train: float) -> Estimate:
    """Mean, interval and test of one number measured once a repeat.

    Args:
        values: (J) one a repeat; for a comparison, the difference on the same split.
        test_to_train: Photos in the test part divided by photos in the training part, of one repeat.
    """
    array = np.asarray(values, dtype=np.float64)
    mean, repeats = float(array.mean()), len(array)
    spread = float(array.std(ddof=1)) if repeats > 1 else 0.0
    if spread <= _ROUNDING * max(1.0, float(np.abs(array).max())):
        return Estimate(mean, None, 1.0 if not array.any() and repeats > 1 else None, 0.0 if repeats > 1 else None)
    student = require("scipy.stats", extra="train", purpose="compare variants").t
    error = spread * math.sqrt(1.0 / repeats + test_to_train)
    half = float(student.ppf((1.0 + CONFIDENCE) / 2.0, repeats - 1)) * error
    p = float(2.0 * student.sf(abs(mean) / error, repeats - 1))
    return Estimate(mean, (mean - half, mean + half), p, error)


def adjust_for_many(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's adjusted p values: reject where the adjusted value is below the level, whatever the number of tests.

    Args:
        p_values: By name.
    """
    adjusted: dict[str, float] = {}
    largest = 0.0
    for place, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[name]))
        adjusted[name] = largest
    return adjusted
