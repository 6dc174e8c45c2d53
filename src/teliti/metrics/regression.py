"""How far predicted numbers lie from the true ones, with intervals, and beside them "always the mean".

Nothing here knows the numbers' unit: errors are in the unit of the labels.

Source: B. Efron and R. Tibshirani, "An Introduction to the Bootstrap" (1993), for the intervals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from teliti.errors import UserError
from teliti.metrics.intervals import bootstrap_interval
from teliti.types import FloatArray, Record

_Float64 = NDArray[np.float64]
_Measures = Callable[[_Float64], dict[str, _Float64]]


def measure_regression(targets: FloatArray, preds: FloatArray, *, seed: int, baseline: float | None = None) -> Record:
    """Every measure of predicted numbers, as a JSON-ready record.

    Args:
        targets: (N,) float, finite, true numbers.
        preds: (N,) float, finite, predicted numbers.
        seed: Seed of the bootstrap intervals.
        baseline: The number that "always the mean" answers, best the mean of the training part; None takes the mean
            of `targets`.

    Returns:
        n, mae, rmse, r2 (against the mean of `targets`; None where they are all the same), baseline (that number),
        baseline_mae, baseline_rmse, and intervals (name to [low, high], 95 %; a name is left out where nothing can
        be said). Without photos everything but n is None.

    Raises:
        UserError: shapes differ, or a number is not finite.
    """
    truth, answers = np.asarray(targets, dtype=np.float64), np.asarray(preds, dtype=np.float64)
    _check(truth, answers)
    names = ("mae", "rmse", "r2", "baseline", "baseline_mae", "baseline_rmse")
    if not len(truth):
        return {"n": 0, **dict.fromkeys(names), "intervals": {}}
    order = np.lexsort((answers, truth))  # sums and draws then do not depend on the given order
    truth, answers = truth[order], answers[order]
    mean = float(truth.mean()) if baseline is None else float(baseline)
    measures = _measures(truth, answers)
    values = {name: float(value[0]) for name, value in measures(np.ones((1, len(truth)))).items()}
    strata = np.zeros(len(truth), dtype=np.int64)
    intervals = {name: bootstrap_interval(_pick(measures, name), strata, seed=seed) for name in values}
    return {
        "n": len(truth),
        **{name: value if np.isfinite(value) else None for name, value in values.items()},
        "baseline": mean,
        "baseline_mae": float(np.abs(truth - mean).mean()),
        "baseline_rmse": float(np.sqrt(((truth - mean) ** 2).mean())),
        "intervals": {name: list(interval) for name, interval in intervals.items() if interval is not None},
    }


def measure_several(
    targets: FloatArray, preds: FloatArray, *, names: Sequence[str], seed: int, baseline: FloatArray | None = None
) -> Record:
    """Every measure of several predicted numbers: of each, and their means.

    Args:
        targets: (N, K) float, finite, true numbers.
        preds: (N, K) float, finite, predicted numbers.
        names: K names.
        seed: Seed of the bootstrap intervals.
        baseline: (K,) what "always the mean" answers; None takes the means of `targets`.

    Returns:
        n, mae, rmse, r2, baseline_mae, baseline_rmse (means over the numbers, None where one is; mean errors mix
        units), intervals (empty) and per_number: `name` and the record of `measure_regression`.

    Raises:
        UserError: shapes differ, or a number is not finite.
    """
    truth, answers = np.asarray(targets, dtype=np.float64), np.asarray(preds, dtype=np.float64)
    if truth.ndim != 2 or truth.shape != answers.shape or truth.shape[1] != len(names):
        raise UserError(
            f"Targets and predictions must have one shape (N, {len(names)}), got {truth.shape} and {answers.shape}.",
            hint="Give one column for each number.",
        )
    rows = [
        measure_regression(
            truth[:, k], answers[:, k], seed=seed, baseline=None if baseline is None else float(baseline[k])
        )
        for k in range(len(names))
    ]
    record: Record = {"n": len(truth)}
    for key in ("mae", "rmse", "r2", "baseline_mae", "baseline_rmse"):
        known = [row[key] for row in rows if row[key] is not None]
        record[key] = sum(known) / len(known) if len(known) == len(rows) else None
    return {
        **record,
        "intervals": {},
        "per_number": [{"name": name, **row} for name, row in zip(names, rows, strict=True)],
    }


def _measures(truth: _Float64, answers: _Float64) -> _Measures:
    """From counts (B, N) of bootstrap draws to measures (B,) each, NaN where undefined."""
    errors = answers - truth
    centered = truth - truth.mean()  # keeps the variance exact for numbers far from 0
    varied = bool(truth.min() < truth.max())

    def measure(counts: _Float64) -> dict[str, _Float64]:
        sizes = counts.sum(axis=1)
        squared = counts @ errors**2
        spread = counts @ centered**2 - (counts @ centered) ** 2 / sizes
        defined = spread > 1e-12 * float((centered**2).sum()) if varied else np.zeros(len(counts), dtype=bool)
        lost = np.divide(squared, spread, out=np.full(len(counts), np.nan), where=defined)
        return {"mae": counts @ np.abs(errors) / sizes, "rmse": np.sqrt(squared / sizes), "r2": 1.0 - lost}

    return measure


def _pick(measures: _Measures, name: str) -> Callable[[_Float64], _Float64]:
    return lambda counts: measures(counts)[name]


def _check(truth: _Float64, answers: _Float64) -> None:
    if truth.shape != answers.shape or truth.ndim != 1:
        raise UserError(
            f"Targets and predictions must have one shape (N,), got {truth.shape} and {answers.shape}.",
            hint="Give one prediction per target.",
        )
    wrong = int((~np.isfinite(truth)).sum() + (~np.isfinite(answers)).sum())
    if wrong:
        raise UserError(
            f"Targets and predictions must be finite, got {wrong} that are not.", hint="Check these photos and labels."
        )
