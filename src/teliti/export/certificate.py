"""The parity certificate: the same photos through several paths, what differs, and whether that is allowed.

Two paths agree when no verdict changed and all logits are within the tolerance of `teliti.export`. An eight-bit path
never agrees to the last digit; for it the accuracy, every class's recall and the recall of rejected classes decide.
Source of the 99 % line: MLPerf Inference's accuracy target (V. Reddi et al., 2020).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from teliti.data.beside import beside_of
from teliti.data.loading import map_ahead
from teliti.errors import PhotoRefused
from teliti.export import LOGIT_TOLERANCE
from teliti.metrics.decision import REVIEW
from teliti.predictor import Predictor
from teliti.types import FloatArray, Prediction, Record, Reporter, Sample, UInt8Image

LEAST_ACCURACY = 0.99
"""Of the float network's accuracy that an int8 network must keep."""
MOST_RECALL_DROP = 0.02
MOST_ERROR_GROWTH = 0.05
MOST_CHANGED = 0.03
"""Share of verdicts that an int8 network may change; an accuracy alone would pass one that errs elsewhere."""
_ROUNDING = 1e-9

Decoder = Callable[[bytes], UInt8Image]


@dataclass(frozen=True)
class PathAnswers:
    """What one path answers.

    Attributes:
        name: For people, for instance "OpenVINO int8".
        predictions: One for each photo.
        logits: (N, K) float32; the numbers themselves for regression.
        refused: Position and reason of photos that this path cannot read; they have no prediction.
    """

    name: str
    predictions: dict[int, Prediction]
    logits: dict[int, FloatArray]
    refused: dict[int, str] = field(default_factory=dict)


def answer_photos(
    predictor: Predictor, samples: Sequence[Sample], *, decode: Decoder, name: str, reporter: Reporter
) -> PathAnswers:
    """Run photos through one path: a decoder, the bundle's prepare steps, an engine, the verdict rule.

    Args:
        predictor: With the engine's session.
        samples: The photos.
        decode: Encoded bytes to pixels.
        name: What the path is called.
        reporter: Told how far it is.
    """

    def answer(sample: Sample) -> tuple[Prediction, FloatArray] | PhotoRefused:
        try:
            image = decode(sample.origin.read_bytes())
            scores = predictor.score_photo(predictor.bundle.chain.views(image, beside_of(sample.origin)))
        except PhotoRefused as refusal:
            return refusal
        return predictor.judge(scores)[0], scores.logits[0]

    answers = PathAnswers(name, {}, {})
    with reporter.task(f"Answering by {name}", len(samples)) as advance:
        for position, one in enumerate(map_ahead(answer, samples, threads=predictor.threads, ahead=1)):
            if isinstance(one, PhotoRefused):
                answers.refused[position] = one.reason
            else:
                answers.predictions[position], answers.logits[position] = one
            advance(1)
    return answers


def compare_paths(first: PathAnswers, second: PathAnswers, samples: Sequence[Sample]) -> Record:
    """How far two paths are apart.

    Returns:
        JSON-ready: between, photos (that both can read), max_abs_difference (of scores), max_logit_difference (of
        |a - b| / max(1, |b|)), changed_verdicts, changed (each of them, with both verdicts and scores), refused_by_one.
    """
    both = sorted(first.predictions.keys() & second.predictions.keys())
    changed = [at for at in both if _verdict(first, at) != _verdict(second, at)]
    scores = [abs(_score(first, at) - _score(second, at)) for at in both]
    logits = [
        float((np.abs(first.logits[at] - second.logits[at]) / np.maximum(1.0, np.abs(second.logits[at]))).max())
        for at in both
    ]
    return {
        "between": [first.name, second.name],
        "photos": len(both),
        "max_abs_difference": max(scores, default=0.0),
        "max_logit_difference": max(logits, default=0.0),
        "changed_verdicts": len(changed),
        "changed": [
            {
                "path": samples[at].name,
                "verdicts": [_verdict(first, at), _verdict(second, at)],
                "scores": [first.predictions[at].score, second.predictions[at].score],
            }
            for at in changed
        ],
        "refused_by_one": len(first.refused.keys() ^ second.refused.keys()),
    }


def agree(comparison: Record) -> bool:
    """True when a comparison shows one and the same inspector."""
    same = comparison["changed_verdicts"] == 0 and comparison["refused_by_one"] == 0
    return bool(same and comparison["max_logit_difference"] <= LOGIT_TOLERANCE)


def measure_path(answers: PathAnswers, samples: Sequence[Sample], *, defects: Sequence[str] = ()) -> Record:
    """How right one path is, on photos with labels.

    Args:
        answers: Of the path.
        samples: The photos.
        defects: Names of the classes that are rejected, the same for every path.

    Returns:
        For classes: photos, accuracy, recall by class, and defect_recall, the share of photos taken for one of
        `defects` or sent to review among those that are one; None where none is. For numbers: photos and mae.
    """
    at_hand = [at for at in sorted(answers.predictions) if samples[at].label is not None]
    predictions = [answers.predictions[at] for at in at_hand]
    truth = [samples[at].label for at in at_hand]
    if predictions and predictions[0].label is None:
        errors = [abs(_score(answers, at) - samples[at].numbers[0]) for at in at_hand]
        return {"photos": len(errors), "mae": float(np.mean(errors))}
    right = np.array([one.label == label for one, label in zip(predictions, truth, strict=True)])
    names = sorted({str(label) for label in truth})
    own = {name: np.array([str(label) == name for label in truth]) for name in names}
    is_defect = np.array([label in defects for label in truth], dtype=bool)
    caught = np.array([one.verdict == REVIEW or one.label in defects for one in predictions], dtype=bool)
    return {
        "photos": len(right),
        "accuracy": float(right.mean()) if len(right) else None,
        "recall": {name: float(right[mask].mean()) for name, mask in own.items()},
        "defect_recall": float(caught[is_defect].mean()) if is_defect.any() else None,
    }


def int8_objections(
    before: Record, after: Record, *, comparison: Record, least_defect_recall: float | None
) -> list[str]:
    """Why an int8 network must not be used; empty when nothing speaks against it.

    Args:
        before: From `measure_path`, the float network.
        after: From `measure_path`, the int8 network, on the same photos.
        comparison: From `compare_paths`, of both.
        least_defect_recall: The share of defects that must be caught, whatever the float network caught; None: any.
    """
    if "mae" in before:
        most = (1.0 + MOST_ERROR_GROWTH) * before["mae"]
        return [] if after["mae"] <= most + _ROUNDING else [f"The mean error is {after['mae']:.4g}, over {most:.4g}."]
    objections = []
    changed, photos = comparison["changed_verdicts"], comparison["photos"]
    if changed > MOST_CHANGED * photos + _ROUNDING:
        objections.append(f"{changed} of {photos} verdicts changed, over {MOST_CHANGED:.0%}.")
    least = LEAST_ACCURACY * before["accuracy"]
    if after["accuracy"] < least - _ROUNDING:
        objections.append(
            f"The accuracy is {after['accuracy']:.4f}, below {LEAST_ACCURACY:.0%} of {before['accuracy']:.4f}."
        )
    for name, recall in before["recall"].items():
        if recall - after["recall"][name] > MOST_RECALL_DROP + _ROUNDING:
            objections.append(
                f'The recall of "{name}" falls from {recall:.3f} to {after["recall"][name]:.3f}, '
                f"by more than {100 * MOST_RECALL_DROP:g} points."
            )
    caught = after["defect_recall"]
    if least_defect_recall is None:
        return objections
    if caught is None:
        objections.append(f"No photo is a defect, so it cannot be shown that {least_defect_recall:.3f} are caught.")
    elif caught < least_defect_recall - _ROUNDING:
        objections.append(f"{caught:.3f} of the defects are caught, {least_defect_recall:.3f} must be.")
    return objections


def _score(answers: PathAnswers, at: int) -> float:
    """The one number that a path says of a photo."""
    score = answers.predictions[at].score
    return math.nan if score is None else score


def _verdict(answers: PathAnswers, at: int) -> str | None:
    return answers.predictions[at].verdict
