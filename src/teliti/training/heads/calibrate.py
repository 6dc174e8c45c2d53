"""From decision values to probabilities: four ways, and the choice of one on photos left out of its fit.

- "platt": a factor and an intercept; of more classes a factor and a bias for each (`metrics.calibration`).
- "temperature": a factor alone.
- "isotonic": "platt" first, then a rising curve (`metrics.isotonic`).
- "none": decision values are taken for log-odds as they are.

"auto" compares the first three by log loss, each fitted on all folds but one and measured on that one: a curve that
follows the noise of its photos loses there. Another way than "platt" is taken where its loss is lower by more than one
standard error of the difference on the same photos (L. Breiman and others, "Classification and Regression Trees", 1984,
have the rule), because a change that small is as often for the worse.

All of them keep the order of the scores of two classes: which photos a threshold parts does not depend on the choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from teliti.errors import RecipeError
from teliti.metrics.calibration import fit_platt, fit_scale, fit_temperature, softmax
from teliti.metrics.isotonic import fit_knots
from teliti.models.bend import against_rest, bend_logits
from teliti.recipe.decide import Calibration
from teliti.types import FloatArray, IntArray, Record

Way = Literal["platt", "temperature", "isotonic", "none"]
COMPARED: tuple[Way, ...] = ("platt", "temperature", "isotonic")
FEWEST = 20
"""Photos of the rarest class below which "auto" stays with "platt"."""
MOST_CURVE_CLASSES = 64


@dataclass(frozen=True, eq=False)
class Calibrated:
    """What turns decision values into calibrated logits.

    Attributes:
        way: Its name.
        slope: Above 0, what decision values are multiplied with.
        intercepts: (K',) added then.
        bend: (2, M) float32 knots of the curve that follows; None: there is none.
    """

    way: Way
    slope: float
    intercepts: tuple[float, ...]
    bend: NDArray[np.float32] | None = None

    def logits(self, decisions: FloatArray) -> NDArray[np.float32]:
        """Logits whose softmax is the calibrated probability.

        Args:
            decisions: (N, 1) of two classes, higher means more like class 1; (N, K) of more.

        Returns:
            (N, K) float32; of two classes column 0 is 0.
        """
        logits = (decisions * self.slope + np.asarray(self.intercepts)).astype(np.float32)
        if logits.shape[1] == 1:
            logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
        return logits if self.bend is None else bend_logits(logits, self.bend)


def fit_calibration(way: Way, decisions: FloatArray, labels: IntArray) -> Calibrated:
    """One way, fitted on decision values of photos that the head was not fitted on.

    Args:
        way: Its name.
        decisions: (N, 1) of two classes, (N, K) of more.
        labels: (N,) int, class index.

    Raises:
        UserError: only one class is present.
        RecipeError: a curve is asked for more classes than one can be made for.
    """
    columns = decisions.shape[1]
    if way == "none":
        return Calibrated(way, 1.0, (0.0,) * columns)
    if way == "temperature":
        both = np.concatenate([-decisions / 2, decisions / 2], axis=1) if columns == 1 else decisions
        return Calibrated(way, fit_scale(both, labels), (0.0,) * columns)
    straight = _fit_platt(decisions, labels)
    return straight if way == "platt" else _with_curve(straight, decisions, labels)


def choose_calibration(
    asked: Calibration, decisions: FloatArray, labels: IntArray, *, folds: IntArray
) -> tuple[Calibrated, Record]:
    """The way that the recipe names, or that does best on photos left out, fitted on all of them.

    Args:
        asked: The recipe's decide.calibration.
        decisions: (N, 1) of two classes, (N, K) of more.
        labels: (N,) int, class index.
        folds: (N,) int; photos that belong together share a fold.

    Returns:
        The calibration, and {"way", "asked", "photos", "folds", "tried", "sentence"}; `tried` has for each way compared
        {"way", "loss", "gain", "error"}: log loss on photos left out, by how much it is below that of "platt", and the
        standard error of that.

    Raises:
        UserError: only one class is present.
        RecipeError: a curve is asked for more classes than one can be made for.
    """
    record: Record = {"way": asked, "asked": asked, "photos": len(labels), "folds": 0, "tried": []}
    if asked != "auto":
        return fit_calibration(asked, decisions, labels), record | {"sentence": "The recipe names it."}
    fewest = int(np.bincount(labels).min())
    if fewest < FEWEST or len(np.unique(folds)) < 2:
        said = f"Too few separate photos of the rarest class to choose by ({fewest}), so it is the steadiest way."
        return fit_calibration("platt", decisions, labels), record | {"way": "platt", "sentence": said}
    tried = _compare(decisions, labels, folds)
    better = [row for row in tried if row["gain"] > row["error"]]
    way: Way = min(better, key=lambda row: float(row["loss"]))["way"] if better else "platt"
    record |= {"way": way, "folds": len(np.unique(folds)), "tried": tried, "sentence": _say(way, tried)}
    return fit_calibration(way, decisions, labels), record


def _compare(decisions: FloatArray, labels: IntArray, folds: IntArray) -> list[Record]:
    ways = [way for way in COMPARED if way != "isotonic" or decisions.shape[1] <= MOST_CURVE_CLASSES]
    losses = {way: np.zeros(len(labels)) for way in ways}
    for fold in np.unique(folds):
        inside = folds == fold
        for way in ways:
            fitted = fit_calibration(way, decisions[~inside], labels[~inside])
            losses[way][inside] = _losses(fitted.logits(decisions[inside]), labels[inside])
    rows = []
    for way, own in losses.items():
        gains = losses["platt"] - own
        error = float(gains.std() / np.sqrt(len(gains)))
        rows.append({"way": way, "loss": round(float(own.mean()), 6), "gain": float(gains.mean()), "error": error})
    return rows


def _losses(logits: NDArray[np.float32], labels: IntArray) -> NDArray[np.float64]:
    probs = softmax(logits.astype(np.float64))
    return np.asarray(-np.log(np.maximum(probs[np.arange(len(labels)), labels], np.finfo(np.float32).tiny)))


def _say(way: Way, tried: list[Record]) -> str:
    shown = ", ".join(f"{row['loss']:.4f} {row['way']}" for row in tried)
    if way == "platt":
        return f"Log loss on photos left out: {shown}; no other way is better by more than one standard error."
    return f"Log loss on photos left out: {shown}; {way} is better by more than one standard error."


def _fit_platt(decisions: FloatArray, labels: IntArray) -> Calibrated:
    if decisions.shape[1] == 1:
        platt = fit_platt(decisions[:, 0], labels)
        return Calibrated("platt", platt.slope, (platt.intercept,))
    scaling = fit_temperature(decisions, labels)
    return Calibrated("platt", scaling.scale, scaling.biases)


def _with_curve(straight: Calibrated, decisions: FloatArray, labels: IntArray) -> Calibrated:
    logits = straight.logits(decisions).astype(np.float64)
    if logits.shape[1] > MOST_CURVE_CLASSES:
        raise RecipeError(
            f'decide.calibration = "isotonic" must have at most {MOST_CURVE_CLASSES} classes, got {logits.shape[1]}.',
            hint='Use "platt" or "temperature".',
        )
    if logits.shape[1] == 2:
        knots = fit_knots(logits[:, 1], labels == 1)
    else:
        is_class = labels[:, None] == np.arange(logits.shape[1])
        knots = fit_knots(against_rest(logits).ravel(), is_class.ravel())
    return Calibrated("isotonic", straight.slope, straight.intercepts, knots)
