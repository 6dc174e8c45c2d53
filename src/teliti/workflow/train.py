"""Train: from photos to a tested, explained inspector. `_run` reads like the job's table of contents."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from teliti import __version__
from teliti.bundle import MANIFEST
from teliti.cache import RowCache, cache_folder
from teliti.errors import CatalogError, ParityError, RunInterrupted, UserError
from teliti.files import require_space, write_text_atomic
from teliti.recipe import Recipe, dump_recipe, load_recipe, override_recipe, recipe_values
from teliti.report.card import render_card
from teliti.runtime import default_threads, environment_record, is_installed, require
from teliti.types import Record, Reporter, SilentReporter
from teliti.workflow.learning.deciding import decide_answers
from teliti.workflow.learning.evidence import Evidence
from teliti.workflow.learning.fit import Candidate, fit_best_within_budget, try_setup, why_chosen
from teliti.workflow.learning.learn import (
    check_machine,
    learn_network,
    learns_network,
    settle_network_recipe,
    teach,
)
from teliti.workflow.learning.novelty import learn_novelty
from teliti.workflow.learning.packing import pack_bundle
from teliti.workflow.learning.publishing import gather_pictures, what_changed, write_inputs, write_report
from teliti.workflow.learning.recording import record_run
from teliti.workflow.learning.run_evidence import look_for_evidence, with_evidence
from teliti.workflow.learning.split_price import price_split
from teliti.workflow.learning.split_price_networks import check_price_split, price_by_backbone, price_by_training
from teliti.workflow.learning.testing import answer_measured_photos
from teliti.workflow.learning.trained import Trained
from teliti.workflow.shared.part_finding import aside_files
from teliti.workflow.shared.photos import Photos, read_photos, stay_findable
from teliti.workflow.shared.plan import SplitPlan, plan_split
from teliti.workflow.shared.run_folder import RunFolder, create_run_folder
from teliti.workflow.shared.setup import check_recipe, recipe_steps, resolve_data
from teliti.workflow.shared.stopwatch import Stopwatch

SPACE_NEEDED = 100 * 10**6
"""Bytes for a bundle with its draft, and for an exported backbone with some thousand features."""

_NEEDED = ("torch", "timm", "safetensors", "onnx", "onnxscript", "sklearn")
_IMPORTED_FIRST = ("sklearn.svm", "sklearn.linear_model", "sklearn.model_selection")


@dataclass(frozen=True)
class _Job:
    """What every stage of one run shares."""

    folder: RunFolder
    photos: Photos
    plan: SplitPlan
    command: str
    cache: RowCache
    watch: Stopwatch
    reporter: Reporter


def train(
    source: str | Path,
    *,
    recipe: Recipe | str | Path | None = None,
    out: str | Path | None = None,
    reporter: Reporter | None = None,
    command: str | None = None,
) -> Record:
    """Train an inspector and measure it on photos that nothing was chosen on.

    Args:
        source: Folder of class folders or of split folders, CSV, IDX, zip, or a built-in name.
        recipe: A recipe, the path of one, or None for the defaults.
        out: The run's folder, new or empty; None makes one below `runs`.
        reporter: Told how far it is; None: nobody is.
        command: The command that started it, for the report.

    Returns:
        The record of the JSON contract of `train`: measures, threshold, paths of run, bundle and report.

    Raises:
        UserError: bad recipe, bad data, too few photos.
        RunError: the disk is full, or the exported network answers differently.
        RunInterrupted: Ctrl-C; the folder can be resumed.
    """
    _require_extra()
    chosen = recipe if isinstance(recipe, Recipe) else load_recipe(None if recipe is None else Path(recipe))
    chosen = settle_network_recipe(chosen)
    check_recipe(chosen)
    check_price_split(chosen)
    check_machine(chosen)
    for place in (Path("runs") if out is None else Path(out), cache_folder()):
        require_space(place, SPACE_NEEDED)
    name, reporter = stay_findable(source), SilentReporter() if reporter is None else reporter
    cache, watch = RowCache(), Stopwatch()
    photos, plan = _read(name, chosen, cache=cache, watch=watch, reporter=reporter)
    folder = create_run_folder(None if out is None else Path(out), source=name)
    command = command or f"teliti train {source}"
    folder.write_recipe(chosen)
    state = {"schema": 1, "source": name, "photos": photos.digest, "command": command, "version": __version__}
    folder.write_state({**state, "state": "started"})
    return _run(_Job(folder, photos, plan, command, cache, watch, reporter), chosen)


def resume(run: str | Path, *, reporter: Reporter | None = None) -> Record:
    """Finish an interrupted run with its own recipe; what was computed is taken from the cache.

    Args:
        run: The run's folder.
        reporter: Told how far it is.

    Returns:
        The record that the uninterrupted run would have returned. A finished run's record is read back.

    Raises:
        UserError: not a run folder, or in use by another process.
    """
    reporter = SilentReporter() if reporter is None else reporter
    folder = RunFolder(Path(run))
    state = folder.read_state()
    if state["state"] == "done":
        reporter.note("This run is finished already.")
        return dict(state["record"])
    _require_extra()
    recipe, cache, watch = folder.read_asked(), RowCache(), Stopwatch()
    try:
        photos, plan = _read(state["source"], recipe, cache=cache, watch=watch, reporter=reporter)
    except CatalogError as error:
        message = f"The photos that the run began with cannot be read: {error.message}"
        problems = error.problems and (message, *error.problems[1:])
        raise CatalogError(message, hint="Bring them back, or start a new run.", problems=problems) from error
    if photos.digest != state["photos"]:
        raise UserError(
            f'The photos of "{state["source"]}" must be those that the run began with, {what_changed(folder, photos)}.',
            hint="Bring them back as they were, or start a new run.",
        )
    return _run(_Job(folder, photos, plan, state["command"], cache, watch, reporter), recipe)


def help_train(source: str | Path, *, recipe: Recipe) -> None:
    """The part of `train` that a further process of `torchrun` has: its share of each batch. It writes nothing.

    Args:
        source: As for `train`.
        recipe: As for `train`.

    Raises:
        UserError: as `train`.
    """
    _require_extra()
    _help(stay_findable(source), settle_network_recipe(recipe))


def help_resume(run: str | Path) -> None:
    """The same for a run that goes on.

    Args:
        run: The run's folder.
    """
    folder = RunFolder(Path(run))
    state = folder.read_state()
    if state["state"] != "done":
        _require_extra()
        _help(state["source"], folder.read_asked())


def _help(source: str, asked: Recipe) -> None:
    check_recipe(asked)
    if not learns_network(asked):
        return  # features are computed once, by the first process
    watch, silent = Stopwatch(), SilentReporter()
    photos, plan = _read(source, asked, cache=RowCache(), watch=watch, reporter=silent)
    recipe, _ = resolve_data(asked, photos, plan)
    teach(recipe, photos, plan, folder=None, watch=watch, reporter=silent)


def _run(job: _Job, asked: Recipe) -> Record:
    with job.folder.locked():
        try:
            write_inputs(job.folder, job.photos, job.plan)
            recipe, positive_sentence = resolve_data(asked, job.photos, job.plan)
            _import_libraries(recipe, job.watch)
            trained, tried = _fit(recipe, job)
            state = {"positive_sentence": positive_sentence, "setups": tried, **job.folder.read_state()}
            if learns_network(asked):
                state["asked"] = recipe_values(asked)
            job.folder.write_state(state)  # a resumed run finds a resolved recipe, and here why it is so
            job.folder.write_recipe(trained.recipe)
            with job.watch.stage("export"):
                draft = pack_bundle(job.folder.new_draft(), trained)
            with job.watch.stage("parity"):
                answers = answer_measured_photos(draft, trained, reporter=job.reporter)
                job.folder.accept_draft()
            looked = look_for_evidence(job.folder.bundle, trained, watch=job.watch, reporter=job.reporter)
            price = price_by_training(trained, answers, watch=job.watch, reporter=job.reporter)
            with job.watch.stage("measure"):
                record = with_evidence(record_run(trained, answers), looked)
            record |= {} if price is None else {"split_price": price}
            record |= _about(job, trained.recipe, positive_sentence=state["positive_sentence"])
            record["history"] = {**record["history"], **({"setups": state["setups"]} if state["setups"] else {})}
            return _publish(job, trained, record, looked=looked)
        except ParityError:
            (job.folder.draft / MANIFEST).unlink(missing_ok=True)  # nobody shall inspect with it
            raise
        except KeyboardInterrupt as interruption:
            raise RunInterrupted(job.folder.path) from interruption


def _require_extra() -> None:
    for library in _NEEDED:
        if not is_installed(library):
            require(library, extra="train", purpose="train")


def _read(
    source: str, recipe: Recipe, *, cache: RowCache, watch: Stopwatch, reporter: Reporter
) -> tuple[Photos, SplitPlan]:
    """Before the run's folder is made, so that a mistake in the data leaves nothing behind."""
    threads = recipe.train.threads or default_threads()
    with watch.stage("read"):
        photos = read_photos(
            source,
            use_group=recipe.data.group,
            cache=cache,
            threads=threads,
            reporter=reporter,
            chains=[recipe_steps(recipe)],
            aside=aside_files([recipe]),
            task=recipe.data.task,
        )
    with watch.stage("split"):
        return photos, plan_split(photos, recipe)


def _import_libraries(recipe: Recipe, watch: Stopwatch) -> None:
    """Apart from the stages that use them, so that their times say what the work took."""
    engine = ("openvino",) if recipe.train.engine in {"auto", "openvino"} and is_installed("openvino") else ()
    network = filter(is_installed, ("torch", "timm")) if learns_network(recipe) else ()
    with watch.stage("imports"):
        for library in (*_IMPORTED_FIRST, *engine, *network):
            importlib.import_module(library)


def _fit(recipe: Recipe, job: _Job) -> tuple[Trained, list[Record]]:
    trial = partial(
        try_setup, photos=job.photos, plan=job.plan, cache=job.cache, watch=job.watch, reporter=job.reporter
    )
    if learns_network(recipe):
        candidate, tried = (
            learn_network(recipe, job.photos, job.plan, folder=job.folder.path, watch=job.watch, reporter=job.reporter),
            list[Record](),
        )
    elif recipe.train.mode == "auto":
        candidate, tried = fit_best_within_budget(recipe, trial, task=job.photos.catalog.task)
        job.reporter.note(why_chosen(tried))
    else:
        candidate, tried = trial(recipe), []
    if not learns_network(recipe) and recipe.decide.novelty_share > 0.0:
        with job.watch.stage("novelty"):
            novelty = learn_novelty(candidate, job.photos, job.plan, cache=job.cache, reporter=job.reporter)
        candidate = replace(candidate, fit=replace(candidate.fit, novelty=novelty))
    if recipe.train.price_split != "off":
        with job.watch.stage("split price"):
            price = (
                price_by_backbone(candidate.setup.recipe, job.photos, job.plan, reporter=job.reporter)
                if learns_network(recipe)
                else price_split(candidate, job.photos, job.plan, cache=job.cache, reporter=job.reporter)
            )
        candidate = replace(candidate, fit=replace(candidate.fit, split_price=price))
    return _decide(candidate, job, recipe=recipe), tried


def _decide(candidate: Candidate, job: _Job, *, recipe: Recipe) -> Trained:
    resolved = candidate.setup.recipe
    if recipe.train.mode == "auto":
        resolved = override_recipe(resolved, {"train": {"mode": "features"}})
    fit, targets = candidate.fit, job.photos.targets
    answers = decide_answers(
        fit.chooser_outputs, targets[fit.chooser], catalog=job.photos.catalog, recipe=resolved,
        photos=fit.chooser_name, novelty=None if fit.novelty is None else fit.novelty.chooser,
    )  # fmt: skip
    return Trained(resolved, job.photos, job.plan, candidate, answers)


def _about(job: _Job, recipe: Recipe, *, positive_sentence: str) -> Record:
    source = job.photos.catalog.source
    return {
        "title": f"Inspector for {Path(source).name or source}",
        "command": job.command,
        "positive_sentence": positive_sentence,
        "run": str(job.folder.path),
        "bundle": str(job.folder.bundle),
        "report": str(job.folder.report),
        "environment": environment_record(threads=recipe.train.threads or default_threads()),
        "recipe_toml": dump_recipe(recipe),
    }


def _publish(job: _Job, trained: Trained, record: Record, *, looked: Evidence | None) -> Record:
    with job.watch.stage("report"):
        pictures = gather_pictures(record, job.photos.samples, trained.candidate.setup.source.chain)
        if looked is not None:
            pictures = replace(pictures, evidence=[(one.name, views) for one, views in looked.views.shown()])
        record["seconds"] = job.watch.to_record()
        write_report(job.folder, record, pictures)
        write_text_atomic(job.folder.bundle / "card.md", render_card(record))
    record["seconds"] = job.watch.to_record()
    job.folder.write_record("environment.json", record["environment"])
    job.folder.write_record("history.json", record["history"])
    job.folder.write_record("metrics.json", record)
    state = job.folder.read_state()
    job.folder.write_state({**state, "state": "done", "record": record})
    return record
