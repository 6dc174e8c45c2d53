"""What the trainings of a sensitivity table show, cell by cell: mean, interval, noise, chance and its likely cause."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from teliti.metrics.intervals import wilson_interval
from teliti.tuning.sensitivity import Cell
from teliti.types import Record
from teliti.workflow.searches.ranking import HARMS, HELPS, LEVEL, NOISE, interval_of
from teliti.workflow.shared.paired import adjust_for_many, estimate

NETWORK = "model.backbone"
_CAUSES = (
    "rate_too_large", "rate_too_small", "dead_units", "saturation", "class_never_predicted", "still_improving",
    "under_fitting",
)  # fmt: skip


def cell_records(
    cells: Sequence[Cell],
    trainings: Mapping[str, Sequence[Record]],
    *,
    measure: str,
    more_is_better: bool,
    chance: float | None,
    measured: Sequence[int],
    test_to_train: float,
    watts: float,
    workers: int,
) -> list[Record]:
    """One record a cell, in the order of the cells.

    Args:
        cells: With the base of each network.
        trainings: By the cell's name: the trainer's records, one a repeat; of a cell without any it has none.
        measure: What is judged.
        more_is_better: Of it.
        chance: What the best constant answer scores; None where the measure has no such number.
        measured: Photos measured in each repeat.
        test_to_train: Photos measured by photos learnt from.
        watts: Of the whole machine while it trains.
        workers: Trainings at the same time, which share the watts.
    """
    values = {cell.name: _values(trainings[cell.name], measure) for cell in cells}
    bases = {cell.row: cell.name for cell in cells if not cell.varied}
    verdicts = _verdicts(cells, values, bases, more_is_better=more_is_better, test_to_train=test_to_train)
    rows = []
    for cell in cells:
        own, done = values[cell.name], trainings[cell.name]
        found = estimate(own, test_to_train=test_to_train) if own else None
        seconds = sum(float(one["seconds"]) for one in done) / len(done) if done else None
        interval = None if found is None else interval_of(measure, found)
        row: Record = {
            "factors": {NETWORK: cell.row, **dict(cell.choices)},
            "varied": list(cell.varied),
            "mean": None if found is None else found.mean,
            "interval": interval,
            "repeats": len(own),
            "values": own,
            "seconds": None if seconds is None else round(seconds, 2),
            "energy_wh": None if seconds is None else round(watts * seconds / workers / 3600.0, 3),
            "difference": verdicts.get(cell.name),
            "trouble": next((str(one["trouble"]) for one in done if "trouble" in one), None),
        }
        row["at_chance"] = _is_at_chance(own, measured, chance)
        row["cause"] = _likely_cause(done) if row["at_chance"] or row["trouble"] else None
        rows.append(row)
    return rows


def _values(records: Sequence[Record], measure: str) -> list[float]:
    found = [record.get("values", {}).get(measure) for record in records]
    return [float(value) for value in found if value is not None]


def _verdicts(
    cells: Sequence[Cell],
    values: Mapping[str, Sequence[float]],
    bases: Mapping[str, str],
    *,
    more_is_better: bool,
    test_to_train: float,
) -> dict[str, Record]:
    """Every cell against the base of its network on the same divisions; Holm's rule over the cells of the network."""
    verdicts = dict[str, Record]()
    for row, base in bases.items():
        found = {
            cell.name: estimate(
                [own - theirs for own, theirs in zip(values[cell.name], values[base], strict=False)],
                test_to_train=test_to_train,
            )
            for cell in cells
            if cell.row == row and cell.varied and values[cell.name] and values[base]
        }
        adjusted = adjust_for_many({name: one.p for name, one in found.items() if one.p is not None})
        for name, one in found.items():
            p = adjusted.get(name)
            is_better = (one.mean > 0.0) == more_is_better
            verdicts[name] = {
                "mean": one.mean,
                "interval": None if one.interval is None else list(one.interval),
                "p_adjusted": p,
                "verdict": NOISE if p is None or p >= LEVEL else HELPS if is_better else HARMS,
            }
    return verdicts


def _is_at_chance(values: Sequence[float], measured: Sequence[int], chance: float | None) -> bool:
    """True where the photos of all repeats together do not show more than chance: Wilson's interval holds it.

    Of an accuracy that is exact while no photo is measured twice; of the other shares it is a rule of thumb.
    """
    if chance is None or not values:
        return False
    photos = sum(measured[: len(values)])
    right = sum(value * count for value, count in zip(values, measured, strict=False))
    found = wilson_interval(round(right), photos)
    return found is None or found[0] <= chance


def _likely_cause(records: Sequence[Record]) -> str:
    """What most of a cell's trainings show, the causes that explain others before those."""
    troubles = [str(record["trouble"]) for record in records if "trouble" in record]
    if troubles:
        return troubles[0]
    counts = Counter(finding["kind"] for record in records for finding in record["findings"])
    kinds = sorted((kind for kind in counts if kind in _CAUSES), key=lambda kind: (-counts[kind], _CAUSES.index(kind)))
    if not kinds:
        return "The curves name no cause: few photos are measured, so that little is shown; more --repeats may tell."
    said = next(f for record in records for f in record["findings"] if f["kind"] == kinds[0])
    return f"{said['measure']} {said['advice']}"
