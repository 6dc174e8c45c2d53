"""Simulations of what promises and intervals claim: draws from a known truth, and how often the claim is broken."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import beta

from teliti.metrics.intervals import bootstrap_interval, wilson_interval
from teliti.metrics.thresholds import choose_threshold
from teliti.recipe import Cost, DecideRecipe

GOOD, BAD = (2.0, 5.0), (5.0, 2.0)
"""Beta laws of the scores of good and defective parts."""


def draw_scores(rng: np.random.Generator, *, positives: int, negatives: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores and flags of one validation set."""
    scores = np.concatenate([rng.beta(*BAD, positives), rng.beta(*GOOD, negatives)])
    return scores, np.arange(positives + negatives) < positives


def miss_rates(decide: DecideRecipe, *, positives: int, draws: int, seed: int) -> np.ndarray:
    """(draws,) the true miss rate of the threshold that each draw chose."""
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(draws):
        scores, flags = draw_scores(rng, positives=positives, negatives=2 * positives)
        values.append(choose_threshold(scores, flags, decide).value)
    return beta.cdf(values, *BAD)


def most_breaks(share: float, draws: int) -> float:
    """What a share may be seen as: itself and two standard errors."""
    return share + 2.0 * math.sqrt(share * (1.0 - share) / draws)


def true_cost(low: np.ndarray, high: np.ndarray, *, rate: float, cost: Cost) -> np.ndarray:
    """Expected cost a part of a grey band, by the true laws."""
    look = 0.0 if cost.review is None else cost.review
    missed, alarms = rate * beta.cdf(low, *BAD), (1 - rate) * beta.sf(high, *GOOD)
    seen = rate * (beta.cdf(high, *BAD) - beta.cdf(low, *BAD))
    seen = seen + (1 - rate) * (beta.cdf(high, *GOOD) - beta.cdf(low, *GOOD))
    return cost.miss * missed + cost.false_alarm * alarms + look * seen


def cost_ratio(decide: DecideRecipe, *, photos: int, share: float, rate: float, draws: int, seed: int) -> float:
    """Mean true cost of the chosen bands over that of the best one.

    Args:
        decide: With costs.
        photos: Of each validation set.
        share: Of defects among them.
        rate: Of defects on the line.
        draws: How many sets.
        seed: Of the draws.
    """
    assert decide.cost is not None
    grid = np.linspace(0, 1, 801)
    low, high = np.meshgrid(grid, grid)
    best = true_cost(low[low <= high], high[low <= high], rate=rate, cost=decide.cost).min()
    rng = np.random.default_rng(seed)
    costs = []
    for _ in range(draws):
        positives = int(rng.binomial(photos, share))
        scores, flags = draw_scores(rng, positives=positives, negatives=photos - positives)
        chosen = choose_threshold(scores, flags, decide)
        ends = (chosen.value, chosen.value) if chosen.review.low is None else (chosen.review.low, chosen.review.high)
        costs.append(true_cost(np.array(ends[0]), np.array(ends[1]), rate=rate, cost=decide.cost))
    return float(np.mean(costs) / best)


def wilson_coverage(trials: int, *, shares: np.ndarray, draws: int, seed: int) -> float:
    """Mean share of Wilson's intervals that hold the truth, over these shares."""
    rng = np.random.default_rng(seed)
    intervals = [wilson_interval(successes, trials) for successes in range(trials + 1)]
    ends = np.array([(low, high) for low, high in intervals])
    found = []
    for share in shares:
        drawn = ends[rng.binomial(trials, share, size=draws)]
        found.append(((drawn[:, 0] <= share) & (share <= drawn[:, 1])).mean())
    return float(np.mean(found))


def bootstrap_coverage(trials: int, *, shares: np.ndarray, draws: int, seed: int) -> float:
    """The same of the bootstrap's intervals of a share; a set without spread has none and counts as not covered."""
    rng = np.random.default_rng(seed)
    hits = []
    for share in shares:
        for _ in range(draws):
            values = (rng.random(trials) < share).astype(float)
            interval = bootstrap_interval(
                lambda counts, values=values: counts @ values / counts.sum(axis=1),
                np.zeros(trials, dtype=np.int64),
                seed=int(rng.integers(2**31)),
            )
            hits.append(interval is not None and interval[0] <= share <= interval[1])
    return float(np.mean(hits))
