"""What a change of verdict means for a photo whose label is known: a new miss, a new false alarm, or for the better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from teliti.metrics.decision import PASS, REJECT, REVIEW, Decision
from teliti.metrics.label_decision import NO_LABEL, SEPARATOR, LabelsDecision
from teliti.types import Prediction, Record, Sample

REFUSED = "refused"
"""In the place of a verdict: the bundle cannot use the photo. It counts as not passed."""

KINDS = {
    "newly_missed": ("Newly missed", "A defect that the old bundle stopped now passes."),
    "new_false_alarm": ("New false alarm", "A good part is rejected now."),
    "farther": ("Farther from the truth", "The number moves, and errs more than before."),
    "newly_wrong": ("Newly wrong", "The old bundle named the class, the new one names another."),
    "newly_refused": ("Newly refused", "The new bundle cannot use the photo."),
    "newly_reviewed": ("Newly shown to a person", "The old bundle decided by itself."),
    "caught_otherwise": ("Caught in another way", "Neither lets the defect pass."),
    "still_wrong": ("Wrong in another way", "Both name a wrong class."),
    "other_labels": ("Other labels, same verdict", "The verdict stays, and what was found on the photo is another."),
    "no_longer_refused": ("No longer refused", "The new bundle can use the photo."),
    "no_longer_reviewed": ("No longer shown to a person", "The new bundle decides by itself, and is right."),
    "false_alarm_gone": ("False alarm gone", "A good part is no longer rejected."),
    "nearer": ("Nearer to the truth", "The number moves, and errs no more than before."),
    "newly_right": ("Newly right", "The new bundle names the class, the old one did not."),
    "newly_caught": ("Newly caught", "A defect that passed is stopped now."),
}
"""Title and meaning of each kind, the most serious first."""
_ORDER = {kind: place for place, kind in enumerate(KINDS)}


@dataclass(frozen=True)
class Truth:
    """What verdicts and labels mean for a pair of bundles.

    Attributes:
        classes: Names.
        rejects: Names of the classes or labels that make a photo a reject.
        has_verdicts: True where photos pass or are rejected, False where the answer is a name.
    """

    classes: tuple[str, ...]
    rejects: frozenset[str]
    has_verdicts: bool

    @classmethod
    def of(cls, answers: Decision | LabelsDecision) -> Truth:
        """Of one bundle's rule."""
        rejects = frozenset(answers.classes[at] for at in answers.reject_indices)
        has_verdicts = answers.has_verdicts if isinstance(answers, Decision) else bool(rejects)
        return cls(answers.classes, rejects if has_verdicts else frozenset(), has_verdicts)

    def is_bad(self, sample: Sample) -> bool:
        """True where the photo's label is one to be rejected."""
        return not self.rejects.isdisjoint(sample.class_names)

    def name_of(self, sample: Sample) -> str:
        """The right answer of a bundle that gives names."""
        if not isinstance(sample.label, tuple):
            return str(sample.label)
        return SEPARATOR.join(name for name in self.classes if name in sample.class_names) or NO_LABEL

    def errs(self, sample: Sample, answer: Prediction) -> bool:
        """True where the bundle's own answer is wrong, before any person looks."""
        names = (answer.label,) if answer.labels is None else answer.labels
        if self.has_verdicts:
            return self.rejects.isdisjoint(filter(None, names)) == self.is_bad(sample)
        return set(names) != set(sample.class_names)


def kind_of(sample: Sample, old: str, new: str, *, truth: Truth) -> str:
    """The kind of a change, a key of `KINDS`.

    Args:
        sample: With its label.
        old: Verdict of the old bundle, or "refused".
        new: Of the new one, another; the same where only labels changed.
        truth: What verdicts mean.
    """
    if old == new:
        return "other_labels"
    if truth.has_verdicts:
        kind = _of_verdicts(old, new, is_bad=truth.is_bad(sample))
    else:
        right = truth.name_of(sample)
        kind = _of_names(old == right, new == right, new=new)
    if kind is not None:
        return kind
    if REFUSED in {old, new}:
        return "newly_refused" if new == REFUSED else "no_longer_refused"
    return "newly_reviewed" if new == REVIEW else "no_longer_reviewed"


def sort_flips(flips: Sequence[Record]) -> list[Record]:
    """The most serious kind first, in it photos that neither bundle knows, then the largest change of score.

    Args:
        flips: Rows of the record.
    """
    return sorted(flips, key=lambda one: (_ORDER.get(one["kind"], 0), not one["tested"], -_moved(one), one["path"]))


def _moved(flip: Record) -> float:
    if flip.get("moved") is not None:
        return float(flip["moved"])
    old, new = flip["old"]["score"], flip["new"]["score"]
    return abs(new - old) if old is not None and new is not None else 1.0


def _of_verdicts(old: str, new: str, *, is_bad: bool) -> str | None:
    if is_bad:
        if PASS in {old, new}:
            return "newly_missed" if new == PASS else "newly_caught"
        return None if REFUSED in {old, new} else "caught_otherwise"
    if REJECT in {old, new}:
        return "new_false_alarm" if new == REJECT else "false_alarm_gone"
    return None


def _of_names(was_right: bool, is_right: bool, *, new: str) -> str | None:
    if is_right:
        return "newly_right"
    if new in {REVIEW, REFUSED}:
        return None
    return "newly_wrong" if was_right else "still_wrong"
