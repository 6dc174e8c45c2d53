"""Does a net look at the part? How well it tells the classes apart by the whole photo, the part and the background.

The measure is ROC AUC, of several classes the mean of each against the rest: it asks whether the answers differ, not
whether a threshold made for whole photos still fits. What is shown are views as in K. Xiao and others, "Noise or
signal: the role of image backgrounds in object recognition" (2020).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from teliti.metrics.classification import measure
from teliti.metrics.intervals import wilson_interval
from teliti.types import FloatArray, IntArray, Record

CHANCE = 0.5
CHEATING, CLEAN, UNKNOWN, HIDDEN = "cheating", "clean", "unknown", "hidden"


def measure_view(labels: IntArray, probs: FloatArray, *, positive: int | None, seed: int) -> Record:
    """How well one view tells the classes apart.

    Args:
        labels: (N,) int, true class index.
        probs: (N, K) float.
        positive: Index of the class whose score counts; None: each class against the rest.
        seed: Of the interval.

    Returns:
        {"roc_auc", "interval", "balanced_accuracy", "balanced_accuracy_interval"}; None where nothing can be said.
    """
    found = measure(labels, probs, probs.argmax(axis=1), positive=positive, seed=seed)
    area, interval = found["roc_auc"], found["intervals"].get("roc_auc")
    if area is not None and interval is None:  # the same in every draw: all in order, or all alike
        fewest = int(np.unique(labels, return_counts=True)[1].min())
        share = wilson_interval(fewest, fewest) if area == 1.0 else (area, area)
        interval = None if share is None else list(share)
    return {
        "roc_auc": area,
        "interval": interval,
        "balanced_accuracy": found["balanced_accuracy"],
        "balanced_accuracy_interval": found["intervals"].get("balanced_accuracy"),
    }


def judge_views(views: Mapping[str, Record]) -> str:
    """Whether the background alone beats chance.

    Args:
        views: `whole` and `background`, from `measure_view`.

    Returns:
        "cheating" where the interval of the background begins above chance, "clean" where it does not, "unknown"
        where the whole photo itself is not shown to beat chance: there is then nothing to cheat with.
    """
    whole, background = views["whole"], views["background"]
    if not whole["interval"] or not background["interval"] or whole["interval"][0] <= CHANCE:
        return UNKNOWN
    return CHEATING if background["interval"][0] > CHANCE else CLEAN
