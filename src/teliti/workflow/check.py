"""Check: what is wrong with the photos and labels, before anything is trained. `check` reads like its contents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from teliti import __version__
from teliti.cache import RowCache
from teliti.data.beside import names_file
from teliti.data.duplicates import DuplicatePair
from teliti.data.findings import Finding, sort_findings, summarise_findings
from teliti.data.oddities import find_odd_photos
from teliti.data.set_findings import find_class_sizes, find_copies, find_group_leaks, find_unused
from teliti.data.small_defects import find_small_marked_defects
from teliti.errors import UserError
from teliti.files import write_json_atomic, write_text_atomic
from teliti.recipe import Recipe, load_recipe
from teliti.report.check_page import render_check
from teliti.runtime import default_threads
from teliti.types import Record, Reporter, Sample, SilentReporter
from teliti.workflow.checks.curve import learning_curve, price_of_split
from teliti.workflow.checks.features import (
    choose_from_pool,
    describe_set,
    fit_heads,
    gather_features,
    has_folds,
    judge_labels,
    mean_probs,
    why_no_features,
)
from teliti.workflow.checks.files import apply_fixes, check_target, write_findings
from teliti.workflow.checks.photos import Examined, examine, find_pairs, read_for_check
from teliti.workflow.checks.pictures import gather_check_pictures
from teliti.workflow.checks.properties import find_shortcuts
from teliti.workflow.shared.part_finding import way_to_parts
from teliti.workflow.shared.samples import read_own_photos
from teliti.workflow.shared.setup import auto_image_size, recipe_steps
from teliti.workflow.shared.stopwatch import Stopwatch

REPORT, TABLE, RECORD = "check.html", "findings.csv", "check.json"
POOL_COUNT = 20
MOST_POOL = 1000


@dataclass(frozen=True)
class _Job:
    """What every stage of one check shares."""

    recipe: Recipe
    cache: RowCache
    watch: Stopwatch
    reporter: Reporter

    @property
    def threads(self) -> int:
        return self.recipe.train.threads or default_threads()


def check(
    source: str | Path,
    *,
    recipe: Recipe | str | Path | None = None,
    out: str | Path | None = None,
    features: bool | None = None,
    pool: str | Path | None = None,
    pool_count: int = POOL_COUNT,
    masks: Sequence[str] = (),
    reporter: Reporter | None = None,
) -> Record:
    """Look for what would spoil a training, or the numbers about it.

    Args:
        source: As for `train`; a folder or zip may also be without labels.
        recipe: Names input size, masks and backbone; None for the defaults.
        out: A folder for check.html, findings.csv and check.json; None writes nothing.
        features: Whether features are computed; None: where the extra train is installed and the set is not large.
        pool: A folder or zip of unlabelled photos, to say which of them to label next.
        pool_count: How many of them.
        masks: Name patterns of masks beside the photos, or of Pascal VOC's boxes (.xml), beside those of the recipe and
            boxes named like the photos.
        reporter: Told how far it is; None: nobody is.

    Returns:
        The record of the JSON contract of `check`.

    Raises:
        UserError: bad recipe, no photos there, or a pool without features.
        StorageError: the disk is full.
    """
    if not 1 <= pool_count <= MOST_POOL:
        raise UserError(f"The number of photos to choose must be 1 to {MOST_POOL}, got {pool_count}.")
    chosen = recipe if isinstance(recipe, Recipe) else load_recipe(None if recipe is None else Path(recipe))
    job = _Job(chosen, RowCache(), Stopwatch(), reporter or SilentReporter())
    with job.watch.stage("read"):
        catalog, findings = read_for_check(str(source), chosen, masks=masks)
        wants = features is not False and len(catalog.samples) > 0
        examined = examine(catalog, cache=job.cache, threads=job.threads, reporter=job.reporter, keep_pixels=wants)
    for note in catalog.notes:
        job.reporter.note(note)
    with job.watch.stage("duplicates"):
        pairs = find_pairs(examined, job.reporter)
    findings += _judge_photos(examined, pairs, _marks(examined.samples, chosen, masks), job=job)
    record = _begin(examined)
    if examined.is_labelled:
        with job.watch.stage("properties"):
            record["properties"], found = find_shortcuts(examined, seed=chosen.seed, reporter=job.reporter)
        findings += found
    reason = why_no_features(examined, chosen, asked=features)
    if pool is not None and reason is not None:
        raise UserError(f"--pool needs features, and there are none: {reason}.", hint="Leave --pool out.")
    record["features"] = {"computed": reason is None, "reason": reason}
    if reason is None:
        more, found = _judge_features(examined, pairs, pool=pool, pool_count=pool_count, job=job)
        record |= more
        findings += found
    elif features is not False:
        job.reporter.note(f"Features are left out: {reason}.")
    return _publish(record, findings, examined, out=None if out is None else Path(out), job=job)


def clean(source: str | Path, *, fixes: str | Path, out: str | Path, recipe: Recipe | None = None) -> Record:
    """Write a label file with the decisions of `fixes` carried out, for `train` to read.

    Args:
        source: What was checked.
        fixes: The findings.csv of a check with actions filled in, or any file with its columns path, action, label.
        out: The label file to write, in the folder of the photos or above it.
        recipe: Names masks, which are no photos.

    Returns:
        {"schema", "source", "fixes", "cleaned", "photos", "excluded", "relabelled"}.

    Raises:
        CatalogError: wrong rows; `problems` has every one.
        UserError: a place that cannot hold the file.
    """
    check_target(Path(out))
    catalog = read_own_photos(str(source), recipe or load_recipe(None))
    if catalog.task == "multilabel" or catalog.number_names:
        raise UserError(
            f'"{source}" has several labels or numbers a photo, and a fix names one.',
            hint="Correct the label file itself, and take the photos to leave out from it.",
        )
    if not catalog.classes and catalog.task == "classification":
        raise UserError(f'"{source}" must have labels to be cleaned, got none.', hint="Label the photos first.")
    return apply_fixes(catalog, Path(fixes), Path(out))


def _marks(samples: Sequence[Sample], recipe: Recipe, masks: Sequence[str]) -> tuple[str, ...]:
    """Name patterns of the files that mark defects: named here, by the recipe, or boxes found beside the photos."""
    steps = recipe_steps(recipe)
    found = way_to_parts(recipe, steps, samples)
    patterns = [*steps.beside_patterns, *masks, *([found] if found is not None and names_file(found) else [])]
    return tuple(dict.fromkeys(patterns))


def _judge_photos(
    examined: Examined, pairs: Sequence[DuplicatePair], patterns: Sequence[str], *, job: _Job
) -> list[Finding]:
    findings = [
        *find_unused(examined.refused),
        *find_odd_photos(examined.names, examined.healths),
        *find_copies(examined.samples, pairs),
        *find_group_leaks(examined.samples),
        *find_class_sizes(examined.samples),
    ]
    sizes = examined.healths.sizes() if patterns else []
    for pattern in patterns if sizes else ():
        image_size = auto_image_size(job.recipe, sizes)
        findings += find_small_marked_defects(
            examined.samples, sizes, pattern, image_size=image_size, threads=job.threads
        )
    return findings


def _judge_features(
    examined: Examined, pairs: Sequence[DuplicatePair], *, pool: str | Path | None, pool_count: int, job: _Job
) -> tuple[Record, list[Finding]]:
    seed, reporter = job.recipe.seed, job.reporter
    with job.watch.stage("features"):
        known = gather_features(examined, examined.groups(pairs), job.recipe, cache=job.cache, reporter=reporter)
    with job.watch.stage("map"):
        record, findings = describe_set(known, seed=seed, reporter=reporter)
    heads = []
    if has_folds(known):
        with job.watch.stage("labels"):
            heads = fit_heads(known, seed=seed, reporter=reporter)
            findings += judge_labels(known, mean_probs([head.oof_logits for head in heads]))
        with job.watch.stage("curve"):
            record["learning_curve"], found = learning_curve(known, heads[0], seed=seed, reporter=reporter)
            record["split_price"], priced = price_of_split(known, heads[0], seed=seed, reporter=reporter)
            findings += [*found, *priced]
    elif examined.is_labelled:
        reporter.note("Label errors and the learning curve are left out: a class has fewer than 2 separate photos.")
    if pool is not None:
        with job.watch.stage("pool"):
            findings += choose_from_pool(str(pool), known, heads, count=pool_count, cache=job.cache, reporter=reporter)
    return record, findings


def _begin(examined: Examined) -> Record:
    counts = dict.fromkeys(examined.catalog.classes, 0)
    for sample in examined.samples:
        if sample.label in counts:
            counts[str(sample.label)] += 1
    return {
        "schema": 1,
        "version": __version__,
        "source": examined.catalog.source,
        "task": examined.catalog.task,
        "photos": len(examined.samples),
        "refused": len(examined.refused),
        "classes": counts,
    }


def _publish(record: Record, findings: list[Finding], examined: Examined, *, out: Path | None, job: _Job) -> Record:
    ordered = sort_findings(findings)
    record["summary"] = summarise_findings(ordered)
    record["findings"] = [one.to_record() for one in ordered]
    if out is not None:
        with job.watch.stage("report"):
            record["report"], record["table"] = str(out / REPORT), str(out / TABLE)
            pictures = gather_check_pictures(record, examined.samples)
            write_text_atomic(out / REPORT, render_check(record, pictures))
            write_findings(out / TABLE, ordered)
    record["seconds"] = job.watch.to_record()
    if out is not None:
        write_json_atomic(out / RECORD, record)
    return record
