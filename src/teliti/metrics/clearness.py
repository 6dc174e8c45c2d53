"""Whether an answer stands wherever its last digits fall.

Two engines, or one engine that computes photos singly and several together, differ in the last digits of a float32.
A photo whose verdict could hang on them is computed again by whoever decides; this says which photos those are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from teliti.metrics.answers import AnswerRule
from teliti.metrics.decision import Decision
from teliti.metrics.number_rule import NumberRule
from teliti.types import FloatArray

CLOSE = 1e-3
"""How near a limit a score is computed again; two ways to compute it differ by a hundredth of it and less."""
_MOST_MOVED = 2  # of the most likely classes


def are_clear(answers: AnswerRule, outputs: FloatArray, novelty: FloatArray | None = None) -> list[bool]:
    """For each photo, whether its verdict and label stay the same when its numbers are moved by `CLOSE`.

    The label is part of the answer also where the verdict does not hang on it: which of two rejected classes is named
    stands in the journal, and must not depend on the photos that came at the same time.

    Args:
        answers: The rule that makes verdicts of them.
        outputs: (N, K) float: probabilities of classes or labels, or the numbers of a regression, which are always
            clear. A row that is not finite never is.
        novelty: (N,) float >= 0, moved by that share of itself; None where the network does not tell it.
    """
    sums = outputs.sum(axis=1) if novelty is None else outputs.sum(axis=1) + novelty
    finite: NDArray[np.bool_] = np.isfinite(sums)  # a sum is as finite as its terms
    if isinstance(answers, NumberRule) or not finite.any():
        return [bool(one) for one in finite]
    moved = np.concatenate([_moved(row, answers.reject_indices) for row in outputs[finite]])
    copies = len(moved) // int(finite.sum())
    if isinstance(answers, Decision):
        news = None if novelty is None else np.concatenate([_moved_novelty(one, copies) for one in novelty[finite]])
        said: list[object] = [(one.verdict, one.label) for one in answers.judge(moved, novelty=news)]
    else:
        said = [(one.verdict, one.labels) for one in answers.judge(moved)]
    same = iter(len(set(said[start : start + copies])) == 1 for start in range(0, len(said), copies))
    return [bool(one) and next(same) for one in finite]


def _moved(row: NDArray[np.floating], rejects: tuple[int, ...]) -> NDArray[np.floating]:
    """Copies of one photo's outputs (K,): each likely class, and all classes, up and down; three as they are."""
    each = np.eye(len(row))
    likely = np.argsort(row)[::-1][:_MOST_MOVED].tolist()
    shifts = [each[k] for k in likely] + [np.where(np.isin(np.arange(len(row)), rejects), 1.0, -1.0)]
    moved = np.repeat(row[None], 2 * len(shifts) + 3, axis=0)
    for number, shift in enumerate(shifts):
        moved[2 * number + 1] += CLOSE * shift
        moved[2 * number + 2] -= CLOSE * shift
    return moved


def _moved_novelty(novelty: np.floating, copies: int) -> NDArray[np.floating]:
    moved = np.repeat(novelty, copies)
    moved[-2:] *= (1.0 - CLOSE, 1.0 + CLOSE)  # the copies whose outputs stay
    return moved
