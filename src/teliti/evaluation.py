"""Predictor + photos + metrics to records: measures, curves, mistakes. The same for training and for new photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from teliti.errors import PhotoRefused
from teliti.metrics.automatic import economy, three_verdicts
from teliti.metrics.classification import accuracy_flatters, measure
from teliti.metrics.curves import curve_record, score_histogram
from teliti.metrics.decision import Decision
from teliti.metrics.explorer import explore
from teliti.metrics.label_decision import LabelsDecision
from teliti.metrics.line import Line
from teliti.metrics.multilabel import measure_labels, measure_verdicts
from teliti.metrics.number_rule import ONE_NUMBER, NumberRule, deviations
from teliti.metrics.regression import measure_regression, measure_several
from teliti.metrics.reliability import reliability
from teliti.predictor import Predictor
from teliti.types import FloatArray, IntArray, Prediction, Record, Refused, Reporter, Sample

MAX_MISTAKES = 24
_SCATTER_POINTS = 2000


@dataclass(frozen=True)
class Scored:
    """A predictor's answers for samples.

    Attributes:
        outputs: (N, K) probabilities or numbers, of the photos that could be used.
        used: Index into the samples of each row of `outputs`.
        refused: Photos that could not be used.
        novelty: (N,) how unlike the training photos each is; None where the bundle does not tell it.
        outside: How many of them lie outside the bundle's envelope; None where it keeps none.
    """

    outputs: NDArray[np.float32]
    used: IntArray
    refused: tuple[Refused, ...]
    novelty: NDArray[np.float64] | None = None
    outside: int | None = None


def score_samples(predictor: Predictor, samples: Sequence[Sample], *, reporter: Reporter) -> Scored:
    """Run the predictor over samples and keep the numbers."""
    rows: list[list[float]] = []
    strange: list[float] = []
    warned: list[bool] = []
    used: list[int] = []
    refused: list[Refused] = []
    for index, answer in predictor.predict_samples(samples, reporter=reporter):
        if isinstance(answer, PhotoRefused):
            refused.append(Refused(samples[index].name, answer.reason))
        else:
            used.append(index)
            rows.append(_numbers(answer))
            strange += [] if answer.novelty is None else [answer.novelty]
            warned += [bool(answer.warnings)] if answer.conditions else []
    novelty = np.array(strange) if strange else None
    outside = sum(warned) if warned else None
    return Scored(np.array(rows, dtype=np.float32), np.array(used, dtype=np.int64), tuple(refused), novelty, outside)


def measure_classes(labels: IntArray, probs: FloatArray, preds: IntArray, *, decision: Decision, seed: int) -> Record:
    """The measures of a classification, per class and overall, as in the contract of `train` and `evaluate`.

    Args:
        labels: (N,) int, true class index.
        probs: (N, K) float, class probabilities.
        preds: (N,) int, class index at the verdict's threshold.
        decision: Names the classes and the positive one.
        seed: For the bootstrap intervals.
    """
    positive = None if decision.positive is None else decision.classes.index(decision.positive)
    record = measure(labels, probs, preds, positive=positive, seed=seed)
    record["per_class"] = [{"class": decision.classes[row["class_index"]], **row} for row in record["per_class"]]
    return record


def measure_numbers(targets: FloatArray, preds: FloatArray, *, seed: int, rule: NumberRule = ONE_NUMBER) -> Record:
    """The measures of a regression; both (N,) float, or (N, K) where the rule names several numbers."""
    if rule.names:
        return measure_several(targets, preds, names=rule.names, seed=seed)
    return measure_regression(targets, preds, seed=seed)


def measure_found_labels(
    targets: IntArray, probs: FloatArray, preds: IntArray, *, decision: LabelsDecision, seed: int
) -> Record:
    """The measures of a set whose photos may have several labels, and under `verdicts` those of pass and reject.

    Args:
        targets: (N, K) of 0 and 1, labels that are there.
        probs: (N, K) float.
        preds: (N, K) of 0 and 1, labels found.
        decision: Names the labels and those that are rejected.
        seed: For the bootstrap intervals.
    """
    record = measure_labels(targets, probs, preds, names=decision.classes, seed=seed)
    rejects = list(decision.reject_indices)
    if rejects:
        is_bad, is_rejected = (np.asarray(rows[:, rejects] > 0).any(axis=1) for rows in (targets, preds))
        record["verdicts"] = measure_verdicts(np.asarray(is_bad), np.asarray(is_rejected))
    return record


def warnings_of(record: Record) -> list[str]:
    """Sentences about measures that flatter."""
    sentence = accuracy_flatters(record)
    return [] if sentence is None else [sentence]


def curves_of(labels: IntArray, probs: FloatArray, *, decision: Decision) -> Record:
    """ROC, precision-recall and score histogram of the positive class; one ROC per class where there is none."""
    if decision.positive is None and not decision.pass_classes:
        per_class = {name: curve_record(labels == k, probs[:, k]) for k, name in enumerate(decision.classes)}
        return {"roc_per_class": {name: record["roc"] for name, record in per_class.items() if "roc" in record}}
    scores = decision.score(probs)
    positives = np.isin(labels, decision.reject_indices)
    return {
        **curve_record(positives, scores, threshold=decision.threshold),
        "histogram": score_histogram(labels, scores, classes=decision.classes),
    }


def decision_record(
    labels: IntArray, probs: FloatArray, *, novelty: FloatArray | None, decision: Decision, seed: int
) -> Record:
    """What the verdicts mean on these photos: three verdicts, costs, every threshold, honesty of the probabilities.

    Args:
        labels: (N,) int, true class index.
        probs: (N, K) float.
        novelty: (N,) float, or None.
        decision: Threshold, grey band, what was promised.
        seed: Of the intervals.

    Returns:
        {"three_verdicts", "economy", "explorer", "reliability"}; what does not apply is None. Reliability is that of
        the score; where nothing is rejected that of the most probable class ("of": "class").
    """
    record: Record = {
        "three_verdicts": three_verdicts(labels, probs, novelty=novelty, decision=decision),
        "economy": economy(labels, probs, novelty=novelty, decision=decision, seed=seed),
        "explorer": None,
        "reliability": None,
    }
    if not decision.reject_indices:
        is_right = probs.argmax(axis=1) == labels
        record["reliability"] = reliability(probs.max(axis=1), is_right, seed=seed) | {"of": "class"}
        return record
    scores, bad = decision.score(probs), np.isin(labels, decision.reject_indices)
    written = decision.evidence.get("line")
    record["explorer"] = explore(
        scores,
        bad,
        chosen=decision.threshold,
        review=decision.review,
        is_new=decision.review.is_new(novelty, photos=len(scores)),
        line=None if not written else Line.from_record(written),
    )
    record["reliability"] = reliability(scores, bad, seed=seed)
    return record


def threshold_record(decision: Decision) -> Record:
    """Value, rule and words of a decision, as in the contract, with its grey band and what was promised."""
    promises = list(decision.evidence.get("promises") or ())
    proofs = [promise for promise in promises if promise["guarantee"] != "observed"]
    return {
        "value": decision.threshold,
        "rule": decision.rule,
        "sentence": decision.sentence,
        "review": decision.review.to_record(decision.classes),
        "promises": promises,
        "proven": all(promise["held"] for promise in proofs) if proofs else None,
    }


def label_curves_of(targets: IntArray, probs: FloatArray, *, decision: LabelsDecision) -> Record:
    """One ROC for each label that has photos with and without it."""
    per_label = {name: curve_record(targets[:, k] > 0, probs[:, k]) for k, name in enumerate(decision.classes)}
    return {"roc_per_class": {name: record["roc"] for name, record in per_label.items() if "roc" in record}}


def label_mistakes_of(
    samples: Sequence[Sample], targets: IntArray, probs: FloatArray, *, preds: IntArray, decision: LabelsDecision
) -> list[Record]:
    """The photos with wrong labels, those with the most confident mistake first, at most 24.

    Args:
        samples: (N) the photos.
        targets: (N, K) of 0 and 1, labels that are there.
        probs: (N, K) float.
        preds: (N, K) of 0 and 1, labels found.
        decision: Names the labels.
    """
    is_wrong = (targets > 0) != (preds > 0)
    away = np.where(is_wrong, np.abs(probs - np.array(decision.thresholds)), -1.0).max(axis=1)
    wrong = np.flatnonzero(is_wrong.any(axis=1))
    worst = wrong[np.argsort(-away[wrong], kind="stable")][:MAX_MISTAKES]
    scores = decision.score(probs)
    return [
        {
            "name": samples[index].name,
            "label": [name for name, there in zip(decision.classes, targets[index], strict=True) if there],
            "predicted": [name for name, there in zip(decision.classes, preds[index], strict=True) if there],
            "score": float(scores[index]),
            "probs": {name: float(p) for name, p in zip(decision.classes, probs[index], strict=True)},
        }
        for index in worst
    ]


def mistakes_of(
    samples: Sequence[Sample], labels: IntArray, probs: FloatArray, *, preds: IntArray, decision: Decision
) -> list[Record]:
    """The wrong verdicts, the most confident first, at most 24.

    Args:
        samples: (N) the photos.
        labels: (N,) int, true class index.
        probs: (N, K) float.
        preds: (N,) int, class index at the verdict's threshold.
        decision: Names the classes.
    """
    wrong = np.flatnonzero(labels != preds)
    confidence = probs[wrong, preds[wrong]] - probs[wrong, labels[wrong]]
    worst = wrong[np.argsort(-confidence, kind="stable")][:MAX_MISTAKES]
    scores = decision.score(probs)
    return [
        {
            "name": samples[index].name,
            "label": decision.classes[labels[index]],
            "predicted": decision.classes[preds[index]],
            "score": float(scores[index]),
            "probs": {name: float(p) for name, p in zip(decision.classes, probs[index], strict=True)},
        }
        for index in worst
    ]


def number_mistakes_of(
    samples: Sequence[Sample], targets: FloatArray, preds: FloatArray, *, rule: NumberRule = ONE_NUMBER
) -> list[Record]:
    """The photos whose numbers are furthest off (of several, in deviations of each), at most 24."""
    if rule.names:
        away = np.abs((targets - preds) / deviations(targets)).max(axis=1)
        worst = np.argsort(-away, kind="stable")[:MAX_MISTAKES]
        return [
            {
                "name": samples[i].name,
                "label": _by_name(rule, targets[i]),
                "predicted": _by_name(rule, preds[i]),
                "score": None,
            }
            for i in worst
        ]
    worst = np.argsort(-np.abs(targets - preds), kind="stable")[:MAX_MISTAKES]
    return [
        {"name": samples[i].name, "label": float(targets[i]), "predicted": float(preds[i]), "score": float(preds[i])}
        for i in worst
    ]


def scatter_of(targets: FloatArray, preds: FloatArray) -> Record:
    """Predicted against true numbers, thinned evenly to at most 2,000 points."""
    keep = np.linspace(0, len(targets) - 1, min(len(targets), _SCATTER_POINTS)).astype(int)
    return {"target": targets[keep].astype(float).tolist(), "pred": preds[keep].astype(float).tolist()}


def scatters_of(targets: FloatArray, preds: FloatArray, *, rule: NumberRule) -> Record:
    """The same for a record: `scatter` of one number, `scatters` by name of several (N, K)."""
    if not rule.names:
        return {"scatter": scatter_of(targets, preds)}
    return {"scatters": {name: scatter_of(targets[:, k], preds[:, k]) for k, name in enumerate(rule.names)}}


def _by_name(rule: NumberRule, row: FloatArray) -> Record:
    return {name: float(value) for name, value in zip(rule.names, row, strict=True)}


def _numbers(prediction: Prediction) -> list[float]:
    found = list((prediction.values or prediction.probs).values())
    return found if prediction.score is None else found or [prediction.score]
