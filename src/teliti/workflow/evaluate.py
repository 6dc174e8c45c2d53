"""Evaluate: the measures of a saved bundle on labelled photos. Needs the base install only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from teliti import __version__
from teliti.bundle import Bundle
from teliti.data.beside import names_file
from teliti.data.catalog import read_catalog
from teliti.data.label_cells import write_label
from teliti.errors import CatalogError
from teliti.evaluation import (
    Scored,
    curves_of,
    decision_record,
    label_curves_of,
    label_mistakes_of,
    measure_classes,
    measure_found_labels,
    measure_numbers,
    mistakes_of,
    number_mistakes_of,
    score_samples,
    threshold_record,
    warnings_of,
)
from teliti.files import write_text_atomic
from teliti.metrics.answers import AnswerRule
from teliti.metrics.decision import Decision
from teliti.metrics.evidence import CHEATING
from teliti.metrics.label_decision import LabelsDecision
from teliti.metrics.number_rule import NumberRule
from teliti.predictor import Predictor
from teliti.report.evidence_page import render_evidence
from teliti.types import Catalog, Label, Record, Reporter, Sample, SilentReporter
from teliti.workflow.learning.evidence import Evidence, find_evidence
from teliti.workflow.shared.part_finding import BOXES
from teliti.workflow.shared.photos import label_matrix, leave_out_companions
from teliti.workflow.shared.run_folder import RunFolder, create_run_folder
from teliti.workflow.shared.sealed import check_labels, seen_photos, wanted_task
from teliti.workflow.shared.stopwatch import Stopwatch

EVIDENCE_PAGE = "evidence.html"
SEED = 7  # of the bootstrap intervals


def evaluate(
    bundle: str | Path,
    source: str | Path,
    *,
    out: str | Path | None = None,
    evidence: str | None = None,
    reporter: Reporter | None = None,
) -> Record:
    """Measure a bundle on labelled photos; where the source has a given test part, on that part.

    Args:
        bundle: The bundle's folder.
        source: Labelled photos: the same kinds of source as for `train`.
        out: A new folder for metrics.json, predictions.csv and refused.csv; None writes nothing.
        evidence: Also measure on part and background alone: how parts are found, see `workflow.learning.evidence`.
        reporter: Told how far it is.

    Returns:
        The record of the JSON contract of `evaluate`; `val` is None, the measures stand under `test`.

    Raises:
        BundleError: missing or damaged bundle.
        CatalogError: bad source, or labels that the bundle does not know.
    """
    reporter = SilentReporter() if reporter is None else reporter
    watch = Stopwatch()
    predictor = Predictor.open(bundle)
    catalog, answers = _read(source, predictor.bundle, reporter, evidence=evidence), predictor.bundle.answers
    looked = None if evidence is None else _look(predictor, catalog.samples, evidence, watch=watch, reporter=reporter)
    folder = None if out is None else create_run_folder(Path(out), source=str(source))
    with watch.stage("predict"):
        scored = score_samples(predictor, catalog.samples, reporter=reporter)
    refused = (*catalog.refused, *scored.refused)
    samples = [catalog.samples[index] for index in scored.used]
    if not samples:
        raise CatalogError(f'"{source}" has no usable photo.', hint="See `refused` for the reasons.")
    measured = _measure(samples, scored, answers)
    seen = sum(seen_photos(predictor.bundle, samples))
    measured["warnings"] += _more_warnings(predictor.bundle, scored, seen=seen, looked=looked)
    record: Record = {
        "schema": 1,
        "run": None if folder is None else str(folder.path),
        "bundle": str(bundle),
        "source": str(source),
        "task": predictor.bundle.task,
        **_names(answers),
        "val": None,
        "threshold": _threshold(answers),
        "refused": len(refused),
        "refused_photos": [{"path": one.name, "reason": one.reason} for one in refused],
        "seen": seen,
        "outside": scored.outside,
        "parity": None,
        **measured,
        **({} if looked is None else {"evidence": looked.record}),
        "seconds": watch.to_record(),
    }
    if folder is not None:
        _write(folder, record, _predictions(samples, scored, answers), looked=looked)
    return record


def _read(source: str | Path, bundle: Bundle, reporter: Reporter, *, evidence: str | None) -> Catalog:
    catalog = read_catalog(str(source), task=wanted_task(bundle))
    marked = [evidence] if evidence is not None and names_file(evidence) else []
    patterns = [*bundle.aside_patterns, *BOXES, *marked]
    catalog = measured_part(leave_out_companions(catalog, patterns), reporter)
    check_labels(catalog, bundle)
    return catalog


def _more_warnings(bundle: Bundle, scored: Scored, *, seen: int, looked: Evidence | None) -> list[str]:
    photos = len(scored.used)
    found = [_FLATTERS.format(seen=seen, photos=photos)] if seen else []
    found += [_outside_sentence(scored.outside, photos, bundle)] if scored.outside else []
    return found + ([looked.record["sentence"]] if looked is not None and looked.record["status"] == CHEATING else [])


_FLATTERS = (
    "{seen} of {photos} photos were used to train this bundle or to choose its threshold: these measures flatter. "
    "Evaluate on photos that it has not seen."
)


def _look(
    predictor: Predictor, samples: Sequence[Sample], how: str, *, watch: Stopwatch, reporter: Reporter
) -> Evidence:
    with watch.stage("evidence"):
        return find_evidence(predictor, samples, how, reporter=reporter)


def _outside_sentence(outside: int, photos: int, bundle: Bundle) -> str:
    reviewed = bundle.envelope is not None and bundle.envelope.action == "review"
    tail = " Predict shows them to a person; the measures here are those without." if reviewed else ""
    return (
        f"{outside} of {photos} photos lie outside the envelope of light, blur, size and scale within which the "
        f"bundle's verdicts were shown to hold.{tail}"
    )


def _write(
    folder: RunFolder, record: Record, predictions: Sequence[Sequence[object]], *, looked: Evidence | None
) -> None:
    if looked is not None:
        pictures = [(sample.name, views) for sample, views in looked.views.shown()]
        write_text_atomic(folder.path / EVIDENCE_PAGE, render_evidence(record | {"version": __version__}, pictures))
    folder.write_record("metrics.json", record)
    refused = [(one["path"], one["reason"]) for one in record["refused_photos"]]
    folder.write_table("refused.csv", ("path", "reason"), refused)
    folder.write_table("predictions.csv", ("path", "label", "predicted", "score"), predictions)


def measured_part(catalog: Catalog, reporter: Reporter) -> Catalog:
    """Of a given split the test part (without one the val part, else the train part); else the whole catalog."""
    if not catalog.has_given_split:
        return catalog
    parts = {sample.split for sample in catalog.samples}
    part = next(name for name in ("test", "val", "train") if name in parts)
    reporter.note(f"The source has a given split: measured on its {part} part.")
    return replace(catalog, samples=tuple(sample for sample in catalog.samples if sample.split == part))


def _names(answers: AnswerRule) -> Record:
    if isinstance(answers, NumberRule):
        return {"classes": [], **({"numbers": list(answers.names)} if answers.names else {}), "positive": None}
    return {"classes": list(answers.classes), "positive": answers.positive}


def _measure(samples: Sequence[Sample], scored: Scored, answers: AnswerRule) -> Record:
    if isinstance(answers, NumberRule):
        return _numbers(samples, scored, answers)
    if isinstance(answers, LabelsDecision):
        return _labels(samples, scored, answers)
    return _classes(samples, scored, answers)


def _labels(samples: Sequence[Sample], scored: Scored, decision: LabelsDecision) -> Record:
    targets = label_matrix([sample.class_names for sample in samples], decision.classes)
    preds = decision.labels(scored.outputs)
    return {
        "test": measure_found_labels(targets, scored.outputs, preds, decision=decision, seed=SEED),
        "curves": label_curves_of(targets, scored.outputs, decision=decision),
        "mistakes": label_mistakes_of(samples, targets, scored.outputs, preds=preds, decision=decision),
        "warnings": [],
    }


def _classes(samples: Sequence[Sample], scored: Scored, decision: Decision) -> Record:
    index = {name: number for number, name in enumerate(decision.classes)}
    labels = np.array([index[str(sample.label)] for sample in samples], dtype=np.int64)
    preds = decision.labels(scored.outputs)
    test = measure_classes(labels, scored.outputs, preds, decision=decision, seed=SEED)
    return {
        "test": test,
        "curves": curves_of(labels, scored.outputs, decision=decision),
        "decision": decision_record(labels, scored.outputs, novelty=scored.novelty, decision=decision, seed=SEED),
        "mistakes": mistakes_of(samples, labels, scored.outputs, preds=preds, decision=decision),
        "warnings": warnings_of(test),
    }


def _numbers(samples: Sequence[Sample], scored: Scored, rule: NumberRule) -> Record:
    numbers = np.array([sample.numbers for sample in samples])
    targets, preds = rule.labels(numbers), rule.labels(scored.outputs)
    return {
        "test": measure_numbers(targets, preds, seed=SEED, rule=rule),
        "mistakes": number_mistakes_of(samples, targets, preds, rule=rule),
        "warnings": [],
    }


def _predictions(samples: Sequence[Sample], scored: Scored, answers: AnswerRule) -> list[tuple[object, ...]]:
    """One row a photo: name, label, prediction, score; several labels or numbers as in a label file."""
    outputs = scored.outputs
    scores: list[float | None]
    predicted: list[Label]
    if isinstance(answers, NumberRule):
        predicted = [tuple(row.tolist()) if answers.names else float(row[0]) for row in outputs]
        scores = [None if answers.names else float(row[0]) for row in outputs]
    elif isinstance(answers, LabelsDecision):
        predicted = [one.labels or () for one in answers.judge(outputs)]
        scores = answers.score(outputs).tolist()
    else:
        predicted = [answers.classes[label] for label in answers.labels(outputs)]
        scores = answers.score(outputs).tolist()
    rows = zip(samples, predicted, scores, strict=True)
    return [(sample.name, _cell(sample.label), _cell(label), score) for sample, label, score in rows]


def _cell(label: Label | None) -> object:
    return write_label(label) if isinstance(label, tuple) else label


def _threshold(answers: AnswerRule) -> Record:
    return threshold_record(answers) if isinstance(answers, Decision) else answers.threshold_record()
