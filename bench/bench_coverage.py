"""Promises, costs and intervals against a known truth: how often a proof is wrong, what a chosen threshold costs."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from coverage_of import bootstrap_coverage, cost_ratio, miss_rates, most_breaks, wilson_coverage
from teliti.metrics.promises import photos_that_prove
from teliti.recipe import Cost, DecideRecipe

SEED, DRAWS, SETS = 11, 1000, 200
SHARES = np.linspace(0.05, 0.95, 19)


def run() -> dict:
    """One row a claim."""
    return {
        "name": "Promises, costs and intervals, by simulation",
        "about": f"Scores of defects are Beta(5, 2), of good parts Beta(2, 5), seed {SEED}. Proofs: {DRAWS:,} "
        "validation sets each, with the fewest photos of defects that can prove the rate, and with three times as "
        "many; the limit is what was promised and two standard errors. Costs: mean true cost of the chosen threshold "
        f"or band over that of the best one, {SETS} sets of 5,000 photos. Intervals: mean coverage of a share over 19 "
        "truths from 0.05 to 0.95. The same simulations are slow tests (`make test-slow`).",
        "rows": [*_proofs(), *_costs(), *_intervals()],
    }


def _proofs() -> list[dict[str, str]]:
    rows = []
    for confidence in (0.9, 0.95):
        for rate in (0.01, 0.05, 0.1):
            for times in (1, 3):
                photos = times * photos_that_prove(rate, confidence=confidence)
                decide = DecideRecipe(max_miss_rate=rate, guarantee="proven", confidence=confidence)
                broken = (miss_rates(decide, positives=photos, draws=DRAWS, seed=SEED) > rate).mean()
                claim = f"misses at most {100 * rate:g} %, confidence {100 * confidence:g} %, {photos} defects: broken"
                rows.append(_row(claim, f"{broken:.3f}", f"at most {most_breaks(1 - confidence, DRAWS):.3f}"))
    decide = DecideRecipe(max_miss_rate=0.05, guarantee="expected")
    mean = miss_rates(decide, positives=60, draws=DRAWS, seed=SEED).mean()
    return [*rows, _row("expected misses at most 5 %, 60 defects: mean miss rate", f"{mean:.4f}", "at most 0.05")]


def _costs() -> list[dict[str, str]]:
    rows = []
    for review, share, rate in ((2.0, 0.1, None), (0.2, 0.1, None), (2.0, 0.3, 0.01)):
        decide = DecideRecipe(cost=Cost(miss=50, false_alarm=1, review=review), defect_rate=rate)
        found = cost_ratio(decide, photos=5000, share=share, rate=rate or share, draws=SETS, seed=SEED)
        line = "as photos" if rate is None else f"{100 * rate:g} % on the line"
        claim = f"cost over the best, 50/1/{review:g}, {100 * share:g} % defects, {line}"
        rows.append(_row(claim, f"{found:.4f}", "at most 1.02" if review == 2.0 else "-"))
    return rows


def _intervals() -> list[dict[str, str]]:
    rows = []
    for trials in (50, 200, 1000):
        wilson = wilson_coverage(trials, shares=SHARES, draws=20_000, seed=SEED)
        boot = bootstrap_coverage(trials, shares=SHARES, draws=100, seed=SEED)
        rows.append(_row(f"Wilson's 95 % interval, {trials} photos: coverage", f"{wilson:.3f}", "0.93 to 0.97"))
        rows.append(_row(f"bootstrap 95 % interval, {trials} photos: coverage", f"{boot:.3f}", "0.93 to 0.97"))
    return rows


def _row(claim: str, measured: str, limit: str) -> dict[str, str]:
    return {"claim": claim, "measured": measured, "to be": limit}
