"""From sweeps to an envelope: where verdicts held, photos of the line may look like the photos of that level did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from teliti.metrics.envelope import Envelope, Limits, usual_range
from teliti.types import FloatArray
from teliti.workflow.stresses.sweeping import Swept


def narrow_envelope(
    envelope: Envelope | None,
    swept: Sequence[Swept],
    clean: Sequence[Mapping[str, float]],
    *,
    told: Mapping[str, object],
) -> Envelope | None:
    """The envelope with the limits that were measured in place of the room that was assumed.

    A limit is what nearly all photos of the last level that held are within, and never inside what the training photos
    themselves were.

    Args:
        envelope: Of the bundle; None where it keeps none.
        swept: The sweeps.
        clean: The conditions of the photos as they are, which count where not even the mildest change held.
        told: The record of the stress: source, photos, bounds, limits.
    """
    if envelope is None:
        return None
    limits = dict(envelope.limits)
    for one in swept:
        if one.sweep.limits is None or not one.levels or one.sweep.limits[0] not in limits:
            continue
        name, side = one.sweep.limits
        at = clean if one.limit is None else one.conditions[one.limit]
        limits[name] = _measured(limits[name], np.array([row[name] for row in at]), side=side)
    run = {key: told[key] for key in ("source", "photos", "seen", "bounds", "tolerance", "limits") if key in told}
    run["at"] = datetime.now(UTC).isoformat(timespec="seconds")
    return replace(envelope, limits=limits, stress=(*envelope.stress, run))


def _measured(limits: Limits, values: FloatArray, *, side: str) -> Limits:
    low, high = usual_range(values)
    if side == "low":
        return replace(limits, low=min(low, limits.deciles[0]), low_from="stress")
    return replace(limits, high=max(high, limits.deciles[-1]), high_from="stress")
