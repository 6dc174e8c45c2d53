"""Limits of the automatic verdicts that keep their share of errors below a rate: the rest is shown to a person.

Of the photos that are given one class, or that pass, or that are rejected, the surest are left to the machine. How
many is chosen from a ladder of ten numbers that are fixed before any label is looked at. Each is tested by the exact
binomial test at a tenth of the level, so that the choice among them is paid for (Bonferroni's inequality, in the way
of Y. Geifman and R. El-Yaniv, "Selective classification for deep neural networks", 2017, who pay for a binary search).
What is tested is the set of photos surer than the next one, without that one: given its score the others are
independent draws of such photos, and the binomial test is exact.

"Errors of the automatic part" is the share of wrong ones among the photos that a person never sees. It goes with the
share of defects: on a line with fewer defects fewer of the passed parts are bad, and more of the rejected ones good.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from teliti.metrics.intervals import clopper_pearson_upper
from teliti.metrics.promises import Promise, errors_that_prove, photos_that_prove
from teliti.metrics.review import Review
from teliti.recipe.decide import DEFAULT_CONFIDENCE, DecideRecipe
from teliti.types import FloatArray, IntArray, Record

LADDER = 10
"""How many sizes of the automatic part are tested."""
NEVER = float(np.nextafter(1.0, 2.0))
"""A probability that no photo has."""

_ROUNDING = 1e-9
_SHOWN = "The others are shown to a person."

_Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Automatic:
    """What may be left to the machine of the photos with one verdict.

    Attributes:
        limit: A photo surer than this is; None where no photo is.
        photos: How many of these photos that are.
        promise: The rate, and whether it is kept.
    """

    limit: float | None
    photos: int
    promise: Promise


def automatic_part(sureness: _Float64, wrong: NDArray[np.bool_], decide: DecideRecipe, *, least: float) -> Automatic:
    """The largest part of these photos, the surest ones, whose errors stay below `decide.max_error_rate`.

    Args:
        sureness: (N,) float, higher means surer of the one verdict.
        wrong: (N,) bool, the verdict is wrong.
        decide: With `max_error_rate`, and a confidence where it is to be proven.
        least: No limit below this: there the verdict is another.

    Returns:
        The part; its promise's `photos` are those with the verdict, `allowed` the errors that were seen in the part.
    """
    rate, level = decide.max_error_rate or 0.0, decide.confidence or DEFAULT_CONFIDENCE
    order = np.argsort(-sureness, kind="stable")
    values, errors = sureness[order], np.cumsum(wrong[order])
    proves = decide.promise == "proven"
    each = 1.0 - (1.0 - level) / LADDER if proves else level
    needed = photos_that_prove(rate, confidence=each) if proves else 1
    limits = [float(values[size]) if size < len(values) else -math.inf for size in _ladder(needed, len(values))]
    if not proves:
        limits = [*np.unique(values).tolist(), -math.inf, least]
    best, promised = (0, 0), None
    for limit in limits:
        inside = int((values > limit).sum())
        found = int(errors[inside - 1]) if inside else 0
        allowed = errors_that_prove(rate, inside, confidence=each) if proves else math.floor(rate * inside + _ROUNDING)
        if limit >= least and inside > best[0] and found <= allowed:
            best, promised = (inside, found), limit
    bound = clopper_pearson_upper(best[1], best[0], confidence=each)
    wanted = needed if proves else None
    photos = int((values > least).sum())
    promise = Promise(rate, decide.promise, level, photos, promised is not None, best[1], wanted, bound)
    return Automatic(promised, best[0], promise)


def band_of_error(
    scores: FloatArray, positives: NDArray[np.bool_], decide: DecideRecipe, *, threshold: float
) -> tuple[Review, list[Record]]:
    """The grey band between the photos that pass and those that are rejected, each with few errors.

    Args:
        scores: (N,) float in [0, 1].
        positives: (N,) bool.
        decide: With `max_error_rate`.
        threshold: The band lies around it.

    Returns:
        The band, and a promise for those that pass and for those that are rejected.
    """
    values = np.asarray(scores, dtype=np.float64)
    passed = automatic_part(-values, positives, decide, least=-threshold)
    rejected = automatic_part(values, ~positives, decide, least=float(np.nextafter(threshold, -1.0)))
    low = 0.0 if passed.limit is None else -passed.limit
    high = NEVER if rejected.limit is None else float(np.nextafter(rejected.limit, 2.0))
    parts = {"pass": passed, "are rejected": rejected}
    promises = [{**part.promise.to_record(), "of": name} for name, part in parts.items()]
    said = [_say(part, f"photos that {name}") for name, part in parts.items()]
    return Review(low=low, high=high, sentence=" ".join([*said, _SHOWN])), promises


def least_probs_of_error(
    probs: FloatArray, labels: IntArray, targets: IntArray, *, decide: DecideRecipe, classes: Sequence[str]
) -> tuple[Review, list[Record]]:
    """For each class the probability from which photos that are given it have few errors.

    Args:
        probs: (N, K) float.
        labels: (N,) int, the class that each photo was given.
        targets: (N,) int, its true class.
        decide: With `max_error_rate`.
        classes: K names.

    Returns:
        The limits, and a promise for each class.
    """
    limits, promises, said = list[float](), list[Record](), list[str]()
    for label, name in enumerate(classes):
        own = labels == label
        part = automatic_part(probs[own, label].astype(np.float64), targets[own] != label, decide, least=-math.inf)
        least = NEVER if part.limit is None else 0.0 if part.limit < 0.0 else float(np.nextafter(part.limit, 2.0))
        limits.append(least)
        promises.append({**part.promise.to_record(), "of": name})
        said.append(_say(part, f'photos called "{name}"'))
    return Review(least_probs=tuple(limits), sentence=" ".join([*said, _SHOWN])), promises


def _say(part: Automatic, what: str) -> str:
    """What is left to the machine of one verdict, and what that promises."""
    promise = part.promise
    rate, sure = f"{100 * promise.rate:.3g} %", f"{100 * promise.confidence:.3g} %"
    if part.limit is None:
        why = (
            f"that takes {promise.needed} of them without an error, and there are {promise.photos}"
            if promise.needed is not None and promise.photos < promise.needed
            else f"too many of the surest of {promise.photos} are wrong"
        )
        return f"None of the {what} is left to the machine: {why}."
    counted = f"{part.photos} of {promise.photos}, {promise.allowed} of them wrong"
    if promise.guarantee == "proven":
        return f"Proven with {sure} confidence: at most {rate} errors among the surest {what} ({counted})."
    return f"Observed, not proven: at most {rate} errors among the surest {what} ({counted})."


def _ladder(first: int, last: int) -> list[int]:
    """Rising numbers of photos from the fewest that can prove anything to all of them; empty where all are too few."""
    if first > last:
        return []
    return sorted({round(size) for size in np.geomspace(first, last, LADDER)})
