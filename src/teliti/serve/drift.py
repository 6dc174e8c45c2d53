"""Does the line still look as it did? Scores against the validation photos, and against the first ones of this line."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Sequence

from teliti.bundle import Bundle
from teliti.metrics.stability import LATEST, Histogram, fit_histogram, histogram_of_deciles, stability_index
from teliti.types import Prediction

VALIDATION, START, TRAINING = "validation", "start", "training"


class Drift:
    """The index of the latest values against a reference. Safe to use from several threads.

    Args:
        before: The reference; None takes the first values that are added.
        photos: How many are the latest, and the first.
    """

    def __init__(self, before: Histogram | None = None, *, photos: int = LATEST) -> None:
        self._before = before
        self._photos = photos
        self._first: list[float] = []
        self._latest: deque[int] = deque(maxlen=photos)
        self._lock = threading.Lock()

    def add(self, value: float) -> None:
        """Count one photo."""
        with self._lock:
            if self._before is not None:
                self._latest.append(self._before.bin(value))
                return
            self._first.append(value)
            if len(self._first) == self._photos:
                self._before = fit_histogram(self._first, source=START)
                self._first = []

    def index(self) -> float:
        """The index; NaN until enough photos were seen."""
        with self._lock:
            if self._before is None or len(self._latest) < self._photos:
                return math.nan
            return stability_index(self._before.counts, _counts(self._latest, len(self._before.counts)))


class LineDrift:
    """Everything that is followed of one bundle's photos.

    Attributes:
        scores: Drift by what they are compared with: the first photos since the start, and the validation photos
            where the bundle keeps their scores.
        conditions: Drift of light, blur, size and scale against the training photos, by property, where the bundle
            has an envelope.

    Args:
        opened: The bundle.
        photos: How many are the latest, and the first.
    """

    def __init__(self, opened: Bundle, *, photos: int = LATEST) -> None:
        self.scores = {START: Drift(photos=photos)}
        if opened.scores is not None:
            self.scores[VALIDATION] = Drift(opened.scores, photos=photos)
        envelope = opened.envelope
        known = (
            {}
            if envelope is None
            else {
                name: histogram_of_deciles(one.deciles, photos=envelope.photos, source=TRAINING)
                for name, one in envelope.limits.items()
            }
        )
        self.conditions = {name: Drift(one, photos=photos) for name, one in known.items() if one is not None}

    def add(self, answer: Prediction) -> None:
        """Count one photo."""
        if answer.score is not None:
            for drift in self.scores.values():
                drift.add(answer.score)
        for name, drift in self.conditions.items():
            if name in answer.conditions:
                drift.add(answer.conditions[name])


def _counts(bins: Sequence[int] | deque[int], number: int) -> list[int]:
    counts = [0] * number
    for one in bins:
        counts[one] += 1
    return counts
