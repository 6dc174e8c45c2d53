"""How far predicted numbers hold: of the same photos as they are and made worse, how many move and how much is lost.

A level holds while few numbers move by more than a tolerance and the mean absolute error rises by no more than it. The
rise is that of the photos that are used at the level, from their own error as they are: a refused photo has no error,
counts as moved, and must not make the others look better or worse.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from teliti.metrics.intervals import draw_counts, percentile_interval, wilson_interval
from teliti.metrics.stress import SLACK, Bounds
from teliti.types import FloatArray, Record

_DRAWS, _SEED = 1_000, 7


def measure_number_level(
    clean: FloatArray, now: FloatArray, *, targets: FloatArray, tolerance: Mapping[str, float], bounds: Bounds
) -> Record:
    """One level of a sweep.

    Args:
        clean: (N, K) numbers of the photos as they are, none NaN.
        now: (N, K) of the same photos at this level; NaN of one that is refused, which counts as moved.
        targets: (N, K) true ones.
        tolerance: (K) by name, in the number's own unit.
        bounds: Its `changed` is the share of photos that may move.

    Returns:
        {"photos", "unchanged", "unchanged_interval", "errors", "refused", "loss", "holds"}: `errors` as from
        `number_errors`; `loss` is by how much the mean absolute error of the photos that are not refused rose, in
        tolerances, of several numbers the most; None where all are refused.
    """
    limits = np.array([*tolerance.values()], np.float64)
    slack = SLACK * np.maximum(1.0, np.abs(targets).max(axis=0, initial=0.0))
    same = int((np.abs(now - clean) <= limits + slack).all(axis=1).sum())  # NaN is not
    photos, used = len(clean), ~np.isnan(now).any(axis=1)
    rise = _rise(clean[used], now[used], targets[used]) if used.any() else np.full(len(limits), np.inf)
    scale = np.where(limits > 0.0, limits, 1.0)
    loss = float((rise / scale).max())
    return {
        "photos": photos,
        "unchanged": same / photos,
        "unchanged_interval": list(wilson_interval(same, photos) or ()),
        "errors": number_errors(now[used], targets[used], names=tuple(tolerance)),
        "refused": int((~used).sum()),
        "loss": loss if np.isfinite(loss) else None,
        "holds": bool((rise <= limits + slack).all()) and 1.0 - same / photos <= bounds.changed + SLACK,
    }


def number_errors(values: FloatArray, targets: FloatArray, *, names: tuple[str, ...]) -> list[Record]:
    """Mean absolute error of each number with its 95 % bootstrap interval.

    Args:
        values: (N, K) predicted.
        targets: (N, K) true.
        names: (K).

    Returns:
        (K) {"name", "mae", "interval"}; None without photos.
    """
    errors = np.abs(values - targets)
    if not len(errors):
        return [{"name": name, "mae": None, "interval": None} for name in names]
    draws = draw_counts(np.zeros(len(errors), np.int64), draws=_DRAWS, seed=_SEED)
    means = np.concatenate([rows @ errors / len(errors) for rows in draws])
    found = [percentile_interval(means[:, at]) for at in range(len(names))]
    return [
        {"name": name, "mae": float(errors[:, at].mean()), "interval": None if one is None else list(one)}
        for at, (name, one) in enumerate(zip(names, found, strict=True))
    ]


def _rise(clean: FloatArray, now: FloatArray, targets: FloatArray) -> FloatArray:
    """(K,) by how much the mean absolute error of the same photos rose."""
    return np.asarray((np.abs(now - targets) - np.abs(clean - targets)).mean(axis=0), dtype=np.float64)
