"""A head with the one number that the threshold is held against."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from teliti.models.scored_head import ScoredHead


class Passing(nn.Module):
    """Takes features as logits."""

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return features, features.softmax(dim=1)


LOGITS = torch.tensor([[0.0, 1.0, 2.0], [3.0, 0.0, -1.0]])


def test_logits_and_probabilities_pass_through() -> None:
    logits, probs, _ = ScoredHead(Passing(), None)(LOGITS)
    assert torch.equal(logits, LOGITS)
    assert torch.equal(probs, LOGITS.softmax(dim=1))


def test_without_weights_the_score_is_the_largest_probability() -> None:
    score = ScoredHead(Passing(), None)(LOGITS)[2]
    assert torch.equal(score, LOGITS.softmax(dim=1).max(dim=1).values)


def test_with_weights_the_score_is_the_sum_over_the_rejected_classes() -> None:
    score = ScoredHead(Passing(), [0.0, 1.0, 1.0])(LOGITS)[2]
    probs = LOGITS.softmax(dim=1)
    torch.testing.assert_close(score, probs[:, 1] + probs[:, 2])
    assert score.shape == (2,)
