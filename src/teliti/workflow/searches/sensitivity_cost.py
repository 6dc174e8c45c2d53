"""What a sensitivity table will cost, from a probe of some 20 seconds: trainings, time, memory, energy, what fits.

Every network is trained for two epochs of a few photos, then for two of as many as the time allows, up to a batch of
the table. The second time is taken per photo; from both follows what a photo more in the batch takes of the memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial

import numpy as np

from teliti.errors import UserError
from teliti.recipe import Recipe, override_recipe
from teliti.runtime import default_threads
from teliti.tuning.engines import Engine
from teliti.tuning.ledger import Ledger, do_missing
from teliti.types import Record, Reporter
from teliti.workflow.searches.trainings import Division, Trainer, Training
from teliti.workflow.shared.plan import SplitPlan

PROBE_S = 20.0
_FEW = 12
_PROBE_EPOCHS = 2  # the first one warms up
_LEAST_VALIDATED, _VALIDATED = 2, 7  # photos; the one in so many
_STARTING_S = 2.0  # of every training: reading, preparing and measuring
_GIGABYTE = 1e9


@dataclass(frozen=True)
class Cost:
    """What training one network takes here.

    Attributes:
        photo_s: Seconds that one photo takes in one epoch, validation included.
        peak_bytes: Of the process, with the largest batch of the table.
        size: Numbers in the network.
    """

    photo_s: float
    peak_bytes: int | None
    size: int

    def seconds(self, shown: float) -> float:
        """Of a training that shows so many photos."""
        return _STARTING_S + shown * self.photo_s

    def to_record(self) -> Record:
        """JSON-ready."""
        return asdict(self)


def probe_networks(
    recipes: Mapping[str, Recipe],
    trainer: Trainer,
    *,
    batch: int,
    engine: Engine,
    ledger: Ledger,
    reporter: Reporter,
) -> dict[str, Cost]:
    """Train every network for a moment; kept, so that a table that goes on need not ask again.

    Args:
        recipes: The base's recipe by network.
        trainer: Of the table.
        batch: The largest of the table.
        engine: Where the table is trained.
        ledger: Where the answers are kept.
        reporter: Told how far it is.
    """
    room = len(trainer.divisions[0].plan.indices("train"))
    most = max(1, min(batch, room - max(_LEAST_VALIDATED, room // _VALIDATED)))
    few = dict.fromkeys(recipes, min(_FEW, most))
    job = partial(_probe, recipes, trainer, engine=engine, ledger=ledger, reporter=reporter)
    first = job(few)
    each_s = PROBE_S * min(engine.slots, len(recipes)) / len(recipes)
    many = {
        name: min(most, max(few[name], int(each_s / (_PROBE_EPOCHS * max(cost.photo_s, 1e-9)))))
        for name, cost in first.items()
    }
    second = job(many)
    return {
        name: replace(cost, peak_bytes=_peak_of_batch({few[name]: first[name], many[name]: cost}, batch=most))
        for name, cost in second.items()
    }


def _probe(
    recipes: Mapping[str, Recipe],
    trainer: Trainer,
    photos: Mapping[str, int],
    *,
    engine: Engine,
    ledger: Ledger,
    reporter: Reporter,
) -> dict[str, Cost]:
    """Every network trained for two epochs of one batch of so many photos."""
    for size in sorted(set(photos.values())):
        values = {"train": {"epochs": _PROBE_EPOCHS, "batch_size": size}}
        tasks = {
            _key(name, size): Training(override_recipe(recipe, values), 0, "chooser")
            for name, recipe in recipes.items()
            if photos[name] == size
        }
        do_missing(tasks, _small(trainer, size), engine=engine, ledger=ledger, title="Probing", reporter=reporter)
    return {name: _cost_of(name, ledger[_key(name, photos[name])], photos=photos[name]) for name in recipes}


def _peak_of_batch(costs: Mapping[int, Cost], *, batch: int) -> int | None:
    """Memory with a batch, from that with smaller ones: what each photo more took, each photo more takes."""
    (few, first), (many, second) = min(costs.items()), max(costs.items())
    if first.peak_bytes is None or second.peak_bytes is None:
        return None
    a_photo = (second.peak_bytes - first.peak_bytes) / max(1, many - few)
    return round(second.peak_bytes + max(0.0, a_photo) * (batch - many))


def tell_cost(
    costs: Mapping[str, Cost],
    *,
    cells: int,
    repeats: int,
    repeat_s: float,
    slots: int,
    watts: float,
    reporter: Reporter,
) -> None:
    """Say how many trainings there are, and the estimates of time, memory and energy.

    Args:
        costs: By network.
        cells: Of the table.
        repeats: Of each.
        repeat_s: Seconds of one repeat of all cells.
        slots: Trainings at the same time.
        watts: Of the machine.
        reporter: Told.
    """
    total = repeats * repeat_s
    peak = max((cost.peak_bytes or 0 for cost in costs.values()), default=0)
    each = ", ".join(f"{name} {1000 * cost.photo_s:.0f} ms a photo" for name, cost in costs.items())
    reporter.note(
        f"{cells} cells x {repeats} repeats are {cells * repeats} trainings: about {_time(total)} with {slots} at a "
        f"time ({each}), {slots * peak / _GIGABYTE:.1f} GB of memory, {watts * total / 3600:.1f} Wh at {watts:g} watts."
    )
    from teliti.training.speed import free_memory

    free = free_memory("cpu")
    if slots * peak > free:
        reporter.note(f"Only {free / _GIGABYTE:.1f} GB of memory are free: fewer --workers would be safer.")


def fitting_repeats(budget_s: float | None, *, wanted: int, repeat_s: float, reporter: Reporter) -> int:
    """How many repeats of the table fit a budget.

    Raises:
        UserError: less than two.
    """
    if budget_s is None:
        return wanted
    fitting = int(budget_s / max(repeat_s, 1e-9))
    if fitting < 2:
        raise UserError(
            f"--budget must hold two repeats of the table, about {_time(2 * repeat_s)}, got {_time(budget_s)}.",
            hint="Give more time, take out values or networks, or use --quick.",
        )
    fits = f"{fitting} of {wanted} repeats fit" if fitting < wanted else f"All {wanted} repeats fit"
    reporter.note(f"{fits} the budget of {_time(budget_s)}.")
    return min(fitting, wanted)


def _small(trainer: Trainer, photos: int) -> Trainer:
    """The trainer with so many photos of its first division to learn from, and some for validation."""
    first = trainer.divisions[0]
    learnt = first.plan.indices("train")
    more = max(_LEAST_VALIDATED, photos // (_VALIDATED - 1))
    chosen = learnt[np.linspace(0, len(learnt) - 1, min(len(learnt), photos + more)).astype(int)]
    kept = tuple(int(chosen_at) for chosen_at in chosen)
    places = kept if first.kept is None else tuple(first.kept[place] for place in kept)
    validated = set(np.linspace(0, len(places) - 1, more).astype(int).tolist())
    parts = tuple("val" if at in validated else "train" for at in range(len(places)))
    plan = SplitPlan("ours", parts, None, np.arange(len(places)), "A probe.", {})  # type: ignore[arg-type]
    return replace(trainer, divisions=(Division(places, plan),))


def _cost_of(name: str, record: Record, *, photos: int) -> Cost:
    if "trouble" in record:
        raise UserError(f"{name} cannot be trained here: {record['trouble']}", hint="Leave it out of --networks.")
    seconds = float(record["epoch_s"][-1])
    return Cost(seconds / photos, record["peak_bytes"], int(record["size"]))


def _key(network: str, photos: int) -> str:
    return f"probe of {network} with {photos} photos and {default_threads()} cores"


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
