"""Linear heads: logistic regression, multinomial logistic regression (softmax), linear SVM, ridge regression.

All take standardised features, weigh the classes alike, leave the intercept free and start each C from the
solution of the one below it. The grids of C are divided by the number of features D, because |z|^2 is about D.

Methods: L2-regularised losses as in T. Hastie et al., "The Elements of Statistical Learning", chapters 3, 4 and
12; the linear SVM has the squared hinge loss of the primal problem (O. Chapelle 2007), which is smooth, so that
L-BFGS solves it without the second copy of the photos in another layout that a coordinate-descent library makes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from teliti.recipe import ModelRecipe
from teliti.runtime import require
from teliti.training.heads.search import Examples, Path, Solution
from teliti.types import FloatArray, IntArray

_LOGISTIC_C = (0.1, 0.5, 2.5, 12.5, 60.0)  # over D
_HINGE_C = (0.02, 0.1, 0.5, 2.5, 12.5)
_RIDGE_C = (0.05, 0.2, 1.0, 5.0, 25.0, 125.0)
_MAX_STEPS = 2000
_GRADIENT_TOLERANCE = 1e-4
_OUT_OF_STEPS = 1  # scipy's status; 2 is a line search at the resolution of float32, which is as far as it goes


class LogisticSolver:
    """Logistic regression by L-BFGS.

    Args:
        examples: Of a classification.
        model: Its `c` replaces the grid.
        one_vs_rest: True fits one binary problem per class ("logistic"), False one softmax over all. The same
            for two classes.
    """

    def __init__(self, examples: Examples, model: ModelRecipe, *, one_vs_rest: bool) -> None:
        self._examples = examples
        self._path = _path_of(model, _LOGISTIC_C, features=examples.num_active)
        self._one_vs_rest = one_vs_rest and (examples.num_classes > 2 or examples.is_multilabel)
        self._class = require("sklearn.linear_model", extra="train", purpose="fit a head").LogisticRegression

    @property
    def fold_bytes(self) -> int:
        return self._examples.z.nbytes

    def paths(self) -> list[Path]:
        return [self._path]

    def ready(self, path: Path) -> None:
        """Nothing is shared."""

    def solve(self, rows: IntArray, path: Path) -> list[Solution]:
        part = self._examples.take(rows)
        if not self._one_vs_rest:
            return self._solve_one(part.z, part.labels, path)
        columns = [self._solve_one(part.z, column > 0, path) for column in part.signs.T]
        return [_side_by_side(solutions) for solutions in zip(*columns, strict=True)]

    def decide(self, solution: Solution, rows: IntArray) -> FloatArray:
        return _decide_linear(self._examples.z, solution, rows)

    def _solve_one(self, z: NDArray[np.float32], labels: NDArray[Any], path: Path) -> list[Solution]:
        model = self._class(class_weight="balanced", warm_start=True, max_iter=_MAX_STEPS, tol=_GRADIENT_TOLERANCE)
        solutions = []
        for setting in path:
            model.set_params(C=setting["c"]).fit(z, labels)
            weight = np.array(model.coef_.T, np.float64)  # (D, 1) or (D, K)
            bias = np.array(model.intercept_, np.float64)
            solutions.append(Solution(weight, bias, converged=bool(np.max(model.n_iter_) < _MAX_STEPS)))
        return solutions


class HingeSolver:
    """Linear SVM with squared hinge loss, one against the rest, by L-BFGS on the primal problem.

    Args:
        examples: Of a classification.
        model: Its `c` replaces the grid.
    """

    def __init__(self, examples: Examples, model: ModelRecipe) -> None:
        self._examples = examples
        self._path = _path_of(model, _HINGE_C, features=examples.num_active)
        self._minimize = require("scipy.optimize", extra="train", purpose="fit a head").minimize

    @property
    def fold_bytes(self) -> int:
        return self._examples.z.nbytes

    def paths(self) -> list[Path]:
        return [self._path]

    def ready(self, path: Path) -> None:
        """Nothing is shared."""

    def solve(self, rows: IntArray, path: Path) -> list[Solution]:
        part = self._examples.take(rows)
        columns = [self._solve_one(part.z, column, path) for column in part.signs.T]
        return [_side_by_side(solutions) for solutions in zip(*columns, strict=True)]

    def decide(self, solution: Solution, rows: IntArray) -> FloatArray:
        return _decide_linear(self._examples.z, solution, rows)

    def _solve_one(self, z: NDArray[np.float32], signs: NDArray[np.float64], path: Path) -> list[Solution]:
        balance = balanced_weights(signs)
        theta = np.zeros(z.shape[1] + 1)  # weights, then the intercept
        solutions = []
        for setting in path:
            found = self._minimize(
                _squared_hinge,
                theta,
                args=((z, signs, setting["c"] * balance),),
                jac=True,
                method="L-BFGS-B",
                options={"maxiter": _MAX_STEPS, "maxfun": 2 * _MAX_STEPS, "gtol": _GRADIENT_TOLERANCE, "ftol": 1e-7},
            )
            theta = found.x
            solutions.append(
                Solution(theta[:-1, None].copy(), theta[-1:].copy(), converged=found.status != _OUT_OF_STEPS)
            )
        return solutions


class RidgeSolver:
    """Ridge regression, solved exactly in the smaller of the two spaces (photos or features).

    Args:
        examples: Of a regression.
        model: Its `c` replaces the grid; the usual alpha is 1 / c.
    """

    def __init__(self, examples: Examples, model: ModelRecipe) -> None:
        self._examples = examples
        self._path = _path_of(model, _RIDGE_C, features=examples.num_active)

    @property
    def fold_bytes(self) -> int:
        return self._examples.z.nbytes

    def paths(self) -> list[Path]:
        return [self._path]

    def ready(self, path: Path) -> None:
        """Nothing is shared."""

    def solve(self, rows: IntArray, path: Path) -> list[Solution]:
        part = self._examples.take(rows)
        center = part.z.mean(axis=0, dtype=np.float64)  # (D,)
        z = part.z - center.astype(np.float32)
        mean = part.labels.mean(axis=0)  # a number, or (K,)
        numbers = np.asarray(part.labels, np.float64) - mean
        is_wide = z.shape[0] < z.shape[1]
        gram = np.asarray(z @ z.T if is_wide else z.T @ z, np.float64)
        right = numbers if is_wide else z.T.astype(np.float64) @ numbers
        solutions = []
        for setting in path:
            found = np.linalg.solve(gram + np.eye(len(gram)) / setting["c"], right)
            weight = z.T.astype(np.float64) @ found if is_wide else found
            bias = np.atleast_1d(mean - center @ weight)
            solutions.append(Solution(weight.reshape(len(weight), -1), np.asarray(bias, np.float64)))
        return solutions

    def decide(self, solution: Solution, rows: IntArray) -> FloatArray:
        return _decide_linear(self._examples.z, solution, rows)


def balanced_weights(signs: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) weights that let the photos above 0 and those below count alike, with mean 1."""
    positives = signs > 0
    share = float(positives.mean())
    return np.where(positives, 0.5 / share, 0.5 / (1.0 - share))


def _path_of(model: ModelRecipe, grid: Sequence[float], *, features: int) -> Path:
    if model.c is not None:
        return [{"c": model.c}]
    return [{"c": float(f"{value / features:.3g}")} for value in grid]


def _squared_hinge(
    theta: NDArray[np.float64], problem: tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]
) -> tuple[float, NDArray[np.float64]]:
    """|w|^2 / 2 + sum of cost * max(0, 1 - sign * decision)^2, with its gradient (D + 1,)."""
    z, signs, costs = problem
    weight = theta[:-1]
    decisions = z @ weight.astype(np.float32) + theta[-1]
    slack = np.maximum(0.0, 1.0 - signs * decisions)
    pull = -2.0 * costs * signs * slack  # (N,) derivative by the decision value
    gradient = np.append(weight + (pull.astype(np.float32) @ z), pull.sum())
    return float(0.5 * weight @ weight + costs @ slack**2), gradient


def _decide_linear(z: NDArray[np.float32], solution: Solution, rows: IntArray) -> FloatArray:
    return z[rows] @ solution.weight.astype(np.float32) + solution.bias


def _side_by_side(solutions: Sequence[Solution]) -> Solution:
    return Solution(
        np.concatenate([solution.weight for solution in solutions], axis=1),
        np.concatenate([solution.bias for solution in solutions]),
        converged=all(solution.converged for solution in solutions),
    )
