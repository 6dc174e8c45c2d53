"""The envelope of a bundle: within which light, blur, size and scale of photos its verdicts were shown to hold.

It begins as what the training photos were like, with as much room as the eye would overlook; `teliti stress` puts what
was measured in the room's place. Limits are compared in float64, and a limit itself lies inside.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np

from teliti.types import FloatArray, Record

Action = Literal["warn", "review"]
Source = Literal["training", "stress"]
SHARE = 0.005
"""Share of the training photos that may lie beyond the limit of one side."""
_LEVELS = tuple(number / 10 for number in range(11))
_STEADY = 0.25  # a scale whose middle nine tenths spread over more of its median says nothing
_LARGEST_SCALE = 0.95  # a part that fills the photo has no size of its own


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a property is told and how much of it the eye overlooks: an amount, or a factor where that is 0."""

    low: str
    high: str
    digits: int
    amount: float = 0.0
    factor: float = 1.0
    most: float = math.inf  # no value can be larger


_KINDS = {
    "light": _Kind("too dark: light {value} of 255", "too bright: light {value} of 255", 0, amount=16.0, most=255.0),
    "blur": _Kind("sharper or noisier than usual: blur {value}", "too blurred: blur {value}", 2, amount=0.05, most=1.0),
    "size": _Kind("too few pixels: longer side {value}", "more pixels than usual: longer side {value}", 0, factor=1.25),
    "scale": _Kind(
        "part too small: {value} of the side", "part too large: {value} of the side", 2, factor=1.15, most=1.0
    ),
}
PROPERTIES = tuple(_KINDS)


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one property.

    Attributes:
        low: Values below it lie outside; None: there is no such limit.
        high: Values above it lie outside; None: there is no such limit.
        deciles: (11) smallest value, nine deciles, largest value of the training photos.
        low_from: What the lower limit was taken from.
        high_from: What the upper limit was taken from.
    """

    low: float | None
    high: float | None
    deciles: tuple[float, ...]
    low_from: Source = "training"
    high_from: Source = "training"


@dataclass(frozen=True, slots=True)
class Envelope:
    """The limits of a bundle.

    Attributes:
        limits: By property: light, blur, size, scale; a property that says nothing about these photos is left out.
        photos: How many training photos were measured.
        action: Whether a photo outside is only warned of, or shown to a person.
        stress: Each time that `teliti stress` measured, the newest last: of a limit the last one that tells of it.
    """

    limits: Mapping[str, Limits]
    photos: int
    action: Action = "warn"
    stress: tuple[Record, ...] = field(default=(), hash=False)

    def outside(self, conditions: Mapping[str, float]) -> tuple[str, ...]:
        """Why a photo lies outside, one phrase for each property with what was measured and the limit; or nothing.

        Args:
            conditions: Value by property; one that is no number lies outside.
        """
        found = []
        for name, limits in self.limits.items():
            value, kind = conditions[name], _KINDS[name]
            is_low = limits.low is not None and not value >= limits.low
            limit = limits.low if is_low else limits.high
            if limit is not None and (is_low or not value <= limit):
                phrase = (kind.low if is_low else kind.high).format(value=f"{value:.{kind.digits}f}")
                found.append(f"{phrase}, limit {limit:.{kind.digits}f}")
        return tuple(found)

    def to_record(self) -> Record:
        """JSON-ready; `envelope_from_record` reads it back."""
        return {
            "schema": 1,
            "action": self.action,
            "photos": self.photos,
            "limits": {
                name: {
                    "low": one.low,
                    "high": one.high,
                    "low_from": one.low_from,
                    "high_from": one.high_from,
                    "deciles": list(one.deciles),
                }
                for name, one in self.limits.items()
            },
            "stress": list(self.stress),
        }


def fit_envelope(conditions: Mapping[str, FloatArray], *, action: Action) -> Envelope | None:
    """The envelope of training photos: what nearly all of them keep, and as much room as the eye would overlook.

    Args:
        conditions: By property (N,) float, of the photos that were learnt from.
        action: What becomes of photos outside.

    Returns:
        None without photos.
    """
    photos = len(next(iter(conditions.values()), ()))
    if not photos:
        return None
    limits = {}
    for name, values in conditions.items():
        kind, exact = _KINDS[name], np.asarray(values, dtype=np.float64)
        if name == "scale" and not _is_steady(exact):
            continue
        low, high = usual_range(exact)
        low, high = low / kind.factor - kind.amount, high * kind.factor + kind.amount
        deciles = tuple(float(value) for value in np.quantile(exact, _LEVELS))
        limits[name] = Limits(low if low > 0.0 else None, high if high < kind.most else None, deciles)
    return Envelope(limits, photos, action)


def usual_range(values: FloatArray) -> tuple[float, float]:
    """Between which values all but a share of 0.005 on either side lie; with few photos the smallest and largest."""
    low, high = np.quantile(np.asarray(values, dtype=np.float64), [SHARE, 1.0 - SHARE])
    return float(low), float(high)


def envelope_from_record(record: Mapping[str, Any] | None) -> Envelope | None:
    """What `Envelope.to_record` wrote; None without a record, as in older bundles.

    Raises:
        KeyError, TypeError, ValueError: the record is damaged.
    """
    if record is None:
        return None
    if record["schema"] != 1 or record["action"] not in get_args(Action):
        raise ValueError(f"an envelope of schema {record['schema']} that shall {record['action']}")
    limits = {name: _limits(record["limits"][name]) for name in PROPERTIES if name in record["limits"]}
    return Envelope(limits, int(record["photos"]), record["action"], tuple(dict(one) for one in record["stress"]))


def _limits(record: Mapping[str, Any]) -> Limits:
    low, high = (_finite(record[side]) for side in ("low", "high"))
    deciles = tuple(float(value) for value in record["deciles"])
    return Limits(low, high, deciles, record["low_from"], record["high_from"])


def _finite(value: Any) -> float | None:
    if value is not None and not math.isfinite(value):
        raise ValueError(f"a limit of {value}")
    return None if value is None else float(value)


def _is_steady(scales: FloatArray) -> bool:
    low, middle, high = np.quantile(scales, [0.05, 0.5, 0.95])
    return bool(0.0 < middle <= _LARGEST_SCALE and high - low <= _STEADY * middle)
