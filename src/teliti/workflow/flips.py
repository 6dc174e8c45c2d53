"""Compare two bundles: exactly which photos change their verdict, and whether the new one is worse.

Both are asked about the same photos, each through its own prepare steps. Without labels the changes alone are told;
with labels also which of them are for the better, what the difference proves, and what it costs on the line.
Variants of a recipe that are still to be trained are compared elsewhere, in `compare_variants`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from teliti import __version__
from teliti.data.beside import without_companions
from teliti.data.label_cells import write_label
from teliti.errors import CatalogError, PhotoRefused, UserError
from teliti.files import write_json_atomic, write_text_atomic
from teliti.metrics.answers import AnswerRule
from teliti.metrics.decision import Decision
from teliti.metrics.label_decision import LabelsDecision
from teliti.metrics.line import Line
from teliti.metrics.number_rule import NumberRule
from teliti.predictor import Predictor
from teliti.recipe import parse_recipe
from teliti.report.flips_page import render_flips, shown_photos
from teliti.types import Catalog, Record, Reporter, Sample, SilentReporter, Task
from teliti.workflow.changes.kinds import KINDS, REFUSED, Truth, kind_of, sort_flips
from teliti.workflow.changes.numbers import judge_worse_numbers, say_number_flips, sum_number_flips
from teliti.workflow.changes.sums import Answer, Both, judge_worse, say_flips, sum_flips
from teliti.workflow.checks.pictures import shrink_photos
from teliti.workflow.evaluate import measured_part
from teliti.workflow.shared.run_folder import RunFolder
from teliti.workflow.shared.samples import read_samples
from teliti.workflow.shared.sealed import check_labels, seen_photos, wanted_task
from teliti.workflow.shared.stopwatch import Stopwatch
from teliti.workflow.shared.tolerances import check_tolerance

REPORT, TABLE, RECORD = "compare.html", "flips.csv", "compare.json"
_COLUMNS = ("path", "label", "kind", "tested", "old_verdict", "new_verdict", "old_score", "new_score", "old_reasons",
            "new_reasons")  # fmt: skip


def compare(
    old: str | Path,
    new: str | Path,
    source: str | Path,
    *,
    labels: bool = True,
    decide: Mapping[str, Any] | None = None,
    tolerance: float | Mapping[str, float] | None = None,
    out: str | Path | None = None,
    reporter: Reporter | None = None,
) -> Record:
    """Ask two bundles about the same photos and list those whose verdict changes.

    Args:
        old: The bundle in use.
        new: The one that shall take its place.
        source: Photos, with or without labels; of a given split its test part.
        labels: False: the photos are taken without labels, whatever their folders are called.
        decide: `cost`, `defect_rate` and `per_day` as in the recipe's [decide]; None takes those of the new bundle, or
            of the old one.
        tolerance: Of bundles that predict numbers: how far a number may move, of several by name; None: the mean
            absolute error of the old one, without labels a tenth of the spread of its answers.
        out: A folder for compare.html, flips.csv and compare.json; None writes nothing.
        reporter: Told how far it is.

    Returns:
        {"schema", "old", "new", "task", "classes", "photos", "labelled", "refused", "seen", "tested", "same",
        "flips", "directions", "kinds", "errors", "missed", "false_alarms", "cost", "worse", "sentences", "seconds"};
        what needs labels is None without them. Of bundles with several labels a photo `labels` tells the changes of
        each; of those that predict numbers `tolerance` and `amounts` stand in the place of verdicts and their errors.

    Raises:
        BundleError: a missing or damaged bundle.
        UserError: bundles whose verdicts cannot be compared, or photos with labels that they do not know.
    """
    reporter, watch = reporter or SilentReporter(), Stopwatch()
    line = _line_of(decide)
    pair = Predictor.open(old), Predictor.open(new)
    truth, rule = _common_truth(*(one.bundle.answers for one in pair)), pair[1].bundle.answers
    check_tolerance(tolerance, rule)
    catalog = _read(str(source), pair, labels=labels, reporter=reporter)
    with watch.stage("predict"):
        answers = [_answer(one, catalog.samples, reporter) for one in pair]
    both = _pair_up(catalog, answers, pair, truth=truth)
    if not both.samples:
        raise CatalogError(f'"{source}" has no usable photo.', hint="Give photos in JPEG, PNG, BMP, TIFF or WebP.")
    record: Record = {"schema": 1, "version": __version__, "old": str(old), "new": str(new), "source": str(source)}
    record |= _describe(both, catalog, task=pair[0].bundle.task)
    if isinstance(rule, NumberRule):
        record |= sum_number_flips(both, rule, tolerance=tolerance)
        record["worse"], say = judge_worse_numbers(record), say_number_flips
    else:
        record |= sum_flips(both, flips := _list_flips(both), line=line or _line_of_bundles(pair)) | {"flips": flips}
        record["worse"], say = judge_worse(record), say_flips
    record["sentences"] = say(record)
    return _keep(record, both.samples, out=None if out is None else Path(out), watch=watch)


def _keep(record: Record, samples: Sequence[Sample], *, out: Path | None, watch: Stopwatch) -> Record:
    """The record with its times, and its files where they are wanted."""
    if out is not None:
        with watch.stage("report"):
            _write(out, record, samples)
    record["seconds"] = watch.to_record()
    if out is not None:
        write_json_atomic(out / RECORD, record)
    return record


def _describe(both: Both, catalog: Catalog, *, task: Task) -> Record:
    """What was asked."""
    return {
        "task": task,
        "classes": list(both.truth.classes),
        "has_verdicts": both.truth.has_verdicts,
        "photos": len(both.samples),
        "labelled": both.is_labelled,
        "refused": len(catalog.refused) + len(catalog.samples) - len(both.samples),
        "seen": {"old": sum(both.seen_old), "new": sum(both.seen_new)},
    }


def _line_of(decide: Mapping[str, Any] | None) -> Line | None:
    return Line.of(parse_recipe({"decide": dict(decide)}).decide) if decide else None


def _line_of_bundles(pair: Sequence[Predictor]) -> Line | None:
    for one in reversed(pair):
        answers = one.bundle.answers
        written = answers.evidence.get("line") if isinstance(answers, Decision) else None
        if written:
            return Line.from_record(written)
    return None


_GIVES: Mapping[type, str] = {Decision: "a class", LabelsDecision: "labels", NumberRule: "numbers"}


def _common_truth(old: AnswerRule, new: AnswerRule) -> Truth:
    """What verdicts mean, where both bundles mean the same by them."""
    if isinstance(old, NumberRule) and isinstance(new, NumberRule):
        if old.names != new.names:
            names = " and ".join(", ".join(one.names) or "one without a name" for one in (old, new))
            raise UserError(
                f"Bundles to compare must predict the same numbers, got {names}.",
                hint="Train both on the same columns of numbers.",
            )
        return Truth((), frozenset(), has_verdicts=False)
    if isinstance(old, NumberRule) or isinstance(new, NumberRule) or type(old) is not type(new):
        kinds = " and ".join(_GIVES[type(one)] for one in (old, new))
        raise UserError(
            f"Bundles to compare must both give a class, labels, or numbers of a photo, got {kinds}.",
            hint="Measure both with `teliti evaluate`.",
        )
    if set(old.classes) != set(new.classes):
        only_old, only_new = sorted(set(old.classes) - set(new.classes)), sorted(set(new.classes) - set(old.classes))
        said = [f"only {which}: {', '.join(names)}" for which, names in (("OLD", only_old), ("NEW", only_new)) if names]
        raise UserError(
            f"Bundles to compare must have the same classes, got {'; '.join(said)}.",
            hint="Train both on labels of the same names.",
        )
    mine, other = Truth.of(old), Truth.of(new)
    if (mine.rejects, mine.has_verdicts) != (other.rejects, other.has_verdicts):
        raise UserError(
            f"Bundles to compare must reject the same classes, got {_listed(mine)} and {_listed(other)}.",
            hint="Train both with the same data.positive and data.pass.",
        )
    return mine


def _listed(truth: Truth) -> str:
    return ", ".join(sorted(truth.rejects)) if truth.has_verdicts else "none"


def _read(source: str, pair: Sequence[Predictor], *, labels: bool, reporter: Reporter) -> Catalog:
    """The photos, without those that lie beside others as their masks."""
    needed = [pattern for one in pair for pattern in one.bundle.chain.beside_patterns]
    catalog = read_samples(source, needed, task=wanted_task(pair[1].bundle))
    aside = [pattern for one in pair for pattern in one.bundle.aside_patterns]
    samples, _ = without_companions(catalog.samples, aside)
    catalog = measured_part(replace(catalog, samples=tuple(samples)), reporter)
    for note in catalog.notes:
        reporter.note(note)
    if not labels or not _has_labels(catalog):
        return replace(catalog, samples=tuple(replace(sample, label=None) for sample in catalog.samples))
    used = {name for sample in catalog.samples for name in sample.class_names}
    catalog = replace(catalog, classes=tuple(name for name in catalog.classes if name in used))
    try:
        check_labels(catalog, pair[1].bundle)
    except CatalogError as error:
        hint = f"{error.hint} Or compare the verdicts alone, with --no-labels."
        raise CatalogError(error.message, hint=hint) from error
    return catalog


def _has_labels(catalog: Catalog) -> bool:
    return any(sample.label is not None for sample in catalog.samples)


def _answer(predictor: Predictor, samples: Sequence[Sample], reporter: Reporter) -> list[Answer]:
    return [answer for _, answer in predictor.predict_samples(samples, reporter=reporter)]


def _pair_up(catalog: Catalog, answers: Sequence[Sequence[Answer]], pair: Sequence[Predictor], *, truth: Truth) -> Both:
    """Photos that at least one bundle can read, with what each says of them."""
    rows = [
        (sample, old, new)
        for sample, old, new in zip(catalog.samples, *answers, strict=True)
        if not (isinstance(old, PhotoRefused) and isinstance(new, PhotoRefused))
    ]
    samples, old, new = (tuple(column) for column in zip(*rows, strict=True)) if rows else ((), (), ())
    seen_old, seen_new = (tuple(seen_photos(one.bundle, samples)) for one in pair)
    return Both(samples, old, new, truth, seen_old, seen_new, is_labelled=_has_labels(catalog))


def _list_flips(both: Both) -> list[Record]:
    rows = []
    for sample, old, new, tested in zip(both.samples, both.old, both.new, both.tested(), strict=True):
        before, after = _said(old), _said(new)
        if (before["verdict"], before.get("labels")) == (after["verdict"], after.get("labels")):
            continue
        kind = kind_of(sample, before["verdict"], after["verdict"], truth=both.truth) if both.is_labelled else None
        label = list(sample.label) if isinstance(sample.label, tuple) else sample.label
        rows.append({
            "path": sample.name, "label": label, "kind": kind, "tested": tested, "old": before, "new": after
        })  # fmt: skip
    return sort_flips(rows)


def _said(answer: Answer) -> Record:
    if isinstance(answer, PhotoRefused):
        return {"verdict": REFUSED, "score": None, "reasons": [answer.reason]}
    labels = {} if answer.labels is None else {"labels": list(answer.labels)}
    return {"verdict": answer.verdict, "score": answer.score, **labels, "reasons": list(answer.reasons)}


def _write(folder: Path, record: Record, samples: Sequence[Sample]) -> None:
    record["report"], record["table"] = str(folder / REPORT), str(folder / TABLE)
    by_name = {sample.name: sample for sample in samples}
    pictures = shrink_photos([by_name[path] for path in shown_photos(record)])
    write_text_atomic(folder / REPORT, render_flips(record, pictures, KINDS))
    RunFolder(folder).write_table(TABLE, _COLUMNS, [_row(one) for one in record["flips"]])


def _row(flip: Record) -> list[object]:
    old, new = flip["old"], flip["new"]
    label = write_label(tuple(flip["label"])) if isinstance(flip["label"], list) else flip["label"]
    said = (old["verdict"], new["verdict"], old["score"], new["score"])
    return [
        flip["path"],
        label,
        flip["kind"],
        flip["tested"],
        *said,
        "; ".join(old["reasons"]),
        "; ".join(new["reasons"]),
    ]
