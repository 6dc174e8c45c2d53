"""Does a net look at the part? How well it tells the classes apart by the whole photo, the part and the background.

The measure is ROC AUC, of several classes the mean of each against the rest, of labels that a photo may have several of
the mean of the labels and each by itself: it asks whether the answers differ, not whether a threshold made for whole
photos still fits. What is shown are views as in K. Xiao and others, "Noise or signal: the role of image backgrounds in
object recognition" (2020).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from teliti.metrics.classification import measure
from teliti.metrics.curves import rank_scores
from teliti.metrics.intervals import CONFIDENCE, Interval, bootstrap_interval, wilson_interval
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
    if area is not None and interval is None:
        interval = _of_equal_draws(area, fewest=int(np.unique(labels, return_counts=True)[1].min()))
    return {
        "roc_auc": area,
        "interval": None if interval is None else list(interval),
        "balanced_accuracy": found["balanced_accuracy"],
        "balanced_accuracy_interval": found["intervals"].get("balanced_accuracy"),
    }


def measure_labels_view(targets: IntArray, probs: FloatArray, *, names: Sequence[str], seed: int) -> Record:
    """How well one view tells the labels of photos that may have several.

    Args:
        targets: (N, K) of 0 and 1; every label is on some photos and not on all.
        probs: (N, K) float.
        names: K label names.
        seed: Of the intervals.

    Returns:
        {"roc_auc" (the mean of the labels), "interval", "balanced_accuracy" and its interval (None), "per_label":
        [{"label", "roc_auc", "interval"}]}. The intervals of single labels are widened for their number (Bonferroni).
    """
    rankings = [rank_scores(targets[:, k] > 0, np.asarray(probs[:, k], np.float64)) for k in range(len(names))]
    once, fewest = np.ones((1, len(targets))), np.minimum(targets.sum(axis=0), (1 - targets).sum(axis=0)).astype(int)
    areas = [float(ranking.roc_auc(once)[0]) for ranking in rankings]
    rows = []
    for k, (ranking, area) in enumerate(zip(rankings, areas, strict=True)):
        confidence = 1.0 - (1.0 - CONFIDENCE) / len(names)
        strata = targets[:, k].astype(np.int64)
        own = bootstrap_interval(ranking.roc_auc, strata, seed=seed, confidence=confidence)
        own = own or _of_equal_draws(area, fewest=int(fewest[k]), confidence=confidence)
        rows.append({"label": names[k], "roc_auc": area, "interval": None if own is None else list(own)})
    spread = bootstrap_interval(
        lambda counts: np.mean([ranking.roc_auc(counts) for ranking in rankings], axis=0),
        np.zeros(len(targets), np.int64), seed=seed,
    )  # fmt: skip
    mean = float(np.mean(areas))
    spread = spread or _of_equal_draws(mean, fewest=int(fewest.min()))
    interval = None if spread is None else list(spread)
    return {
        "roc_auc": mean, "interval": interval, "balanced_accuracy": None, "balanced_accuracy_interval": None,
        "per_label": rows,
    }  # fmt: skip


def labels_by_background(background: Record) -> list[Record]:
    """The rows of `per_label` whose label the background alone tells better than chance, the strongest first."""
    found = [row for row in background.get("per_label", []) if row["interval"] and row["interval"][0] > CHANCE]
    return sorted(found, key=lambda row: -float(row["roc_auc"]))


def _of_equal_draws(area: float, *, fewest: int, confidence: float = CONFIDENCE) -> Interval | None:
    """The interval of an area that is the same in every draw: all in order, or all alike."""
    return wilson_interval(fewest, fewest, confidence=confidence) if area == 1.0 else (area, area)


def judge_views(views: Mapping[str, Record]) -> str:
    """Whether the background alone beats chance.

    Args:
        views: `whole` and `background`, from `measure_view` or `measure_labels_view`.

    Returns:
        "cheating" where the interval of the background, or of one label by it, begins above chance, "clean" where
        none does, "unknown" where the whole photo itself is not shown to beat chance: there is nothing to cheat with.
    """
    whole, background = views["whole"], views["background"]
    if not whole["interval"] or not background["interval"] or whole["interval"][0] <= CHANCE:
        return UNKNOWN
    tells = background["interval"][0] > CHANCE or labels_by_background(background)
    return CHEATING if tells else CLEAN
