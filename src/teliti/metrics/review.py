"""When a photo is shown to a person: its score is in a grey band, its class is too uncertain, or it looks new.

Only the limits and the words are here; how the limits are chosen stands in `bands` and `novelty`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from teliti.errors import RecipeError
from teliti.types import Record

_ABOVE_ONE = float(np.nextafter(1.0, 2.0))  # the upper end where no score is rejected without a look

_Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Review:
    """The limits of the automatic verdicts.

    Attributes:
        low: Lower end of the grey band: a score below it passes; None: there is no band.
        high: Upper end: a score at or above it is rejected.
        least_probs: By class, the probability that its photos must have; empty: any will do.
        novelty: A photo whose novelty is above this is unlike the training photos; None: it is not looked at.
        sentence: How the limits were chosen.

    Raises:
        RecipeError: a band whose ends are not in rising order within [0, 1], or with one end only.
    """

    low: float | None = None
    high: float | None = None
    least_probs: tuple[float, ...] = ()
    novelty: float | None = None
    sentence: str = ""

    def __post_init__(self) -> None:
        if self.low is None and self.high is None:
            return
        if self.low is None or self.high is None or not 0.0 <= self.low <= self.high <= _ABOVE_ONE:
            raise RecipeError(
                f"The grey band must be two rising scores in [0, 1], got {self.low} and {self.high}.",
                hint="A score below the first passes, one at or above the second is rejected.",
            )

    @property
    def has_band(self) -> bool:
        """True where some scores lead to a review."""
        return self.low is not None and self.high is not None and self.low < self.high

    def is_grey(self, scores: _Float64) -> NDArray[np.bool_]:
        """(N,) bool: the score is in the band. Scores: (N,) float64."""
        if self.low is None or self.high is None:
            return np.zeros(len(scores), dtype=bool)
        return (scores >= self.low) & (scores < self.high)

    def is_unsure(self, chosen: _Float64, labels: NDArray[np.signedinteger[Any]]) -> NDArray[np.bool_]:
        """(N,) bool: the class's own probability is below what its photos must have.

        Args:
            chosen: (N,) float64, the probability of the class that each photo was given.
            labels: (N,) int, that class.
        """
        if not self.least_probs:
            return np.zeros(len(chosen), dtype=bool)
        least: _Float64 = np.asarray(self.least_probs, dtype=np.float64)[labels]
        unsure: NDArray[np.bool_] = chosen < least
        return unsure

    def is_new(self, novelty: NDArray[np.floating[Any]] | None, *, photos: int) -> NDArray[np.bool_]:
        """(N,) bool: unlike the training photos; a novelty that is no number counts as new.

        Args:
            novelty: (N,) float >= 0, or None where the network does not tell it.
            photos: N.
        """
        if self.novelty is None or novelty is None:
            return np.zeros(photos, dtype=bool)
        return ~(novelty.astype(np.float64) <= self.novelty)

    def say_grey(self, score: float) -> str:
        """Why a score leads to a review."""
        return f"score {score:.3f} is between {self.low:.3f}, below which photos pass, and {self.high:.3f}"

    def say_new(self, novelty: float) -> str:
        """Why a photo's look leads to a review."""
        return f"it looks unlike the training photos: novelty {novelty:.2f}, limit {self.novelty:.2f}"

    def to_record(self, classes: Sequence[str]) -> Record:
        """JSON-ready; `from_record` reads it back."""
        return {
            "low": self.low,
            "high": self.high,
            "least_probs": dict(zip(classes, self.least_probs, strict=True)) if self.least_probs else {},
            "novelty": self.novelty,
            "sentence": self.sentence,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any] | None, classes: Sequence[str]) -> Review:
        """What `to_record` wrote; without a record, as in older bundles, nothing is reviewed.

        Raises:
            KeyError, TypeError, ValueError: the record is damaged.
        """
        if record is None:
            return cls()
        least = record["least_probs"]
        return cls(
            low=_number(record["low"]),
            high=_number(record["high"]),
            least_probs=tuple(float(least[name]) for name in classes) if least else (),
            novelty=_number(record["novelty"]),
            sentence=str(record["sentence"]),
        )


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
