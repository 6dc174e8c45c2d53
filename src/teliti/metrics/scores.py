"""What a network answers for photos, before and after the rule that makes verdicts of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from teliti.errors import RunError
from teliti.metrics.answers import AnswerRule, count_outputs
from teliti.metrics.decision import Decision
from teliti.metrics.tiles import Combine, combine_parts
from teliti.types import Prediction


@dataclass(frozen=True)
class Scores:
    """The network's raw answers for a batch.

    Attributes:
        outputs: (N, K) float32: probabilities of classes or labels, or the numbers of a regression.
        logits: (N, K) float32 before the softmax or sigmoid; equal to `outputs` for regression.
        novelty: (N,) float32 >= 0, how unlike the training photos each is; None where the network does not tell it.
    """

    outputs: NDArray[np.float32]
    logits: NDArray[np.float32]
    novelty: NDArray[np.float32] | None = None

    def single(self) -> list[Scores]:
        """Those of each photo, (1, K)."""
        rows = [slice(at, at + 1) for at in range(len(self.outputs))]
        news = [None if self.novelty is None else self.novelty[row] for row in rows]
        return [Scores(self.outputs[row], self.logits[row], new) for row, new in zip(rows, news, strict=True)]


def check_shapes(scores: Scores, answers: AnswerRule, *, photos: int) -> None:
    """Refuse what the rule cannot read: the network is not the one that it was made for.

    Raises:
        RunError: not one number for each photo and output of the rule.
    """
    wanted = (photos, count_outputs(answers))
    news = wanted[:1] if scores.novelty is None else scores.novelty.shape
    if (scores.outputs.shape, scores.logits.shape, news) != (wanted, wanted, wanted[:1]):
        raise RunError(
            f"The network must answer {wanted} numbers, got {scores.outputs.shape}.", hint="Copy the bundle again."
        )


def combine_tiles(parts: Sequence[Scores], *, how: Combine, rejects: Sequence[int] | None) -> Scores:
    """One answer, (1, K), from the answers for all tiles of one photo.

    Args:
        parts: Of its tiles, in order.
        how: The way of `tiles.combine_parts`.
        rejects: Indices of the classes by which the tile that speaks for the photo is chosen; None: each by itself.
    """
    outputs = np.concatenate([part.outputs for part in parts])
    logits = np.concatenate([part.logits for part in parts])
    each = [part.novelty for part in parts if part.novelty is not None]
    novelty = np.concatenate(each).max(keepdims=True) if each else None  # one strange tile is enough
    if len(outputs) == 1:
        return Scores(outputs, logits, novelty)
    both = combine_parts(np.concatenate([outputs, logits], axis=1), np.array([len(outputs)]), how=how, rejects=rejects)
    return Scores(both[:, : outputs.shape[1]], both[:, outputs.shape[1] :], novelty)


def judge_scores(answers: AnswerRule, scores: Scores) -> list[Prediction]:
    """What is said of each photo.

    Raises:
        RunError: a probability is not finite; such a photo must not pass.
    """
    if not isinstance(answers, Decision):
        return answers.judge(scores.outputs)
    novelty: list[float | None] = [None] * len(scores.outputs) if scores.novelty is None else scores.novelty.tolist()
    predictions = []
    for row, one, strange in zip(
        scores.outputs, answers.judge(scores.outputs, novelty=scores.novelty), novelty, strict=True
    ):
        by_class = {name: float(p) for name, p in zip(answers.classes, row, strict=True)}
        predictions.append(Prediction(one.verdict, one.label, by_class, one.score, one.reasons, strange))
    return predictions
