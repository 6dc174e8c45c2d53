"""From probabilities to a score, a class and a verdict: pass, reject, or look at it.

A `Decision` is what a bundle keeps about verdicts. Scores are compared with the threshold in float64 everywhere, so
that no door of the program can round its way to another verdict. How the threshold was found stands in `thresholds`,
the limits of the automatic verdicts in `review`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from teliti.errors import BundleError, RecipeError, RunError, UserError
from teliti.metrics.defect_names import check_class, listed_names
from teliti.metrics.review import Review
from teliti.types import FloatArray, IntArray, Record

PASS = "pass"  # noqa: S105 - a verdict, no password
REJECT = "reject"
REVIEW = "review"
_NO_REVIEW = Review()


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is said of one photo.

    Attributes:
        verdict: "pass", "reject", "review", or the class name where no pass/reject rule applies.
        label: The class that the rule chooses, also where the verdict is "review".
        score: The number that the threshold was compared with.
        reasons: Why the verdict is not the plain arg-max, or empty.
    """

    verdict: str
    label: str
    score: float
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """How probabilities become verdicts.

    With `pass_classes` any other class is a reject; otherwise the positive class is. The rejected classes carry the
    score. With two classes or with `pass_classes` the verdict is "pass" or "reject", else the class name.

    Attributes:
        classes: Class names in the order of the columns of `probs`.
        positive: The class whose misses cost most, or None.
        pass_classes: Classes that pass; empty where `positive` says it all.
        threshold: A score at or above it is a reject; None takes the most probable class.
        rule: How the threshold was chosen.
        sentence: The same in words.
        review: Which photos are shown to a person.
        evidence: What the choice rests on, for the record: `promise`, `economy`; empty where nothing was asked.

    Raises:
        RecipeError: a class that does not exist, nothing or everything left to pass, a positive class that passes,
            or a threshold without anything to apply it to or outside [0, 1].
    """

    classes: tuple[str, ...]
    positive: str | None = None
    pass_classes: tuple[str, ...] = ()
    threshold: float | None = None
    rule: str = "argmax"
    sentence: str = ""
    review: Review = _NO_REVIEW
    evidence: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for key, names in (
            ("data.positive", [self.positive] if self.positive else []),
            ("data.pass", self.pass_classes),
        ):
            for name in names:
                check_class(key, name, self.classes)
        if self.pass_classes and not set(self.classes) - set(self.pass_classes):
            raise RecipeError(
                f"data.pass must leave at least one class to reject, got all of {listed_names(self.classes)}.",
                hint="Name only the classes that pass.",
            )
        if self.positive in self.pass_classes:
            raise RecipeError(
                f'data.positive must not be in data.pass, got "{self.positive}" in both.',
                hint="The positive class is the defect; remove it from one of the two.",
            )
        _check_threshold(self.threshold, has_score=bool(self.reject_indices))
        if self.review.least_probs and len(self.review.least_probs) != len(self.classes):
            raise RecipeError(
                f"The least probabilities must be one for each of {len(self.classes)} classes, "
                f"got {len(self.review.least_probs)}.",
                hint="Train the bundle again.",
            )

    @property
    def reject_indices(self) -> tuple[int, ...]:
        """Indices of the classes that carry the score; empty where only the most probable class counts."""
        if self.pass_classes:
            return tuple(i for i, name in enumerate(self.classes) if name not in self.pass_classes)
        return () if self.positive is None else (self.classes.index(self.positive),)

    @property
    def tile_rejects(self) -> tuple[int, ...]:
        """Indices of the classes by which the tile of a photo that speaks for it is chosen."""
        return self.reject_indices

    @property
    def graph_outputs(self) -> tuple[str, str]:
        """The outputs of the network that verdicts and the comparison with torch need."""
        return "probs", "logits"

    @property
    def has_verdicts(self) -> bool:
        """True where photos pass or are rejected; False where the verdict is a class name."""
        return bool(self.pass_classes) or (len(self.classes) == 2 and self.positive is not None)

    def score(self, probs: FloatArray) -> FloatArray:
        """One number per photo that the threshold is compared with.

        Args:
            probs: (N, K) float, columns in the order of `classes`.

        Returns:
            (N,) float64 in [0, 1]: probability of the one rejected class, or 1 minus that of all classes that pass,
            or the largest probability where nothing is rejected.

        Raises:
            UserError: `probs` has another number of columns than there are classes.
            RunError: a probability is not finite; such a photo must not pass.
        """
        exact = self._checked(probs)
        rejects = self.reject_indices
        if not rejects:
            score = exact.max(axis=1)
        elif len(rejects) == 1:
            score = exact[:, rejects[0]]
        else:
            score = 1.0 - exact[:, ~self._rejected()].sum(axis=1)
        clipped: NDArray[np.float64] = np.clip(score, 0.0, 1.0)  # a float32 softmax can give 1.0000001
        return clipped

    def labels(self, probs: FloatArray) -> IntArray:
        """Class index of every photo.

        With a threshold: at or above it the most probable rejected class, below it the most probable other one.

        Args:
            probs: (N, K) float, columns in the order of `classes`.

        Returns:
            (N,) int64 in 0..K-1.

        Raises:
            UserError: `probs` has another number of columns than there are classes.
            RunError: a probability is not finite; such a photo must not pass.
        """
        exact = self._checked(probs)
        labels: IntArray = exact.argmax(axis=1)
        if self.threshold is not None:
            rejected = self._rejected()
            best_reject = np.where(rejected, exact, -np.inf).argmax(axis=1)
            best_other = np.where(rejected, -np.inf, exact).argmax(axis=1)
            labels = np.where(self.score(probs) >= self.threshold, best_reject, best_other)
        return labels

    def verdicts(self, probs: FloatArray, *, novelty: FloatArray | None = None) -> list[str]:
        """Verdict of every photo: "pass", "reject" or "review", or the class name where nothing is rejected.

        Args:
            probs: (N, K) float, columns in the order of `classes`.
            novelty: (N,) float, how unlike the training photos each is; None where the network does not tell it.

        Raises:
            UserError: `probs` has another number of columns than there are classes.
            RunError: a probability is not finite; such a photo must not pass.
        """
        return [one.verdict for one in self.judge(probs, novelty=novelty)]

    def is_reviewed(self, probs: FloatArray, *, novelty: FloatArray | None = None) -> NDArray[np.bool_]:
        """(N,) bool: the photo is shown to a person. Arguments and errors as of `verdicts`."""
        labels = self.labels(probs)
        unsure = self.review.is_unsure(probs.astype(np.float64)[np.arange(len(probs)), labels], labels)
        new = self.review.is_new(novelty, photos=len(probs))
        return self.review.is_grey(self._score64(probs)) | unsure | new

    def judge(self, probs: FloatArray, *, novelty: FloatArray | None = None) -> list[Judgement]:
        """Verdict, class, score and reasons of every photo: all that a predictor asks of a decision.

        Args:
            probs: (N, K) float, columns in the order of `classes`.
            novelty: (N,) float, how unlike the training photos each is; None where the network does not tell it.

        Raises:
            UserError: `probs` has another number of columns than there are classes.
            RunError: a probability is not finite; such a photo must not pass.
        """
        labels, scores = self.labels(probs), self._score64(probs)
        new = self.review.is_new(novelty, photos=len(probs))
        grey = self.review.is_grey(scores)
        chosen = probs.astype(np.float64)[np.arange(len(probs)), labels]
        unsure = self.review.is_unsure(chosen, labels)
        judgements = []
        for at, (label, score) in enumerate(zip(labels.tolist(), scores.tolist(), strict=True)):
            reasons = []
            if new[at] and novelty is not None:
                reasons.append(self.review.say_new(float(novelty[at])))
            if grey[at]:
                reasons.append(self.review.say_grey(score))
            if unsure[at]:
                least = self.review.least_probs[label]
                reasons.append(f'"{self.classes[label]}" has probability {chosen[at]:.3f}, and needs {least:.3f}')
            if not reasons and label != int(probs[at].argmax()) and self.threshold is not None:
                side = "at or above" if score >= self.threshold else "below"
                reasons.append(f"score {score:.3f} is {side} the threshold {self.threshold:.3f}")
            verdict = REVIEW if new[at] or grey[at] or unsure[at] else self._automatic(label)
            judgements.append(Judgement(verdict, self.classes[label], score, tuple(reasons)))
        return judgements

    def to_record(self) -> Record:
        """All attributes, JSON-ready; `from_record` reads them back."""
        return {
            "classes": list(self.classes),
            "positive": self.positive,
            "pass": list(self.pass_classes),
            "threshold": self.threshold,
            "rule": self.rule,
            "sentence": self.sentence,
            "review": self.review.to_record(self.classes),
            "evidence": dict(self.evidence),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Decision:
        """The decision that `to_record` wrote.

        Raises:
            BundleError: a key is missing, or the values do not fit together.
        """
        try:
            classes = tuple(str(name) for name in record["classes"])
            return cls(
                classes=classes,
                positive=record["positive"],
                pass_classes=tuple(str(name) for name in record["pass"]),
                threshold=None if record["threshold"] is None else float(record["threshold"]),
                rule=str(record["rule"]),
                sentence=str(record["sentence"]),
                review=Review.from_record(record["review"], classes),
                evidence=dict(record["evidence"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(
                f"The decision in the bundle could not be read: {error}.", hint="Train or copy the bundle again."
            ) from error

    def _automatic(self, label: int) -> str:
        if self.has_verdicts:
            return REJECT if label in self.reject_indices else PASS
        return self.classes[label]

    def _score64(self, probs: FloatArray) -> NDArray[np.float64]:
        return np.asarray(self.score(probs), dtype=np.float64)

    def _rejected(self) -> NDArray[np.bool_]:
        return np.isin(np.arange(len(self.classes)), self.reject_indices)

    def _checked(self, probs: FloatArray) -> NDArray[np.float64]:
        if probs.ndim != 2 or probs.shape[1] != len(self.classes):
            raise UserError(
                f"Probabilities must have shape (N, {len(self.classes)}), got {probs.shape}.",
                hint=f"Give one column for each of {listed_names(self.classes)}.",
            )
        broken = int((~np.isfinite(probs).all(axis=1)).sum())
        if broken:
            raise RunError(
                f"Probabilities must be finite, got {broken} photos of {len(probs)} where they are not.",
                hint="The network or its input is damaged; check the bundle with `teliti info`.",
            )
        return probs.astype(np.float64)


def _check_threshold(threshold: float | None, *, has_score: bool) -> None:
    if threshold is None:
        return
    if not 0.0 <= threshold <= 1.0:
        raise RecipeError(f"The threshold must be in [0, 1], got {threshold:g}.", hint="Scores are probabilities.")
    if not has_score:
        raise RecipeError(
            f"A threshold must have a class to apply to, got {threshold:g} without one.",
            hint="Set data.positive or data.pass.",
        )
