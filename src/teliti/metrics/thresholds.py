"""From which score on a photo is positive: fixed, best F1, at most so many missed, or cheapest; and the grey band.

A threshold is chosen on validation scores (or out-of-fold ones), never on the test part. It lies midway between two
neighbouring scores, so that the last digit of another engine changes no verdict. A photo is positive when its score
is at or above it; of equally good thresholds the one that misses least is taken, then the one with fewest alarms.

Source of the bound on the miss rate: C. Clopper and E. Pearson (1934), one-sided. What is promised of a miss rate
stands in `promises`, what is cheapest in `cheapest`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from teliti.errors import RecipeError, UserError
from teliti.metrics.bands import band_of_share
from teliti.metrics.cheapest import cheapest_band
from teliti.metrics.intervals import CONFIDENCE, clopper_pearson_upper
from teliti.metrics.line import Line
from teliti.metrics.promises import Promise, make_promise
from teliti.metrics.review import Review
from teliti.recipe import DecideRecipe
from teliti.types import FloatArray, Record

Rule = Literal["fixed", "argmax", "f1", "max_miss_rate", "cost"]

_Float64 = NDArray[np.float64]
_Data = tuple[_Float64, NDArray[np.bool_]]
_NO_REVIEW = Review()


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
        review: The grey band around it.
        promises: What was to be promised: of the miss rate, and of the false-alarm rate where that was asked.
    """

    value: float
    rule: Rule
    sentence: str
    positives: int
    negatives: int
    misses: int
    false_alarms: int
    miss_rate_upper: float
    review: Review = _NO_REVIEW
    promises: tuple[Promise, ...] = ()

    def to_record(self) -> Record:
        """All attributes, JSON-ready."""
        band = {"low": self.review.low, "high": self.review.high, "sentence": self.review.sentence}
        return {**asdict(self), "review": band, "promises": [promise.to_record() for promise in self.promises]}


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
    data = (values, flags)
    if decide.max_miss_rate is not None:
        return _promised(data, candidates, decide, name=positive_name, photos=photos)
    if decide.cost is not None:
        return _cheapest(data, candidates, decide, name=positive_name, photos=photos)
    place = int(np.argmax(_f1(candidates)))
    claim = f"The threshold {candidates.values[place]:.4g} has the best F1, {_f1(candidates)[place]:.3f}."
    chosen = _describe(float(candidates.values[place]), "f1", data, claim=claim, name=positive_name, photos=photos)
    return _with_band(chosen, data, decide)


def _judge_given(
    scores: _Float64, positives: NDArray[np.bool_], decide: DecideRecipe, *, name: str, photos: str
) -> Threshold:
    data = (scores, positives)
    value: float = 0.5
    rule: Rule = "argmax"
    claim = "The threshold is 0.5: the more probable side wins."
    if decide.threshold is not None:
        value, rule, claim = decide.threshold, "fixed", f"The threshold {decide.threshold:g} was given."
    return _with_band(_describe(value, rule, data, claim=claim, name=name, photos=photos), data, decide)


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


def _promised(data: _Data, candidates: _Candidates, decide: DecideRecipe, *, name: str, photos: str) -> Threshold:
    """The highest threshold that keeps the promise of few misses; where that cannot be, the highest without a miss."""
    rate = decide.max_miss_rate or 0.0
    promise = make_promise(rate, decide.promise, photos=candidates.positives, confidence=decide.confidence)
    value = float(candidates.values[np.flatnonzero(candidates.misses <= promise.allowed)[-1]])
    observed = decide.promise == "observed"
    claim = (
        f"The threshold {value:.4g} is the highest that misses at most {100 * rate:.3g} % of the positives."
        if observed
        else say_promise(promise, value=value, name=name)
    )
    chosen = _describe(value, "max_miss_rate", data, claim=claim, name=name, photos=photos)
    if observed:
        upper = 100 * chosen.miss_rate_upper
        doubt = (
            "This was observed, not proven: with 95 % confidence the miss rate on such photos is at most "
            f"{upper:.1f} % (Clopper-Pearson), and the threshold was fitted to them; the test part is the check."
        )
        chosen = replace(chosen, sentence=f"{chosen.sentence} {doubt}")
    chosen = replace(chosen, promises=(promise,))
    if decide.max_false_alarm_rate is None:
        return _with_band(chosen, data, decide)
    return _with_alarms_promised(chosen, candidates, decide)


def say_promise(promise: Promise, *, value: float, name: str) -> str:
    """What is promised of the miss rate at a threshold, or why it cannot be and what would help.

    Args:
        promise: Proven or expected.
        value: The threshold.
        name: What the positive class is called.
    """
    rate, sure = f"{100 * promise.rate:.3g} %", f"{100 * promise.confidence:.3g} %"
    if promise.held and promise.guarantee == "proven":
        return (
            f"Proven: with {sure} confidence at most {rate} of {name} pass at the threshold {value:.4g}, the highest "
            f"that these {promise.photos} photos of {name} prove (exact binomial test, learn-then-test)."
        )
    if promise.held:
        return (
            f"At the threshold {value:.4g} at most {rate} of {name} pass on average over validation sets (conformal "
            "risk control); this bounds the expected rate, and proves none for this one set."
        )
    means = "prove" if promise.guarantee == "proven" else "bound"
    return (
        f"These photos cannot {means} that at most {rate} of {name} pass: that takes {promise.needed} photos of {name} "
        f"without a miss, and there are {promise.photos}, so {promise.more} more are needed. The threshold "
        f"{value:.4g} is the fall-back, the highest that misses none of them, which proves with {sure} confidence "
        f"only that at most {100 * promise.bound:.3g} % pass."
    )


def _with_alarms_promised(chosen: Threshold, candidates: _Candidates, decide: DecideRecipe) -> Threshold:
    """Between what may pass and what may be rejected lies the grey band."""
    rate = decide.max_false_alarm_rate or 0.0
    promise = make_promise(rate, decide.promise, photos=candidates.negatives, confidence=decide.confidence)
    fitting = np.flatnonzero(candidates.false_alarms <= promise.allowed)
    high = max(chosen.value, float(candidates.values[fitting[0]]) if len(fitting) else 1.0)
    how = {"observed": "was observed", "proven": "is proven", "expected": "is expected"}[promise.guarantee]
    kept = f"at most {100 * rate:.3g} % of the others are rejected"
    share = f"From {high:.4g} on photos are rejected; that {kept} "
    share += f"{how}." if promise.held else f"takes {promise.needed} photos of them, and there are {promise.photos}."
    between = " Scores between are shown to a person." if high > chosen.value else " No score is shown to a person."
    review = Review(low=chosen.value, high=high, sentence=share + between)
    return replace(chosen, review=review, promises=(*chosen.promises, promise))


def _cheapest(data: _Data, candidates: _Candidates, decide: DecideRecipe, *, name: str, photos: str) -> Threshold:
    line = Line.of(decide)
    if line is None or (line.cost.miss <= 0.0 and line.cost.false_alarm <= 0.0):
        raise RecipeError(
            "decide.cost must have a cost above 0, got miss = 0 and false_alarm = 0.",
            hint="Say what a missed part and a false alarm cost, for instance miss = 50 and false_alarm = 1.",
        )
    band = cheapest_band(*data, line=line, cuts=candidates.values, most_looks=decide.review_share)
    cost = line.cost
    looks = "" if cost.review is None else f" and a look {cost.review:g}"
    rate = "" if line.defect_rate is None else f", with {100 * line.defect_rate:.3g} % defects on the line"
    claim = (
        f"The threshold {band.threshold:.4g} is the cheapest where a miss costs {cost.miss:g}, a false alarm "
        f"{cost.false_alarm:g}{looks}{rate}."
    )
    chosen = _describe(band.threshold, "cost", data, claim=claim, name=name, photos=photos)
    if cost.review is None:
        return _with_band(chosen, data, decide)
    if band.low == band.high:
        sentence = "No score is shown to a person: no look is worth its price."
    else:
        sentence = (
            f"Scores from {band.low:.4g} to {band.high:.4g} are shown to a person: there a look costs less than a "
            "verdict."
        )
    return replace(chosen, review=Review(low=band.low, high=band.high, sentence=sentence))


def _with_band(chosen: Threshold, data: _Data, decide: DecideRecipe) -> Threshold:
    if decide.review_share is None:
        return chosen
    scores, positives = data
    upwards = bool(chosen.promises) and decide.promise != "observed"
    review = band_of_share(
        scores, positives, threshold=chosen.value, share=decide.review_share, defect_rate=decide.defect_rate,
        upwards=upwards,
    )  # fmt: skip
    return replace(chosen, review=review)


def _f1(candidates: _Candidates) -> _Float64:
    hits = candidates.positives - candidates.misses
    return 2.0 * hits / (candidates.positives + hits + candidates.false_alarms)


def _describe(value: float, rule: Rule, data: _Data, *, claim: str, name: str, photos: str) -> Threshold:
    scores, positives = data
    total, misses = int(positives.sum()), int((positives & (scores < value)).sum())
    negatives, false_alarms = int((~positives).sum()), int((~positives & (scores >= value)).sum())
    upper = clopper_pearson_upper(misses, total, confidence=CONFIDENCE)
    sentences = [
        claim,
        f"On the {len(scores)} {photos} it misses {misses} of {total} {name} and raises {false_alarms} false alarms "
        f"among {negatives} others.",
    ]
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
