"""Optimisers by name, the rates of their groups, penalties, and the length of a gradient.

Penalties follow one convention, that of the course: loss + l1 SUM |theta| + l2 SUM theta^2 over the kernels that
learn (parameters of two or more dimensions; biases and normalisation are left out). A penalty 1/2 l2 SUM theta^2, as
in TensorFlow Playground, is half of it; torch's `weight_decay` of SGD is l2 = weight_decay / 2; AdamW's decoupled
decay (I. Loshchilov and F. Hutter, 2019) is a third thing and no part of the loss.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from teliti.recipe.train import TrainRecipe
from teliti.training.parallel import Replicas
from teliti.training.unfreeze import Stage, frozen_stages, stage_factors

LayerPenalty = Callable[[nn.Module], Tensor]
"""What a network's own layers add to the loss: a scalar, as `models.networks.l2_penalty` gives it."""


def make_optimizer(net: nn.Module, stages: Sequence[Stage], options: TrainRecipe) -> torch.optim.Optimizer:
    """The optimiser of all stages, frozen ones included; each group knows its share of the rate as "factor".

    Kernels decay, biases and normalisation do not.

    Args:
        net: The network.
        stages: From the photo to the head.
        options: With optimizer, momentum, weight_decay and stage_factor.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for stage, factor in zip(stages, stage_factors(options, len(stages)), strict=True):
        own = [parameter for name, parameter in net.named_parameters() if name in stage.parameters]
        for decay, of_kernels in ((options.weight_decay, True), (0.0, False)):
            members = [parameter for parameter in own if is_kernel(parameter) == of_kernels]
            if members:  # few groups are few calls
                groups.setdefault((decay, factor), []).extend(members)
    learning = frozenset[str]().union(*(stage.parameters for stage in stages[frozen_stages(options) :]))
    return _optimizer_of(
        [{"params": members, "weight_decay": decay, "factor": f} for (decay, f), members in groups.items()],
        options,
        starting_still=[parameter for name, parameter in net.named_parameters() if name in learning],
    )


def _optimizer_of(
    groups: list[dict[str, Any]], options: TrainRecipe, *, starting_still: Sequence[nn.Parameter]
) -> torch.optim.Optimizer:
    """The optimiser; torch's fused SGD cannot have some members of a group with a momentum and others without yet."""
    lr = 0.0  # set at every step
    if options.optimizer == "sgd":
        sgd = torch.optim.SGD(groups, lr=lr, momentum=options.momentum, nesterov=options.nesterov, fused=True)
        for parameter in starting_still if options.momentum else ():
            sgd.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        return sgd
    if options.optimizer == "rmsprop":
        return torch.optim.RMSprop(groups, lr=lr, momentum=options.momentum)
    kind = torch.optim.Adam if options.optimizer == "adam" else torch.optim.AdamW
    return kind(groups, lr=lr, fused=True)


def step_side_by_side(optimizer: torch.optim.Optimizer, replicas: Replicas) -> None:
    """One step, the parameters divided among the replicas' threads; the same bits, since each number is for itself.

    Args:
        optimizer: With the gradients in its parameters.
        replicas: Idle.
    """
    every = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    learning = [parameter for parameter in every if parameter.grad is not None]
    parts = replicas.shares(learning)
    if len(parts) < 2:
        optimizer.step()
        return

    def work(number: int) -> None:
        own = {id(learning[place]) for place in parts[number]}
        part = copy.copy(optimizer)  # the state is one for all
        part.param_groups = [
            {**group, "params": [parameter for parameter in group["params"] if id(parameter) in own]}
            for group in optimizer.param_groups
        ]
        part.step()

    replicas.run(work, len(parts))


def set_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Give every group its share of the head's rate `lr`."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["factor"]


def is_kernel(parameter: Tensor) -> bool:
    """True for weights of convolutions and dense layers, False for biases and normalisation."""
    return parameter.ndim >= 2


def penalty(net: nn.Module, options: TrainRecipe, of_layers: LayerPenalty | None = None) -> Tensor | None:
    """What is added to the loss for the size of the kernels that learn: a scalar, or None where nothing is.

    Args:
        net: The network.
        options: With `l1` and `l2`, which hold for all kernels.
        of_layers: What single layers add to them.
    """
    kernels, parts = [], []
    if options.l1 or options.l2:
        kernels = [parameter for parameter in net.parameters() if parameter.requires_grad and is_kernel(parameter)]
    if options.l1:
        parts.append(options.l1 * torch.stack([kernel.abs().sum() for kernel in kernels]).sum())
    if options.l2:
        parts.append(options.l2 * torch.stack([kernel.square().sum() for kernel in kernels]).sum())
    if of_layers is not None and (own := of_layers(net)).requires_grad:
        parts.append(own)
    return torch.stack(parts).sum() if parts else None


def shorten(gradients: list[Tensor], replicas: Replicas, *, clip_norm: float | None) -> float:
    """Scale gradients to the length `clip_norm` where they are longer.

    Args:
        gradients: Of one step.
        replicas: Idle; their threads share the measuring.
        clip_norm: 0 or None: measure only.

    Returns:
        Their Euclidean length before.
    """
    parts, lengths = replicas.shares(gradients), dict[int, Tensor]()

    def work(number: int) -> None:
        found = torch._foreach_norm([gradients[place] for place in parts[number]])
        lengths.update(zip(parts[number], found, strict=True))

    replicas.run(work, len(parts))
    length = float(torch.stack([lengths[place] for place in range(len(gradients))]).norm()) if gradients else 0.0
    if clip_norm and length > clip_norm:
        torch._foreach_mul_(gradients, clip_norm / length)
    return length


class StepLength:
    """How far one step moves the kernels, as a share of their own length.

    About 1e-3 is healthy (Y. Bengio, "Practical Recommendations for Gradient-Based Training", 2012).

    Args:
        net: Before the step.
    """

    def __init__(self, net: nn.Module) -> None:
        self._kernels = [
            parameter for parameter in net.parameters() if parameter.requires_grad and is_kernel(parameter)
        ]
        self._before = [kernel.detach().clone() for kernel in self._kernels]

    def measure(self) -> float:
        """|after - before| / |before|; 0 where nothing learns."""
        if not self._kernels:
            return 0.0
        moved = torch._foreach_sub([kernel.detach() for kernel in self._kernels], self._before)
        length = float(torch.nn.utils.get_total_norm(self._before))
        return float(torch.nn.utils.get_total_norm(moved)) / length if length else 0.0
