"""From the probabilities of labels to the labels found, a score and a verdict: a threshold for each label.

A photo may have several labels or none, so every probability is held against a threshold of its own, in float64 as in
`decision`. With `positive` or `pass_labels` a photo is a reject when a rejected label is found, and passes otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from teliti.errors import BundleError, RecipeError, RunError, UserError
from teliti.metrics.decision import PASS, REJECT
from teliti.metrics.thresholds import choose_threshold
from teliti.recipe import DecideRecipe
from teliti.registry import closest
from teliti.types import FloatArray, Prediction, Record

NO_LABEL = "none"
SEPARATOR = ";"
_RULES = ("threshold", "rule", "max_miss_rate", "cost")
_HALF = 0.5


@dataclass(frozen=True, slots=True)
class LabelsDecision:
    """How the probabilities of labels become labels and a verdict.

    Attributes:
        classes: Label names in the order of the columns of `probs`.
        thresholds: (K) a probability at or above it means that the label is there.
        positive: The label whose misses cost most; any other passes. None where `pass_classes` says it, or nothing.
        pass_classes: Labels that pass, any other is a reject; "none" among them says nothing more than that.
        rule: How the thresholds were chosen.
        sentence: The same in words.
        per_label: One record a label about its threshold.

    Raises:
        RecipeError: a label that does not exist, nothing left to reject, a positive label that passes, or a threshold
            outside [0, 1].
    """

    classes: tuple[str, ...]
    thresholds: tuple[float, ...]
    positive: str | None = None
    pass_classes: tuple[str, ...] = ()
    rule: str = "argmax"
    sentence: str = ""
    per_label: tuple[Record, ...] = ()

    def __post_init__(self) -> None:
        for key, names in (("data.positive", (self.positive,)), ("data.pass", self.pass_classes)):
            for name in names:
                if name is not None and name not in {*self.classes, *((NO_LABEL,) if key == "data.pass" else ())}:
                    near = closest(name, self.classes)
                    raise RecipeError(
                        f'{key} must be one of {_listed(self.classes)}, got "{name}".',
                        hint=f'Did you mean "{near}"?' if near else "Choose one of them.",
                    )
        if self.pass_classes and not self.reject_indices:
            raise RecipeError(
                f"data.pass must leave at least one label to reject, got all of {_listed(self.classes)}.",
                hint='Name only the labels that pass; ["none"] rejects every label.',
            )
        if self.positive in self.pass_classes:
            raise RecipeError(
                f'data.positive must not be in data.pass, got "{self.positive}" in both.',
                hint="The positive label is the defect; remove it from one of the two.",
            )
        if len(self.thresholds) != len(self.classes) or not all(0.0 <= value <= 1.0 for value in self.thresholds):
            raise RecipeError(
                f"Thresholds must be in [0, 1], one for each of {_listed(self.classes)}, got {self.thresholds}.",
                hint="Probabilities are compared with them.",
            )

    @property
    def threshold(self) -> None:
        """There is none for all labels alike."""

    @property
    def reject_indices(self) -> tuple[int, ...]:
        """Indices of the labels that make a photo a reject."""
        if self.pass_classes:
            return tuple(i for i, name in enumerate(self.classes) if name not in self.pass_classes)
        return () if self.positive is None else (self.classes.index(self.positive),)

    @property
    def tile_rejects(self) -> None:
        """Every label is combined over the tiles of a photo by itself."""

    @property
    def graph_outputs(self) -> tuple[str, str]:
        """The outputs of the network that `judge` and the comparison with torch need."""
        return "probs", "logits"

    def score(self, probs: FloatArray) -> NDArray[np.float64]:
        """(N,) the largest probability among the rejected labels, or among all where none is rejected.

        Args:
            probs: (N, K) in [0, 1].

        Raises:
            UserError: `probs` has another number of columns than there are labels.
            RunError: a probability is not finite.
        """
        counting = self.reject_indices or range(len(self.classes))
        largest: NDArray[np.float64] = self._checked(probs)[:, list(counting)].max(axis=1)
        return largest

    def labels(self, probs: FloatArray) -> NDArray[np.int64]:
        """(N, K) of 0 and 1: which labels are found.

        Args:
            probs: (N, K) in [0, 1].

        Raises:
            UserError: `probs` has another number of columns than there are labels.
            RunError: a probability is not finite.
        """
        return (self._checked(probs) >= np.array(self.thresholds)).astype(np.int64)

    def judge(self, probs: FloatArray) -> list[Prediction]:
        """What is said of each photo.

        Args:
            probs: (N, K) in [0, 1].

        Raises:
            UserError: `probs` has another number of columns than there are labels.
            RunError: a probability is not finite; such a photo must not pass.
        """
        rows = zip(self._checked(probs), self.labels(probs) > 0, self.score(probs), strict=True)
        return [self._judge_one(row, has, float(score)) for row, has, score in rows]

    def to_record(self) -> Record:
        """All attributes, JSON-ready; `from_record` reads them back."""
        return {
            "classes": list(self.classes),
            "thresholds": list(self.thresholds),
            "positive": self.positive,
            "pass": list(self.pass_classes),
            "rule": self.rule,
            "sentence": self.sentence,
            "per_label": list(self.per_label),
        }

    def threshold_record(self) -> Record:
        """What a run's record says about thresholds."""
        return {"value": None, "rule": self.rule, "sentence": self.sentence, "per_label": list(self.per_label)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> LabelsDecision:
        """The decision that `to_record` wrote.

        Raises:
            BundleError: a key is missing, or the values do not fit together.
        """
        try:
            return cls(
                classes=tuple(str(name) for name in record["classes"]),
                thresholds=tuple(float(value) for value in record["thresholds"]),
                positive=record["positive"],
                pass_classes=tuple(str(name) for name in record["pass"]),
                rule=str(record["rule"]),
                sentence=str(record["sentence"]),
                per_label=tuple(dict(row) for row in record["per_label"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(
                f"The decision in the bundle could not be read: {error}.", hint="Train or copy the bundle again."
            ) from error

    def _judge_one(self, row: NDArray[np.float64], has: NDArray[np.bool_], score: float) -> Prediction:
        found = tuple(name for name, there in zip(self.classes, has, strict=True) if there)
        probs = {name: float(p) for name, p in zip(self.classes, row, strict=True)}
        rejects = self.reject_indices
        if not rejects:
            return Prediction(SEPARATOR.join(found) or NO_LABEL, None, probs, score, labels=found)
        reasons = tuple(
            f"{self.classes[at]} {row[at]:.3f} is at or above its threshold {self.thresholds[at]:.3f}"
            for at in rejects
            if has[at]
        )
        return Prediction(REJECT if reasons else PASS, None, probs, score, reasons, labels=found)

    def _checked(self, probs: FloatArray) -> NDArray[np.float64]:
        if probs.ndim != 2 or probs.shape[1] != len(self.classes):
            raise UserError(
                f"Probabilities must have shape (N, {len(self.classes)}), got {probs.shape}.",
                hint=f"Give one column for each of {_listed(self.classes)}.",
            )
        broken = int((~np.isfinite(probs).all(axis=1)).sum())
        if broken:
            raise RunError(
                f"Probabilities must be finite, got {broken} photos of {len(probs)} where they are not.",
                hint="The network or its input is damaged; check the bundle with `teliti info`.",
            )
        return probs.astype(np.float64)


def decide_labels(
    probs: FloatArray,
    targets: NDArray[Any],
    *,
    classes: Sequence[str],
    decide: DecideRecipe,
    positive: str | None = None,
    pass_classes: Sequence[str] = (),
    photos: str = "validation photos",
) -> LabelsDecision:
    """The decision with a threshold for each label, by the recipe's rule; without a rule the one with the best F1.

    Args:
        probs: (N, K) probabilities of photos that the head was not fitted on.
        targets: (N, K) of 0 and 1.
        classes: K names.
        decide: The recipe's [decide], applied to each label.
        positive: The recipe's `data.positive`.
        pass_classes: The recipe's `data.pass`.
        photos: What these photos are called in sentences.

    Raises:
        RecipeError: a label that does not exist, or a rule that is for classes only.
    """
    check_label_rule(decide)
    rows = [_choose(probs[:, k], targets[:, k] > 0, decide, name=name, photos=photos) for k, name in enumerate(classes)]
    rule = next((row["rule"] for row in rows if row["rule"] != "no photo"), "no photo")
    shown = ", ".join(f"{row['label']} {row['value']:.4g}" for row in rows)
    sentence = f"Each label has its own threshold, chosen on the {photos} ({_words(rule)}): {shown}."
    if rule in {"fixed", "argmax"}:
        sentence = f"Each label is held against its own threshold ({_words(rule)}): {shown}."
    return LabelsDecision(
        tuple(classes), tuple(float(row["value"]) for row in rows), positive, tuple(pass_classes), rule, sentence,
        tuple(rows),
    )  # fmt: skip


def check_label_rule(decide: DecideRecipe) -> None:
    """Refuse what [decide] can say of classes only.

    Raises:
        RecipeError: there is such a key.
    """
    given = decide.model_dump(exclude_none=True, exclude_defaults=True)
    others = [key for key, value in given.items() if key not in {*_RULES, "envelope"} and value]
    if decide.calibration in {"platt", "none"}:
        others.remove("calibration")
    others += ["cost.review"] if decide.cost is not None and decide.cost.review is not None else []
    if others:
        raise RecipeError(
            f"decide.{others[0]} must not stand where a photo may have several labels.",
            hint="Use threshold, rule, max_miss_rate or cost, which are applied to each label.",
        )


def pick_rejects(classes: Sequence[str], positive: str | None, pass_classes: Sequence[str]) -> str:
    """The sentence about which labels make a photo a reject, and how to change it.

    Raises:
        RecipeError: a label that does not exist, or nothing left to reject.
    """
    decision = LabelsDecision(tuple(classes), (_HALF,) * len(classes), positive, tuple(pass_classes))
    rejects = [decision.classes[at] for at in decision.reject_indices]
    if rejects:
        return f"A photo with {' or '.join(_quoted(name) for name in rejects)} is a reject, any other passes."
    return (
        "The answer is the list of labels found. For pass and reject name the labels that pass with data.pass "
        "(--set 'data.pass=[\"none\"]' rejects every label), or the one that does not with data.positive."
    )


def _choose(
    scores: FloatArray, has: NDArray[np.bool_], decide: DecideRecipe, *, name: str, photos: str
) -> Record:  # fmt: skip
    needs_photos = decide.threshold is None and decide.rule != "argmax"
    if needs_photos and not has.any():
        sentence = f"None of the {photos} has it, so the threshold is 0.5."
        return {"label": name, "value": _HALF, "rule": "no photo", "sentence": sentence}
    threshold = choose_threshold(scores, has, decide, positive_name=f'with "{name}"', photos=photos)
    return {"label": name, **threshold.to_record()}


def _words(rule: str) -> str:
    return {
        "f1": "best F1", "fixed": "given", "argmax": "0.5", "max_miss_rate": "highest within the allowed misses",
        "cost": "cheapest", "no photo": "no photo had one, so 0.5",
    }.get(rule, rule)  # fmt: skip


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(_quoted, names))


def _quoted(name: str) -> str:
    return f'"{name}"'
