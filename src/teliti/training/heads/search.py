"""Hyperparameters of a head by cross-validation inside the training part, and the scores that come with it.

Settings that share work (one kernel width, several C) form a path and are solved together. Folds run in threads,
each with one BLAS thread, so that the outcome does not depend on how many there are. What is compared is the
calibrated out-of-fold log loss (numbers: the mean squared error; of several labels or numbers the mean): it rewards
ranking and honest probabilities alike, and moves less from split to split than accuracy does. Solving is in
`linear_solvers` and `kernel`.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from teliti.metrics.calibration import PlattScaling, TemperatureScaling, fit_platt, fit_temperature, softmax
from teliti.models.heads import sigmoid
from teliti.runtime import require
from teliti.types import FloatArray, IntArray, Record

T = TypeVar("T")
Setting = dict[str, float]
"""One choice of hyperparameters: "c", and "gamma" for kernels."""
Path = Sequence[Setting]
"""Settings that differ in "c" only, ascending."""
_MAX_COPIES_BYTES = 512 * 1024**2  # folds solved at the same time copy no more than this


@dataclass(frozen=True, eq=False)
class Examples:
    """The training part as solvers see it.

    Attributes:
        z: (N, D) float32, standardised features.
        labels: (N,) int64 class index; (N, K) int64 of 0 and 1 for labels; for regression float64 standardised
            numbers, (N,) or several (N, K).
        num_classes: K; 0 for regression.
        folds: (N,) int, fold of each photo.
        num_active: How many of the D features vary; their variances are 1, so this is the mean of |z|^2.
    """

    z: NDArray[np.float32]
    labels: NDArray[Any]
    num_classes: int
    folds: IntArray
    num_active: int

    @property
    def is_multilabel(self) -> bool:
        """True where a photo may have several labels."""
        return self.num_classes > 0 and self.labels.ndim == 2

    @property
    def signs(self) -> NDArray[np.float64]:
        """(N, K') float64: +1 for the column's class and -1 for the rest; the numbers themselves for regression."""
        if not self.num_classes:
            return np.asarray(self.labels, np.float64).reshape(len(self.labels), -1)
        if self.is_multilabel:
            return np.where(self.labels > 0, 1.0, -1.0)
        positives = [1] if self.num_classes == 2 else range(self.num_classes)
        return np.stack([np.where(self.labels == positive, 1.0, -1.0) for positive in positives], axis=1)

    def class_weights(self) -> NDArray[np.float64]:
        """(N,) float64: N / (K x photos of the class), so that each class weighs the same; else ones."""
        if not self.num_classes or self.is_multilabel:
            return np.ones(len(self.labels))
        counts = np.bincount(self.labels, minlength=self.num_classes)
        weights: NDArray[np.float64] = len(self.labels) / (self.num_classes * np.maximum(counts, 1.0))
        return np.asarray(weights[self.labels])

    def take(self, rows: IntArray) -> Examples:
        """The examples of these rows, in this order."""
        return replace(self, z=self.z[rows], labels=self.labels[rows], folds=self.folds[rows])


@dataclass(frozen=True, eq=False)
class Solution:
    """Decision values as an affine map.

    Attributes:
        weight: (D, K') float64 on standardised features, or (M, K') on kernel values.
        bias: (K',) float64.
        kept: (M,) rows of the examples that the kernel is taken to; None for a linear head.
        width: The kernel is exp(-width |z - kept|^2); 0 for a linear head.
        converged: False when the solver stopped at its bound of steps.
    """

    weight: NDArray[np.float64]
    bias: NDArray[np.float64]
    kept: IntArray | None = None
    width: float = 0.0
    converged: bool = True


class Solver(Protocol):
    """Fits one kind of head on rows of its examples."""

    @property
    def fold_bytes(self) -> int:
        """About what `solve` copies; bounds how many folds are solved at the same time."""
        ...

    def paths(self) -> list[Path]:
        """What to try."""
        ...

    def ready(self, path: Path) -> None:
        """Compute what all folds share for this path."""
        ...

    def solve(self, rows: IntArray, path: Path) -> list[Solution]:
        """One solution per setting of the path, fitted on these rows."""
        ...

    def decide(self, solution: Solution, rows: IntArray) -> FloatArray:
        """Decision values (n, K') of these rows."""
        ...


@dataclass(frozen=True)
class Affine:
    """The last map: outputs are `slope * decisions + intercepts`.

    Attributes:
        slope: Above 0; one for all columns, or (K',) one for each.
        intercepts: One per column.
    """

    slope: float | NDArray[np.float64]
    intercepts: tuple[float, ...]


def search(
    solver: Solver, examples: Examples, *, threads: int, advance: Callable[[int], None]
) -> tuple[Setting, list[Record]]:
    """Try every setting on every fold.

    Args:
        solver: Of these examples.
        examples: With folds.
        threads: Folds solved at the same time.
        advance: Told of each solved fold of a path.

    Returns:
        The setting of the smallest loss, and one record per setting: its values, `loss`, `seconds`, `converged`.
    """
    tried: list[Record] = []
    best: tuple[float, Setting] | None = None
    for path in solver.paths():
        started = time.perf_counter()
        solver.ready(path)
        decisions, converged = _solve_folds(solver, examples, path, threads=threads, advance=advance)
        seconds = (time.perf_counter() - started) / len(path)
        for place, setting in enumerate(path):
            loss = out_of_fold_loss(decisions[place], examples)
            tried.append({**setting, "loss": loss, "seconds": round(seconds, 3), "converged": converged[place]})
            if best is None or loss < best[0]:
                best = (loss, setting)
    if best is None:
        raise RuntimeError("a solver has at least one path")
    return best[1], tried


def out_of_fold_loss(decisions: FloatArray, examples: Examples) -> float:
    """Log loss of the calibrated decision values; for regression the mean squared error in target variances."""
    if not examples.num_classes:
        return float(np.mean((decisions - examples.labels.reshape(decisions.shape)) ** 2))
    if examples.is_multilabel:
        last = affine_of_labels(decisions, examples.labels)
        return label_loss(sigmoid(decisions * last.slope + np.asarray(last.intercepts)), examples.labels)
    logits = calibration_of(decisions, examples).apply(_calibration_input(decisions))
    chosen = softmax(logits)[np.arange(len(logits)), examples.labels]
    return float(-np.mean(np.log(np.maximum(chosen, np.finfo(np.float32).tiny))))


def label_loss(probs: FloatArray, labels: IntArray) -> float:
    """Mean log loss over photos and labels, both (N, K)."""
    actual = np.where(labels > 0, probs, 1.0 - probs)
    return float(-np.mean(np.log(np.maximum(actual, np.finfo(np.float32).tiny))))


def affine_of_labels(decisions: FloatArray, labels: IntArray) -> Affine:
    """Platt scaling of each label by itself, on out-of-fold decision values (N, K), as the last map of a head."""
    own = [fit_platt(column, has) for column, has in zip(decisions.T, labels.T, strict=True)]
    return Affine(np.array([platt.slope for platt in own]), tuple(platt.intercept for platt in own))


def calibration_of(decisions: FloatArray, examples: Examples) -> PlattScaling | TemperatureScaling:
    """Platt scaling for two classes, temperature and biases for more, on out-of-fold decision values (N, K')."""
    if examples.num_classes == 2:
        return fit_platt(decisions[:, 0], examples.labels)
    return fit_temperature(decisions, examples.labels)


@contextmanager
def calm_libraries() -> Iterator[None]:
    """One BLAS thread per Python thread, and no convergence warnings: `Solution.converged` keeps that fact."""
    threadpoolctl = require("threadpoolctl", extra="train", purpose="fit a head")
    exceptions = require("sklearn.exceptions", extra="train", purpose="fit a head")
    with threadpoolctl.threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", exceptions.ConvergenceWarning)
        yield


def in_threads(work: Callable[[int], T], count: int, *, solver: Solver, threads: int) -> list[T]:
    """`work(0) ... work(count - 1)` in order, at most `threads` at a time, fewer where each copies much."""
    affordable = max(1, _MAX_COPIES_BYTES // max(1, solver.fold_bytes))
    with ThreadPoolExecutor(max(1, min(threads, count, affordable))) as pool:
        return list(pool.map(work, range(count)))


def _solve_folds(
    solver: Solver, examples: Examples, path: Path, *, threads: int, advance: Callable[[int], None]
) -> tuple[NDArray[np.float64], list[bool]]:
    """Out-of-fold decision values (settings, N, K') of a path, and whether every fold converged."""
    decisions = np.zeros((len(path), *examples.signs.shape))

    def work(fold: int) -> list[bool]:
        inside = examples.folds == fold
        held, rest = np.flatnonzero(inside), np.flatnonzero(~inside)
        solutions = solver.solve(rest, path)
        for place, solution in enumerate(solutions):
            decisions[place, held] = solver.decide(solution, held)
        advance(1)
        return [solution.converged for solution in solutions]

    flags = in_threads(work, int(examples.folds.max()) + 1, solver=solver, threads=threads)
    return decisions, [all(fold[place] for fold in flags) for place in range(len(path))]


def _calibration_input(decisions: FloatArray) -> FloatArray:
    return decisions[:, 0] if decisions.shape[1] == 1 else decisions
