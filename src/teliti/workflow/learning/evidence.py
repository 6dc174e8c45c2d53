"""Where the evidence is: the same photos whole, without their background, and without their part.

What is shown is made in `evidence_views`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from teliti.data.decoded import DecodedPhotos, read_photo
from teliti.data.loading import map_ahead
from teliti.errors import PhotoRefused, UserError
from teliti.metrics.decision import Decision
from teliti.metrics.evidence import (
    CHEATING,
    HIDDEN,
    UNKNOWN,
    judge_views,
    labels_by_background,
    measure_labels_view,
    measure_view,
)
from teliti.metrics.label_decision import LabelsDecision
from teliti.metrics.number_rule import NumberRule
from teliti.predictor import Predictor
from teliti.report.evidence_words import evidence_sentence, say_area
from teliti.types import FloatArray, Record, Reporter, Sample, UInt8Image
from teliti.workflow.learning.evidence_views import SEED, View, Views
from teliti.workflow.shared.part_finding import FindPart, hiding_step, part_finder
from teliti.workflow.shared.sealed import even_choice

MOST_PHOTOS = 400
_LEAST_LEFT = 0.05  # share of the photo that must stay when the parts are covered
_FEWEST = 8  # photos of a class
_LOOKED_AT = 40
MOST_LABELS = 8  # each takes a background of its own


@dataclass(frozen=True)
class Evidence:
    """What was found, and what the net was shown.

    Attributes:
        record: {"how", "photos", "left_out", "status", "why_unknown", "views", "hidden_by", "sentence"}; of labels also
            "labels" that were judged, those "not_judged", and those told "by_background"; "learnt" where the
            photos were trained on.
        views: The photos.
    """

    record: Record
    views: Views


def find_evidence(
    predictor: Predictor,
    samples: Sequence[Sample],
    how: str,
    *,
    reporter: Reporter,
    most: int = MOST_PHOTOS,
    learnt: bool = False,
) -> Evidence:
    """Measure a bundle on whole photos, on their parts and on their backgrounds.

    Args:
        predictor: Of classes or labels.
        samples: Labelled photos.
        how: otsu, kmeans, watershed or grabcut find the part; a name pattern with {stem} names the mask, or the .xml
            file with boxes, beside each photo.
        reporter: Told how far it is.
        most: Photos at most, spread evenly.
        learnt: The photos were trained on: a background that tells something could be memory, and nothing is judged.

    Raises:
        UserError: a bundle of another task, or a way to find parts that does not exist.
    """
    decision = predictor.bundle.answers
    if isinstance(decision, NumberRule):
        raise UserError(
            f'"{predictor.bundle.path}" must tell classes or labels for --evidence, and it predicts numbers.',
            hint="Evaluate it without --evidence.",
        )
    find, hidden = part_finder(how, predictor.bundle.chain), hiding_step(predictor.bundle.chain)
    if hidden is not None:
        return _hidden(how, hidden)
    chosen = even_choice(samples, most=most)
    views = _find_parts(chosen, find, decision, threads=predictor.threads, reporter=reporter)
    record: Record = {"how": how, "photos": len(views.samples), "left_out": len(chosen) - len(views.samples)}
    judged = _judged(views)
    why = _why_unknown(views, judged, decision.classes)
    measured: dict[str, Record] = {}
    if why is None:
        measured = {
            view: _measure(predictor, views, view, decision=decision, judged=judged, reporter=reporter)
            for view in get_args(View)
        }
        why = _why_untold(measured, learnt=learnt)
    record |= {"status": UNKNOWN if why else judge_views(measured), "why_unknown": why, "views": measured}
    record |= {"hidden_by": None} | ({"learnt": True} if learnt else {})
    if views.has_several:
        names = [name for name, is_judged in zip(decision.classes, judged, strict=True) if is_judged]
        told = labels_by_background(measured.get("background", {}))
        record |= {
            "labels": names, "not_judged": [name for name in decision.classes if name not in names],
            "by_background": [row["label"] for row in told],
        }  # fmt: skip
    record["sentence"] = evidence_sentence(record)
    return Evidence(record, views)


def _hidden(how: str, step: str) -> Evidence:
    """Evidence that no photo need be asked for: a prepare step covers the background."""
    record: Record = {"how": how, "photos": 0, "left_out": 0, "status": HIDDEN, "why_unknown": None, "views": {}}
    record["hidden_by"] = step
    record["sentence"] = evidence_sentence(record)
    return Evidence(record, Views((), np.zeros((0, 0), bool), has_several=False, masks=(), decoded=DecodedPhotos()))


def _find_parts(
    samples: Sequence[Sample],
    find: FindPart,
    decision: Decision | LabelsDecision,
    *,
    threads: int,
    reporter: Reporter,
) -> Views:
    decoded = DecodedPhotos()

    def look(sample: Sample) -> UInt8Image | None:
        try:
            photo = read_photo(sample)
            mask = find(sample, photo)
        except PhotoRefused:
            return None
        decoded.keep(sample.name, photo)
        return mask

    used, masks = [], []
    with reporter.task("Finding parts", len(samples)) as advance:
        for sample, mask in zip(samples, map_ahead(look, samples, threads=threads), strict=True):
            advance(1)
            if mask is not None:
                used.append(sample)
                masks.append(mask)
    members = [[name in sample.class_names for name in decision.classes] for sample in used]
    shape = (len(used), len(decision.classes))
    has_several = isinstance(decision, LabelsDecision)
    return Views(tuple(used), np.array(members, dtype=bool).reshape(shape), has_several, tuple(masks), decoded)


def _judged(views: Views) -> NDArray[np.bool_]:
    """(K,) True for what enough photos are of; of labels also enough without, and the most evenly spread ones."""
    counts = views.members.sum(axis=0)
    if not views.has_several:
        return np.asarray(counts >= _FEWEST)
    fewest = np.minimum(counts, len(views.members) - counts)
    ranks = np.argsort(np.argsort(-fewest, kind="stable"))
    return np.asarray((fewest >= _FEWEST) & (ranks < MOST_LABELS))


def _why_unknown(views: Views, judged: NDArray[np.bool_], names: Sequence[str]) -> str | None:
    counts = views.members.sum(axis=0).tolist()
    few = [f'{count} of "{name}"' for name, count, enough in zip(names, counts, judged, strict=True) if not enough]
    if few and not (views.has_several and judged.any()):
        return f"part and background can be told apart on too few photos ({', '.join(few)})"
    if not any(mask.any() for mask in views.masks):
        return "no photo has a part marked"
    looked_at = range(0, len(views.samples), max(1, len(views.samples) // _LOOKED_AT))
    covered = [(views.hole(at, views.decoded.read(views.samples[at])) > 0).mean() for at in looked_at]
    if 1.0 - float(np.mean(covered)) < _LEAST_LEFT:
        return "the parts fill the photos, or lie anywhere on them, and leave no background"
    return None


def _why_untold(measured: dict[str, Record], *, learnt: bool) -> str | None:
    """Why nothing can be said after all."""
    status = judge_views(measured)
    if status == UNKNOWN:
        return "the whole photos are not shown to beat chance either"
    if learnt and status == CHEATING:
        background = say_area(measured["background"])
        return (
            f"by the background alone ROC AUC is {background}, but with folds the shipped inspector has learnt from "
            "every photo, so that this can be memory; teliti evaluate BUNDLE DATA --evidence judges it on new ones"
        )
    return None


def _measure(
    predictor: Predictor,
    views: Views,
    view: View,
    *,
    decision: Decision | LabelsDecision,
    judged: NDArray[np.bool_],
    reporter: Reporter,
) -> Record:
    def ask(label: int | None = None) -> FloatArray:
        """(N, K) probabilities; NaN of a photo that is refused."""
        probs = np.full(views.members.shape, np.nan)
        answers = predictor.predict_samples(
            views.samples, reporter=reporter, read=lambda sample: views.show(numbers[sample.name], view, label=label)
        )
        for index, answer in answers:
            if not isinstance(answer, PhotoRefused):
                probs[index] = list(answer.probs.values())
        return probs

    numbers = {sample.name: number for number, sample in enumerate(views.samples)}
    if isinstance(decision, LabelsDecision):
        asked = np.flatnonzero(judged).tolist()
        each = np.stack([ask(k)[:, k] for k in asked], axis=1) if view == "background" else ask()[:, asked]
        used = np.isfinite(each).all(axis=1)
        targets = views.members[used][:, asked].astype(np.int64)
        return measure_labels_view(targets, each[used], names=[decision.classes[k] for k in asked], seed=SEED)
    probs = ask()
    used = np.isfinite(probs).all(axis=1)
    positive = None if decision.positive is None else decision.classes.index(decision.positive)
    return measure_view(views.members[used].argmax(axis=1), probs[used], positive=positive, seed=SEED)
