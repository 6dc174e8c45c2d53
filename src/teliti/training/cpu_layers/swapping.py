"""The layers of a network that train faster on a CPU than torch's own, put in their place and taken out again.

What they compute is torch's forward pass; see `clamping`, `depthwise`, `folding`, `im2col` and `pooling` for what each
saves. A layer keeps its class, its name and its tensors: only its `forward` is hidden while the network trains.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn

from teliti.training.cpu_layers.clamping import clamp_lightly, is_clamp
from teliti.training.cpu_layers.convolutions import convolve, has_own_gradients
from teliti.training.cpu_layers.folding import Pair, convolve_folded, fold, skip_norm
from teliti.training.cpu_layers.pooling import pass_on, pool_rectified, rectified_pools

_KINDS: tuple[tuple[Callable[[nn.Module], bool], Callable[[Any, Tensor], Tensor]], ...] = (
    (has_own_gradients, convolve),
    (is_clamp, clamp_lightly),
)
_OURS = {*(forward for _, forward in _KINDS), convolve_folded, skip_norm, pool_rectified, pass_on}


def give_fast_layers(net: nn.Module, pairs: Sequence[Pair] = ()) -> None:
    """Let a network on a CPU compute these layers our way.

    Args:
        net: Its parameters and the names of its modules stay as they are.
        pairs: Convolutions and the BatchNorms that are folded into them, from `folding.find_pairs`.
    """
    for module in net.modules():
        for fits, forward in _KINDS:
            if fits(module):
                module.__dict__["forward"] = partial(forward, module)  # hides the class's for this one layer
    for first, second in rectified_pools(net):
        first.__dict__["forward"] = partial(pool_rectified, first)
        second.__dict__["forward"] = partial(pass_on, second)
    fold(net, pairs)


def take_fast_layers(net: nn.Module) -> None:
    """Undo `give_fast_layers`."""
    for module in net.modules():
        if getattr(module.__dict__.get("forward"), "func", None) in _OURS:
            del module.__dict__["forward"]
