"""Successive halving within a time budget: many candidates on little, the better half on twice as much, and so on.

Which candidates there are and what a trial does is the caller's: a trial takes a candidate and a resource (photos,
epochs, repeats) and gives a score, higher is better. Time is measured, never guessed: what the trials so far took per
unit of resource says how many candidates the next rung can afford.

Source: K. Jamieson and A. Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization" (2016).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, TypeVar

from teliti.errors import UserError
from teliti.types import Reporter, SilentReporter

C = TypeVar("C")
DEFAULT_REDUCTION = 2.0


@dataclass(frozen=True)
class Standing(Generic[C]):
    """How far one candidate came.

    Attributes:
        candidate: What was tried.
        position: Its place in the list that was given.
        scores: Its score at each rung that it took part in; empty where the time ran out before its first trial.
        resource: Of the last of these; 0 where there is none.
    """

    candidate: C
    position: int
    scores: tuple[float, ...] = ()
    resource: int = 0


@dataclass(frozen=True)
class Halving(Generic[C]):
    """What a search by successive halving found.

    Attributes:
        standings: Every candidate, the best first: those that came further before the others, then by last score.
        rungs: How many trials each rung held.
        complete: False when time, not the last rung, ended the search or thinned a rung.
        seconds: What it took.
    """

    standings: tuple[Standing[C], ...]
    rungs: tuple[int, ...]
    complete: bool
    seconds: float

    def survivors(self, count: int) -> tuple[C, ...]:
        """The best candidates that were tried at all, at most `count`."""
        return tuple(one.candidate for one in self.standings if one.scores)[:count]


def halve(
    candidates: Sequence[C],
    trial: Callable[[C, int], float],
    *,
    resources: Sequence[int],
    budget_s: float,
    reduction: float = DEFAULT_REDUCTION,
    keep: int = 1,
    title: str = "Searching",
    reporter: Reporter | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Halving[C]:
    """Run rung after rung; each passes on its better share.

    The first trial is always made, so that the smallest budget still answers; each further one is begun only when the
    time that it should take is left.

    Args:
        candidates: What to choose from; where scores are equal the earlier one wins.
        trial: Score of a candidate on a resource; may raise KeyboardInterrupt, which passes through.
        resources: Resource of each rung, rising.
        budget_s: Seconds for all of it, above 0.
        reduction: A rung passes on one in this many, above 1.
        keep: A rung passes on at least this many.
        title: What the progress is called.
        reporter: Told of every trial.
        clock: Seconds that only grow.

    Raises:
        UserError: no candidates, resources that do not rise, or a budget or reduction out of range.
    """
    _check(candidates, resources, budget_s=budget_s, reduction=reduction)
    began = clock()
    standings = [Standing(candidate, position) for position, candidate in enumerate(candidates)]
    alive, rungs, complete = list(standings), list[int](), True
    seconds_per_unit = 0.0
    for number, resource in enumerate(resources):
        wanted = len(alive)
        done = list[Standing[C]]()
        with (reporter or SilentReporter()).task(f"{title}, round {number + 1} of {len(resources)}", wanted) as advance:
            rung_began = clock()
            for standing in alive:
                left = budget_s - (clock() - began)
                if (rungs or done) and left < seconds_per_unit * resource:
                    break
                score = trial(standing.candidate, resource)
                done.append(Standing(standing.candidate, standing.position, (*standing.scores, score), resource))
                seconds_per_unit = (clock() - rung_began) / (len(done) * resource)
                advance(1)
        for standing in done:
            standings[standing.position] = standing
        if not done:
            complete = False
            break
        rungs.append(len(done))
        complete &= len(done) == wanted
        alive = sorted(done, key=_rank)[: max(keep, math.ceil(len(done) / reduction))]
    return Halving(tuple(sorted(standings, key=_rank)), tuple(rungs), complete, clock() - began)


def _rank(standing: Standing[C]) -> tuple[int, float, int]:
    """Further first, then better, then earlier; a score that is no number is worse than any."""
    score = standing.scores[-1] if standing.scores else -math.inf
    return -standing.resource, -(-math.inf if math.isnan(score) else score), standing.position


def _check(candidates: Sequence[C], resources: Sequence[int], *, budget_s: float, reduction: float) -> None:
    if not candidates:
        raise UserError("A search must have candidates, got none.", hint="Name at least one.")
    rises = all(low < high for low, high in pairwise(resources))
    if not resources or resources[0] < 1 or not rises:
        raise UserError(
            f"resources must rise from at least 1, got {list(resources)}.", hint="For instance 100, 200, 400."
        )
    if not budget_s > 0.0:
        raise UserError(f"The budget must be above 0 seconds, got {budget_s:g}.", hint='For instance "5m".')
    if not reduction > 1.0:
        raise UserError(f"reduction must be above 1, got {reduction:g}.", hint="2 halves each round.")
