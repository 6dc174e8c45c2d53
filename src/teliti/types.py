"""Records that cross borders between rooms: samples, refusals, progress. No logic beyond construction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Split = Literal["train", "val", "test"]
Task = Literal["classification", "multilabel", "regression"]
Label = str | float | tuple[str, ...] | tuple[float, ...]
"""A class name, a number, the names of all labels of a photo (sorted, perhaps none), or several numbers."""
SPLITS: tuple[Split, ...] = ("train", "val", "test")

UInt8Image = NDArray[np.uint8]
FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.signedinteger[Any]]
Record = dict[str, Any]
"""A JSON-ready record: strings, numbers, booleans, None, lists and dicts of them."""


class Origin(Protocol):
    """Where the bytes of one photo come from: a file, a member of a zip, a row of an array file."""

    def read_bytes(self) -> bytes:
        """The encoded photo, whole.

        Raises:
            PhotoRefused: unreadable, too large, vanished, or not a regular file.
        """
        ...


@dataclass(frozen=True, slots=True)
class Sample:
    """One photo of a catalog.

    Attributes:
        name: Shown and recorded; unique in its catalog; relative to the source, with forward slashes.
        origin: Where its bytes come from.
        label: Class name; number; several names or numbers of one photo; None when unlabelled.
        split: The part the user put it in, or None.
        group: Photos of one group never cross a split; None when the user gave none.
    """

    name: str
    origin: Origin
    label: Label | None = None
    split: Split | None = None
    group: str | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes that the photo is of: one, several or none."""
        several = self.label if isinstance(self.label, tuple) else (self.label,)
        return tuple(name for name in several if isinstance(name, str))

    @property
    def numbers(self) -> tuple[float, ...]:
        """The numbers of the photo: one, several or none."""
        several = self.label if isinstance(self.label, tuple) else (self.label,)
        return tuple(float(value) for value in several if isinstance(value, int | float))


@dataclass(frozen=True, slots=True)
class Refused:
    """One file that was given and is not used, with the reason."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Catalog:
    """The photos of a job, before anything is decoded.

    Attributes:
        source: What the user gave: a path or a built-in name.
        samples: In a stable order (sorted by name, or the label file's order).
        refused: Files refused while listing.
        task: Classification when a photo has one name, multilabel when it may have several, regression for numbers.
        classes: Class names in sorted order; of label columns in theirs; empty for regression.
        has_given_split: True when the source says which photo is train, val or test.
        notes: Sentences for the user about choices made while reading (for instance what a label means).
        number_names: What the numbers of a photo are called where it has several; else empty.
        labels_from: Where the labels were read, for whoever asks later.
    """

    source: str
    samples: tuple[Sample, ...]
    refused: tuple[Refused, ...]
    task: Task
    classes: tuple[str, ...]
    has_given_split: bool = False
    notes: tuple[str, ...] = ()
    number_names: tuple[str, ...] = ()
    labels_from: str = ""

    @property
    def num_outputs(self) -> int:
        """K: classes, labels, or numbers of a photo."""
        return len(self.classes) or max(1, len(self.number_names))


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the inspector says of one photo.

    Attributes:
        verdict: "pass", "reject" or "review", or the names where no pass/reject rule applies; None for regression.
        label: The class that the rule chooses; None where a photo may have several, and for regression.
        probs: Probability by class name; empty for regression.
        score: Probability of the positive class, of labels the largest rejected one; the number itself for
            regression, None where there are several.
        reasons: Why the verdict is not the plain arg-max, or empty.
        labels: The names of all labels found; None where a photo has one class or numbers.
        values: Number by name where a photo has several; else empty.
        novelty: How unlike the training photos it is, 1 being usual; None where the bundle does not tell it.
        conditions: Light, blur, size and scale of the photo; empty where the bundle has no envelope.
        warnings: Which of them lie outside the envelope, with what was measured and the limit.
    """

    verdict: str | None
    label: str | None
    probs: dict[str, float]
    score: float | None
    reasons: tuple[str, ...] = ()
    novelty: float | None = None
    labels: tuple[str, ...] | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    conditions: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def to_record(self) -> Record:
        """JSON-ready, as in the contract of `predict`.

        Novelty, labels, values, conditions and warnings stand in it where the bundle tells them.
        """
        record: Record = {
            "verdict": self.verdict,
            "label": self.label,
            "probs": self.probs,
            "score": self.score,
            "reasons": list(self.reasons),
        }
        if self.novelty is not None:
            record["novelty"] = self.novelty
        if self.labels is not None:
            record["labels"] = list(self.labels)
        if self.values:
            record["values"] = dict(self.values)
        if self.conditions:
            record |= {"conditions": dict(self.conditions), "warnings": list(self.warnings)}
        return record


class Reporter(Protocol):
    """Where long work says how far it is. The command line draws it; a library call is silent."""

    def task(self, title: str, total: int | None) -> AbstractContextManager[Callable[[int], None]]:
        """A context manager giving `advance(n)`; `total` is None where the length is unknown."""
        ...

    def note(self, message: str) -> None:
        """One sentence for the user: a choice made, a warning, a result on the way."""
        ...


class SilentReporter:
    """The reporter of a library call: says nothing."""

    def task(self, title: str, total: int | None) -> AbstractContextManager[Callable[[int], None]]:  # noqa: ARG002
        return nullcontext(lambda n: None)  # noqa: ARG005

    def note(self, message: str) -> None:
        """Dropped."""


JsonMapping = Mapping[str, Any]
