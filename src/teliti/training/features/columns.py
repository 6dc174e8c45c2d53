"""Many selections of stages and poolings from one pass of a backbone: which columns each of them is.

The widest selection holds, for every stage, average, maximum, minimum and deviation of its channels, in that order
(`models.backbones.pool`); every narrower one is some of its columns, the same numbers to rounding.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from teliti.cache import cached_file, keep_file
from teliti.recipe import ModelRecipe, Pooling, Stage
from teliti.training.features.backbone_file import BackboneFile, load_feature_net
from teliti.training.features.extraction import Features
from teliti.types import IntArray

WIDEST: Pooling = "stats"
_AUTO = (-4, -3, -2, -1)  # the stages that "auto" means
_PARTS: Mapping[str, tuple[int, ...]] = {"avg": (0,), "max": (1,), "avgmax": (0, 1), "stats": (0, 1, 2, 3)}


@dataclass(frozen=True)
class FeatureColumns:
    """Where the numbers of each stage stand among the features of a wide selection.

    Attributes:
        num_stages: Of the backbone.
        widths: Stage of the wide selection, in its order, to channels; "head" last, to the length of its vector.
        pooling: Of the wide selection.
    """

    num_stages: int
    widths: Mapping[Stage, int]
    pooling: Pooling

    def of(self, stages: Sequence[Stage], pooling: Pooling) -> IntArray:
        """(D,) columns of a narrower selection.

        Args:
            stages: Resolved numbers and "head", in ascending order, all of them in the wide selection.
            pooling: One that the wide selection holds.
        """
        parts, held = _PARTS[pooling], _PARTS[self.pooling]
        found, start = list[IntArray](), 0
        for stage, width in self.widths.items():
            is_vector = stage == "head"
            if stage in stages:
                places = (0,) if is_vector else tuple(held.index(part) for part in parts)
                found += [np.arange(start + place * width, start + (place + 1) * width) for place in places]
            start += width if is_vector else width * len(held)
        return np.concatenate(found)

    def resolve(self, stages: Sequence[Stage] | str) -> tuple[Stage, ...]:
        """Stage numbers counted from 0, as the recipe's `model.stages` names them.

        Raises:
            RecipeError: a stage that the backbone does not have.
        """
        from teliti.models.backbones import resolve_stages

        return resolve_stages(None if isinstance(stages, str) else stages, count=self.num_stages)


def find_columns(backbone: BackboneFile) -> FeatureColumns:
    """The columns of an exported backbone; remembered, so that torch is imported only the first time.

    Args:
        backbone: With the wide selection.
    """
    name = f"{backbone.key}.columns.json"
    path = cached_file(name)
    if not path.is_file():
        keep_file(name, json.dumps(_measure(backbone)).encode())
    kept: dict[str, Any] = json.loads(path.read_text(encoding="ascii"))
    widths: dict[Stage, int] = dict(zip(backbone.facts["stages"], kept["widths"], strict=True))
    return FeatureColumns(int(kept["num_stages"]), widths, backbone.facts["pooling"])


def select_columns(features: Features, columns: IntArray) -> Features:
    """The same photos with some of their numbers.

    Args:
        features: Of the wide selection.
        columns: (D,) positions.
    """
    if len(columns) == features.matrix.shape[1]:
        return features
    return replace(features, matrix=np.ascontiguousarray(features.matrix[:, columns]))


def widest(models: Sequence[ModelRecipe]) -> dict[str, Any]:
    """`stages` and `pooling` of the selection that holds those of all these [model]s.

    Args:
        models: Of one backbone.
    """
    named = [model.stages for model in models]
    stages: Any = list(dict.fromkeys(stage for own in named if own != "auto" for stage in own))
    if "auto" in named:
        others = [stage for stage in stages if stage not in _AUTO]
        stages = [*_AUTO, *others] if others else "auto"  # "auto" also fits a backbone of fewer stages
    poolings = {model.pooling for model in models}
    return {"stages": stages, "pooling": poolings.pop() if len(poolings) == 1 else WIDEST}


def _measure(backbone: BackboneFile) -> dict[str, Any]:
    """Channels of each stage, from one black photo."""
    net = load_feature_net(backbone.model, seed=backbone.seed, numbers=backbone.numbers)
    import torch

    from teliti.models.backbones import stage_modules

    found: dict[int, int] = {}

    def keep(stage: int) -> Any:
        def hook(_module: Any, _inputs: Any, output: Any) -> None:
            found[stage] = int(output.shape[1] if output.ndim == 4 else output.shape[2])

        return hook

    for stage, name in net.stage_modules.items():
        net.trunk.get_submodule(name).register_forward_hook(keep(stage))
    with torch.inference_mode():
        total = int(net(torch.zeros((1, *backbone.facts["image_size"], 3), dtype=torch.uint8)).shape[1])
    parts = len(_PARTS[backbone.facts["pooling"]])
    head = total - parts * sum(found.values())
    widths = [head if stage == "head" else found[stage] for stage in net.stages]
    return {"num_stages": len(stage_modules(net.trunk)), "widths": widths}
