"""Where the evidence of a run is: its test photos whole, by the part and by the background, where parts are known."""

from __future__ import annotations

from pathlib import Path

from teliti.metrics.evidence import CHEATING
from teliti.metrics.number_rule import NumberRule
from teliti.predictor import Predictor
from teliti.types import Catalog, Record, Reporter
from teliti.workflow.learning.evidence import MOST_LABELS, Evidence, find_evidence
from teliti.workflow.learning.trained import Trained
from teliti.workflow.shared.part_finding import way_to_parts
from teliti.workflow.shared.stopwatch import Stopwatch

MOST_PHOTOS = 200
"""Of the test part, with folds of all."""


def views_a_photo(catalog: Catalog) -> int:
    """How often each photo is asked for: whole, part and background; of several labels a background for each."""
    return 2 + (min(len(catalog.classes), MOST_LABELS) if catalog.task == "multilabel" else 1)


def look_for_evidence(bundle: Path, trained: Trained, *, watch: Stopwatch, reporter: Reporter) -> Evidence | None:
    """Evidence on the sealed photos; None where the bundle predicts numbers, or nothing says where the part is.

    With folds no photo is sealed: the shipped inspector is asked on those that it learnt from, and the record says so.

    Args:
        bundle: Of the run.
        trained: Its recipe says how parts are found.
        watch: The stage "evidence" is timed.
        reporter: Told how far it is.
    """
    if isinstance(trained.answers, NumberRule):
        return None
    samples, chain = trained.measured_samples, trained.candidate.setup.source.chain
    how = way_to_parts(trained.recipe, chain, samples)
    if how is None:
        return None
    with watch.stage("evidence"):
        predictor = Predictor.open(bundle, threads=trained.recipe.train.threads)
        learnt = trained.plan.folds is not None
        return find_evidence(predictor, samples, how, reporter=reporter, most=MOST_PHOTOS, learnt=learnt)


def with_evidence(record: Record, looked: Evidence | None) -> Record:
    """The record with what was found, and with a warning where the background alone beats chance."""
    if looked is None:
        return record
    warning = [looked.record["sentence"]] if looked.record["status"] == CHEATING else []
    return record | {"evidence": looked.record, "warnings": [*record["warnings"], *warning]}
