"""A head, the one number that speaks for a reject, and the novelty, as one module for export."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class ScoredHead(nn.Module):
    """Features to logits, probabilities, score and novelty.

    Args:
        head: (N, D) to (logits (N, K), probs (N, K)).
        score_weights: One weight per class; the score is their weighted sum of the probabilities. None: the
            largest probability.
        novelty: (N, D) to (N,), how unlike the training photos each is; None: it is not told.
    """

    weights: Tensor | None

    def __init__(
        self, head: nn.Module, score_weights: Sequence[float] | None, novelty: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.head = head
        self.novelty = novelty
        self.register_buffer("weights", None if score_weights is None else torch.tensor(score_weights))

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        """(N, D) float32 to (N, K), (N, K), (N,) and, with novelty, another (N,)."""
        logits, probs = self.head(features)
        score = probs.amax(dim=1) if self.weights is None else probs @ self.weights
        return (logits, probs, score) if self.novelty is None else (logits, probs, score, self.novelty(features))


class ScoredLabels(nn.Module):
    """Features to logits and probabilities of labels, and the largest probability among those that count.

    Args:
        head: (N, D) to (logits (N, K), probs (N, K)).
        counting: Columns of the labels whose largest probability is the score.
    """

    counting: Tensor

    def __init__(self, head: nn.Module, counting: Sequence[int]) -> None:
        super().__init__()
        self.head = head
        self.register_buffer("counting", torch.tensor(list(counting)))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, D) float32 to (N, K), (N, K) and (N,)."""
        logits, probs = self.head(features)
        return logits, probs, probs.index_select(1, self.counting).amax(dim=1)
