"""Which stages of a network learn at an epoch, and at which share of the rate: the head first, then downwards.

After J. Howard and S. Ruder (2018): gradual unfreezing with smaller rates below. Whatever stands in front of the first
layer that learns is in evaluation mode: BatchNorm keeps its statistics there, dropout passes everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import nn

from teliti.errors import RecipeError
from teliti.recipe.train import TrainRecipe
from teliti.training.cpu_layers.depthwise import depthwise_kernels

StageModules = Sequence[tuple[str, nn.Module]]
"""(name, modules) from the photo to the head, as `models.networks.stages` gives them."""


@dataclass(frozen=True)
class Stage:
    """A part of a network that is frozen and freed as one.

    Attributes:
        name: As the network calls it.
        parameters: Names of its parameters in the network.
    """

    name: str
    parameters: frozenset[str]


def stages_of(net: nn.Module, modules: StageModules | None = None) -> tuple[Stage, ...]:
    """The stages of a network from the photo to the head; the last one is the head.

    Args:
        net: The network.
        modules: Its stages; None: its children that hold parameters, or itself where some parameters are its own.

    Raises:
        RecipeError: it has nothing to learn, or the stages leave a parameter out.
    """
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    if not names:
        raise RecipeError("The network must have something to learn, got no parameters.")
    if modules is None:
        owns_some = any(True for _ in net.parameters(recurse=False))
        modules = [("network", net)] if owns_some else list(net.named_children())
    stages: list[Stage] = []
    for name, module in modules:
        new = {names[id(parameter)] for parameter in module.parameters() if id(parameter) in names}
        new -= {known for stage in stages for known in stage.parameters}  # tied weights belong to the first
        if new:
            stages.append(Stage(name, frozenset(new)))
    left_out = sorted(set(names.values()).difference(*(stage.parameters for stage in stages)))
    if left_out:
        raise RecipeError(f"Each parameter of the network must stand in a stage, got none for {left_out[0]}.")
    return tuple(stages)


def lowest_learning(options: TrainRecipe, *, num_stages: int, epoch: int) -> int:
    """The lowest stage that learns at an epoch; those above it learn too.

    Args:
        options: With head_epochs, unfreeze_epochs and frozen_stages.
        num_stages: At least 1.
        epoch: From 0.

    Raises:
        RecipeError: every stage would be frozen for good.
    """
    frozen = frozen_stages(options)
    if frozen >= num_stages:
        raise RecipeError(
            f"train.frozen_stages must be below {num_stages}, the stages of this network, got {frozen}.",
            hint="The head is the last stage and must learn.",
        )
    head = num_stages - 1
    if epoch < options.head_epochs:
        return head
    if not options.unfreeze_epochs:
        return frozen
    freed = 1 + (epoch - options.head_epochs) // options.unfreeze_epochs
    return max(frozen, head - freed)


def frozen_stages(options: TrainRecipe) -> int:
    """Stages that never learn; none where nobody settled what "auto" means."""
    return 0 if options.frozen_stages == "auto" else options.frozen_stages


def set_learning(
    net: nn.Module, stages: Iterable[Stage], *, keep_statistics: bool = False, keep_depthwise: bool = False
) -> None:
    """Let these stages learn and nothing else: gradients for their parameters, training mode from the first of them on.

    Args:
        net: Whose modules are registered from the photo to the head.
        stages: Those that learn, the head last.
        keep_statistics: BatchNorm below the head uses the mean and variance that it came with. On a few photos of one
            kind, say all grey, some variances would fall to almost nothing, and the layer would blow up rounding.
        keep_depthwise: Depthwise kernels stay as they came.
    """
    stages = list(stages)
    head = stages[-1].parameters if stages else frozenset[str]()
    inside_head = {id(parameter) for name, parameter in net.named_parameters() if name in head}
    learning = frozenset[str]().union(*(stage.parameters for stage in stages))
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(name in learning)
    for kernel in depthwise_kernels(net) if keep_depthwise else ():
        kernel.requires_grad = False
    net.train()
    has_begun = False
    for module in net.modules():
        own = list(module.parameters(recurse=False))
        has_begun = has_begun or any(parameter.requires_grad for parameter in own)
        is_frozen = bool(own) and not any(parameter.requires_grad for parameter in own)
        is_leaf = next(module.children(), None) is None
        if is_frozen or (is_leaf and not has_begun):
            module.training = False  # of itself: a BatchNorm may have an activation inside
        has_statistics = getattr(module, "running_mean", None) is not None
        if keep_statistics and has_statistics and not any(id(parameter) in inside_head for parameter in own):
            module.training = False


def stage_factors(options: TrainRecipe, num_stages: int) -> tuple[float, ...]:
    """Each stage's rate as a multiple of the head's."""
    return tuple(options.stage_factor ** (num_stages - 1 - place) for place in range(num_stages))
