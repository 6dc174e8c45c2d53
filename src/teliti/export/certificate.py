"""The parity certificate: the same photos through several paths, and what differs.

Two paths agree when no verdict, no label and no photo that can be read differs and all logits (of a regression the
numbers) are within the tolerance of `teliti.export`. An eight-bit path never agrees to the last digit: see `bounds`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from teliti.data.beside import beside_of
from teliti.data.loading import map_ahead
from teliti.errors import PhotoRefused
from teliti.export import LOGIT_TOLERANCE
from teliti.files import sha256_hex
from teliti.predictor import Predictor
from teliti.types import FloatArray, Prediction, Record, Reporter, Sample, UInt8Image

Decoder = Callable[[bytes], UInt8Image]


@dataclass(frozen=True)
class PathAnswers:
    """What one path answers.

    Attributes:
        name: For people, for instance "OpenVINO int8".
        predictions: One for each photo.
        logits: (N, K) float32; the numbers themselves for regression.
        refused: Position and reason of photos that this path cannot read; they have no prediction.
        digests: Position and SHA-256 of the photos that it read, 64 hexadecimal digits.
    """

    name: str
    predictions: dict[int, Prediction]
    logits: dict[int, FloatArray]
    refused: dict[int, str] = field(default_factory=dict)
    digests: dict[int, str] = field(default_factory=dict)


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

    def answer(sample: Sample) -> tuple[Prediction, FloatArray, str] | PhotoRefused:
        try:
            data = sample.origin.read_bytes()
            scores = predictor.score_photo(predictor.bundle.chain.views(decode(data), beside_of(sample.origin)))
        except PhotoRefused as refusal:
            return refusal
        return predictor.judge(scores)[0], scores.logits[0], sha256_hex(data)

    answers = PathAnswers(name, {}, {})
    with reporter.task(f"Answering by {name}", len(samples)) as advance:
        for position, one in enumerate(map_ahead(answer, samples, threads=predictor.threads, ahead=1)):
            if isinstance(one, PhotoRefused):
                answers.refused[position] = one.reason
            else:
                answers.predictions[position], answers.logits[position], answers.digests[position] = one
            advance(1)
    return answers


def compare_paths(first: PathAnswers, second: PathAnswers, samples: Sequence[Sample]) -> Record:
    """How far two paths are apart.

    Returns:
        JSON-ready: between, photos (that both can read), max_abs_difference (of probabilities; of a regression the
        numbers), max_logit_difference (of |a - b| / max(1, |b|)), changed_verdicts, changed (each of them, with both
        verdicts and scores, and both lists of labels where a photo may have several), refused_by_one.
    """
    both = sorted(first.predictions.keys() & second.predictions.keys())
    changed = [at for at in both if says(first.predictions[at]) != says(second.predictions[at])]
    outputs = [np.abs(_outputs(first, at) - _outputs(second, at)).max() for at in both]
    logits = [
        (np.abs(first.logits[at] - second.logits[at]) / np.maximum(1.0, np.abs(second.logits[at]))).max() for at in both
    ]
    return {
        "between": [first.name, second.name],
        "photos": len(both),
        "max_abs_difference": float(max(outputs, default=0.0)),
        "max_logit_difference": float(max(logits, default=0.0)),
        "changed_verdicts": len(changed),
        "changed": [
            {"path": samples[at].name, **_both_ways(first.predictions[at], second.predictions[at])} for at in changed
        ],
        "refused_by_one": len(first.refused.keys() ^ second.refused.keys()),
    }


def agree(comparison: Record) -> bool:
    """True when a comparison shows one and the same inspector."""
    same = comparison["changed_verdicts"] == 0 and comparison["refused_by_one"] == 0
    return bool(same and comparison["max_logit_difference"] <= LOGIT_TOLERANCE)


def says(prediction: Prediction) -> tuple[str | None, tuple[str, ...] | None]:
    """What must not change: the verdict, and where a photo may have several labels those."""
    return prediction.verdict, prediction.labels


def photo_list(answers: PathAnswers, samples: Sequence[Sample]) -> Record:
    """Which photos were judged: {"sha256", "photos"}, each with path and SHA-256, in the order of names.

    The first is the SHA-256 of one line `digest  path` for each, as `sha256sum` prints them.
    """
    rows = sorted((samples[at].name, digest) for at, digest in answers.digests.items())
    lines = "".join(f"{digest}  {name}\n" for name, digest in rows)
    return {
        "sha256": sha256_hex(lines.encode("utf-8", "surrogateescape")),
        "photos": [{"path": name, "sha256": digest} for name, digest in rows],
    }


def _both_ways(first: Prediction, second: Prediction) -> Record:
    both: Record = {"verdicts": [first.verdict, second.verdict], "scores": [first.score, second.score]}
    if first.labels is not None and second.labels is not None:
        both["labels"] = [list(first.labels), list(second.labels)]
    return both


def _outputs(answers: PathAnswers, at: int) -> FloatArray:
    """(K,) probabilities of classes or labels, or the numbers."""
    one = answers.predictions[at]
    return np.array(list(one.probs.values() or one.values.values()) or [one.score or 0.0], np.float64)
