"""How far verdicts hold: of the same photos as they are and made worse, what changed and what went wrong.

A level holds while it changes few verdicts and while accuracy and miss rate stay within a stated loss. What is compared
are rates seen on these photos; their intervals (Wilson) say how far such rates can be trusted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from teliti.metrics.intervals import wilson_interval
from teliti.types import Record

SLACK = 1e-9  # a loss of exactly the bound is inside


@dataclass(frozen=True, slots=True)
class Bounds:
    """Within what verdicts are said to hold.

    Attributes:
        loss: So much may accuracy fall and the miss rate rise, in [0, 1]; where it is not 0, by one photo at least,
            so that no limit hangs on a single one.
        changed: Share of the verdicts that may change, in [0, 1].
    """

    loss: float = 0.02
    changed: float = 0.1

    def to_record(self) -> Record:
        """By name."""
        return asdict(self)


@dataclass(frozen=True)
class Verdicts:
    """What was said of the same photos under one condition.

    Attributes:
        said: (N) the verdict of each.
        right: (N,) bool, the class or the labels are the true ones.
        missed: (N,) bool, a photo that must not pass and passed.
    """

    said: tuple[str, ...]
    right: NDArray[np.bool_]
    missed: NDArray[np.bool_]


def measure_level(clean: Verdicts, now: Verdicts, *, bad: NDArray[np.bool_], bounds: Bounds) -> Record:
    """One level of a sweep.

    Args:
        clean: Of the photos as they are.
        now: Of the same photos at this level.
        bad: (N,) bool, photos that must not pass; none where nothing is rejected.
        bounds: Within what the level holds.

    Returns:
        {"photos", "unchanged", "unchanged_interval", "accuracy", "accuracy_interval", "bad", "missed", "miss_rate",
        "miss_rate_interval", "loss", "holds"}; of the misses None where no photo is bad. `loss` is the larger of what
        accuracy lost and the miss rate gained.
    """
    photos, total = len(clean.said), int(bad.sum())
    same = sum(one == other for one, other in zip(clean.said, now.said, strict=True))
    right, missed = int(now.right.sum()), int(now.missed.sum())
    lost = [(int(clean.right.sum()) - right, photos)]
    if total:
        lost.append((missed - int(clean.missed.sum()), total))
    is_inside = all(count <= max(bounds.loss * of, float(bounds.loss > 0.0)) + SLACK for count, of in lost)
    return {
        "photos": photos,
        "unchanged": same / photos,
        "unchanged_interval": list(wilson_interval(same, photos) or ()),
        "accuracy": right / photos,
        "accuracy_interval": list(wilson_interval(right, photos) or ()),
        "bad": total,
        "missed": missed if total else None,
        "miss_rate": missed / total if total else None,
        "miss_rate_interval": list(wilson_interval(missed, total) or ()) if total else None,
        "loss": max(count / of for count, of in lost),
        "holds": is_inside and 1.0 - same / photos <= bounds.changed + SLACK,
    }


def find_limit(holds: Sequence[bool]) -> int | None:
    """The place of the last level in a row, from the first on, that holds; None where the first does not."""
    held = next((place for place, one in enumerate(holds) if not one), len(holds))
    return held - 1 if held else None


def is_over(holds: Sequence[bool]) -> bool:
    """True once a sweep need not go on: two levels after each other do not hold."""
    return len(holds) >= 2 and not holds[-1] and not holds[-2]


def too_few_sentence(photos: int, bad: int, *, bounds: Bounds) -> str | None:
    """That one photo alone is more than the bound, where it is so."""
    fewest, what = (bad, "photos that must not pass") if 0 < bad < photos else (photos, "photos")
    if not fewest or not bounds.loss or 1.0 / fewest <= bounds.loss:
        return None
    return (
        f"There are {fewest} {what}: one of them is {100.0 / fewest:.1f} points, over the bound of "
        f"{100.0 * bounds.loss:g}, and is let pass. Give {math.ceil(1.0 / bounds.loss)} or more, or a larger bound."
    )
