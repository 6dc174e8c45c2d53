"""Networks for training, one module contract for all: layers of one's own, compact ones by name, any timm name.

`Network.forward` takes float32 photos (N, C, H, W) that are normalised by the network's `mean` and `std`, and gives
logits (N, K): one per class, per label, or per number; which of these they are is the loss's affair. What is frozen is
training's decision; `stages` says what can be frozen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import timm
import torch
from torch import Tensor, nn

from teliti.errors import RecipeError
from teliti.models.adapt import FeatureMap, adapt_backbone, for_channels, load_weights
from teliti.models.backbones import stage_modules
from teliti.models.compact import COMPACT, plan_network
from teliti.models.layers import build_layers
from teliti.models.shapes import Planned, plan_layers
from teliti.models.weights import HALF, find_weights
from teliti.recipe.layers import Conv, Dense
from teliti.recipe.model import NO_BACKBONE, ModelRecipe
from teliti.registry import closest

_POOLED_LATER = (nn.ReLU, nn.LeakyReLU)  # rising functions: the largest of them is theirs of the largest


@dataclass(frozen=True)
class InputFacts:
    """What a network was built for.

    Attributes:
        image_size: (height, width) in pixels.
        mean: Per channel, of values in [0, 1].
        std: Likewise.
    """

    image_size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]


class Network(nn.Module):
    """A backbone, layers, or layers on a backbone: photos in, logits out.

    Args:
        backbone: A timm model with its classifier, or a `FeatureMap`; None for a network of layers.
        layers: On the photo, or on the backbone's map; None where the backbone has its own classifier.
        facts: What it is built for.
        l2: lambda by the name of the module whose weights it punishes.
    """

    def __init__(
        self, backbone: nn.Module | None, layers: nn.Sequential | None, *, facts: InputFacts, l2: dict[str, float]
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.layers = layers
        self.facts = facts
        self.l2 = l2

    @property
    def mean(self) -> tuple[float, ...]:
        """Per channel, of values in [0, 1]: what a photo is normalised with."""
        return self.facts.mean

    @property
    def std(self) -> tuple[float, ...]:
        """Per channel, of values in [0, 1]."""
        return self.facts.std

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) float32, normalised, to logits (N, K)."""
        if self.backbone is not None:
            x = self.backbone(x)
        return x if self.layers is None else self.layers(x)

    def logits_and_features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, K), and the vector (N, D) that the closing layer sees."""
        if self.layers is None:
            last = self.backbone.forward_features(x)  # type: ignore[union-attr, operator]
            logits: Tensor = self.backbone.forward_head(last)  # type: ignore[union-attr, operator]
            return logits, self.backbone.forward_head(last, pre_logits=True).flatten(1)  # type: ignore[union-attr, operator]
        features: Tensor = self.layers[:-1](x if self.backbone is None else self.backbone(x))
        return self.layers[-1](features), features


class PhotoInput(nn.Module):
    """uint8 photos as a network wants them; put in front of one for export.

    Args:
        mean: Per channel, of values in [0, 1].
        std: Likewise.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", 255.0 * torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", 255.0 * torch.tensor(std).view(1, -1, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        """(N, H, W, C) uint8 to (N, C, H, W) float32."""
        return (image.permute(0, 3, 1, 2).to(self.mean.dtype) - self.mean) / self.std


def network_names() -> tuple[str, ...]:
    """The names that `model.backbone` takes: compact networks first, then every timm name."""
    return (*COMPACT, *timm.list_models())


def build_network(
    model: ModelRecipe, *, num_outputs: int, image_size: tuple[int, int], in_channels: int = 3, seed: int
) -> Network:
    """The network that a recipe's [model] describes, in training mode, nothing frozen.

    Args:
        model: Backbone, weights, layers and dropout are read.
        num_outputs: Classes (1 for two classes behind one sigmoid), labels, or numbers.
        image_size: (height, width) in pixels.
        in_channels: 3 for RGB, 1 for grey.
        seed: Of every weight that is not given; torch's global generator is left as it was.

    Raises:
        RecipeError: an unknown name, layers that do not fit together, or weights that do not fit.
    """
    plan = plan_network(model, num_outputs=num_outputs, image_size=image_size, in_channels=in_channels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if plan is None:
            return _build_on_backbone(model, num_outputs=num_outputs, image_size=image_size, in_channels=in_channels)
        half = for_channels(HALF, in_channels)
        facts = InputFacts(image_size, mean=half, std=half)
        network = Network(None, build_layers(plan), facts=facts, l2=_penalties(plan))
    if model.weights not in {"auto", "random"}:
        load_weights(network, _own_weights(model))
    return network


def _build_on_backbone(
    model: ModelRecipe, *, num_outputs: int, image_size: tuple[int, int], in_channels: int
) -> Network:
    if not timm.is_model(model.backbone):
        near = closest(model.backbone, network_names())
        raise RecipeError(
            f'model.backbone must be one of {", ".join(COMPACT)}, "{NO_BACKBONE}" or a timm name, got '
            f"{model.backbone!r}.",
            hint=f'Did you mean "{near}"?' if near else "timm.list_models() lists the others.",
        )
    is_topped = bool(model.layers)
    backbone = adapt_backbone(
        model.backbone,
        find_weights(model.backbone, model.weights),
        num_outputs=None if is_topped else num_outputs,
        image_size=image_size,
        in_channels=in_channels,
        dropout=0.0 if is_topped else model.dropout,
        options=model.timm_options(),
    )
    facts = InputFacts(image_size, backbone.mean, backbone.std)
    if not is_topped:
        return Network(backbone.module, None, facts=facts, l2={})
    plan = plan_layers(
        model.layers, input_shape=backbone.output_shape, num_outputs=num_outputs, dropout=model.dropout
    )  # fmt: skip
    return Network(backbone.module, build_layers(plan), facts=facts, l2=_penalties(plan))


def l2_penalty(module: nn.Module) -> Tensor:
    """SUM over layers of lambda x SUM theta^2: what the `l2` keys of [[model.layers]] add to the loss.

    theta are the weights of a layer, not its biases. (TensorFlow Playground halves it; AdamW's decoupled decay is
    another thing.)

    Args:
        module: A `Network`, or something around one.

    Returns:
        A scalar with a gradient; 0 where no layer has a lambda.
    """
    terms = [
        strength * network.layers.get_submodule(name).weight.square().sum()  # type: ignore[union-attr, operator]
        for network in module.modules()
        if isinstance(network, Network)
        for name, strength in network.l2.items()
    ]
    return torch.stack(terms).sum() if terms else next(module.parameters()).new_zeros(())


def stages(network: Network) -> list[tuple[str, nn.Module]]:
    """Every parameter's module, in groups from the photo to the logits: what staged unfreezing goes by.

    The backbone's stages bear the numbers that `model.stages` counts by; what lies behind the last is the "tail". The
    last group is always the "head": the new classifier, or all new layers on a backbone.

    Returns:
        (name, group) pairs; each parameter is in exactly one group, and no group is empty.
    """
    if network.layers is None:
        classifier = network.backbone.get_classifier()  # type: ignore[union-attr, operator]
        parts = classifier if isinstance(classifier, tuple) else (classifier,)
        return [*_backbone_stages(network.backbone, leave_out=parts), ("head", nn.ModuleList(parts))]  # type: ignore[arg-type]
    below: list[tuple[str, nn.Module]] = []
    if isinstance(network.backbone, FeatureMap):
        return [*_backbone_stages(network.backbone.trunk), ("head", network.layers)]
    for name, module in list(network.layers.named_children())[:-1]:
        if next(module.parameters(), None) is not None:
            below.append((name, module))
    return [*below, ("head", network.layers[-1])]


def head_parameters(network: Network) -> list[nn.Parameter]:
    """What the head-first epochs train: the parameters of the last of `stages`."""
    return list(stages(network)[-1][1].parameters())


def pool_before_activation(network: Network) -> int:
    """Move every ReLU behind the max pooling that follows it: the same function, on a quarter of the numbers.

    Args:
        network: Changed in place; names of its tensors stay.

    Returns:
        How many were moved.
    """
    if network.layers is None:
        return 0
    children = list(network.layers.named_children())
    moved = 0
    for place in range(len(children) - 1):
        pad = isinstance(children[place + 1][1], nn.MaxPool2d)
        if pad and isinstance(children[place][1], _POOLED_LATER):
            children[place], children[place + 1] = children[place + 1], children[place]
            moved += 1
    if moved:
        reordered = nn.Sequential()
        for name, child in children:
            reordered.add_module(name, child)
        network.layers = reordered
    return moved


def _penalties(plan: Sequence[Planned]) -> dict[str, float]:
    return {layer.name: layer.layer.l2 for layer in plan if isinstance(layer.layer, Conv | Dense) and layer.layer.l2}


def _own_weights(model: ModelRecipe) -> Path:
    weights = find_weights(model.backbone, model.weights)
    if weights.path is None:
        raise RecipeError(
            f"model.weights: there are no weights of {model.backbone!r} on a hub.",
            hint='Set it to "random" or to a .safetensors file.',
        )
    return weights.path


def _backbone_stages(trunk: nn.Module, leave_out: Sequence[nn.Module] = ()) -> list[tuple[str, nn.Module]]:
    """Groups of the modules that own parameters, each up to the end of its stage, in the order of registration."""
    heads = {id(module) for part in leave_out for module in part.modules()}
    order = [(name, module) for name, module in trunk.named_modules() if id(module) not in heads]
    ends = [max(place for place, (name, _) in enumerate(order) if _is_inside(name, stage)) for stage in
            stage_modules(trunk)]  # fmt: skip
    groups: dict[str, list[nn.Module]] = {}
    for place, (_, module) in enumerate(order):
        if not (owned := list(_own_parts(module))):
            continue
        number = next((number for number, end in enumerate(ends) if place <= end), None)
        groups.setdefault("tail" if number is None else f"stage {number}", []).extend(owned)
    return [(name, nn.ModuleList(parts)) for name, parts in groups.items()]


def _own_parts(module: nn.Module) -> Iterator[nn.Module]:
    """The module itself where it is a leaf with parameters; the parameters that it holds beside its children."""
    own = list(module.parameters(recurse=False))
    if own:
        yield nn.ParameterList(own) if any(True for _ in module.children()) else module


def _is_inside(name: str, stage: str) -> bool:
    return name == stage or name.startswith(f"{stage}.")
