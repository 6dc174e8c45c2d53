"""Sensitivity: what a network's accuracy owes to each choice. `_run` reads like the contents.

Rows are networks; columns are preparation, epochs, batch size, learning rate and augmentation, one factor at a time
around a base, or every combination. All cells are measured on the same folds of the photos that are not sealed, with
one seed a repeat; the test part is never looked at. A finished training is kept in the folder by its name, so that a
table that was killed goes on, and ends with the same bits: nothing that is timed decides anything but how many
trainings fit a budget.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from teliti import __version__
from teliti.errors import UserError
from teliti.recipe import Recipe, dump_recipe, load_recipe, override_recipe, parse_seconds
from teliti.report.sensitivity_page import render_sensitivity
from teliti.runtime import environment_record, require
from teliti.tuning.engines import Engine
from teliti.tuning.ledger import Ledger, do_missing
from teliti.tuning.machines import Machines
from teliti.tuning.sensitivity import Cell, Factor, make_cells
from teliti.types import Record, Reporter, SilentReporter
from teliti.workflow.searches.course_table import SOURCE, course_value
from teliti.workflow.searches.job_folder import PICTURES, Asked, do_job, finish_job
from teliti.workflow.searches.ranking import MEASURES
from teliti.workflow.searches.repeats import plan_repeats
from teliti.workflow.searches.sensitivity_cells import NETWORK, cell_records
from teliti.workflow.searches.sensitivity_cost import Cost, fitting_repeats, probe_networks, tell_cost
from teliti.workflow.searches.sensitivity_recipes import (
    QUICK_EPOCHS,
    QUICK_PHOTOS,
    base_recipe,
    cell_recipe,
    check_networks,
)
from teliti.workflow.searches.shared_base import SharedBase, make_trainer, share_base, without_budget
from teliti.workflow.searches.trainings import Trainer, Training, divisions_of
from teliti.workflow.searches.trial import check_measure
from teliti.workflow.shared.photos import Photos
from teliti.workflow.shared.run_folder import RunFolder
from teliti.workflow.shared.stopwatch import Stopwatch

DEFAULT_REPEATS = 3
DEFAULT_WATTS = 30.0
SEVERAL = "several"


@dataclass(frozen=True)
class TableRequest:
    """What a table shall have; of each list the first is the base's.

    Attributes:
        networks: Its rows.
        prepares: Variants of the preparation, as `teliti prepare --compare` names them.
        epochs: Times that every photo is shown; None: 100 and 200, with `quick` 4 and 8.
        batch_sizes: Photos in a step.
        rates: Learning rates.
        augments: Augmentations, as `workflow.searches.choices` names them.
        grid: Every combination in the place of one factor at a time.
        quick: 64 px, at most 300 photos, random start weights, few epochs.
    """

    networks: Sequence[str] = ("resnet50", "vgg16")
    prepares: Sequence[str] = ("none", "segment")
    epochs: Sequence[str] | None = None
    batch_sizes: Sequence[str] = ("32", "64")
    rates: Sequence[str] = ("0.001", "0.005")
    augments: Sequence[str] = ("none", "light")
    grid: bool = False
    quick: bool = False

    def cells(self) -> list[Cell]:
        """The cells of the table."""
        epochs = self.epochs or (QUICK_EPOCHS if self.quick else ("100", "200"))
        named = {"prepare": self.prepares, "train.epochs": epochs, "train.batch_size": self.batch_sizes,
                 "train.lr": self.rates, "augment": self.augments}  # fmt: skip
        factors = [Factor(key, tuple(values)) for key, values in named.items()]
        return make_cells(Factor(NETWORK, tuple(self.networks)), factors, grid=self.grid)

    def to_record(self) -> Record:
        """JSON-ready."""
        listed = {
            name: list(getattr(self, name)) for name in ("networks", "prepares", "batch_sizes", "rates", "augments")
        }
        epochs = None if self.epochs is None else list(self.epochs)
        return {**listed, "epochs": epochs, "grid": self.grid, "quick": self.quick}


@dataclass(frozen=True)
class _Job:
    folder: RunFolder
    state: Record
    photos: Photos
    shared: SharedBase
    cells: Sequence[Cell]
    recipes: Mapping[str, Recipe]
    trainer: Trainer
    engine: Engine
    ledger: Ledger
    reporter: Reporter
    sentence: str
    costs: dict[str, Cost] = field(default_factory=dict)

    @property
    def request(self) -> Record:
        return dict(self.state["request"])


def sensitivity(
    source: str | Path,
    table: TableRequest | None = None,
    *,
    recipe: Recipe | str | Path | None = None,
    repeats: int = DEFAULT_REPEATS,
    measure: str | None = None,
    watts: float = DEFAULT_WATTS,
    workers: int | None = None,
    out: str | Path | None = None,
    engine: Engine | Machines | None = None,
    reporter: Reporter | None = None,
    command: str | None = None,
) -> Record:
    """Fill a sensitivity table.

    Args:
        source: Labelled photos, as for `train`.
        table: Rows and columns; None: those of the course's table.
        recipe: Everything else; its `train.budget` bounds the table. A path, or None for the defaults.
        repeats: Trainings of each cell, each with a seed and a fold of its own.
        measure: What is judged; None: accuracy, or mean absolute error for numbers.
        watts: What the machine takes while it trains, for the estimate of energy.
        workers: Trainings at the same time on this machine; None: one for each core.
        out: The folder, new or of the same table; None makes one below `runs`.
        engine: Where trainings run: an engine, or which machines; None: processes of this one.
        reporter: Told how far it is.
        command: The command that started it, for the report.

    Returns:
        {"schema", "rows": a cell each, "best", ...}, see docs/sensitivity.md.

    Raises:
        UserError: bad request, recipe, data or folder, or a budget that holds less than one repeat.
        RunError: a training failed in a way that nobody foresaw.
        RunInterrupted: Ctrl-C; the folder goes on.
    """
    chosen = recipe if isinstance(recipe, Recipe) else load_recipe(None if recipe is None else Path(recipe))
    if repeats < 2:
        raise UserError(f"--repeats must be at least 2, got {repeats}.", hint="One training shows nothing.")
    if not watts > 0.0:
        raise UserError(f"--watts must be above 0, got {watts:g}.", hint="A laptop takes about 30.")
    budget = chosen.train.budget
    request: Record = {
        "table": (table or TableRequest()).to_record(),
        "recipe": dump_recipe(without_budget(chosen)),
        "repeats": repeats,
        "measure": measure,
        "budget_s": None if budget is None else parse_seconds(budget),
        "watts": watts,
        "workers": workers,
    }
    place = None if out is None else Path(out)
    own = without_budget(chosen)
    return _start(Asked("sensitivity", str(source), own, request, place, engine, reporter or SilentReporter(), command))


def resume(folder: str | Path, *, reporter: Reporter | None = None, engine: Engine | Machines | None = None) -> Record:
    """Go on with a table that was interrupted or killed; a finished one's record is read back.

    Args:
        folder: Of the table.
        reporter: Told how far it is.
        engine: Likewise; None: processes of this machine.

    Raises:
        UserError: not the folder of a table, or in use by another process.
    """
    return _start(Asked.before(folder, kind="sensitivity", engine=engine, reporter=reporter))


def _start(asked: Asked) -> Record:
    require("torch", extra="train", purpose="fill a sensitivity table")
    table = TableRequest(**asked.request["table"])
    cells = table.cells()
    check_networks(table.networks)
    base = base_recipe(asked.recipe, quick=table.quick)
    for cell in cells:
        cell_recipe(base, cell)  # a mistake is told before anything is read
    shared, photos, _ = share_base(asked, base, prepares=list(table.prepares))
    request = {**asked.request, "measure": check_measure(asked.request["measure"], task=photos.catalog.task)}

    def run(folder: RunFolder, state: Record, engine: Engine) -> Record:
        return _run(_open(folder, state, photos, shared=shared, cells=cells, quick=table.quick, engine=engine,
                          reporter=asked.reporter))  # fmt: skip

    return do_job(asked, request, run, digest=photos.digest, base=shared.base)


def _open(
    folder: RunFolder,
    state: Record,
    photos: Photos,
    *,
    shared: SharedBase,
    cells: Sequence[Cell],
    quick: bool,
    engine: Engine,
    reporter: Reporter,
) -> _Job:
    base = shared.base
    repeats = plan_repeats(
        photos, base, repeats=state["request"]["repeats"], most_photos=QUICK_PHOTOS if quick else None
    )
    trainer = make_trainer(
        shared, photos, divisions_of(repeats, photos), source=state["source"], pictures=folder.path / PICTURES,
        engine=engine,
    )  # fmt: skip
    recipes = {cell.name: cell_recipe(base, cell) for cell in cells}
    ledger = Ledger(folder.path / "trainings")
    return _Job(folder, state, photos, shared, cells, recipes, trainer, engine, ledger, reporter, repeats.sentence)


def _run(job: _Job) -> Record:
    watch = Stopwatch()
    with watch.stage("probe"):
        networks = {cell.row: job.recipes[cell.name] for cell in job.cells if not cell.varied}
        costs = probe_networks(
            networks, job.trainer, batch=max(recipe.train.batch_size for recipe in job.recipes.values()),
            engine=job.engine, ledger=job.ledger, reporter=job.reporter,
        )  # fmt: skip
    repeats = _tell(job, costs)
    with watch.stage("trainings"):
        _train(job, repeats)
    record = _record(job, repeats)
    record["seconds"] = watch.to_record()
    return finish_job(job.folder, job.state, record, page=render_sensitivity(record))


def _tell(job: _Job, costs: Mapping[str, Cost]) -> int:
    """Say what it will take; the repeats that fit the budget."""
    job.costs.update(costs)
    photos = len(job.trainer.divisions[0].plan.indices("train"))
    epochs = {cell.name: job.recipes[cell.name].train.epochs for cell in job.cells}
    a_repeat = sum(costs[cell.row].seconds(photos * epochs[cell.name]) for cell in job.cells) / job.engine.slots
    request = job.request
    tell_cost(
        costs, cells=len(job.cells), repeats=request["repeats"], repeat_s=a_repeat, slots=job.engine.slots,
        watts=request["watts"], reporter=job.reporter,
    )  # fmt: skip
    return fitting_repeats(request["budget_s"], wanted=request["repeats"], repeat_s=a_repeat, reporter=job.reporter)


def _train(job: _Job, repeats: int) -> None:
    """All cells of the first repeat, then of the next: what a budget cuts off is the last repeat."""
    tasks = {_key(cell, number): _training(job, cell, number) for number in range(repeats) for cell in job.cells}

    def on_done(key: str, record: Record) -> None:
        value = record.get("values", {}).get(job.request["measure"])
        said = record.get("trouble") or ("undefined" if value is None else f"{value:.3f}")
        job.reporter.note(f"{key}: {said}, {record['seconds']:.0f} s")

    do_missing(tasks, job.trainer, engine=job.engine, ledger=job.ledger, title="Training cells",
               reporter=job.reporter, on_done=on_done)  # fmt: skip


def _training(job: _Job, cell: Cell, number: int) -> Training:
    recipe = override_recipe(job.recipes[cell.name], {"seed": job.shared.base.seed + number})
    training = Training(recipe, number, "test")
    if _key(cell, number) in job.ledger:
        return training
    return job.shared.warm(training, job.trainer, engine=job.engine, reporter=job.reporter)


def _record(job: _Job, repeats: int) -> Record:
    request, task = job.request, job.photos.catalog.task
    measure = str(request["measure"])
    first = job.trainer.divisions[0]
    ratio = len(first.plan.indices("test")) / max(1, len(first.plan.indices("train")))
    trainings = {cell.name: [job.ledger[_key(cell, number)] for number in range(repeats)] for cell in job.cells}
    chance = _chance(job, measure)
    rows = cell_records(
        job.cells, trainings, measure=measure, more_is_better=MEASURES[task][measure], chance=chance,
        measured=[len(division.plan.indices("test")) for division in job.trainer.divisions],
        test_to_train=ratio, watts=request["watts"], workers=job.engine.slots,
    )  # fmt: skip
    known = [row for row in rows if row["mean"] is not None]
    best = (max if MEASURES[task][measure] else min)(known, key=lambda row: float(row["mean"]), default=None)
    source = job.state["source"]
    return {
        "schema": 1,
        "version": __version__,
        "title": f"Sensitivity on {Path(source).name or source}",
        "kind": "sensitivity",
        "source": source,
        "command": job.state["command"],
        "folder": str(job.folder.path),
        "report": str(job.folder.report),
        "task": task,
        "measure": measure,
        "more_is_better": MEASURES[task][measure],
        "chance": chance,
        "photos": len(first.plan.parts),
        "repeats": repeats,
        "watts": request["watts"],
        "workers": job.engine.slots,
        "rows": rows,
        "table": _table(job, rows),
        "best": best,
        "course": SOURCE,
        "cost": {name: cost.to_record() for name, cost in job.costs.items()},
        "design": job.sentence,
        "environment": environment_record(threads=int(job.shared.base.train.threads or 1)),
        "recipe_toml": dump_recipe(job.shared.base),
    }


def _table(job: _Job, rows: Sequence[Record]) -> list[Record]:
    """One entry for each network and value of a factor: the cell in which the rest is the base's, and the course's.

    Of a grid the cells that differ in several factors follow, under the factor "several".
    """
    table = TableRequest(**job.request["table"])
    shorts = tuple(table.epochs or ()) or (QUICK_EPOCHS if table.quick else ())
    entries = []
    for cell_at, row in enumerate(rows):
        network, choices = row["factors"][NETWORK], {k: v for k, v in row["factors"].items() if k != NETWORK}
        if len(row["varied"]) > 1:
            words = ", ".join(f"{key} {choices[key]}" for key in row["varied"])
            entries.append({"network": network, "factor": SEVERAL, "value": words, "cell": cell_at, "course": None})
            continue
        for key, value in choices.items():
            if row["varied"] in ([], [key]):
                course = course_value(network, key, value, stands_for=shorts)
                entries.append({"network": network, "factor": key, "value": value, "cell": cell_at, "course": course})
    keys = [*(key for key in rows[0]["factors"] if key != NETWORK), SEVERAL]
    networks = list(table.networks)
    entries.sort(key=lambda entry: (networks.index(entry["network"]), keys.index(entry["factor"]), entry["cell"]))
    return entries


def _chance(job: _Job, measure: str) -> float | None:
    """What the best constant answer scores on the photos of the table."""
    if job.photos.catalog.task != "classification":
        return None
    counts = sorted(job.trainer.photos(0).counts())
    known = {"accuracy": counts[-1] / sum(counts), "balanced_accuracy": 1.0 / len(counts), "roc_auc": 0.5}
    return known.get("accuracy" if measure == "accuracy_at_half" else measure)


def _key(cell: Cell, number: int) -> str:
    return f"{cell.name}, repeat {number + 1}"
