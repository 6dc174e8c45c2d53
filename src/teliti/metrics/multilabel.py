"""What was found on photos that may have several labels: per label, over all labels, and photo by photo.

"micro" pools every pair of photo and label; "macro" is the mean over the labels that have photos, where one that is
never found has precision 0. Intervals draw whole photos. Source: G. Tsoumakas and I. Katakis, "Multi-Label
Classification: An Overview" (2007); the areas stand in `curves`, the intervals in `intervals`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from teliti.errors import UserError
from teliti.metrics.curves import Ranking, rank_scores
from teliti.metrics.intervals import Interval, affordable_draws, bootstrap_interval, wilson_interval
from teliti.types import FloatArray, Record

_Float64 = NDArray[np.float64]
_Measure = Callable[[_Float64], _Float64]
"""From counts (B, N) of bootstrap draws to values (B,), NaN where undefined."""


def measure_labels(
    targets: NDArray[Any], probs: FloatArray, preds: NDArray[Any], *, names: Sequence[str], seed: int
) -> Record:
    """Every measure of one set of photos, as a JSON-ready record.

    Args:
        targets: (N, K) of 0 and 1, which labels are there.
        probs: (N, K) float in [0, 1].
        preds: (N, K) of 0 and 1, which labels are found at their thresholds.
        names: K label names.
        seed: Seed of the bootstrap intervals.

    Returns:
        n, subset_accuracy (photos whose labels are all right), subset_accuracy_at_half, hamming_loss (share of wrong
        pairs of photo and label), precision, recall, f1, each _micro and _macro, roc_auc and pr_auc (mean of the
        labels), roc_auc_micro, pr_auc_micro, log_loss, brier, majority_subset_accuracy and majority_hamming_loss
        (always the most common set; always each label's commoner side), intervals, and per_label (label, n, precision,
        recall, specificity, f1, roc_auc, pr_auc, intervals). Undefined numbers are None.

    Raises:
        UserError: shapes differ, or probabilities outside [0, 1].
    """
    truth, found, scores = np.asarray(targets) > 0, np.asarray(preds) > 0, np.asarray(probs, np.float64)
    _check(truth, scores, found, names=names)
    if not len(truth):
        return {"n": 0, "intervals": {}, "per_label": []}
    order = np.lexsort((*found.T, *scores.T, *truth.T))  # sums and draws then do not depend on the given order
    truth, found, scores = truth[order], found[order], scores[order]
    measures = {**_counted(truth, found), **_ranked(truth, scores)}
    once, strata = np.ones((1, len(truth))), np.zeros(len(truth), np.int64)
    values = {name: float(measure(once)[0]) for name, measure in measures.items()}
    draws = affordable_draws(truth.size)
    intervals: dict[str, Interval | None] = {
        name: bootstrap_interval(measure, strata, seed=seed, draws=draws) for name, measure in measures.items()
    }
    right = int((truth == found).all(axis=1).sum())
    intervals["subset_accuracy"] = wilson_interval(right, len(truth))
    share = truth.mean(axis=0)
    return {
        "n": len(truth),
        **{name: _plain(value) for name, value in values.items()},
        "subset_accuracy_at_half": float((truth == (scores > 0.5)).all(axis=1).mean()),
        "log_loss": _log_loss(truth, scores, probs),
        "brier": float(((scores - truth) ** 2).mean()),
        "majority_subset_accuracy": float(np.unique(truth, axis=0, return_counts=True)[1].max() / len(truth)),
        "majority_hamming_loss": float(np.minimum(share, 1.0 - share).mean()),
        "intervals": _plain_intervals(intervals),
        "per_label": [
            _label_record(name, truth[:, k], found[:, k], scores=scores[:, k], seed=seed)
            for k, name in enumerate(names)
        ],
    }


def measure_verdicts(is_bad: NDArray[np.bool_], is_rejected: NDArray[np.bool_]) -> Record:
    """Misses and false alarms of a rule that rejects photos, with Wilson's intervals.

    Args:
        is_bad: (N,) photos with at least one rejected label.
        is_rejected: (N,) photos in which one was found.

    Returns:
        bad, missed, good, false_alarms (photos), accuracy, missed_interval and alarm_interval (of the shares; None
        without such photos).
    """
    bad, good = int(is_bad.sum()), int((~is_bad).sum())
    missed, alarms = int((is_bad & ~is_rejected).sum()), int((~is_bad & is_rejected).sum())
    return {
        "bad": bad,
        "missed": missed,
        "good": good,
        "false_alarms": alarms,
        "accuracy": (bad + good - missed - alarms) / (bad + good) if bad + good else None,
        "missed_interval": _plain_interval(wilson_interval(missed, bad)),
        "alarm_interval": _plain_interval(wilson_interval(alarms, good)),
    }


def _counted(truth: NDArray[np.bool_], found: NDArray[np.bool_]) -> dict[str, _Measure]:
    """Measures of the labels found."""
    labels = truth.shape[1]
    cells = np.concatenate([truth & found, ~truth & found, truth & ~found], axis=1).astype(np.float64)
    right, wrong = (truth == found).all(axis=1).astype(np.float64), (truth != found).mean(axis=1)
    present = truth.any(axis=0)

    def rates(counts: _Float64, *, pooled: bool) -> dict[str, _Float64]:
        sums = (counts @ cells).reshape(len(counts), 3, labels)
        sums = sums.sum(axis=2, keepdims=True) if pooled else sums[:, :, present]
        hits, alarms, misses = sums[:, 0], sums[:, 1], sums[:, 2]
        return {
            "precision": _divide(hits, hits + alarms),
            "recall": _divide(hits, hits + misses),
            "f1": _divide(2 * hits, 2 * hits + alarms + misses),
        }

    def micro(name: str) -> _Measure:
        return lambda counts: rates(counts, pooled=True)[name][:, 0]

    def macro(name: str) -> _Measure:
        return lambda counts: np.nan_to_num(rates(counts, pooled=False)[name]).mean(axis=1)

    measures: dict[str, _Measure] = {
        "subset_accuracy": lambda counts: counts @ right / counts.sum(axis=1),
        "hamming_loss": lambda counts: counts @ wrong / counts.sum(axis=1),
        **{f"{name}_micro": micro(name) for name in ("precision", "recall", "f1")},
    }
    return measures | (
        {f"{name}_macro": macro(name) for name in ("precision", "recall", "f1")} if present.any() else {}
    )


def _ranked(truth: NDArray[np.bool_], scores: _Float64) -> dict[str, _Measure]:
    """Areas: the mean of the labels that have photos with and without them, and of all pairs pooled."""
    both = [k for k in range(truth.shape[1]) if 0 < truth[:, k].sum() < len(truth)]
    rankings = [rank_scores(truth[:, k], scores[:, k]) for k in both]
    measures: dict[str, _Measure] = {}
    areas = (("roc_auc", Ranking.roc_auc), ("pr_auc", Ranking.average_precision))
    for name, area in areas if rankings else ():
        measures[name] = _averaged(rankings, area)
    if truth.any() and not truth.all():
        pooled = rank_scores(truth.ravel(), scores.ravel())
        for name, area in areas:
            measures[f"{name}_micro"] = _repeated(pooled, area, times=truth.shape[1])
    return measures


def _averaged(rankings: Sequence[Ranking], area: Callable[[Ranking, FloatArray], _Float64]) -> _Measure:
    return lambda counts: np.mean([area(ranking, counts) for ranking in rankings], axis=0)


def _repeated(ranking: Ranking, area: Callable[[Ranking, FloatArray], _Float64], *, times: int) -> _Measure:
    return lambda counts: area(ranking, np.repeat(counts, times, axis=1))


def _label_record(
    name: str, truth: NDArray[np.bool_], found: NDArray[np.bool_], *, scores: _Float64, seed: int
) -> Record:
    hits, n, flagged = int((truth & found).sum()), int(truth.sum()), int(found.sum())
    others = len(truth) - n
    quiet = others - (flagged - hits)
    ranking, once = rank_scores(truth, scores), np.ones((1, len(truth)))
    auc = _plain(float(ranking.roc_auc(once)[0]))
    spread = None if auc is None else bootstrap_interval(ranking.roc_auc, truth.astype(np.int64), seed=seed)
    shares = {"precision": (hits, flagged), "recall": (hits, n), "specificity": (quiet, others)}
    return {
        "label": name,
        "n": n,
        **{key: part / whole if whole else None for key, (part, whole) in shares.items()},
        "f1": 2 * hits / (n + flagged) if n + flagged else None,
        "roc_auc": auc,
        "pr_auc": _plain(float(ranking.average_precision(once)[0])),
        "intervals": _plain_intervals(
            {**{key: wilson_interval(*own) for key, own in shares.items()}, "roc_auc": spread}
        ),
    }


def _log_loss(truth: NDArray[np.bool_], scores: _Float64, given: FloatArray) -> float:
    eps = float(np.finfo(np.asarray(given).dtype).eps)
    actual = np.where(truth, scores, 1.0 - scores)
    return float(-np.log(np.clip(actual, eps, 1.0)).mean())


def _check(truth: NDArray[Any], scores: _Float64, found: NDArray[Any], *, names: Sequence[str]) -> None:
    if truth.ndim != 2 or not truth.shape == scores.shape == found.shape or truth.shape[1] != len(names):
        raise UserError(
            f"Labels, probabilities and answers must have one shape (N, {len(names)}), got {truth.shape}, "
            f"{scores.shape} and {found.shape}.",
            hint="Give one column for each label.",
        )
    wrong = int((~((scores >= 0.0) & (scores <= 1.0))).sum())
    if wrong:
        raise UserError(
            f"Probabilities must be in [0, 1], got {wrong} that are not.", hint="Apply a sigmoid to logits first."
        )


def _divide(numerator: _Float64, denominator: _Float64) -> _Float64:
    quotient: _Float64 = np.divide(numerator, denominator, out=np.full(numerator.shape, np.nan), where=denominator > 0)
    return quotient


def _plain(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _plain_interval(interval: Interval | None) -> list[float] | None:
    return None if interval is None else list(interval)


def _plain_intervals(intervals: dict[str, Interval | None]) -> dict[str, list[float]]:
    return {name: list(interval) for name, interval in intervals.items() if interval is not None}
