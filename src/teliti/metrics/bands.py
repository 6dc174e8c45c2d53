"""The limits of the automatic verdicts, chosen on validation: a band of scores, or a probability a class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from teliti.metrics.line import line_weights
from teliti.metrics.review import Review
from teliti.types import FloatArray, IntArray

_Float64 = NDArray[np.float64]
_ROUNDING = 1e-9


def band_of_share(
    scores: _Float64,
    positives: NDArray[np.bool_],
    *,
    threshold: float,
    share: float,
    defect_rate: float | None,
    upwards: bool,
) -> Review:
    """The band around a threshold that takes at most this share of the line's parts.

    The photos nearest to the threshold by rank are taken, in turn from below and above.

    Args:
        scores: (N,) float in [0, 1].
        positives: (N,) bool.
        threshold: Where pass ends and reject begins.
        share: In [0, 1].
        defect_rate: Share of defects on the line; None: that of the photos.
        upwards: True where nothing below the threshold is to be looked at: it is what a promise was made for, and a
            wider pass would break it, a narrower one would waste it.
    """
    weights = line_weights(positives, defect_rate)
    distinct, groups = np.unique(scores, return_inverse=True)
    mass = np.bincount(groups, weights=weights, minlength=len(distinct))
    first = int(np.count_nonzero(distinct < threshold))  # the lowest score that is rejected now
    below, above, taken = first, first, 0.0
    while True:
        turns = [above] if upwards else ([below - 1, above] if first - below <= above - first else [above, below - 1])
        fitting = [at for at in turns if 0 <= at < len(distinct) and taken + mass[at] <= share + _ROUNDING]
        if not fitting:
            break
        taken += mass[fitting[0]]
        below, above = min(below, fitting[0]), max(above, fitting[0] + 1)
    low = threshold if below == first else _between(distinct, below)
    high = threshold if above == first else _between(distinct, above)
    sentence = (
        f"Scores from {low:.4g} to {high:.4g} are shown to a person: {100 * taken:.1f} % of the parts, where at most "
        f"{100 * share:.3g} % were allowed."
        if low < high
        else f"No score is shown to a person: the nearest ones alone are more than {100 * share:.3g} % of the parts."
    )
    return Review(low=low, high=high, sentence=sentence)


def least_probs_of_share(probs: FloatArray, labels: IntArray, *, classes: tuple[str, ...], share: float) -> Review:
    """For each class the probability that leaves the least certain share of its photos to a person.

    Args:
        probs: (N, K) float.
        labels: (N,) int, the class that each photo was given.
        classes: K names.
        share: In [0, 1], of the photos that were given the class.
    """
    limits = []
    for label in range(len(classes)):
        own = np.sort(probs[labels == label, label].astype(np.float64))
        count = int(share * len(own) + _ROUNDING)
        limits.append(0.0 if count == 0 else _between(own, count))
    listed = ", ".join(f"{name} {limit:.3f}" for name, limit in zip(classes, limits, strict=True))
    sentence = (
        f"Of each class the least certain {100 * share:.3g} % are shown to a person; probability that a class needs: "
        f"{listed}."
    )
    return Review(least_probs=tuple(limits), sentence=sentence)


def _between(values: _Float64, place: int) -> float:
    """A number that parts rising values before this place: midway, where there is one."""
    if place >= len(values):
        return min(1.0, float(np.nextafter((values[-1] + 1.0) / 2.0, 2.0)))
    if place == 0:
        return float(values[0]) / 2.0
    middle = float(values[place - 1] + values[place]) / 2.0
    return middle if middle > values[place - 1] else float(values[place])
