"""From probabilities to a score, a class and a verdict; and which class is the defect when the user did not say.

A `Decision` is what a bundle keeps about verdicts. Scores are compared with the threshold in float64 everywhere, so
that no door of the program can round its way to another verdict. How the threshold was found stands in `thresholds`.
"""

from __future__ import annotations

import json
import re
import shlex
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from teliti.errors import BundleError, RecipeError, RunError, UserError
from teliti.registry import closest
from teliti.types import FloatArray, IntArray, Record

PASS = "pass"  # noqa: S105 - a verdict, no password
REJECT = "reject"

_Sense = Literal["good", "bad"]

_GOOD_WORDS = re.compile(
    "good|ok|okay|go|io|gut|pass|passed|passes|passing|normal|functional|functioning|working|free|fine|perfect|clean|"
    "intact|healthy|accept|acceptable|accepted|conform|conforming|conformant|correct|valid|sound|flawless"
)
_BAD_WORDS = re.compile(
    "bad|ng|nok|nio|ko|dents?|dented|rust|rusty|rusted|scrap|scrapped|burrs?|torn|tears?|stains?|stained|wrong|missing|"
    "poor|holes?|blowholes?|porosity|leak|leaking|chipped|bent|"
    "(def|fail|fault|reject|crack|scratch|damag|broken|anomal|abnormal|contamin|malfunction|corrod|corros|flaw).*"
)
_NEGATIONS = frozenset({"not", "no", "non", "without", "never"})
_OPPOSITES = re.compile("(?:non|not|un|no)(.+)")  # "undamaged", "notok"
_OPPOSITES_OF_GOOD = re.compile("(?:in|im|dys|mal)(.+)")  # "imperfect"; but "indent" is no good news
_WORD = re.compile(r"[^\W\d_]+")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_INITIAL = re.compile(r"\b([A-Za-z])\.(?=[A-Za-z]\b)")  # "N.G."
_PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_TOML_WORDS = frozenset({"true", "false", "inf", "nan"})


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

    def __post_init__(self) -> None:
        for key, names in (
            ("data.positive", [self.positive] if self.positive else []),
            ("data.pass", self.pass_classes),
        ):
            for name in names:
                _check_class(key, name, self.classes)
        if self.pass_classes and not set(self.classes) - set(self.pass_classes):
            raise RecipeError(
                f"data.pass must leave at least one class to reject, got all of {_listed(self.classes)}.",
                hint="Name only the classes that pass.",
            )
        if self.positive in self.pass_classes:
            raise RecipeError(
                f'data.positive must not be in data.pass, got "{self.positive}" in both.',
                hint="The positive class is the defect; remove it from one of the two.",
            )
        _check_threshold(self.threshold, has_score=bool(self.reject_indices))

    @property
    def reject_indices(self) -> tuple[int, ...]:
        """Indices of the classes that carry the score; empty where only the most probable class counts."""
        if self.pass_classes:
            return tuple(i for i, name in enumerate(self.classes) if name not in self.pass_classes)
        return () if self.positive is None else (self.classes.index(self.positive),)

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

    def verdicts(self, probs: FloatArray) -> list[str]:
        """Verdict of every photo: "pass" or "reject", or the class name where nothing is rejected.

        Args:
            probs: (N, K) float, columns in the order of `classes`.

        Raises:
            UserError: `probs` has another number of columns than there are classes.
            RunError: a probability is not finite; such a photo must not pass.
        """
        rejects = self.reject_indices
        labels = self.labels(probs).tolist()
        if self.has_verdicts:
            return [REJECT if label in rejects else PASS for label in labels]
        return [self.classes[label] for label in labels]

    def to_record(self) -> Record:
        """All attributes, JSON-ready; `from_record` reads them back."""
        return {
            "classes": list(self.classes),
            "positive": self.positive,
            "pass": list(self.pass_classes),
            "threshold": self.threshold,
            "rule": self.rule,
            "sentence": self.sentence,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Decision:
        """The decision that `to_record` wrote.

        Raises:
            BundleError: a key is missing, or the values do not fit together.
        """
        try:
            return cls(
                classes=tuple(str(name) for name in record["classes"]),
                positive=record["positive"],
                pass_classes=tuple(str(name) for name in record["pass"]),
                threshold=None if record["threshold"] is None else float(record["threshold"]),
                rule=str(record["rule"]),
                sentence=str(record["sentence"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(
                f"The decision in the bundle could not be read: {error}.", hint="Train or copy the bundle again."
            ) from error

    def _rejected(self) -> NDArray[np.bool_]:
        return np.isin(np.arange(len(self.classes)), self.reject_indices)

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


def pick_positive(
    classes: Sequence[str], counts: Sequence[int], wanted: str | None, *, pass_classes: Sequence[str] = ()
) -> tuple[str | None, str]:
    """The class whose misses cost most, and the sentence that says why and how to change it.

    The user's choice counts first. Without one, of two classes the one that does not pass; else the one whose name
    says defect, or whose opposite's name says good; else the rarer. More than two classes have none.

    Args:
        classes: Class names.
        counts: Photos of each class, in the same order.
        wanted: The recipe's `data.positive`.
        pass_classes: The recipe's `data.pass`.

    Raises:
        RecipeError: `wanted` is none of the classes.
    """
    if wanted is not None:
        _check_class("data.positive", wanted, classes)
        return wanted, f'"{wanted}" is the positive class, as data.positive says.'
    if len(classes) != 2:
        return None, _say_none(classes, pass_classes)
    rejected = [name for name in classes if name not in pass_classes]
    if len(rejected) == 1:
        return rejected[0], f'"{rejected[0]}" is the positive class, as data.pass leaves it.'
    place, reason = _pick_of_two(classes, counts)
    change = _setting("data.positive", classes[1 - place])
    return classes[place], f'"{classes[place]}" is the positive class, because {reason}; change it with {change}.'


def _say_none(classes: Sequence[str], pass_classes: Sequence[str]) -> str:
    if not classes:
        return ""
    if pass_classes:
        return f"{_listed(pass_classes)} pass{'es' if len(pass_classes) == 1 else ''}, any other class is a reject."
    return (
        f"With {len(classes)} classes the most probable one is the answer; name the defect with "
        f"{_setting('data.positive', classes[0])}, or the classes that pass with data.pass."
    )


def _pick_of_two(classes: Sequence[str], counts: Sequence[int]) -> tuple[int, str]:
    senses = [_sense(name) for name in classes]
    for sense, flip, reason in (("bad", 0, "its name says defect"), ("good", 1, 'the name of "{}" says good')):
        if senses.count(sense) == 1:  # type: ignore[arg-type]
            place = senses.index(sense)  # type: ignore[arg-type]
            return place ^ flip, reason.format(classes[place])
    if counts[0] == counts[1]:
        return 1, "both have as many photos and it is the second name"
    place = 0 if counts[0] < counts[1] else 1
    return place, f"it is the rarer one, {counts[place]} photos of {sum(counts)}"


def _sense(name: str) -> _Sense | None:
    """Whether a class name says good or bad, or neither. "not ok", "defect-free" and "noCrack" are understood."""
    text = _HUMP.sub(" ", _INITIAL.sub(r"\1", unicodedata.normalize("NFKC", name)))
    found: list[_Sense] = []
    negated = False
    freed = False
    for word in _WORD.findall(text.casefold()):
        if word in _NEGATIONS:
            negated = not negated
            continue
        sense = _word_sense(word)
        if sense is not None:
            freed = freed or (word == "free" and not negated)
            found.append(_opposite(sense) if negated else sense)
            negated = False
    if freed:
        return "good"
    return "bad" if "bad" in found else next(iter(found), None)


def _word_sense(word: str) -> _Sense | None:
    if _GOOD_WORDS.fullmatch(word):
        return "good"
    if any(word.endswith(ending) and _word_sense(word.removesuffix(ending)) == "bad" for ending in ("free", "less")):
        return "good"
    if _BAD_WORDS.fullmatch(word):
        return "bad"
    if (whole := _OPPOSITES.fullmatch(word)) and (inner := _word_sense(whole[1])):
        return _opposite(inner)
    if (whole := _OPPOSITES_OF_GOOD.fullmatch(word)) and _GOOD_WORDS.fullmatch(whole[1]):
        return "bad"
    return None


def _opposite(sense: _Sense) -> _Sense:
    return "bad" if sense == "good" else "good"


def _setting(key: str, name: str) -> str:
    """The command-line option that sets a key to a class name, quoted for the shell."""
    plain = _PLAIN_NAME.fullmatch(name) and name.casefold() not in _TOML_WORDS
    return "--set " + shlex.quote(f"{key}={name if plain else json.dumps(name, ensure_ascii=False)}")


def _check_class(key: str, name: str, classes: Sequence[str]) -> None:
    if name not in classes:
        near = closest(name, classes)
        raise RecipeError(
            f'{key} must be one of {_listed(classes)}, got "{name}".',
            hint=f'Did you mean "{near}"?' if near else "Choose one of them.",
        )


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


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
