"""Numbers and names as words: one way to print a share, an interval, a time, a count, on pages and cards alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any, TypeGuard

MISSING = "\u2013"  # an en dash
_MINUTE_S = 60.0
_HALF_A_PART = 0.5
_LARGE, _TEN = 1000.0, 10.0
_SMALL = 1e-3


def is_number(value: Any) -> TypeGuard[float]:
    """True for a finite real number; booleans are none."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def percent(share: Any) -> str:
    """A share in [0, 1] as a percentage with one decimal; a dash where there is none."""
    return f"{100 * share:.1f} %" if is_number(share) else MISSING


def number(value: Any) -> str:
    """Any number, short: thousands with commas, three digits behind the point below ten, tiny ones as a power."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if not is_number(value):
        return MISSING if value is None else str(value)
    if value and abs(value) < _SMALL:
        return f"{value:.2e}"
    if abs(value) >= _LARGE:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= _TEN else f"{value:.3f}"


def percent_interval(interval: Any) -> str:
    """Two shares as "85.1 to 90.4 %"."""
    return f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f} %" if is_interval(interval) else MISSING


def number_interval(interval: Any) -> str:
    """Two numbers as "0.91 to 0.95", three digits."""
    return f"{number(interval[0])} to {number(interval[1])}" if is_interval(interval) else MISSING


def is_interval(interval: Any) -> TypeGuard[Sequence[float]]:
    """True for a pair of finite numbers."""
    return isinstance(interval, Sequence) and len(interval) == 2 and all(map(is_number, interval))


def per_hundred(share: float) -> str:
    """A share as parts out of a hundred: "about 12", "fewer than 1", "none", "more than 99", "all"."""
    parts = 100.0 * share
    if parts <= 0.0:
        return "none"
    if parts >= 100.0:
        return "all"
    if parts < _HALF_A_PART:
        return "fewer than 1"
    return "more than 99" if parts > 100.0 - _HALF_A_PART else f"about {parts:.0f}"


def seconds(value: Any) -> str:
    """Seconds as "0.35 s", "12.4 s" or "2 min 5 s"."""
    if not is_number(value):
        return MISSING
    if value < _MINUTE_S:
        return f"{value:.2f} s" if value < 1 else f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s"


def count(amount: Any, noun: str) -> str:
    """An amount with its noun: "1 photo", "2,624 photos", "3 classes"."""
    ending = "" if amount == 1 else "es" if noun.endswith(("s", "x")) else "s"
    return f"{number(amount)} {noun}{ending}"


def listed(names: Sequence[str], *, limit: int = 6) -> str:
    """Names as "a, b and c"; beyond the limit the rest is counted."""
    if len(names) > limit:
        return f"{', '.join(names[:limit])} and {len(names) - limit} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def quoted(name: Any) -> str:
    """A name between quotation marks, as it stands in a sentence."""
    return f"“{name}”"
