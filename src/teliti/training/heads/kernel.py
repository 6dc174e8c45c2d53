"""Kernel heads: RBF support vector machines, and least squares on landmarks where there are too many photos.

Up to `EXACT_LIMIT` photos the SVM is exact: one matrix of squared distances serves every width, fold and class.
Beyond it both time (between N^2 and N^3) and memory (N^2) get out of hand; then the kernel is taken to a random
choice of photos, the landmarks, and the decision values are fitted to them by weighted least squares. The head
that comes out has the same form. Widths are multiples of 1 / (D x variance), and the variance of standardised
features is 1.

Methods: C. Cortes and V. Vapnik, "Support-vector networks" (1995), solved by LIBSVM; A. Smola and B. Schoelkopf,
"Sparse greedy matrix approximation" (2000), and C. Williams and M. Seeger, "Using the Nystroem method" (2001),
for landmarks; J. Suykens and J. Vandewalle, "Least squares support vector machine classifiers" (1999).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from teliti.models.heads import gaussian_kernel, squared_distances
from teliti.recipe import ModelRecipe
from teliti.runtime import require
from teliti.training.heads.linear_solvers import balanced_weights
from teliti.training.heads.search import Examples, Path, Solution
from teliti.types import FloatArray, IntArray

EXACT_LIMIT = 5000
_GAMMAS = (0.5, 1.0, 2.0)
_SVM_C = (1.0, 4.0, 16.0)
_LANDMARK_C = (1.0, 8.0, 64.0)
_EPSILON = 0.1  # width of the tube of SVR, in standard deviations of the target
_STEPS_PER_PHOTO = 1000
_MAX_LANDMARKS = 1500
_KERNEL_NUMBERS = 150_000_000  # 600 MB of float32
_ROWS_PER_BLOCK = 2048
_JITTER = 1e-7


class SvmSolver:
    """RBF SVM (classes, one against the rest) or RBF SVR (numbers) on a shared, precomputed kernel.

    Args:
        examples: At most `EXACT_LIMIT` of them.
        model: Its `c` and `gamma` replace the grids.
    """

    def __init__(self, examples: Examples, model: ModelRecipe) -> None:
        self._examples = examples
        self._model = model
        self._svm = require("sklearn.svm", extra="train", purpose="fit a head")
        self._signs = examples.signs
        self._distances = squared_distances(examples.z, examples.z)  # (N, N)
        self._kernel: NDArray[np.float64] = np.zeros((0, 0))
        self._width = 0.0

    @property
    def fold_bytes(self) -> int:
        return 2 * self._distances.nbytes

    def paths(self) -> list[Path]:
        return _paths_of(self._model, _SVM_C)

    def ready(self, path: Path) -> None:
        self._width = _width_of(path, self._examples)
        self._kernel = np.exp(self._distances * np.float32(-self._width)).astype(np.float64)

    def solve(self, rows: IntArray, path: Path) -> list[Solution]:
        kernel = self._kernel[np.ix_(rows, rows)]
        return [self._solve_setting(kernel, rows, setting["c"]) for setting in path]

    def decide(self, solution: Solution, rows: IntArray) -> FloatArray:
        return np.asarray(self._kernel[np.ix_(rows, _kept(solution))] @ solution.weight + solution.bias)

    def _solve_setting(self, kernel: NDArray[np.float64], rows: IntArray, c: float) -> Solution:
        signs = self._signs[rows]
        weight = np.zeros(signs.shape)
        bias = np.zeros(signs.shape[1])
        converged = True
        for column in range(signs.shape[1]):
            machine = self._machine(c, limit=_STEPS_PER_PHOTO * len(rows)).fit(kernel, signs[:, column])
            weight[machine.support_, column] = machine.dual_coef_[0]
            bias[column] = machine.intercept_[0]
            converged &= machine.fit_status_ == 0
        used = np.flatnonzero(np.any(weight != 0.0, axis=1))
        return Solution(weight[used], bias, kept=rows[used], width=self._width, converged=bool(converged))

    def _machine(self, c: float, *, limit: int) -> Any:
        if self._examples.num_classes:
            return self._svm.SVC(C=c, kernel="precomputed", class_weight="balanced", max_iter=limit)
        return self._svm.SVR(C=c, kernel="precomputed", epsilon=_EPSILON, max_iter=limit)


class LandmarkSolver:
    """Weighted least squares on the kernel to landmarks: time N x M^2, memory N x M, for any number of photos.

    Args:
        examples: Any number.
        model: Its `c` and `gamma` replace the grids; `c` is the inverse of the ridge penalty.
        seed: Of the choice of landmarks.
    """

    def __init__(self, examples: Examples, model: ModelRecipe, *, seed: int) -> None:
        self._examples = examples
        self._model = model
        count = min(len(examples.z), _MAX_LANDMARKS, max(1, _KERNEL_NUMBERS // len(examples.z)))
        rng = np.random.default_rng(seed)
        self._landmarks = np.sort(rng.choice(len(examples.z), size=count, replace=False))
        self._signs = examples.signs
        is_binary = examples.num_classes == 2 and not examples.is_multilabel
        # photos with several labels weigh alike: each label's calibration restores its frequency
        self._weights = balanced_weights(self._signs[:, 0]) if is_binary else examples.class_weights()
        self._kernel: NDArray[np.float32] = np.zeros((0, 0), np.float32)
        self._width = 0.0

    @property
    def fold_bytes(self) -> int:
        return 4 * 8 * len(self._landmarks) ** 2

    def paths(self) -> list[Path]:
        return _paths_of(self._model, _LANDMARK_C)

    def ready(self, path: Path) -> None:
        width = _width_of(path, self._examples)
        if width == self._width:
            return
        z, supports = self._examples.z, self._examples.z[self._landmarks]
        self._kernel = np.empty((len(z), len(supports)), np.float32)
        for start in range(0, len(z), _ROWS_PER_BLOCK):
            block = slice(start, start + _ROWS_PER_BLOCK)
            self._kernel[block] = gaussian_kernel(z[block], supports, width=width)
        self._width = width

    def solve(self, rows: IntArray, path: Path) -> list[Solution]:
        gram, right = self._normal_equations(rows)
        count = len(self._landmarks)
        penalty = np.zeros_like(gram)  # the constant column, last, goes free
        penalty[:count, :count] = self._kernel[self._landmarks]
        jitter = _JITTER * float(np.trace(gram)) / len(gram) * np.eye(len(gram))
        solutions = []
        for setting in path:
            found = np.linalg.solve(gram + penalty / setting["c"] + jitter, right)
            solutions.append(Solution(np.asarray(found[:count]), found[count], kept=self._landmarks, width=self._width))
        return solutions

    def decide(self, solution: Solution, rows: IntArray) -> FloatArray:
        return self._kernel[rows] @ solution.weight.astype(np.float32) + solution.bias

    def _normal_equations(self, rows: IntArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """A^T W A (M + 1, M + 1) and A^T W Y (M + 1, K') for A = kernel values and a constant column."""
        size = len(self._landmarks) + 1
        gram, right = np.zeros((size, size)), np.zeros((size, self._signs.shape[1]))
        for start in range(0, len(rows), _ROWS_PER_BLOCK):
            block = rows[start : start + _ROWS_PER_BLOCK]
            columns = np.ones((len(block), size))
            columns[:, :-1] = self._kernel[block]
            weighted = columns * self._weights[block, None]
            gram += weighted.T @ columns
            right += weighted.T @ self._signs[block]
        return gram, right


def _paths_of(model: ModelRecipe, grid: tuple[float, ...]) -> list[Path]:
    gammas = _GAMMAS if model.gamma is None else (model.gamma,)
    costs = grid if model.c is None else (model.c,)
    return [[{"c": c, "gamma": gamma} for c in costs] for gamma in gammas]


def _width_of(path: Path, examples: Examples) -> float:
    return path[0]["gamma"] / examples.num_active


def _kept(solution: Solution) -> IntArray:
    return np.zeros(0, np.int64) if solution.kept is None else solution.kept
