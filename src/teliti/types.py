"""Records that cross borders between rooms: samples, refusals, progress. No logic beyond construction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Split = Literal["train", "val", "test"]
Task = Literal["classification", "regression"]
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
        label: Class name, or a number for regression, or None when unlabelled.
        split: The part the user put it in, or None.
        group: Photos of one group never cross a split; None when the user gave none.
    """

    name: str
    origin: Origin
    label: str | float | None = None
    split: Split | None = None
    group: str | None = None


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
        task: Classification when labels are names, regression when they are numbers.
        classes: Class names in sorted order; empty for regression.
        has_given_split: True when the source says which photo is train, val or test.
        notes: Sentences for the user about choices made while reading (for instance what a label means).
    """

    source: str
    samples: tuple[Sample, ...]
    refused: tuple[Refused, ...]
    task: Task
    classes: tuple[str, ...]
    has_given_split: bool = False
    notes: tuple[str, ...] = ()


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
