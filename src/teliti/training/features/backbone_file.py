"""A frozen backbone as a cached ONNX file, so that torch is imported only where nobody exported it before."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from teliti.cache import cached_file, keep_file
from teliti.files import sha256_hex
from teliti.models.weights import WeightsFile, find_weights
from teliti.recipe import ModelRecipe
from teliti.runtime import installed_versions, require
from teliti.transforms.steps_numbers import FittedNumbers
from teliti.types import Record

if TYPE_CHECKING:
    from torch import nn

    from teliti.models.backbones import FeatureNet
    from teliti.models.number_layers import NumberLayers

_FORMAT = 2


@dataclass(frozen=True)
class BackboneFile:
    """An exported backbone: `image` uint8 (N, H, W, 3) in, `features` float32 (N, D) out.

    Attributes:
        key: Hash of everything that its numbers depend on.
        path: The ONNX file.
        model: The recipe's [model] that it was made from.
        seed: For random weights.
        facts: backbone, weights (kind, file, sha256, licence), stages, pooling, dimensions, mean, std (both None where
            `numbers` stand in their place), image_size.
        numbers: The recipe's own number steps in the place of mean and std, fitted; None where it has none.
        module: Gives the torch module of a network that was trained here; None for a frozen one, which is built anew.
    """

    key: str
    path: Path
    model: ModelRecipe
    seed: int
    facts: Record
    numbers: FittedNumbers | None = field(default=None, compare=False, repr=False)  # stands in the key
    module: Callable[[], nn.Module] | None = None

    def load(self) -> nn.Module:
        """The torch module behind the file: uint8 (N, H, W, 3) to features (N, D)."""
        if self.module is not None:
            return self.module()
        return load_feature_net(self.model, seed=self.seed, numbers=self.numbers)


def prepare_backbone(
    model: ModelRecipe, *, image_size: tuple[int, int], seed: int, numbers: FittedNumbers | None = None
) -> BackboneFile:
    """The exported backbone that a recipe names, from the cache or made now.

    Args:
        model: The recipe's [model].
        image_size: (height, width) in pixels.
        seed: For random weights.
        numbers: Number steps that stand in the graph in the place of mean and std.

    Raises:
        RecipeError: unknown backbone, stage or weights.
        MissingExtraError: torch or timm is needed and not installed.
    """
    weights = find_weights(model.backbone, model.weights)
    facts = _read_facts(_backbone_key(model, weights, image_size=image_size, seed=seed, numbers=numbers))
    if facts is None:
        facts, graph = _export(model, weights, image_size=image_size, seed=seed, numbers=numbers)
        resolved = model.model_copy(update={"stages": tuple(facts["stages"])})
        facts["key"] = _backbone_key(resolved, weights, image_size=image_size, seed=seed, numbers=numbers)
        keep_file(f"{facts['key']}.onnx", graph)
        for asked in (model, resolved):  # a resolved recipe finds what the one with "auto" left behind
            key = _backbone_key(asked, weights, image_size=image_size, seed=seed, numbers=numbers)
            keep_file(f"{key}.json", json.dumps(facts).encode())
    key = facts.pop("key")
    return BackboneFile(key, cached_file(f"{key}.onnx"), model, seed, facts, numbers)


def load_feature_net(model: ModelRecipe, *, seed: int, numbers: FittedNumbers | None = None) -> FeatureNet:
    """The torch module behind the exported file (torch and timm are imported here).

    Raises:
        MissingExtraError: torch or timm is not installed.
    """
    for library in ("torch", "timm", "safetensors"):
        require(library, extra="train", purpose="build the backbone")
    from teliti.models.backbones import FeatureSpec, build_feature_net

    stages = None if model.stages == "auto" else tuple(model.stages)
    weights = find_weights(model.backbone, model.weights)
    layers = None if numbers is None else number_layers(numbers)
    spec, options = FeatureSpec(stages, model.pooling), model.timm_options()
    return build_feature_net(model.backbone, weights, spec, seed=seed, numbers=layers, options=options)


def number_layers(numbers: FittedNumbers) -> NumberLayers:
    """Fitted number steps as a torch module (torch is imported here): (N, H, W, 3) float32 to the same."""
    from teliti.models.number_layers import NumberLayers

    return NumberLayers([step.model_dump(mode="json") for step in numbers.steps], numbers.arrays)


def _read_facts(key: str) -> Record | None:
    path = cached_file(f"{key}.json")
    if not path.is_file():
        return None
    facts: Record = json.loads(path.read_text(encoding="ascii"))
    return facts if cached_file(f"{facts['key']}.onnx").is_file() else None


def _backbone_key(
    model: ModelRecipe, weights: WeightsFile, *, image_size: tuple[int, int], seed: int, numbers: FittedNumbers | None
) -> str:
    facts: Record = {
        "format": _FORMAT,
        "backbone": model.backbone,
        "weights": weights.sha256,
        "seed": seed if weights.kind == "random" else None,
        "stages": model.stages,
        "pooling": model.pooling,
        "mean": weights.mean,
        "std": weights.std,
        "image_size": image_size,
        "versions": installed_versions(("torch", "timm", "onnxscript")),
    }
    if options := model.timm_options():
        facts["options"] = options
    if numbers is not None:
        facts["numbers"] = [step.model_dump(mode="json") for step in numbers.steps]
        arrays = numbers.to_arrays().items()
        facts["fitted"] = {name: sha256_hex(np.ascontiguousarray(array).tobytes()) for name, array in arrays}
    return sha256_hex(json.dumps(facts, sort_keys=True).encode())[:32]


def _export(
    model: ModelRecipe, weights: WeightsFile, *, image_size: tuple[int, int], seed: int, numbers: FittedNumbers | None
) -> tuple[Record, bytes]:
    net = load_feature_net(model, seed=seed, numbers=numbers)
    import torch

    from teliti.models.onnx_graph import export_module

    example = torch.zeros((2, *image_size, 3), dtype=torch.uint8)
    graph = export_module(net, example, input_name="image", output_names=["features"])
    with torch.inference_mode():
        dimensions = int(net(example).shape[1])
    path = weights.path
    facts = {
        "backbone": model.backbone,
        "weights": {
            **{name: value for name, value in asdict(weights).items() if name in {"kind", "sha256", "licence"}},
            "file": path.name if path else None,
        },
        "stages": list(net.stages),
        "pooling": model.pooling,
        "dimensions": dimensions,
        "mean": [float(value) / 255.0 for value in net.mean.flatten()] if numbers is None else None,
        "std": [float(value) / 255.0 for value in net.std.flatten()] if numbers is None else None,
        "image_size": list(image_size),
    }
    return facts, graph
