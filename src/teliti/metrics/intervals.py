"""How far a measured number can be trusted: intervals for shares and for any measure of a set of photos.

Shares (so many of so many) have Wilson's score interval, or the exact one of Clopper and Pearson where the sentence
is "proven". Anything else is drawn again many times (percentile bootstrap, seeded, every class keeping its size).
All of them speak about photos like these; none knows about a new camera or a new lot.

Sources: E. B. Wilson, "Probable inference, the law of succession, and statistical inference" (1927); C. Clopper and
E. Pearson, "The use of confidence or fiducial limits" (1934); B. Efron and R. Tibshirani, "An Introduction to the
Bootstrap" (1993), chapter 13.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from teliti.errors import UserError
from teliti.types import FloatArray, IntArray

Interval = tuple[float, float]
"""Lower and upper end."""

CONFIDENCE = 0.95
DRAWS = 1000
_FEWEST_DRAWS = 200
_WORK = 25_000_000  # numbers looked at in one bootstrap; more photos mean fewer draws, from DRAWS to _FEWEST_DRAWS
_BLOCK = 2_000_000  # numbers held at once, 16 MB
_BISECTIONS = 60

_Measure = Callable[[NDArray[np.float64]], FloatArray]


def wilson_interval(successes: int, trials: int, *, confidence: float = CONFIDENCE) -> Interval | None:
    """Wilson's score interval of a share.

    Args:
        successes: How many of the trials succeeded.
        trials: How many there were.
        confidence: Share of such intervals that hold the true value, in (0, 1).

    Returns:
        Lower and upper end in [0, 1]; None without trials.

    Raises:
        UserError: `successes` outside 0..`trials`, or `confidence` outside (0, 1).
    """
    _check_share(successes, trials, confidence)
    if trials == 0:
        return None
    z = NormalDist().inv_cdf((1.0 + confidence) / 2.0)
    share = successes / trials
    center = share + z * z / (2.0 * trials)
    half = z * math.sqrt(share * (1.0 - share) / trials + z * z / (4.0 * trials * trials))
    scale = 1.0 + z * z / trials
    low = 0.0 if successes == 0 else (center - half) / scale
    high = 1.0 if successes == trials else (center + half) / scale
    return low, high


def balanced_interval(right: IntArray, counts: IntArray, *, confidence: float = CONFIDENCE) -> Interval:
    """Interval of balanced accuracy: the mean of the classes' recalls, each with Wilson's interval.

    The distances of each recall to its ends are added as independent errors are (G. Y. Zou and A. Donner,
    "Construction of confidence limits about effect measures", Statistics in Medicine 27, 2008). Unlike a bootstrap it
    has a width where every photo is right.

    Args:
        right: (K,) photos of each class that are right.
        counts: (K,) photos of each class, above 0.
        confidence: Share of such intervals that hold the true value, in (0, 1).

    Returns:
        Lower and upper end in [0, 1].
    """
    recalls = np.asarray(right, np.float64) / counts
    pairs = zip(right.tolist(), counts.tolist(), strict=True)
    ends = np.array([wilson_interval(hits, trials, confidence=confidence) for hits, trials in pairs])
    low, high = np.sqrt(np.square(ends - recalls[:, None]).sum(axis=0)) / len(recalls)
    mean = float(recalls.mean())
    return max(0.0, mean - float(low)), min(1.0, mean + float(high))


def clopper_pearson_interval(successes: int, trials: int, *, confidence: float = CONFIDENCE) -> Interval | None:
    """The exact interval of a share, never narrower than it claims.

    Args:
        successes: How many of the trials succeeded.
        trials: How many there were.
        confidence: At least this share of such intervals holds the true value, in (0, 1).

    Returns:
        Lower and upper end in [0, 1]; None without trials.

    Raises:
        UserError: `successes` outside 0..`trials`, or `confidence` outside (0, 1).
    """
    _check_share(successes, trials, confidence)
    if trials == 0:
        return None
    one_sided = (1.0 + confidence) / 2.0
    low = 1.0 - _upper_bound(trials - successes, trials, one_sided)
    return low, _upper_bound(successes, trials, one_sided)


def clopper_pearson_upper(successes: int, trials: int, *, confidence: float = CONFIDENCE) -> float:
    """The exact one-sided upper bound of a share: "with this confidence it is at most ...".

    With 0 successes it is `1 - (1 - confidence) ** (1 / trials)`. Without trials nothing is known: 1.

    Args:
        successes: How many of the trials succeeded.
        trials: How many there were.
        confidence: In (0, 1).

    Raises:
        UserError: `successes` outside 0..`trials`, or `confidence` outside (0, 1).
    """
    _check_share(successes, trials, confidence)
    return _upper_bound(successes, trials, confidence)


def bootstrap_interval(
    measure: _Measure,
    strata: IntArray,
    *,
    seed: int,
    draws: int = DRAWS,
    confidence: float = CONFIDENCE,
) -> Interval | None:
    """Percentile bootstrap: the measure on many sets drawn with replacement from these photos.

    A draw is given to the measure as how often each photo is in it, so that ranking happens once for all draws.
    `of_samples` turns a function of plain arrays into such a measure. With very many photos fewer draws are made.

    Args:
        measure: From counts (B, N) float64, one row per draw, to values (B,); NaN where undefined.
        strata: (N,) int >= 0, for instance class indices; every stratum keeps its size in every draw.
        seed: Same seed, same interval.
        draws: How many sets are drawn.
        confidence: Share of the draws between the ends, in (0, 1).

    Returns:
        Lower and upper end. None where the draws say nothing: no photos, no draw where the measure is defined, or
        the same value in every draw (a perfect score does not mean that a miss is impossible).

    Raises:
        UserError: `confidence` outside (0, 1).
    """
    _check_share(0, 0, confidence)
    if not len(strata):
        return None
    fitting = affordable_draws(len(strata), draws=draws)
    values = [np.asarray(measure(counts)) for counts in draw_counts(strata, draws=fitting, seed=seed)]
    return percentile_interval(np.concatenate(values), confidence=confidence)


def of_samples(function: Callable[[IntArray, FloatArray], float], labels: IntArray, scores: FloatArray) -> _Measure:
    """A measure for `bootstrap_interval` from any function of (labels, scores); one call per draw.

    Args:
        function: From labels (n,) and scores (n,) or (n, K) of one draw to a number; NaN where undefined.
        labels: (N,) int, class index.
        scores: (N,) or (N, K) float.
    """

    def measure(counts: NDArray[np.float64]) -> FloatArray:
        whole = counts.astype(np.int64)
        return np.array([function(np.repeat(labels, row), np.repeat(scores, row, axis=0)) for row in whole])

    return measure


def percentile_interval(values: FloatArray, *, confidence: float = CONFIDENCE) -> Interval | None:
    """The middle share of bootstrap values; None where none is finite or all are the same.

    Args:
        values: (B,) float, one value per draw; NaN where undefined.
        confidence: Share of the values between the ends, in (0, 1).
    """
    known = values[np.isfinite(values)]
    if not len(known) or known.min() == known.max():
        return None
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(known, [tail, 1.0 - tail])
    return float(low), float(high)


def affordable_draws(size: int, *, draws: int = DRAWS) -> int:
    """How many bootstrap draws are made where each looks at `size` numbers: `draws`, or fewer for huge sets."""
    return min(draws, max(_FEWEST_DRAWS, _WORK // size))


def draw_counts(strata: IntArray, *, draws: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """How often each photo is in each bootstrap draw, in blocks that fit in memory.

    Args:
        strata: (N,) int >= 0; every stratum keeps its size in every draw.
        draws: How many sets are drawn.
        seed: Same seed, same draws.

    Yields:
        (B, N) float64 counts; the blocks' B sum to `draws`.
    """
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    block = max(1, _BLOCK // len(strata))
    for start in range(0, draws, block):
        rows = min(block, draws - start)
        counts = np.empty((rows, len(strata)))
        for places in members:
            size = len(places)
            picks = rng.integers(0, size, size=(rows, size)) + size * np.arange(rows)[:, None]
            counts[:, places] = np.bincount(picks.ravel(), minlength=rows * size).reshape(rows, size)
        yield counts


def draw_confusions(matrix: IntArray, *, draws: int, seed: int) -> Iterator[IntArray]:
    """Bootstrap draws of a confusion matrix, every class keeping its size; the same law as drawing photos.

    Args:
        matrix: (K, K) int, rows = actual, columns = predicted.
        draws: How many; with very many classes fewer are made.
        seed: Same seed, same draws.

    Yields:
        (B, K, K) int.
    """
    rng = np.random.default_rng(seed)
    totals = matrix.sum(axis=1)
    fitting = affordable_draws(matrix.size, draws=draws)
    block = max(1, _BLOCK // matrix.size)
    for start in range(0, fitting, block):
        rows = min(block, fitting - start)
        drawn = np.zeros((rows, *matrix.shape), dtype=np.int64)
        for label in np.flatnonzero(totals):
            drawn[:, label] = rng.multinomial(totals[label], matrix[label] / totals[label], size=rows)
        yield drawn


def _check_share(successes: int, trials: int, confidence: float) -> None:
    if not 0 <= successes <= trials:
        raise UserError(f"successes must be in 0..{trials}, got {successes}.", hint="Count both over the same photos.")
    if not 0.0 < confidence < 1.0:
        raise UserError(f"confidence must be between 0 and 1, got {confidence:g}.", hint="For instance 0.95.")


def _upper_bound(successes: int, trials: int, confidence: float) -> float:
    """The share at which `successes` or fewer have probability 1 - confidence, by bisection."""
    if successes >= trials:
        return 1.0
    counts = np.arange(successes + 1)
    logs = np.array([_log_choose(trials, int(count)) for count in counts])
    low, high = successes / trials, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        if _tail(logs, counts, trials=trials, share=middle) > 1.0 - confidence:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0


def _tail(logs: NDArray[np.float64], counts: NDArray[Any], *, trials: int, share: float) -> float:
    """Probability of at most `counts[-1]` successes; `logs` are the logarithms of the binomial coefficients."""
    return float(np.exp(logs + counts * math.log(share) + (trials - counts) * math.log1p(-share)).sum())


def _log_choose(total: int, chosen: int) -> float:
    return math.lgamma(total + 1) - math.lgamma(chosen + 1) - math.lgamma(total - chosen + 1)
