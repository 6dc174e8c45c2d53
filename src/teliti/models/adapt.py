"""A timm network made to fit: size of the photo, channels, number of outputs, given weights, or its map alone.

Published weights are read whole and strictly by `backbones` (packaged, safetensors, hub) and then carried over: the
classifier is left behind, the first convolution is summed or repeated for other than three channels, position
embeddings are resampled for another size. Checkpoints of other formats are read only by `convert_checkpoint`, which a
person calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import save
from timm.models import adapt_input_conv
from torch import Tensor, nn

from teliti.errors import RecipeError, UserError
from teliti.files import write_bytes_atomic
from teliti.models.backbones import FeatureSpec, build_feature_net, read_safetensors, what_differs
from teliti.models.options import CANNOT_BUILD, refuse_misfits
from teliti.models.shapes import Shape
from teliti.models.weights import IMAGENET_MEAN, IMAGENET_STD, WeightsFile

_WRAPPED_IN = ("state_dict", "model_state_dict", "model", "module")
_PREFIX = "module."  # what data parallel training puts in front of every name


@dataclass(frozen=True)
class Backbone:
    """A timm network that takes photos of one size.

    Attributes:
        module: The network.
        output_shape: What it gives, without the batch: (K,) logits, or (C, H, W) for a map.
        mean: Per channel, of values in [0, 1]: what its weights were trained with.
        std: Likewise.
    """

    module: nn.Module
    output_shape: Shape
    mean: tuple[float, ...]
    std: tuple[float, ...]


class FeatureMap(nn.Module):
    """A timm network without what comes behind its last feature map.

    Args:
        trunk: A timm model that keeps rows and columns to its end.
    """

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) float32 to the map (N, D, H', W')."""
        feature_map: Tensor = self.trunk.forward_features(x)  # type: ignore[operator]
        return feature_map.permute(0, 3, 1, 2) if _is_channels_last(self.trunk) else feature_map


def adapt_backbone(
    name: str,
    weights: WeightsFile,
    *,
    num_outputs: int | None,
    image_size: tuple[int, int],
    in_channels: int = 3,
    dropout: float = 0.0,
    options: Mapping[str, Any] | None = None,
) -> Backbone:
    """A timm network for photos of this size, with a new classifier or with none.

    What is not given is drawn from torch's global generator.

    Args:
        name: A timm name that `timm.is_model` knows.
        weights: What `find_weights` found.
        num_outputs: Of the new classifier; None: the network ends with its feature map.
        image_size: (height, width) in pixels.
        in_channels: Of the photo.
        dropout: In front of the classifier.
        options: Allow-listed arguments of the architecture.

    Raises:
        RecipeError: weights that do not fit, an option that this architecture does not take, a photo too small for
            the network, or a network without a map where one is needed.
    """
    settings: dict[str, Any] = {"num_classes": num_outputs or 0, "in_chans": in_channels}
    if dropout > 0.0:
        settings["drop_rate"] = dropout
    published = timm.get_pretrained_cfg(name)
    if published is not None and published.fixed_input_size:
        settings["img_size"] = image_size
    used, output_shape = _try_on_paper(
        name, settings, options=options or {}, image_size=image_size, wants_map=num_outputs is None
    )
    trunk: nn.Module = timm.create_model(name, pretrained=False, **settings, **(options or {}))
    defaults: Mapping[str, Any] = trunk.pretrained_cfg  # type: ignore[assignment]
    mean, std = (
        weights.mean or defaults.get("mean") or IMAGENET_MEAN,
        weights.std or defaults.get("std") or IMAGENET_STD,
    )
    if num_outputs is None:
        for child in [child for child, part in trunk.named_children() if child not in used and _has_weights(part)]:
            setattr(trunk, child, nn.Identity())
    if weights.kind != "random":
        _carry_over(trunk, name, weights, image_size=image_size, in_channels=in_channels)
    module = FeatureMap(trunk) if num_outputs is None else trunk
    return Backbone(module, output_shape, for_channels(mean, in_channels), for_channels(std, in_channels))


def for_channels(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    """A value per RGB channel as one per channel of other photos: grey ones get the average."""
    return tuple(values) if channels == len(values) else (sum(values) / len(values),) * channels


def load_weights(module: nn.Module, path: Path) -> None:
    """Fill a network of one's own from a .safetensors file that has exactly its tensors.

    Raises:
        RecipeError: unreadable file, or other tensors.
    """
    given = read_safetensors(path)
    try:
        module.load_state_dict(given, strict=True)
    except RuntimeError as error:
        raise RecipeError(
            f'model.weights: "{path.name}" does not fit the network: {what_differs(module, given)}.',
            hint="It must come from a network of the same layers, image size and number of outputs.",
        ) from error


def convert_checkpoint(path: Path, out: Path) -> tuple[str, ...]:
    """Turn a checkpoint of torch (.pth, .pt, .bin) into a .safetensors file, once, by hand.

    Only tensors are unpickled (`weights_only`): a file that wants to run code is refused, not run.

    Args:
        path: A state dict, or a dict that has one under "state_dict", "model_state_dict", "model" or "module".
        out: A new .safetensors file, which `model.weights` can name.

    Returns:
        The names of its tensors.

    Raises:
        UserError: no checkpoint, one with more than tensors in it, or a name that does not end with .safetensors.
    """
    if out.suffix != ".safetensors":
        raise UserError(f'"{out}" must end with .safetensors.', hint="model.weights reads no other format.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise UserError(f'Checkpoint "{path}" must be a file, got none.', hint="Check the path.") from error
    except Exception as error:  # a damaged pickle can fail in any way
        raise UserError(
            f'Checkpoint "{path}" holds more than tensors, or is damaged; it was not opened.',
            hint="Save its state_dict() with the library that made it, in a place that trusts the file.",
        ) from error
    state = _state_of(content)
    if not state:
        raise UserError(f'Checkpoint "{path}" has no tensors by name.', hint="It must be a state dict.")
    names = {name.removeprefix(_PREFIX): tensor.contiguous().clone() for name, tensor in state.items()}
    write_bytes_atomic(out, save(names))
    return tuple(names)


def _state_of(content: Any) -> dict[str, Tensor]:
    """The tensors by name, from the dict itself or from the one inside it."""
    while isinstance(content, Mapping):
        inner = next((content[key] for key in _WRAPPED_IN if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            return {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
        content = inner
    return {}


def _try_on_paper(
    name: str, settings: Mapping[str, Any], *, options: Mapping[str, Any], image_size: tuple[int, int], wants_map: bool
) -> tuple[set[str], Shape]:
    """Run the network on the meta device, where nothing is computed.

    Returns:
        Names of its children that ran, and the shape that it gives for one photo.
    """
    used: set[str] = set()
    try:
        with torch.device("meta"), torch.no_grad():
            twin = timm.create_model(name, pretrained=False, **settings, **options).eval()
            for child, part in twin.named_children():
                for module in part.modules():
                    module.register_forward_pre_hook(lambda *_, child=child: used.add(child))
            photo = torch.empty(1, settings["in_chans"], *image_size)
            given = FeatureMap(twin)(photo) if wants_map else twin(photo)
    except CANNOT_BUILD as error:
        refuse_misfits(name, options, settings)
        raise RecipeError(
            f"model.backbone: {name} cannot take photos of {image_size[0]} x {image_size[1]}: "
            f"{str(error).partition(chr(10))[0] or type(error).__name__}.",
            hint="Choose another data.image_size, usually a larger one or a multiple of 32.",
        ) from error
    if wants_map and given.ndim != 4:
        raise RecipeError(
            f"model.layers cannot stand on {name}, which gives tokens instead of a map.",
            hint="Choose a convolutional backbone, such as resnet50 or vgg16, or leave the layers out.",
        )
    return used, tuple(given.shape[1:])


def _carry_over(
    trunk: nn.Module, name: str, weights: WeightsFile, *, image_size: tuple[int, int], in_channels: int
) -> None:
    source = build_feature_net(name, weights, FeatureSpec(("head",), "avg"), seed=0).trunk
    config: Mapping[str, Any] = source.pretrained_cfg  # type: ignore[assignment]
    if config.get("fixed_input_size") and hasattr(source, "set_input_size"):
        source.set_input_size(img_size=image_size)  # type: ignore[operator]
    given, own = source.state_dict(), trunk.state_dict()
    first = tuple(f"{layer}.weight" for layer in _names(config.get("first_conv")))
    classifier = tuple(f"{layer}." for layer in _names(config.get("classifier")))
    state: dict[str, Tensor] = {}
    for key in own:
        if key.startswith(classifier):
            continue
        if key not in given:
            raise RecipeError(
                f"model.options: with them {name} has {key}, which its weights do not have.",
                hint='Leave model.options.global_pool out, or set model.weights = "random".',
            )
        state[key] = adapt_input_conv(in_channels, given[key]) if key in first else given[key]
    try:
        trunk.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise RecipeError(
            f"model.weights: the weights of {name} are made for {_size(config)} only.",
            hint="Set data.image_size to that.",
        ) from error


def _size(config: Mapping[str, Any]) -> str:
    _, height, width = config["input_size"]
    return f"photos of {height} x {width}"


def _names(names: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else names or ()


def _has_weights(part: nn.Module) -> bool:
    return next(part.parameters(), None) is not None


def _is_channels_last(trunk: nn.Module) -> bool:
    return str(getattr(trunk, "output_fmt", "NCHW")).endswith("NHWC")
