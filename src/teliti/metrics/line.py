"""What verdicts cost on the line: misses, false alarms and manual looks, a part or a day, beside simpler policies.

A set of photos seldom has as many defects as the line. How scores are spread within a class stays, the share of the
classes does not (M. Saerens and others, 2002; C. Elkan, 2001): each class is weighed with its share on the line, and
a probability is carried over by its odds. Intervals draw the rates of each class anew, from Jeffreys' posterior of
the counts: a bootstrap of a hundred photos without a miss would call misses impossible, at any price of one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from teliti.metrics.intervals import percentile_interval
from teliti.recipe import DecideRecipe
from teliti.recipe.decide import Cost
from teliti.types import Record

DRAWS = 4000
PASSED, REVIEWED, REJECTED = 0, 1, 2
_PRIOR = 0.5  # Jeffreys
_PER = 1000

_Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Line:
    """The line that an inspector works at.

    Attributes:
        cost: Of a miss, a false alarm and a manual look.
        defect_rate: Share of defects among its parts; None: that of the photos.
        parts: Over how many parts costs are added up.
        per_day: True when these are the parts of a day.
    """

    cost: Cost
    defect_rate: float | None = None
    parts: int = _PER
    per_day: bool = False

    @classmethod
    def of(cls, decide: DecideRecipe) -> Line | None:
        """The line of a recipe; None where it says no costs."""
        if decide.cost is None:
            return None
        return cls(decide.cost, decide.defect_rate, decide.per_day or _PER, decide.per_day is not None)

    @property
    def unit(self) -> str:
        """What costs are added up over, in words."""
        return "a day" if self.per_day else f"per {self.parts:,} parts"

    def share(self, positives: NDArray[np.bool_]) -> float:
        """Share of defects on the line. Positives: (N,) bool, N >= 1."""
        return float(positives.mean()) if self.defect_rate is None else self.defect_rate

    def prices(self) -> _Float64:
        """(2, 3): what a good and a defective part costs that passes, is looked at, is rejected.

        A look whose price was not said costs as much as a false alarm, which ends in one. Who looks is always right.
        """
        look = self.cost.false_alarm if self.cost.review is None else self.cost.review
        return np.array([[0.0, look, self.cost.false_alarm], [self.cost.miss, look, 0.0]])

    def to_record(self) -> Record:
        """JSON-ready; `from_record` reads it back."""
        return {
            "cost": self.cost.model_dump(),
            "defect_rate": self.defect_rate,
            "parts": self.parts,
            "per_day": self.per_day,
            "unit": self.unit,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Line:
        """What `to_record` wrote."""
        cost = Cost.model_validate(record["cost"])
        return cls(cost, record["defect_rate"], int(record["parts"]), bool(record["per_day"]))


def line_weights(positives: NDArray[np.bool_], defect_rate: float | None) -> _Float64:
    """(N,) weights that sum to 1 and give the positives the share that they have on the line.

    Args:
        positives: (N,) bool.
        defect_rate: In (0, 1); None, or one kind alone: every photo counts the same.
    """
    found = int(positives.sum())
    if defect_rate is None or found in (0, len(positives)):
        return np.full(len(positives), 1.0 / max(1, len(positives)))
    return np.where(positives, defect_rate / found, (1.0 - defect_rate) / (len(positives) - found))


def carry_over(score: float, *, measured: float, line: float) -> float:
    """A probability of a defect at another share of defects, by its odds (Elkan 2001, theorem 2).

    Args:
        score: Probability where the share is `measured`, in [0, 1].
        measured: Share of defects where scores are calibrated, in (0, 1).
        line: Share of defects on the line, in (0, 1).
    """
    defect, good = score * line / measured, (1.0 - score) * (1.0 - line) / (1.0 - measured)
    return defect / (defect + good)


def cost_rows(
    outcomes: NDArray[np.int64], at_half: NDArray[np.bool_], positives: NDArray[np.bool_], *, line: Line, seed: int
) -> list[Record]:
    """What this inspector costs, beside 0.5, "always pass" and "always reject".

    Args:
        outcomes: (N,) 0 where a photo passed, 1 where it is looked at, 2 where it was rejected.
        at_half: (N,) bool, its score is at or above 0.5.
        positives: (N,) bool.
        line: Costs and share of defects.
        seed: Of the intervals.

    Returns:
        {"policy", "cost", "interval", "misses", "false_alarms", "looks"} each, the numbers over `line.parts` parts;
        the interval is None where nothing is left to chance. Empty where a class is missing and the share is known.
    """
    if not positives.any() or positives.all():
        return []
    everyone = np.full(len(positives), PASSED)
    policies = {
        "this inspector": outcomes,
        "threshold 0.5": np.where(at_half, REJECTED, PASSED),
        "always pass": everyone,
        "always reject": np.full(len(positives), REJECTED),
    }
    share = line.share(positives)
    return [
        {"policy": name, **_cost_row(chosen, positives, line=line, share=share, seed=seed, certain="always" in name)}
        for name, chosen in policies.items()
    ]


def cost_change(
    old: NDArray[np.int64], new: NDArray[np.int64], positives: NDArray[np.bool_], *, line: Line, seed: int
) -> Record | None:
    """What the verdicts of a new inspector cost beside those of an old one on the same photos.

    The pair of outcomes of a photo is one of nine, drawn anew for each kind from what the counts leave open. Each of
    the nine weighs 1/9 photo beforehand (W. Perks, 1947; the overall prior of J. Berger, J. Bernardo and D. Sun, 2015,
    for tables with many empty cells): it speaks for neither side.

    Args:
        old: (N,) outcomes 0, 1, 2 as of `cost_rows`.
        new: (N,) likewise.
        positives: (N,) bool.
        line: Costs and share of defects.
        seed: Of the interval.

    Returns:
        {"old", "new", "difference", "interval", "unit"}, costs over `line.parts` parts; None where a kind is missing.
    """
    if not positives.any() or positives.all():
        return None
    prices, share, rng = line.prices(), line.share(positives), np.random.default_rng(seed)
    sums, drawn = np.zeros(2), np.zeros(DRAWS)
    for kind, weight in ((0, 1.0 - share), (1, share)):
        own = positives == bool(kind)
        counts = np.bincount(3 * old[own] + new[own], minlength=9).astype(np.float64)
        sums += weight * np.array([prices[kind][old[own]].mean(), prices[kind][new[own]].mean()])
        change = (prices[kind][None, :] - prices[kind][:, None]).ravel()  # (9,) new minus old
        drawn += weight * (rng.dirichlet(counts + 1.0 / len(counts), DRAWS) @ change)
    interval = percentile_interval(drawn * line.parts)
    return {
        "old": float(sums[0] * line.parts),
        "new": float(sums[1] * line.parts),
        "difference": float((sums[1] - sums[0]) * line.parts),
        "interval": None if interval is None else list(interval),
        "unit": line.unit,
    }


def _cost_row(
    outcomes: NDArray[np.int64],
    positives: NDArray[np.bool_],
    *,
    line: Line,
    share: float,
    seed: int,
    certain: bool,
) -> Record:
    counts = np.stack([np.bincount(outcomes[positives == kind], minlength=3) for kind in (False, True)])  # (2, 3)
    mixed = np.array([[1.0 - share], [share]])
    rates = counts / counts.sum(axis=1, keepdims=True) * mixed
    prices = line.prices()
    interval = None
    if not certain:
        rng = np.random.default_rng(seed)
        seen = [rng.dirichlet(counts[kind] + _PRIOR, DRAWS) for kind in (0, 1)]
        drawn = sum(seen[kind] @ prices[kind] * mixed[kind, 0] for kind in (0, 1))
        interval = percentile_interval(np.asarray(drawn) * line.parts)
    return {
        "cost": float((rates * prices).sum() * line.parts),
        "interval": None if interval is None else list(interval),
        "misses": float(rates[1, PASSED] * line.parts),
        "false_alarms": float(rates[0, REJECTED] * line.parts),
        "looks": float(rates[:, REVIEWED].sum() * line.parts),
    }
