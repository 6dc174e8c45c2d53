"""Tune: search for the recipe that does best, within a number of trials or a time. `_run` reads like the contents.

The test part stays sealed until the winner is known; its recipe is then trained once more and measured on it once.
Everything that is finished is kept in the folder: a search that was killed goes on where it was.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, cast

from teliti.errors import UserError
from teliti.files import sha256_hex, write_text_atomic
from teliti.recipe import Recipe, dump_recipe, load_recipe, parse_seconds
from teliti.report.search_page import render_search
from teliti.runtime import require
from teliti.training.heads.linear import resolve_head
from teliti.tuning.engines import Engine
from teliti.tuning.ledger import Ledger
from teliti.tuning.machines import Machines
from teliti.tuning.space import Point, Space, parse_line, parse_space
from teliti.tuning.study import Study
from teliti.types import Record, Reporter, SilentReporter
from teliti.workflow.searches.choices import PREPARE, accept_choice, apply_choices
from teliti.workflow.searches.job_folder import PICTURES, Asked, do_job, finish_job
from teliti.workflow.searches.ranking import MEASURES
from teliti.workflow.searches.repeats import plan_repeats
from teliti.workflow.searches.shared_base import SharedBase, make_trainer, share_base, without_budget
from teliti.workflow.searches.spaces import DEFAULT, space_lines
from teliti.workflow.searches.stages import SearchJob, measure_finalists, measure_winner, record_search, search_trials
from teliti.workflow.searches.trainings import Division, divisions_of
from teliti.workflow.searches.trial import check_measure
from teliti.workflow.shared.photos import Photos
from teliti.workflow.shared.plan import SplitPlan
from teliti.workflow.shared.run_folder import RunFolder
from teliti.workflow.shared.stopwatch import Stopwatch

DEFAULT_REPEATS, DEFAULT_FINALISTS = 3, 4
JOURNAL = "study.journal"
WINNER = "winner.toml"
"""The winner's recipe in the folder of the search, for `teliti train --recipe`."""


def tune(
    source: str | Path,
    *,
    recipe: Recipe | str | Path | None = None,
    space: Iterable[str] = (),
    trials: int | None = None,
    repeats: int = DEFAULT_REPEATS,
    finalists: int = DEFAULT_FINALISTS,
    measure: str | None = None,
    workers: int | None = None,
    storage: str | None = None,
    out: str | Path | None = None,
    engine: Engine | Machines | None = None,
    reporter: Reporter | None = None,
    command: str | None = None,
) -> Record:
    """Search over a recipe's keys.

    Args:
        source: Labelled photos, as for `train`.
        recipe: Everything that is not searched; its `train.budget` bounds the search. A path, or None for the defaults.
        space: Lines as `teliti.tuning.space` reads them, "default" for those of `default_space`; none: these.
        trials: How many; None: 40, or with a budget as many as fit.
        repeats: Divisions that every finalist is trained on.
        finalists: How many of the best trials are measured again, beside the recipe as given.
        measure: What is judged; None: ROC AUC for two classes, accuracy for more, mean absolute error for numbers.
        workers: Processes of this machine; None: one for each core.
        storage: SQLAlchemy address of a database for the study; None: a journal file in the folder.
        out: The folder, new or of the same search; None makes one below `runs`.
        engine: Where trials run: an engine, or which machines; None: `workers` processes of this one.
        reporter: Told how far it is.
        command: The command that started it, for the report.

    Returns:
        {"schema", "rows": a trial each, "finalists", "best", "importance", ...}, see docs/tune.md.

    Raises:
        UserError: bad recipe, space, data or folder.
        RunError: no trial could be done.
        RunInterrupted: Ctrl-C; the folder goes on.
    """
    chosen = recipe if isinstance(recipe, Recipe) else load_recipe(None if recipe is None else Path(recipe))
    _check_counts(trials=trials, repeats=repeats, finalists=finalists)
    lines, budget = list(space), chosen.train.budget
    own = without_budget(chosen)
    _check_lines(lines, own)
    request: Record = {
        "space": lines,
        "recipe": dump_recipe(own),
        "trials": trials,
        "budget_s": None if budget is None else parse_seconds(budget),
        "repeats": repeats,
        "finalists": finalists,
        "measure": measure,
        "workers": workers,
        "storage": storage,
    }
    place = None if out is None else Path(out)
    return _start(Asked("tune", str(source), own, request, place, engine, reporter or SilentReporter(), command))


def resume(folder: str | Path, *, reporter: Reporter | None = None, engine: Engine | Machines | None = None) -> Record:
    """Go on with a search that was interrupted or killed; a finished one's record is read back.

    Args:
        folder: Of the search.
        reporter: Told how far it is.
        engine: Likewise; None: processes of this machine.

    Raises:
        UserError: not the folder of a search, or in use by another process.
    """
    return _start(Asked.before(folder, kind="tune", engine=engine, reporter=reporter))


def _start(asked: Asked) -> Record:
    for library in ("optuna", "torch", "sklearn"):
        require(library, extra="train", purpose="search")
    watch, lines = Stopwatch(), asked.request["space"]
    shared, photos, plan = share_base(asked, asked.recipe, prepares=_prepares(lines, asked.recipe))
    request = {**asked.request, "measure": _measure_of(asked.request["measure"], photos)}
    space = parse_space(
        space_lines(lines, shared.base, photos.catalog.task), accepts=_accepts(shared.base, photos)
    )  # fmt: skip

    def run(folder: RunFolder, state: Record, engine: Engine) -> Record:
        job = _open(folder, state, photos=photos, plan=plan, shared=shared, space=space, engine=engine, watch=watch,
                    reporter=asked.reporter)  # fmt: skip
        with closing(job.study):
            return _run(job, state, watch=watch)

    return do_job(asked, request, run, digest=photos.digest, base=shared.base)


def _open(
    folder: RunFolder,
    state: Record,
    *,
    photos: Photos,
    plan: SplitPlan,
    shared: SharedBase,
    space: Space,
    engine: Engine,
    watch: Stopwatch,
    reporter: Reporter,
) -> SearchJob:
    request = state["request"]
    if "owner" not in state:
        state["owner"] = uuid.uuid4().hex
        folder.write_state(state)
    repeats = plan_repeats(photos, shared.base, repeats=request["repeats"])
    divisions = (Division(None, plan), *divisions_of(repeats, photos))
    trainer = make_trainer(
        shared, photos, divisions, source=state["source"], pictures=folder.path / PICTURES, engine=engine
    )
    shared = shared.with_space(space)
    study = Study(
        space, storage=request["storage"] or folder.path / JOURNAL, name=_study_name(state, space),
        owner=state["owner"], seed=shared.base.seed,
        more_is_better=MEASURES[photos.catalog.task][request["measure"]],
    )  # fmt: skip
    before_s = 0.0
    if request["budget_s"] is not None:
        before_s = sum(float(row.facts.get("seconds", 0.0)) for row in study.rows()) / engine.slots
    ledger = Ledger(folder.path / "trainings")
    return SearchJob(folder, request, photos, plan, shared, space, study, engine, trainer, ledger, reporter,
                     lambda: before_s + watch.elapsed())  # fmt: skip


def _study_name(state: Record, space: Space) -> str:
    """Of a study that a database may hold beside others: the same for those, and only those, whose values compare."""
    request = state["request"]
    question = json.dumps([state["photos"], request["recipe"], request["measure"], space.to_record()], sort_keys=True)
    return f"teliti {Path(state['source']).name} {sha256_hex(question.encode())[:12]}"


def _run(job: SearchJob, state: Record, *, watch: Stopwatch) -> Record:
    with watch.stage("trials"):
        search_trials(job)
    with watch.stage("finals"):
        finals = measure_finalists(job)
    winner = finals["winner"]
    factors = next(row["factors"] for row in finals["rows"] if row["name"] == winner)
    with watch.stage("test"):
        test = measure_winner(job, factors)
    record = record_search(job, state, finals, factors=factors, test=test)
    recipe = apply_choices(job.folder.read_recipe(), job.space.values(cast("Point", factors)))
    write_text_atomic(job.folder.path / WINNER, dump_recipe(recipe))
    record["best"]["recipe"] = str(job.folder.path / WINNER)
    record["best"]["recipe_toml"] = dump_recipe(recipe)
    record["seconds"] = watch.to_record()
    return finish_job(job.folder, state, record, page=render_search(record))


def _measure_of(measure: str | None, photos: Photos) -> str:
    is_pair = photos.catalog.task == "classification" and len(photos.catalog.classes) == 2
    return check_measure(measure or ("roc_auc" if is_pair else None), task=photos.catalog.task)


def _check_lines(lines: Sequence[str], asked: Recipe) -> None:
    """Refuse before anything is read; what stands beside "default", whose lines the photos decide, line by line."""
    accepts = partial(accept_choice, asked)
    if lines and DEFAULT not in lines:
        parse_space(lines, accepts=accepts)
        return
    for line in lines:
        if line != DEFAULT:
            parse_line(line, accepts=accepts)


def _prepares(lines: Sequence[str], asked: Recipe) -> list[Any]:
    """Choices of the preparation in a space, which decide what photos can be used."""
    written = space_lines(lines, asked, "classification")
    own = [line for line in written if line.partition("=")[0].partition("@")[0].strip() == PREPARE]
    return [value for line in own for value in parse_line(line, accepts=partial(accept_choice, asked)).ends()]


def _accepts(base: Recipe, photos: Photos) -> Callable[[str, Any], None]:
    """What `accept_choice` accepts, and of heads those of the task."""

    def accept(key: str, value: Any) -> None:
        accept_choice(base, key, value)
        if key == "model.head":
            resolve_head(apply_choices(base, {key: value}).model, photos.catalog.task)

    return accept


def _check_counts(*, trials: int | None, repeats: int, finalists: int) -> None:
    for name, value, least in (("trials", trials, 1), ("repeats", repeats, 2), ("finalists", finalists, 1)):
        if value is not None and value < least:
            raise UserError(f"--{name} must be at least {least}, got {value}.", hint="Leave it out for the usual.")
