"""Scores of one class against the rest: ROC and precision-recall curves, their areas, and score histograms.

A score counts as positive when it is at or above a threshold; photos with the same score move together. Areas have
a form for many bootstrap draws at once: the scores are ranked once, each draw only changes how often a photo counts.

Sources: T. Fawcett, "An introduction to ROC analysis" (2006); average precision as the step-wise sum over the
precision-recall curve, without interpolation, as in scikit-learn.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from teliti.errors import UserError
from teliti.types import FloatArray, IntArray, Record

MAX_POINTS = 500
_BINS = 20
_NO_GAP = 1e-12

_Bools = NDArray[np.bool_]
_Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Points of a curve, from the highest threshold to the lowest.

    Attributes:
        x: (P,) float in [0, 1]: false-positive rate, or recall.
        y: (P,) float in [0, 1]: true-positive rate, or precision.
        thresholds: (P,) float; the first is infinite, where nothing is positive.
    """

    x: _Float64
    y: _Float64
    thresholds: _Float64

    def area(self) -> float:
        """Area under the straight lines between the points."""
        return float(np.trapezoid(self.y, self.x))

    def thin(self, points: int = MAX_POINTS) -> Curve:
        """The same curve with at most so many of its points, both ends among them, kept where the curve bends most.

        With 500 points the area changes by less than 1e-3.

        Raises:
            UserError: fewer than two points.
        """
        if points < 2:
            raise UserError(f"points must be at least 2, got {points}.", hint="A curve has two ends.")
        if len(self.x) <= points:
            return self
        kept = _bends(self.x, self.y, points)
        return Curve(self.x[kept], self.y[kept], self.thresholds[kept])


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Scores of one set of photos, ranked once, so that areas of many weightings cost no sorting.

    Attributes:
        order: (N,) indices of the photos by rising score.
        positives: (N,) float, 1 where the photo in that place is positive, else 0.
        starts: (G,) first place of every group of equal scores.
    """

    order: NDArray[np.intp]
    positives: _Float64
    starts: NDArray[np.intp]

    def roc_auc(self, counts: FloatArray) -> _Float64:
        """Probability that a positive photo scores above a negative one, ties counting half.

        Args:
            counts: (B, N) float >= 0, how often each photo counts, one row per draw.

        Returns:
            (B,) in [0, 1]; NaN where a draw has no positive or no negative photo.
        """
        hits, alarms = self._grouped(counts)
        below = np.cumsum(alarms, axis=1) - alarms / 2.0
        return _divide((hits * below).sum(axis=1), hits.sum(axis=1) * alarms.sum(axis=1))

    def average_precision(self, counts: FloatArray) -> _Float64:
        """Precision averaged over the steps of recall.

        Args:
            counts: (B, N) float >= 0, how often each photo counts, one row per draw.

        Returns:
            (B,) in [0, 1]; NaN where a draw has no positive photo.
        """
        hits, alarms = self._grouped(counts)
        found = np.cumsum(hits[:, ::-1], axis=1)
        flagged = found + np.cumsum(alarms[:, ::-1], axis=1)
        precision = np.where(flagged > 0, found / np.maximum(flagged, 1e-300), 0.0)
        return _divide((hits[:, ::-1] * precision).sum(axis=1), hits.sum(axis=1))

    def _grouped(self, counts: FloatArray) -> tuple[_Float64, _Float64]:
        """Positive and negative photos per group of equal scores, rising: (B, G) each."""
        ordered = np.asarray(counts, dtype=np.float64)[:, self.order]
        hits = ordered * self.positives
        alarms = ordered - hits
        if len(self.starts) < len(self.order):
            return np.add.reduceat(hits, self.starts, axis=1), np.add.reduceat(alarms, self.starts, axis=1)
        return hits, alarms


def rank_scores(positives: _Bools, scores: FloatArray) -> Ranking:
    """Rank the scores of one set of photos.

    Args:
        positives: (N,) bool, True for the class that should score high.
        scores: (N,) float, finite.

    Raises:
        UserError: no photos, shapes differ, or a score is not finite.
    """
    _check(positives, scores)
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    return Ranking(order=order, positives=positives[order].astype(np.float64), starts=starts)


def roc_auc_score(positives: _Bools, scores: FloatArray) -> float | None:
    """Area under the ROC curve: probability that a positive photo scores above a negative one, ties counting half.

    Args:
        positives: (N,) bool.
        scores: (N,) float, finite.

    Returns:
        A value in [0, 1], 1 is best; None where one of the two kinds is missing.

    Raises:
        UserError: no photos, shapes differ, or a score is not finite.
    """
    return _known(rank_scores(positives, scores).roc_auc(np.ones((1, len(scores)))))


def average_precision_score(positives: _Bools, scores: FloatArray) -> float | None:
    """Area under the precision-recall curve as the step-wise sum (average precision).

    Args:
        positives: (N,) bool.
        scores: (N,) float, finite.

    Returns:
        A value in [0, 1], 1 is best; None without positive photos.

    Raises:
        UserError: no photos, shapes differ, or a score is not finite.
    """
    return _known(rank_scores(positives, scores).average_precision(np.ones((1, len(scores)))))


def roc_curve(positives: _Bools, scores: FloatArray) -> Curve | None:
    """Share of positives found (y) against share of negatives flagged (x), one point per distinct score.

    Args:
        positives: (N,) bool.
        scores: (N,) float, finite.

    Returns:
        The curve from (0, 0) to (1, 1); None where one of the two kinds is missing.

    Raises:
        UserError: no photos, shapes differ, or a score is not finite.
    """
    found, flagged, thresholds = _cumulated(positives, scores)
    alarms = flagged - found
    if not found[-1] or not alarms[-1]:
        return None
    return Curve(x=alarms / alarms[-1], y=found / found[-1], thresholds=thresholds)


def pr_curve(positives: _Bools, scores: FloatArray) -> Curve | None:
    """Precision (y) against recall (x), one point per distinct score; precision is 1 where nothing is flagged.

    Args:
        positives: (N,) bool.
        scores: (N,) float, finite.

    Returns:
        The curve from recall 0 to recall 1; None without positive photos.

    Raises:
        UserError: no photos, shapes differ, or a score is not finite.
    """
    found, flagged, thresholds = _cumulated(positives, scores)
    if not found[-1]:
        return None
    precision = np.where(flagged > 0, found / np.maximum(flagged, 1.0), 1.0)
    return Curve(x=found / found[-1], y=precision, thresholds=thresholds)


def curve_record(positives: _Bools, scores: FloatArray, *, threshold: float | None = None) -> Record:
    """Both curves, thinned, as a JSON-ready record for a report.

    Args:
        positives: (N,) bool.
        scores: (N,) float, finite.
        threshold: Where the verdict changes; its point is added as `at_threshold`.

    Returns:
        `{"roc": {"fpr", "tpr", "at_threshold"}, "pr": {"recall", "precision", "at_threshold"}}`, a curve left out
        where it is undefined, `at_threshold` as [x, y] or None.

    Raises:
        UserError: no photos, shapes differ, or a score is not finite.
    """
    record: Record = {}
    for name, curve, axes in (
        ("roc", roc_curve(positives, scores), ("fpr", "tpr")),
        ("pr", pr_curve(positives, scores), ("recall", "precision")),
    ):
        if curve is not None:
            thin = curve.thin()
            record[name] = {axes[0]: thin.x.tolist(), axes[1]: thin.y.tolist(), "at_threshold": _at(curve, threshold)}
    return record


def score_histogram(labels: IntArray, scores: FloatArray, *, classes: Sequence[str], bins: int = _BINS) -> Record:
    """How the scores of every class are spread over [0, 1].

    Args:
        labels: (N,) int, class index.
        scores: (N,) float in [0, 1].
        classes: Class names in the order of the indices.
        bins: Number of equal ranges; the last one holds score 1 as well.

    Returns:
        `{"edges": bins + 1 numbers, "counts": {class name: bins integers}}`.

    Raises:
        UserError: shapes differ, or a score outside [0, 1].
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.shape != labels.shape or not np.all((values >= 0.0) & (values <= 1.0)):
        raise UserError(
            f"Scores of a histogram must be in [0, 1], one per label, got {values.shape} for {labels.shape} labels.",
            hint="Turn logits into probabilities first.",
        )
    edges = np.linspace(0.0, 1.0, bins + 1)
    counts = {name: np.histogram(values[labels == index], edges)[0].tolist() for index, name in enumerate(classes)}
    return {"edges": edges.tolist(), "counts": counts}


def _check(positives: NDArray[Any], scores: FloatArray) -> None:
    if not len(scores) or positives.shape != scores.shape or scores.ndim != 1:
        raise UserError(
            f"Scores must have shape (N,) with as many labels, got {scores.shape} and {positives.shape}.",
            hint="Give at least one photo, and one score per label.",
        )
    if not np.isfinite(scores).all():
        raise UserError(
            f"Scores must be finite, got {int((~np.isfinite(scores)).sum())} that are not.",
            hint="Check the photos that gave them.",
        )


def _cumulated(positives: _Bools, scores: FloatArray) -> tuple[_Float64, _Float64, _Float64]:
    """Positives found and photos flagged at thresholds falling from infinity: (G + 1,) each."""
    ranking = rank_scores(positives, scores)
    hits, alarms = ranking._grouped(np.ones((1, len(scores))))
    found = np.concatenate([[0.0], np.cumsum(hits[0, ::-1])])
    flagged = found + np.concatenate([[0.0], np.cumsum(alarms[0, ::-1])])
    falling = scores[ranking.order[ranking.starts]][::-1].astype(np.float64)
    return found, flagged, np.concatenate([[np.inf], falling])


def _bends(x: _Float64, y: _Float64, points: int) -> NDArray[np.int64]:
    """Places of at most `points` points: the piece farthest from its chord is split again and again.

    The idea is that of D. Douglas and T. Peucker (1973), with the area between curve and chord as the distance.
    """
    kept = [0, len(x) - 1]
    pieces = [_piece(x, y, first=0, last=len(x) - 1)]
    while len(kept) < points:
        gap, first, middle, last = heapq.heappop(pieces)
        if gap >= -_NO_GAP:  # gaps are negative, so that the smallest number is the widest gap
            break
        kept.append(middle)
        heapq.heappush(pieces, _piece(x, y, first=first, last=middle))
        heapq.heappush(pieces, _piece(x, y, first=middle, last=last))
    return np.array(sorted(kept))


def _piece(x: _Float64, y: _Float64, *, first: int, last: int) -> tuple[float, int, int, int]:
    """Minus the area between the curve and its chord, with first, farthest and last place of the piece."""
    dx, dy = x[first : last + 1] - x[first], y[first : last + 1] - y[first]
    length = float(np.hypot(dx[-1], dy[-1]))
    away = np.abs(dx * dy[-1] - dy * dx[-1]) / length if length > 0 else np.hypot(dx, dy)
    area = float(np.sum(away[1:] * np.hypot(np.diff(dx), np.diff(dy)))) if last > first + 1 else 0.0
    return -area, first, first + int(away.argmax()), last


def _at(curve: Curve, threshold: float | None) -> list[float] | None:
    """The point whose flagged photos are those at or above the threshold."""
    if threshold is None:
        return None
    place = int(np.count_nonzero(curve.thresholds >= threshold)) - 1
    return [float(curve.x[place]), float(curve.y[place])]


def _divide(numerator: _Float64, denominator: _Float64) -> _Float64:
    return np.divide(numerator, denominator, out=np.full_like(numerator, np.nan), where=denominator > 0)


def _known(values: _Float64) -> float | None:
    return float(values[0]) if np.isfinite(values[0]) else None
