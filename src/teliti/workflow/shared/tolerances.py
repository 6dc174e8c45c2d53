"""How far a predicted number may move before it counts as changed: as the user says, else from the photos."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from teliti.errors import UserError
from teliti.metrics.number_rule import NumberRule
from teliti.types import FloatArray, Prediction, Record

ONE = "number"
"""Name of the number of a bundle that predicts one."""
_SHARE = 0.1  # of the spread of the answers
Origin = Literal["given", "error", "spread"]
Asked = float | Mapping[str, float] | None


@dataclass(frozen=True)
class Tolerance:
    """How far each number may move.

    Attributes:
        values: (K) by name, in the number's own unit.
        origin: "given" by the user; the mean absolute "error" of the bundle on these photos; or a tenth of the "spread"
            of its answers, where they have no labels or it makes no error.
    """

    values: Mapping[str, float]
    origin: Origin

    @property
    def array(self) -> FloatArray:
        """(K,) float64."""
        return np.array([*self.values.values()], dtype=np.float64)

    def to_record(self) -> Record:
        """JSON-ready."""
        return {"values": dict(self.values), "from": self.origin}


def names_of(rule: NumberRule) -> tuple[str, ...]:
    """(K) names; of one number its own."""
    return rule.names or (ONE,)


def values_of(answer: Prediction, names: tuple[str, ...]) -> list[float]:
    """(K) numbers that were predicted."""
    if not answer.values:
        return [math.nan if answer.score is None else answer.score]
    return [answer.values[name] for name in names]


def check_tolerance(asked: Asked, rule: object) -> None:
    """Find in a moment what is wrong with a tolerance that the user gives.

    Raises:
        UserError: the bundle predicts no numbers or none of this name, or the tolerance is not a number from 0 on.
    """
    if asked is None:
        return
    if not isinstance(rule, NumberRule):
        raise UserError(
            "A tolerance must stand beside bundles that predict numbers, and these give classes or labels.",
            hint="Leave --tolerance out.",
        )
    given, names = _by_name(asked, names_of(rule)), names_of(rule)
    if set(given) != set(names):
        raise UserError(
            f"A tolerance must be given for {', '.join(names)}, got {', '.join(given) or 'none'}.",
            hint='For instance --tolerance 0.1 for all, or --tolerance "x=1,y=2".',
        )
    for value in given.values():
        if not math.isfinite(value) or value < 0.0:
            raise UserError(
                f"A tolerance must be a number from 0 on, got {value:g}.", hint="It is in the unit of the number."
            )


def settle_tolerance(asked: Asked, rule: NumberRule, *, answers: FloatArray, targets: FloatArray | None) -> Tolerance:
    """What was asked, else what the photos say.

    Args:
        asked: Checked.
        rule: Names the numbers.
        answers: (N, K) numbers as the bundle predicts them.
        targets: (N, K) true ones; None without labels.
    """
    names = names_of(rule)
    if asked is not None:
        given = _by_name(asked, names)
        return Tolerance({name: float(given[name]) for name in names}, "given")
    errors = np.zeros(len(names)) if targets is None or not len(targets) else np.abs(answers - targets).mean(axis=0)
    if errors.all():
        return Tolerance(dict(zip(names, errors.tolist(), strict=True)), "error")
    spread = _SHARE * answers.std(axis=0) if len(answers) else np.zeros(len(names))
    return Tolerance(dict(zip(names, spread.tolist(), strict=True)), "spread")


def _by_name(asked: float | Mapping[str, float], names: tuple[str, ...]) -> Mapping[str, float]:
    return asked if isinstance(asked, Mapping) else dict.fromkeys(names, asked)
