"""From which score on a photo is positive: fixed, best F1, at most so many missed, or cheapest.

A threshold is chosen on validation scores (or out-of-fold ones), never on the test part. It lies midway between two
neighbouring scores, so that the last digit of another engine changes no verdict. A photo is positive when its score
is at or above it; of equally good thresholds the one that misses least is taken, then the one with fewest alarms.

Source of the bound on the miss rate: C. Clopper and E. Pearson (1934), one-sided.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from teliti.errors import RecipeError, UserError
from teliti.metrics.intervals import CONFIDENCE, clopper_pearson_upper
from teliti.recipe import Cost, DecideRecipe
from teliti.types import FloatArray, Record

Rule = Literal["fixed", "argmax", "f1", "max_miss_rate", "cost"]

_ROUNDING = 1e-9  # 0.07 * 100 positives allows 7 misses, though the product is not exactly 7

_Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Threshold:
    """A threshold, how it was chosen, and what it does on the photos it was chosen on.

    Attributes:
        value: In [0, 1]; a score at or above it is positive.
        rule: How it was chosen.
        sentence: The same in words, for the user.
        positives: Photos of the positive class among those it was chosen on.
        negatives: The others.
        misses: Positives below the threshold.
        false_alarms: Negatives at or above it.
        miss_rate_upper: With 95 % confidence photos like these are missed no more often than this (Clopper-Pearson,
            one-sided); 1 without positives.
    """

    value: float
    rule: Rule
    sentence: str
    positives: int
    negatives: int
    misses: int
    false_alarms: int
    miss_rate_upper: float

    def to_record(self) -> Record:
        """All attributes, JSON-ready."""
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class _Candidates:
    """Every threshold that parts the photos differently, rising: `values`, `misses`, `false_alarms` (T,) each."""

    values: _Float64
    misses: _Float64
    false_alarms: _Float64
    positives: int
    negatives: int


def choose_threshold(
    scores: FloatArray,
    positives: NDArray[np.bool_],
    decide: DecideRecipe,
    *,
    positive_name: str = "positive",
    photos: str = "validation photos",
) -> Threshold:
    """The threshold that the recipe's rule gives on these scores; without a rule the one with the best F1.

    Args:
        scores: (N,) float in [0, 1], higher means more like the positive class.
        positives: (N,) bool, True where a photo is of the positive class.
        decide: The recipe's [decide] table.
        positive_name: What the positive class is called in the sentence.
        photos: What the photos are called in the sentence.

    Raises:
        UserError: shapes differ, scores outside [0, 1], or a rule that needs positive photos and finds none.
        RecipeError: costs that are all 0.
    """
    values = np.asarray(scores, dtype=np.float64)
    flags = np.asarray(positives, dtype=bool)
    _check(values, flags)
    if decide.threshold is not None or decide.rule == "argmax":
        return _judge_given(values, flags, decide, name=positive_name, photos=photos)
    candidates = _list_candidates(values, flags, photos=photos)
    rule: Rule = "f1"
    if decide.max_miss_rate is not None:
        rule, place = "max_miss_rate", _last_within(candidates, decide.max_miss_rate)
    elif decide.cost is not None:
        rule, place = "cost", _cheapest(candidates, decide.cost)
    else:
        place = _best_f1(candidates)
    return _describe(
        float(candidates.values[place]),
        rule,
        (values, flags),
        claim=_claim(candidates, place, decide),
        name=positive_name,
        photos=photos,
    )


def _judge_given(
    scores: _Float64, positives: NDArray[np.bool_], decide: DecideRecipe, *, name: str, photos: str
) -> Threshold:
    if decide.threshold is not None:
        claim = f"The threshold {decide.threshold:g} was given."
        return _describe(decide.threshold, "fixed", (scores, positives), claim=claim, name=name, photos=photos)
    claim = "The threshold is 0.5: the more probable side wins."
    return _describe(0.5, "argmax", (scores, positives), claim=claim, name=name, photos=photos)


def _list_candidates(scores: _Float64, positives: NDArray[np.bool_], *, photos: str) -> _Candidates:
    if not positives.any():
        raise UserError(
            f"The threshold must be chosen on at least one photo of the positive class, "
            f"got none among {len(scores)} {photos}.",
            hint="Add such photos, or set decide.threshold.",
        )
    distinct, groups = np.unique(scores, return_inverse=True)
    hits = np.bincount(groups, weights=positives, minlength=len(distinct))
    alarms = np.bincount(groups, weights=~positives, minlength=len(distinct))
    misses = np.concatenate([[0.0], np.cumsum(hits)])  # place t: everything below distinct[t] is negative
    false_alarms = alarms.sum() - np.concatenate([[0.0], np.cumsum(alarms)])
    bounds = np.concatenate([[0.0], distinct, [1.0]])
    values = (bounds[:-1] + bounds[1:]) / 2.0
    values[:-1] = np.where(values[:-1] > bounds[:-2], values[:-1], distinct)  # neighbours without a number between
    count = len(values) if values[-1] > distinct[-1] else len(values) - 1  # above a score of 1 there is no threshold
    return _Candidates(
        values=values[:count],
        misses=misses[:count],
        false_alarms=false_alarms[:count],
        positives=int(positives.sum()),
        negatives=int((~positives).sum()),
    )


def _best_f1(candidates: _Candidates) -> int:
    return int(np.argmax(_f1(candidates)))


def _last_within(candidates: _Candidates, max_miss_rate: float) -> int:
    allowed = max_miss_rate * candidates.positives + _ROUNDING
    return int(np.flatnonzero(candidates.misses <= allowed)[-1])


def _cheapest(candidates: _Candidates, cost: Cost) -> int:
    if cost.miss <= 0.0 and cost.false_alarm <= 0.0:
        raise RecipeError(
            "decide.cost must have a cost above 0, got miss = 0 and false_alarm = 0.",
            hint="Say what a missed part and a false alarm cost, for instance miss = 50 and false_alarm = 1.",
        )
    totals = _total_cost(candidates, cost)
    level = totals > totals.min() * (1.0 + _ROUNDING)  # sums of decimal costs differ in the last digit
    return int(np.lexsort((candidates.false_alarms, candidates.misses, level))[0])


def _f1(candidates: _Candidates) -> _Float64:
    hits = candidates.positives - candidates.misses
    return 2.0 * hits / (candidates.positives + hits + candidates.false_alarms)


def _total_cost(candidates: _Candidates, cost: Cost) -> _Float64:
    return cost.miss * candidates.misses + cost.false_alarm * candidates.false_alarms


def _claim(candidates: _Candidates, place: int, decide: DecideRecipe) -> str:
    value = f"The threshold {candidates.values[place]:.4g}"
    if decide.max_miss_rate is not None:
        return f"{value} is the highest that misses at most {100 * decide.max_miss_rate:.3g} % of the positives."
    if decide.cost is not None:
        total = float(_total_cost(candidates, decide.cost)[place])
        return (
            f"{value} is the cheapest, {total:g} in all, where a miss costs {decide.cost.miss:g} "
            f"and a false alarm {decide.cost.false_alarm:g}."
        )
    return f"{value} has the best F1, {_f1(candidates)[place]:.3f}."


def _describe(
    value: float, rule: Rule, data: tuple[_Float64, NDArray[np.bool_]], *, claim: str, name: str, photos: str
) -> Threshold:
    scores, positives = data
    total, misses = int(positives.sum()), int((positives & (scores < value)).sum())
    negatives, false_alarms = int((~positives).sum()), int((~positives & (scores >= value)).sum())
    upper = clopper_pearson_upper(misses, total, confidence=CONFIDENCE)
    sentences = [
        claim,
        f"On the {len(scores)} {photos} it misses {misses} of {total} {name} and raises {false_alarms} false alarms "
        f"among {negatives} others.",
    ]
    if rule == "max_miss_rate":
        sentences.append(
            "This was observed, not proven: with 95 % confidence the miss rate on such photos is at most "
            f"{100 * upper:.1f} % (Clopper-Pearson), and the threshold was fitted to them; the test part is the check."
        )
    if len(scores) and scores.min() == scores.max():
        sentences.append("All scores are the same, so that no threshold parts these photos.")
    elif not negatives and total:
        sentences.append("There was no photo of any other class to learn false alarms from.")
    return Threshold(
        value=value,
        rule=rule,
        sentence=" ".join(sentences),
        positives=total,
        negatives=negatives,
        misses=misses,
        false_alarms=false_alarms,
        miss_rate_upper=upper,
    )


def _check(scores: _Float64, positives: NDArray[np.bool_]) -> None:
    if scores.shape != positives.shape or scores.ndim != 1:
        raise UserError(
            f"Scores must have shape (N,) with as many labels, got {scores.shape} and {positives.shape}.",
            hint="Give one score per label.",
        )
    wrong = int((~((scores >= 0.0) & (scores <= 1.0))).sum())
    if wrong:
        raise UserError(
            f"Scores must be in [0, 1], got {wrong} that are not.", hint="Turn logits into probabilities first."
        )
