"""From the outputs of a regression to its answer: one number, or several with their names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from teliti.errors import BundleError, RecipeError
from teliti.recipe import DecideRecipe
from teliti.types import FloatArray, Prediction, Record


@dataclass(frozen=True, slots=True)
class NumberRule:
    """What the numbers of a photo are called; there is no threshold and no verdict.

    Attributes:
        names: (K) of several numbers; empty for one.
    """

    names: tuple[str, ...] = ()

    @property
    def graph_outputs(self) -> tuple[str, str]:
        """The outputs of the network that `judge` and the comparison with torch need: the same twice."""
        return "value", "value"

    @property
    def tile_rejects(self) -> None:
        """Every number is combined over the tiles of a photo by itself."""

    def labels(self, outputs: FloatArray) -> FloatArray:
        """The predicted numbers, (N,) for one and (N, K) for several, of (N, K)."""
        return outputs if self.names else outputs[:, 0]

    def judge(self, outputs: FloatArray) -> list[Prediction]:
        """What is said of each photo, of outputs (N, K)."""
        if not self.names:
            return [Prediction(None, None, {}, float(value)) for value in outputs[:, 0]]
        return [
            Prediction(None, None, {}, None, values={name: float(v) for name, v in zip(self.names, row, strict=True)})
            for row in outputs
        ]

    def to_record(self) -> Record | None:
        """What a bundle says under "decision"; None for one number. `from_record` reads it back."""
        return {"numbers": list(self.names)} if self.names else None

    def threshold_record(self) -> Record:
        """What a run's record says about thresholds."""
        what = "Numbers are" if self.names else "A number is"
        return {"value": None, "rule": "none", "sentence": f"{what} predicted, no threshold applies."}

    @classmethod
    def from_record(cls, record: Mapping[str, Any] | None) -> NumberRule:
        """The rule that `to_record` wrote.

        Raises:
            BundleError: the record names no numbers.
        """
        if record is None:
            return cls()
        try:
            return cls(tuple(str(name) for name in record["numbers"]))
        except (KeyError, TypeError) as error:
            raise BundleError(
                f"The names of the numbers in the bundle could not be read: {error}.",
                hint="Train or copy the bundle again.",
            ) from error


ONE_NUMBER = NumberRule()
_LOOKS = ("review_share", "max_error_rate", "novelty_share")
_NO_VERDICT = "A number is no verdict that a person could give instead. "


def check_number_rule(decide: DecideRecipe) -> None:
    """Refuse what [decide] says about photos that are shown to a person.

    Raises:
        RecipeError: there is such a key.
    """
    given = decide.model_dump(exclude_none=True, exclude_defaults=True)
    looks = [key for key in _LOOKS if given.get(key)]
    if looks:
        raise RecipeError(
            f"decide.{looks[0]} must not stand where numbers are predicted.", hint=f"{_NO_VERDICT}Leave it out."
        )
    if decide.envelope == "review":
        raise RecipeError(
            'decide.envelope must be "warn" or "off" where numbers are predicted, got "review".',
            hint=f'{_NO_VERDICT}With "warn" it comes with what lies outside.',
        )


def deviations(targets: FloatArray) -> NDArray[np.float64]:
    """(K,) deviation of each number (N, K); 1 where it does not vary, so that it may divide."""
    std = np.asarray(targets, np.float64).std(axis=0)
    return np.where(std > 0.0, std, 1.0)
