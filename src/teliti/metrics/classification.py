"""What a classifier got right on one set of photos: one record of measures, with intervals, per class and overall.

A measure that these photos cannot give is None (recall without photos of the class, ROC AUC with one class). Numbers
from verdicts come from the confusion matrix, numbers from scores from the probabilities; how photos are ordered
changes no bit of either. Which verdict a probability means is decided in `decision`, not here.

Sources: C. Manning et al., "Introduction to Information Retrieval" (2008), chapter 8, for precision, recall, F1;
G. Brier (1950); the areas stand in `curves`, the intervals in `intervals`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from teliti.errors import UserError
from teliti.metrics.curves import Ranking, rank_scores
from teliti.metrics.intervals import (
    DRAWS,
    Interval,
    affordable_draws,
    bootstrap_interval,
    draw_confusions,
    percentile_interval,
    wilson_interval,
)
from teliti.types import FloatArray, IntArray, Record

_SHARES = ("precision", "recall", "specificity")
_LITTLE_SKILL = 0.25  # accuracy covers less than this part of the way from "always the largest class" to 1
_FAR_BELOW = 0.1  # recall or balanced accuracy lies this far below accuracy
_ROW_TOLERANCE = 1e-3

_Float64 = NDArray[np.float64]


def measure(labels: IntArray, probs: FloatArray, preds: IntArray, *, positive: int | None, seed: int) -> Record:
    """Every measure of one set of photos, as a JSON-ready record.

    `accuracy` is that of `preds`, the verdict at the chosen threshold; `accuracy_at_half` that of the most probable
    class. Precision, recall, specificity, F1 and the areas are those of the positive class; without one they are
    means over the classes that have photos, where a class that is never predicted has precision 0.
    `majority_accuracy` is what always naming the largest class of these photos would score. The Brier score of two
    classes is the mean squared error of one probability; of more, the sum over the classes.

    Args:
        labels: (N,) int in 0..K-1, actual class.
        probs: (N, K) float, rows summing to 1, columns in the order of the class indices.
        preds: (N,) int in 0..K-1, class of the verdict.
        positive: Index of the class whose misses cost most; None where there is none.
        seed: Seed of the bootstrap intervals.

    Returns:
        n, accuracy, accuracy_at_half, accuracy_interval, balanced_accuracy, precision, recall, specificity, f1,
        f1_macro, roc_auc, pr_auc, log_loss, brier, majority_accuracy, confusion_matrix (rows = actual, columns =
        predicted), intervals (name to [low, high]; 95 %; a name is left out where nothing can be said) and per_class
        (class_index, n, precision, recall, specificity, f1, intervals). Undefined numbers are None.

    Raises:
        UserError: shapes differ, an index is outside 0..K-1, or rows of `probs` are no probabilities.
    """
    _check(labels, probs, preds)
    _check_positive(positive, probs.shape[1])
    order = np.lexsort((preds, *np.asarray(probs).T, labels))  # sums and draws then do not depend on the given order
    labels, preds, probs = labels[order], preds[order], np.asarray(probs)[order]
    matrix = confusion_matrix(labels, preds, probs.shape[1])
    total, hits = len(labels), int(np.trace(matrix))
    hits_at_half = int((probs.argmax(axis=1) == labels).sum())
    by_matrix, by_matrix_intervals, per_class = _measure_confusion(matrix, positive=positive, seed=seed)
    by_score, by_score_intervals = _measure_scores(labels, probs, positive=positive, seed=seed)
    overall = {
        "accuracy": wilson_interval(hits, total),
        "accuracy_at_half": wilson_interval(hits_at_half, total),
        **by_matrix_intervals,
        **by_score_intervals,
    }
    return {
        "n": total,
        "accuracy": _share(hits, total),
        "accuracy_at_half": _share(hits_at_half, total),
        "accuracy_interval": _plain_interval(overall["accuracy"]),
        **by_matrix,
        **by_score,
        "log_loss": log_loss(labels, probs),
        "brier": brier_loss(labels, probs),
        "majority_accuracy": _share(int(matrix.sum(axis=1).max()), total),
        "confusion_matrix": matrix.tolist(),
        "intervals": _plain_intervals(overall),
        "per_class": per_class,
    }


def confusion_matrix(labels: IntArray, preds: IntArray, num_classes: int) -> IntArray:
    """Count every pair of actual and predicted class; matrices of two sets add up to that of both.

    Args:
        labels: (N,) int in 0..num_classes-1, actual class.
        preds: (N,) int in 0..num_classes-1, predicted class.
        num_classes: K.

    Returns:
        (K, K) int64, rows = actual, columns = predicted.

    Raises:
        UserError: lengths differ, or an index is outside 0..num_classes-1.
    """
    _check_indices(labels, preds, num_classes)
    cells = labels.astype(np.int64) * num_classes + preds
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)


def log_loss(labels: IntArray, probs: FloatArray) -> float | None:
    """Mean of minus the logarithm of the actual class's probability, which is kept above the dtype's rounding.

    Args:
        labels: (N,) int in 0..K-1, actual class.
        probs: (N, K) float.

    Returns:
        A value >= 0, 0 is best; None without photos.
    """
    if not len(labels):
        return None
    actual = probs[np.arange(len(labels)), labels]
    eps = float(np.finfo(probs.dtype).eps)
    return float(-np.log(np.clip(actual.astype(np.float64), eps, 1.0)).mean())


def brier_loss(labels: IntArray, probs: FloatArray) -> float | None:
    """Mean squared distance of the probabilities from the truth.

    Args:
        labels: (N,) int in 0..K-1, actual class.
        probs: (N, K) float.

    Returns:
        For two classes the squared error of one probability, in [0, 1]; for more the sum over the classes, in
        [0, 2]; 0 is best; None without photos.
    """
    if not len(labels):
        return None
    truth = np.eye(probs.shape[1])[labels]
    squared = ((probs.astype(np.float64) - truth) ** 2).sum(axis=1)
    return float(squared.mean() / (2.0 if probs.shape[1] == 2 else 1.0))


def accuracy_flatters(record: Record) -> str | None:
    """The warning for a record of `measure` whose accuracy promises more than was found.

    Accuracy flatters where it is hardly better than always naming the largest class, while recall or balanced
    accuracy lies far below it.

    Returns:
        Sentences for the user, or None.
    """
    accuracy, majority = record["accuracy"], record["majority_accuracy"]
    others = [(name, record[name]) for name in ("recall", "balanced_accuracy") if record[name] is not None]
    if accuracy is None or not others:
        return None
    skilled = accuracy - majority >= _LITTLE_SKILL * (1.0 - majority)
    if skilled or min(value for _, value in others) > accuracy - _FAR_BELOW:
        return None
    rest = " and ".join(f"{name.replace('_', ' ')} is {100 * value:.1f} %" for name, value in others)
    return (
        f"Accuracy {100 * accuracy:.1f} % flatters: always naming the largest class would score "
        f"{100 * majority:.1f} %, while {rest}. Judge this inspector by recall and balanced accuracy."
    )


def _measure_confusion(
    matrix: IntArray, *, positive: int | None, seed: int
) -> tuple[Record, dict[str, Interval | None], list[Record]]:
    """Overall values, their intervals and the records per class, all from one confusion matrix."""
    per_class = _class_rates(matrix[None])
    values = {name: float(value[0]) for name, value in _overall_rates(matrix[None], positive=positive).items()}
    drawn: dict[str, list[_Float64]] = {name: [] for name in values}
    drawn_f1 = []
    for matrices in draw_confusions(matrix, draws=DRAWS, seed=seed):
        for name, value in _overall_rates(matrices, positive=positive).items():
            drawn[name].append(value)
        drawn_f1.append(_class_rates(matrices)["f1"])
    intervals = {name: percentile_interval(np.concatenate(parts)) for name, parts in drawn.items()}
    if positive is not None:
        intervals.update(_share_intervals(matrix, positive))
    f1_draws = np.concatenate(drawn_f1)  # (B, K)
    records = [
        {
            "class_index": index,
            "n": int(matrix[index].sum()),
            **{name: _plain(float(value[0, index])) for name, value in per_class.items()},
            "intervals": _plain_intervals(
                {**_share_intervals(matrix, index), "f1": percentile_interval(f1_draws[:, index])}
            ),
        }
        for index in range(len(matrix))
    ]
    return {name: _plain(value) for name, value in values.items()}, intervals, records


def _class_rates(matrices: IntArray) -> dict[str, _Float64]:
    """Measures of every class against the rest, (B, K) each, NaN where undefined, from (B, K, K) matrices."""
    hits = np.diagonal(matrices, axis1=1, axis2=2)
    actual, predicted = matrices.sum(axis=2), matrices.sum(axis=1)
    others = matrices.sum(axis=(1, 2))[:, None] - actual
    return {
        "precision": _divide(hits, predicted),
        "recall": _divide(hits, actual),
        "specificity": _divide(others - predicted + hits, others),
        "f1": _divide(2 * hits, actual + predicted),
    }


def _overall_rates(matrices: IntArray, *, positive: int | None) -> dict[str, _Float64]:
    """Overall measures, (B,) each, NaN where undefined, from (B, K, K) matrices with equal row sums."""
    rates = _class_rates(matrices)
    present = matrices[0].sum(axis=1) > 0
    several = present.sum() > 1
    macro = {name: _mean(np.nan_to_num(value[:, present])) for name, value in rates.items()}
    chosen = macro if positive is None else {name: value[:, positive] for name, value in rates.items()}
    if positive is None and not several:
        chosen = {**chosen, "specificity": np.full(len(matrices), np.nan)}
    return {
        "balanced_accuracy": macro["recall"] if several else np.full(len(matrices), np.nan),
        **chosen,
        "f1_macro": macro["f1"],
    }


def _share_intervals(matrix: IntArray, index: int) -> dict[str, Interval | None]:
    """Wilson intervals of one class against the rest."""
    hits, actual, predicted = int(matrix[index, index]), int(matrix[index].sum()), int(matrix[:, index].sum())
    others = int(matrix.sum()) - actual
    shares = ((hits, predicted), (hits, actual), (others - predicted + hits, others))
    return {name: wilson_interval(*share) for name, share in zip(_SHARES, shares, strict=True)}


def _measure_scores(
    labels: IntArray, probs: FloatArray, *, positive: int | None, seed: int
) -> tuple[Record, dict[str, Interval | None]]:
    """Areas of the positive class, or their mean over the classes that have photos."""
    present = np.unique(labels)
    chosen = present if positive is None else np.intersect1d(present, [positive])
    if len(present) < 2 or not len(chosen):
        return {"roc_auc": None, "pr_auc": None}, {}
    rankings = [rank_scores(labels == index, probs[:, index]) for index in chosen]
    draws = affordable_draws(len(labels) * len(rankings))
    values: Record = {}
    intervals = {}
    for name, area in (("roc_auc", Ranking.roc_auc), ("pr_auc", Ranking.average_precision)):
        average = _averaged(rankings, area)
        values[name] = float(average(np.ones((1, len(labels))))[0])
        intervals[name] = bootstrap_interval(average, labels, seed=seed, draws=draws)
    return values, intervals


def _averaged(
    rankings: list[Ranking], area: Callable[[Ranking, FloatArray], _Float64]
) -> Callable[[FloatArray], _Float64]:
    return lambda counts: np.mean([area(ranking, counts) for ranking in rankings], axis=0)


def _check(labels: IntArray, probs: FloatArray, preds: IntArray) -> None:
    if probs.ndim != 2 or probs.shape[0] != len(labels) or probs.shape[1] < 2:
        raise UserError(
            f"Probabilities must have shape ({len(labels)}, K) with K at least 2, got {probs.shape}.",
            hint="Give one row per label and one column per class.",
        )
    _check_indices(labels, preds, probs.shape[1])
    sums = probs.sum(axis=1, dtype=np.float64)
    wrong = ~((np.abs(sums - 1.0) <= _ROW_TOLERANCE) & (probs >= 0.0).all(axis=1))
    if wrong.any():
        raise UserError(
            f"Rows of probabilities must be >= 0 and sum to 1, got {int(wrong.sum())} that do not.",
            hint="Apply softmax to logits first.",
        )


def _check_positive(positive: int | None, num_classes: int) -> None:
    if positive is not None and not 0 <= positive < num_classes:
        raise UserError(
            f"The positive class must be in 0..{num_classes - 1}, got {positive}.",
            hint="Give its index in the list of classes, or None.",
        )


def _check_indices(labels: IntArray, preds: IntArray, num_classes: int) -> None:
    if labels.shape != preds.shape or labels.ndim != 1:
        raise UserError(
            f"Labels and predictions must have one shape (N,), got {labels.shape} and {preds.shape}.",
            hint="Give one prediction per label.",
        )
    for name, indices in (("Labels", labels), ("Predictions", preds)):
        if len(indices) and (indices.min() < 0 or indices.max() >= num_classes):
            raise UserError(
                f"{name} must be in 0..{num_classes - 1}, got {indices.min()}..{indices.max()}.",
                hint="Both must use the same list of classes.",
            )


def _divide(numerator: NDArray[Any], denominator: NDArray[Any]) -> _Float64:
    quotient: _Float64 = np.divide(numerator, denominator, out=np.full(numerator.shape, np.nan), where=denominator > 0)
    return quotient


def _mean(values: _Float64) -> _Float64:
    return np.mean(values, axis=1) if values.shape[1] else np.full(len(values), np.nan)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _plain(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _plain_interval(interval: Interval | None) -> list[float] | None:
    return None if interval is None else list(interval)


def _plain_intervals(intervals: dict[str, Interval | None]) -> dict[str, list[float]]:
    return {name: list(interval) for name, interval in intervals.items() if interval is not None}
