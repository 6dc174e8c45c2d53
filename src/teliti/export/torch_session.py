"""torch as an engine: a trained network, a graph or a program behind the interface that the predictor asks.

Only where torch is installed; nothing in the base install imports this file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from queue import SimpleQueue

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from teliti.models.heads import HeadWeights, head_module
from teliti.models.novelty import NoveltyWeights, novelty_module
from teliti.predictor import NOVELTY
from teliti.runtime import keep_freed_memory
from teliti.types import UInt8Image


class TorchSession:
    """Modules that answer by name, one core a call.

    Args:
        modules: Each (N, H, W, 3) uint8 to tensors by name, all the same function: how many calls may run at once.
        outputs: What they answer.
    """

    engine = "torch"

    def __init__(self, modules: Iterable[nn.Module], outputs: Iterable[str]) -> None:
        torch.set_num_threads(1)
        self.outputs = frozenset(outputs)
        self._modules: SimpleQueue[nn.Module] = SimpleQueue()
        for module in modules:
            self._modules.put(module)

    def run(self, names: Sequence[str], batch: UInt8Image) -> list[NDArray[np.float32]]:
        """See `teliti.sessions.Session`."""
        module = self._modules.get()
        try:
            with torch.inference_mode():
                answers = module(torch.from_numpy(np.require(batch, requirements=("C", "W"))))  # torch warns of others
        finally:
            self._modules.put(module)
        return [answers[name].numpy().astype(np.float32, copy=False) for name in names]


class TrainedNetwork(nn.Module):
    """An inspector as it was trained: what gives the features, and behind it head and novelty.

    Args:
        front: (N, H, W, 3) uint8 to features (N, D).
        head: The head.
        novelty: What tells how unlike the training photos each is; None where the inspector does not tell it.
    """

    def __init__(self, front: nn.Module, head: HeadWeights, novelty: NoveltyWeights | None) -> None:
        super().__init__()
        self.front, self.head = front, head_module(head)
        self.novelty = None if novelty is None else novelty_module(novelty)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(N, H, W, 3) uint8 to "value" (N, K), or "logits" and "probs" (N, K) and, with novelty, that (N,)."""
        features = self.front(image)
        answers = self.head(features)
        if not isinstance(answers, tuple):
            return {"value": answers}
        named = dict(zip(("logits", "probs"), answers, strict=True))
        return named if self.novelty is None else {**named, NOVELTY: self.novelty(features)}


def trained_session(front: nn.Module, head: HeadWeights, novelty: NoveltyWeights | None, *, calls: int) -> TorchSession:
    """The trained network as a session.

    Args:
        front: What comes before the head; its weights are laid out channels last.
        head: The head.
        novelty: As for `TrainedNetwork`.
        calls: How many may run at once.
    """
    keep_freed_memory()
    outputs = ["value"] if head.is_regression else ["logits", "probs", *([] if novelty is None else [NOVELTY])]
    network = TrainedNetwork(front.to(memory_format=torch.channels_last), head, novelty).eval()
    return TorchSession([network] * calls, outputs)
