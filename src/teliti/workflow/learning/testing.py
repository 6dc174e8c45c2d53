"""The sealed test part: the shipped file's answers, compared with torch's on the way."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from teliti.bundle import Bundle
from teliti.errors import PhotoRefused
from teliti.export import Parity, check_parity
from teliti.predictor import Predictor
from teliti.types import FloatArray, Reporter, Sample, UInt8Image
from teliti.workflow.learning.deciding import decide_by_fold
from teliti.workflow.learning.trained import Trained


@dataclass(frozen=True)
class Answers:
    """What stands behind the published measures, one row a measured photo.

    Attributes:
        outputs: (M, K) the shipped inspector's outputs; with folds, each by a head that never saw the photo.
        preds: (M,) class index at the verdict's threshold, or the number; (M, K) of labels and of several numbers.
        novelty: (M,) how unlike the training photos each is, also by what never saw it; None where it is not told.
        parity: The exported file against torch, on the same photos.
    """

    outputs: FloatArray
    preds: NDArray[Any]
    parity: Parity
    novelty: FloatArray | None = None


def answer_measured_photos(bundle: Bundle, trained: Trained, *, reporter: Reporter) -> Answers:
    """Run the shipped file over the measured photos.

    Raises:
        ParityError: the file answers differently from torch.
        PhotoRefused: a photo changed while it was used.
    """
    candidate, samples, learnt = trained.candidate, trained.measured_samples, trained.candidate.fit.novelty
    predictor = Predictor(bundle, threads=trained.recipe.train.threads)
    with reporter.task("Testing, exported network beside torch", len(samples)) as advance:
        prepared = _prepared_photos(predictor, samples, advance)
        parity, shipped = check_parity(
            predictor, candidate.setup.backbone, candidate.fit.head, photos=prepared,
            novelty=None if learnt is None else learnt.weights,
        )  # fmt: skip
    if candidate.fit.fold_outputs is None:
        return Answers(shipped.outputs, _predict(shipped.outputs, trained), parity, shipped.novelty)
    outputs, strange = candidate.fit.fold_outputs, None if learnt is None else learnt.chooser
    return Answers(outputs, _predict(outputs, trained), parity, strange)


def _predict(outputs: FloatArray, trained: Trained) -> NDArray[Any]:
    if trained.plan.folds is None:
        return trained.answers.labels(outputs)
    photos = trained.photos
    return decide_by_fold(outputs, photos.targets, trained.plan.folds, catalog=photos.catalog, recipe=trained.recipe)


def _prepared_photos(
    predictor: Predictor, samples: Sequence[Sample], advance: Callable[[int], None]
) -> Iterator[UInt8Image]:
    order: deque[tuple[int, PhotoRefused | None]] = deque()
    for pictures in predictor.prepare_photos(samples, order):
        yield pictures
        advance(1)
    for index, refusal in order:
        if refusal is not None:
            raise PhotoRefused(f'"{samples[index].name}" changed while it was used: {refusal.reason}')
