"""BatchNorm with kept statistics, folded into the convolution in front of it while the network trains.

With the mean and variance that it came with, BatchNorm is a factor and a summand for each channel, so that
factor x (weight * x) + summand = (factor x weight) * x + summand: the same function and the same gradients of all
parameters, without a pass over the photos' maps on the way there and two on the way back (a third of a fine-tuning
step). Where a BatchNorm uses the statistics of its batch, both layers are torch's own.

Which BatchNorm belongs to which convolution is read from the graph of one photo: it must be the only one that takes
the convolution's result.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn

from teliti.training.cpu_layers.convolutions import convolve

Pair = tuple[str, str]
"""Names of a convolution and of the BatchNorm behind it."""
_WORTH = 2  # numbers of a map that are spared for each weight that is multiplied


def find_pairs(net: nn.Module, x: Tensor, *, photos: int) -> tuple[Pair, ...]:
    """The convolutions whose result goes into one BatchNorm and nowhere else, where folding pays.

    Args:
        net: Left as it is; a copy is tried in evaluation mode.
        x: (1, C, H, W) float32.
        photos: Of a step, as many as one copy of the network sees: the more, the less the kernels weigh.
    """
    if not any(_is_foldable(module) for module in net.modules()):
        return ()
    probe = copy.deepcopy(net).eval()
    made: dict[int, tuple[str, Tensor, int]] = {}
    met: list[tuple[str, str, Tensor]] = []
    calls: Counter[str] = Counter()

    def after_convolution(name: str, _module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        calls[name] += 1
        made[id(output)] = (name, output, output._version)

    def before_norm(name: str, _module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        calls[name] += 1
        origin, output, version = made.get(id(inputs[0]), ("", inputs[0], -1))
        if output is inputs[0] and output._version == version:  # nothing wrote into it on the way
            met.append((origin, name, output))

    for name, module in probe.named_modules():
        if type(module) in {nn.Conv2d, Conv2dSame}:
            module.register_forward_hook(partial(after_convolution, name))
        elif _is_foldable(module):
            module.register_forward_pre_hook(partial(before_norm, name))
    with torch.enable_grad(), torch.random.fork_rng(devices=[]):
        logits = probe(x.clone().requires_grad_())
    takers = _takers(logits)
    return tuple(
        (origin, norm)
        for origin, norm, output in met
        if calls[origin] == calls[norm] == 1
        and takers[output.grad_fn] == 1
        and photos * output.numel() >= _WORTH * probe.get_submodule(origin).weight.numel()  # type: ignore[operator]
    )


def fold(net: nn.Module, pairs: Sequence[Pair]) -> None:
    """Let each pair be one convolution as long as its BatchNorm is in evaluation mode.

    Args:
        net: Its parameters and the names of its modules stay as they are.
        pairs: From `find_pairs`.
    """
    for origin, norm in pairs:
        convolution, normal = net.get_submodule(origin), net.get_submodule(norm)
        convolution.__dict__["forward"] = partial(convolve_folded, convolution, normal)
        normal.__dict__["forward"] = partial(skip_norm, normal)


def convolve_folded(module: Any, norm: Any, x: Tensor) -> Tensor:
    """The convolution `module` on (N, C, H, W), with what the BatchNorm `norm` in evaluation mode makes of it."""
    if norm.training:
        return convolve(module, x)
    factor = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    mean = norm.running_mean if module.bias is None else norm.running_mean - module.bias
    return convolve(module, x, weight=module.weight * factor.view(-1, 1, 1, 1), bias=norm.bias - mean * factor)


def skip_norm(module: Any, x: Tensor) -> Tensor:
    """What the BatchNorm `module` does to (N, C, H, W), without the normalising where that is folded away."""
    if module.training:
        return type(module).forward(module, x)  # type: ignore[no-any-return]
    return module.act(module.drop(x)) if isinstance(module, BatchNormAct2d) else x


def _is_foldable(module: nn.Module) -> bool:
    is_plain = type(module) in {nn.BatchNorm2d, BatchNormAct2d}
    return is_plain and module.running_mean is not None and bool(module.affine)


def _takers(output: Tensor) -> Counter[Any]:
    """How many nodes of the graph behind `output` take the result of each node."""
    counts: Counter[Any] = Counter()
    seen, waiting = set(), [output.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        for below, _ in node.next_functions:
            counts[below] += 1
            waiting.append(below)
    return counts
