"""From a trained inspector to its one file, and the proof that both answer the same.

`build_graph` puts the head behind the exported backbone; `check_parity` runs photos through that file and
through torch and compares every number and every verdict.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from teliti.data.loading import map_ahead
from teliti.errors import ParityError
from teliti.metrics.answers import AnswerRule
from teliti.metrics.decision import Decision
from teliti.metrics.label_decision import LabelsDecision
from teliti.models.heads import HeadWeights
from teliti.models.novelty import NoveltyWeights, novelty_module
from teliti.predictor import NOVELTY, Predictor, Scores
from teliti.runtime import require
from teliti.training.features.backbone_file import BackboneFile
from teliti.types import FloatArray, Record, UInt8Image

if TYPE_CHECKING:
    from torch import nn

LOGIT_TOLERANCE = 1e-4
"""Logits agree when |a - b| <= 1e-4 max(1, |b|)."""
_ROUNDING, _ASKED = 1e-6, 8  # of a sum of thousands in float32, relative; photos that are asked what it does


def build_graph(
    backbone: BackboneFile, head: HeadWeights, answers: AnswerRule, *, novelty: NoveltyWeights | None = None
) -> bytes:
    """The ONNX file of a bundle.

    Args:
        backbone: `image` to `features`.
        head: `features` to logits.
        answers: Which probability is the score.
        novelty: `features` to how unlike the training photos each is, for classes; None: it is not told.

    Returns:
        A serialised model: input `image` (N, H, W, 3) uint8; outputs `logits` and `probs` (N, K), `score` and (where
        given) `novelty` (N,) and `features` (N, D) for classes and labels, `value` (N, K) and `features` for numbers.

    Raises:
        MissingExtraError: torch or onnx is not installed.
    """
    torch = require("torch", extra="train", purpose="export the head")
    require("onnx", extra="train", purpose="write the network")
    from teliti.models.heads import head_module
    from teliti.models.onnx_graph import append_head, export_module
    from teliti.models.scored_head import ScoredHead, ScoredLabels

    example = torch.zeros((2, int(backbone.facts["dimensions"])))
    scored = ["logits", "probs", "score"]
    module: nn.Module
    if isinstance(answers, Decision):
        strange = None if novelty is None else novelty_module(novelty)
        module, task = ScoredHead(head_module(head), _score_weights(answers), strange), "classification"
        names = scored if strange is None else [*scored, NOVELTY]
    elif isinstance(answers, LabelsDecision):
        counting = answers.reject_indices or range(len(answers.classes))
        module, names, task = ScoredLabels(head_module(head), counting), scored, "multilabel"
    else:
        module, names, task = head_module(head), ["value"], "regression"
    graph = export_module(module, example, input_name="features", output_names=names)
    record = answers.to_record()
    metadata = {"task": task} | ({} if record is None else {"decision": json.dumps(record)})
    return append_head(backbone.path.read_bytes(), graph, metadata=metadata)


@dataclass(frozen=True)
class Parity:
    """How far the exported file and torch are apart on a set of photos.

    Attributes:
        photos: How many were compared.
        max_abs_difference: Of probabilities (regression: of the values).
        max_logit_difference: Of |a - b| / max(1, |b|) over the logits.
        changed_verdicts: Photos whose verdict differs.
    """

    photos: int
    max_abs_difference: float
    max_logit_difference: float
    changed_verdicts: int

    @property
    def holds(self) -> bool:
        """True when no verdict changed and the logits agree."""
        return self.changed_verdicts == 0 and self.max_logit_difference <= LOGIT_TOLERANCE

    def to_record(self) -> Record:
        """JSON-ready, as in the contract of `train`."""
        return {
            "photos": self.photos,
            "max_abs_difference": self.max_abs_difference,
            "max_logit_difference": self.max_logit_difference,
            "changed_verdicts": self.changed_verdicts,
        }


def check_parity(
    predictor: Predictor,
    backbone: BackboneFile,
    head: HeadWeights,
    *,
    photos: Iterable[UInt8Image],
    novelty: NoveltyWeights | None = None,
) -> tuple[Parity, Scores]:
    """Compare the bundle's file with torch.

    Args:
        predictor: The opened bundle.
        backbone: Names the torch module of the frozen part.
        head: The trained head.
        photos: (T, H, W, 3) uint8 RGB each, prepared: the tiles of a photo, or the one picture of it.
        novelty: What tells how unlike the training photos each is; None where the file does not tell it.

    Returns:
        The comparison, and the predictor's answers for all photos.

    Raises:
        ParityError: a verdict changed, or the logits do not agree.
    """
    require("torch", extra="train", purpose="compare the exported network")
    from teliti.export.torch_session import trained_session

    front, odd = backbone.load(), list[UInt8Image]()
    session = trained_session(front, head, novelty, calls=predictor.threads)
    trained = Predictor(predictor.bundle, threads=predictor.threads, session=session)

    def answer_twice(pictures: UInt8Image) -> tuple[Scores, Scores]:
        both = predictor.score_photo(pictures), trained.score_photo(pictures)
        if len(odd) < _ASKED and not _agree(both[0].logits, both[1].logits):
            odd.append(pictures)
        return both

    answers = list(map_ahead(answer_twice, photos, threads=predictor.threads, ahead=1))
    ours, theirs = _join([exported for exported, _ in answers]), _join([trained for _, trained in answers])
    apart = np.abs(ours.logits - theirs.logits) / np.maximum(1.0, np.abs(theirs.logits))
    both = zip(predictor.judge(ours), predictor.judge(theirs), strict=True)
    changed = sum((a.verdict, a.labels) != (b.verdict, b.labels) for a, b in both)
    parity = Parity(
        photos=len(ours.outputs),
        max_abs_difference=float(np.abs(ours.outputs - theirs.outputs).max()),
        max_logit_difference=float(apart.max()),
        changed_verdicts=changed,
    )
    if not parity.holds:
        hint = "Please report this with the run folder; do not use its bundle."
        if odd and not _bears_rounding(front, head, odd):
            hint = (
                "Its numbers grew so large while it learnt that rounding moves its answers. Lower train.lr, or set "
                "train.clip_norm = 1, and train again; do not use this run's bundle."
            )
        raise ParityError(
            f"The exported network answers differently from the trained one: {changed} of {parity.photos} verdicts "
            f"changed, logits differ by up to {parity.max_logit_difference:.2g}.",
            hint=hint,
        )
    return parity, ours


def _bears_rounding(front: nn.Module, head: HeadWeights, photos: Sequence[UInt8Image]) -> bool:
    """True where logits agree though every weight is moved as far as rounding moves a sum (backward error)."""
    import torch

    def logits_of(network: nn.Module) -> FloatArray:
        return head.logits(np.concatenate([network(torch.from_numpy(tiles)).numpy() for tiles in photos]))

    draw, moved = torch.Generator().manual_seed(0), deepcopy(front)
    with torch.inference_mode():
        for weight in moved.parameters():
            weight.mul_(1.0 + _ROUNDING * torch.randn(weight.shape, generator=draw))
        logits, others = logits_of(front), logits_of(moved)
    return _agree(others, logits)


def _agree(logits: FloatArray, others: FloatArray) -> bool:
    return bool((np.abs(logits - others) <= LOGIT_TOLERANCE * np.maximum(1.0, np.abs(others))).all())


def _score_weights(decision: Decision) -> list[float] | None:
    rejects = decision.reject_indices
    return [float(index in rejects) for index in range(len(decision.classes))] if rejects else None


def _join(parts: list[Scores]) -> Scores:
    novelty = [part.novelty for part in parts if part.novelty is not None]
    return Scores(
        np.concatenate([part.outputs for part in parts]),
        np.concatenate([part.logits for part in parts]),
        np.concatenate(novelty) if novelty else None,
    )
