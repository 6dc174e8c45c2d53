"""From the best trials to one winner: each finalist trained on several divisions, the simplest good one taken.

A trial's value is of one division and the best of many, so it flatters. Finalists are measured again on folds of the
photos that are not sealed, the same for all. The one-standard-error rule then takes, of those whose mean is within one
standard error of the best mean, the one with the fewest numbers in its model: a difference that could be chance is no
reason for a larger model. The recipe as given is always a finalist, so the search cannot end below it by more than
that.

Source of the rule: L. Breiman et al., "Classification and Regression Trees" (1984); the standard error is that of
`paired.estimate`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from teliti.types import Record
from teliti.workflow.searches.ranking import interval_of
from teliti.workflow.shared.paired import Estimate, estimate

AS_GIVEN = "as given"


@dataclass(frozen=True)
class Finalist:
    """A recipe that was trained on every division.

    Attributes:
        name: "trial 17", or "as given".
        factors: What was chosen; empty for the recipe as given.
        values: (J) the measure, one a division.
        size: Numbers in its model, the mean over the divisions.
        seconds: Of a training, the mean.
    """

    name: str
    factors: Mapping[str, object]
    values: Sequence[float]
    size: float
    seconds: float


def fitting_finalists(seconds: Sequence[float], *, repeats: int, left_s: float) -> int:
    """How many of the best trials can be measured again in a time; at least one.

    The recipe as given is measured beside them, and the winner once more on the test part: both are taken to last as
    long as the trials do on average.

    Args:
        seconds: Of each trial, the best first.
        repeats: Trainings of each.
        left_s: Seconds of all workers together.
    """
    others_s = (repeats + 1) * sum(seconds) / len(seconds)
    fits = (repeats * sum(seconds[:count]) + others_s <= left_s for count in range(1, len(seconds) + 1))
    return max(1, sum(fits))


def choose_finalist(
    finalists: Sequence[Finalist], *, measure: str, more_is_better: bool, test_to_train: float
) -> Record:
    """The winner and every finalist's numbers.

    Args:
        finalists: At least one.
        measure: What the values are of.
        more_is_better: Of the values.
        test_to_train: Photos measured by photos learnt from, in a division.

    Returns:
        {"rows", "winner": its name, "sentence"}; a row has "name", "factors", "mean", "interval", "error", "values",
        "repeats", "size", "seconds", "within_one_error".
    """
    sign = 1.0 if more_is_better else -1.0
    found = {one.name: estimate(one.values, test_to_train=test_to_train) for one in finalists}
    best = max(finalists, key=lambda one: sign * found[one.name].mean)
    error = found[best.name].error or 0.0
    bound = sign * found[best.name].mean - error
    near = [one for one in finalists if sign * found[one.name].mean >= bound]
    winner = min(near, key=lambda one: (one.size, -sign * found[one.name].mean))
    rows = [_row(one, found[one.name], measure=measure, is_near=one in near) for one in finalists]
    rows.sort(key=lambda row: -sign * float(row["mean"]))
    return {"rows": rows, "winner": winner.name, "sentence": _sentence(winner, best, error, near=len(near))}


def _row(one: Finalist, found: Estimate, *, measure: str, is_near: bool) -> Record:
    return {
        "name": one.name,
        "factors": dict(one.factors),
        "mean": found.mean,
        "interval": interval_of(measure, found),
        "error": found.error,
        "values": list(one.values),
        "repeats": len(one.values),
        "size": round(one.size),
        "seconds": round(one.seconds, 2),
        "within_one_error": is_near,
    }


def _sentence(winner: Finalist, best: Finalist, error: float, *, near: int) -> str:
    if winner is best:
        others = "no other finalist is" if near == 1 else f"of the {near} finalists that are, it is the smallest:"
        end = f"within one standard error ({error:.4f}) of it"
        if near == 1:
            return f"{winner.name}: the best mean, and {others} {end}."
        return f"{winner.name}: the best mean; {others} {round(winner.size):,} numbers in the model, {end}."
    return (
        f"{winner.name}: the smallest model, {round(winner.size):,} numbers, of the {near} finalists within one "
        f"standard error ({error:.4f}) of the best mean, which is that of {best.name}."
    )
