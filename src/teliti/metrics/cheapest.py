"""The cheapest grey band: below `low` photos pass, from `high` on they are rejected, between they are looked at.

Counted costs jump at every defect, and the lowest of many jumps is the luckiest, not the best. So where both kinds
have enough photos, their scores are smoothed first, on the scale of log-odds with a logistic kernel (bandwidth after
B. Silverman 1986, a little narrower), and the smooth cost is minimised; with fewer photos it is counted.
Without a price for a look both ends are one threshold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from teliti.metrics.line import Line

FEWEST = 50
"""Photos of each kind from which on scores are smoothed."""
_GRID = 400
_EDGE = 1e-6  # scores of 0 and 1 have no log-odds
_NARROWER = 0.7
_LOGISTIC = math.sqrt(3.0) / math.pi  # a logistic kernel of deviation 1 has this scale
_BLOCK = 4096

_Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Band:
    """The cheapest ends of a grey band, and the cheapest threshold where nobody may look.

    Attributes:
        low: A score below it passes.
        threshold: Within the ends.
        high: A score at or above it is rejected.
    """

    low: float
    threshold: float
    high: float


def cheapest_band(
    scores: _Float64,
    positives: NDArray[np.bool_],
    *,
    line: Line,
    cuts: _Float64,
    most_looks: float | None = None,
) -> Band:
    """The band that costs least on the line; without width where no look is worth its price.

    Args:
        scores: (N,) float in [0, 1].
        positives: (N,) bool, at least one True.
        line: Costs and share of defects.
        cuts: (T,) rising scores that the ends may have: they part the photos differently.
        most_looks: Share of the line's parts that may be shown to a person; None: any.
    """
    share = line.share(positives)
    is_smooth = min(int(positives.sum()), int((~positives).sum())) >= FEWEST
    grid = _even_grid(scores) if is_smooth else _thinned(cuts, line=line)
    below = _smooth_shares if is_smooth else _counted_shares
    defects = below(scores[positives], grid) * share  # (G,) parts of the line that are defective and lower
    goods = below(scores[~positives], grid) * (1.0 - share)
    alarms = line.cost.false_alarm * (1.0 - share - goods)
    middle = _lowest(line.cost.miss * defects + alarms, defects, goods)
    low, high = middle, middle
    if line.cost.review is not None:
        low, high = _ends(defects, goods, alarms=alarms, line=line, most_looks=most_looks)
        middle = min(max(middle, low), high)
    ends = [float(grid[at]) for at in (low, middle, high)]
    return Band(*(ends if not is_smooth else [_nearest_cut(end, scores, cuts) for end in ends]))


def _ends(
    defects: _Float64, goods: _Float64, *, alarms: _Float64, line: Line, most_looks: float | None
) -> tuple[int, int]:
    """Places of the cheapest lower and upper end of all pairs that are allowed."""
    look = line.cost.review or 0.0
    passing = (line.cost.miss - look) * defects - look * goods
    rejecting = look * (defects + goods) + alarms
    totals = passing[:, None] + rejecting[None, :]  # (low, high)
    seen = (defects + goods)[None, :] - (defects + goods)[:, None]
    limit = np.inf if most_looks is None else most_looks + 1e-9
    totals[(seen < -1e-12) | (seen > limit) | np.tri(len(totals), k=-1, dtype=bool)] = np.inf
    best = np.argwhere(~_level(totals))  # (B, 2), rising: the first has the lowest lower end
    low, high = best[np.lexsort((best[:, 1] - best[:, 0], best[:, 0]))[0]]
    return int(low), int(high)


def _lowest(totals: _Float64, defects: _Float64, goods: _Float64) -> int:
    """Place of the cheapest; of equally cheap ones that which misses least, then the one with fewest alarms."""
    return int(np.lexsort((-goods, defects, _level(totals)))[0])


def _thinned(cuts: _Float64, *, line: Line) -> _Float64:
    """All pairs of ends are tried, so that with a price for a look there may not be too many."""
    if line.cost.review is None or len(cuts) <= _GRID:
        return cuts
    kept: _Float64 = cuts[np.linspace(0, len(cuts) - 1, _GRID).round().astype(int)]
    return kept


def _level(totals: _Float64) -> NDArray[np.bool_]:
    """False for the lowest, of any shape; sums of decimal costs differ in the last digit."""
    level: NDArray[np.bool_] = totals > totals.min() + 1e-9 * max(
        1e-300, float(np.abs(totals[np.isfinite(totals)]).max())
    )
    return level


def _counted_shares(scores: _Float64, grid: _Float64) -> _Float64:
    if not len(scores):
        return np.zeros(len(grid))
    return np.searchsorted(np.sort(scores), grid, side="left") / len(scores)


def _even_grid(scores: _Float64) -> _Float64:
    odds = _log_odds(scores)
    steps = np.linspace(odds.min() - 1.0, odds.max() + 1.0, _GRID)
    return 1.0 / (1.0 + np.exp(-steps))


def _smooth_shares(scores: _Float64, grid: _Float64) -> _Float64:
    places, odds = _log_odds(grid), _log_odds(scores)
    width = _NARROWER * 1.06 * max(float(odds.std()), 1e-3) * len(odds) ** -0.2 * _LOGISTIC
    sums = np.zeros(len(grid))
    for start in range(0, len(odds), _BLOCK):
        z = (places[:, None] - odds[None, start : start + _BLOCK]) / width
        sums += (1.0 / (1.0 + np.exp(-np.clip(z, -40.0, 40.0)))).sum(axis=1)
    return sums / len(odds)


def _log_odds(values: _Float64) -> _Float64:
    inside = np.clip(values, _EDGE, 1.0 - _EDGE)
    return np.log(inside / (1.0 - inside))


def _nearest_cut(value: float, scores: _Float64, cuts: _Float64) -> float:
    """The cut that parts the photos as this score does."""
    lower = int(np.count_nonzero(np.unique(scores) < value))
    return float(cuts[min(lower, len(cuts) - 1)])
