"""Frozen backbones by timm name: from a uint8 photo to one feature vector.

Stages are counted over the blocks that timm's model is made of (EfficientNet: blocks 0 to 6), otherwise over the
modules that timm lists in `feature_info` (ResNet: its stem, then layer1 to layer4); "head" is the vector that the
backbone's own classifier would see. The packaged weight files are pickles by format and are read by one loader,
`weights_only` and only after their SHA-256 matched; from then on a safetensors copy is used.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import timm
import torch
from huggingface_hub import constants
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from teliti.cache import cached_file, keep_file
from teliti.errors import RecipeError
from teliti.models.options import refuse_misfits
from teliti.models.weights import IMAGENET_MEAN, IMAGENET_STD, WeightsFile
from teliti.recipe import Pooling, Stage
from teliti.registry import closest

if TYPE_CHECKING:
    from collections.abc import Mapping

_ALLOWED_TRUNKS = ("blocks", "stages")
_LAST_STAGES = 4
_NAMES_SHOWN = 3


@dataclass(frozen=True)
class FeatureSpec:
    """Which numbers of the backbone become features.

    Attributes:
        stages: Stage numbers (negative from the end) and "head"; None for the last four stages.
        pooling: How a stage's (C, H, W) map becomes C, 2 C or 4 C numbers.
    """

    stages: tuple[Stage, ...] | None
    pooling: Pooling


class FeatureNet(nn.Module):
    """A frozen backbone with its tensor preparation: uint8 photos in, features out.

    Args:
        trunk: A timm model.
        spec: What to take from it.
        mean: Per RGB channel, of values in [0, 1].
        std: Likewise.
        numbers: The recipe's own number steps, (N, H, W, 3) float32 to the same, in the place of mean and std.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        trunk: nn.Module,
        spec: FeatureSpec,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        numbers: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.numbers = numbers
        self.pooling = spec.pooling
        names = stage_modules(trunk)
        self.stages = resolve_stages(spec.stages, count=len(names))
        self.stage_modules = {stage: names[stage] for stage in self.stages if isinstance(stage, int)}
        self.register_buffer("mean", 255.0 * torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", 255.0 * torch.tensor(std).view(1, 3, 1, 1))
        for stage, name in self.stage_modules.items():
            trunk.get_submodule(name).register_forward_hook(_keep_output(stage))

    def forward(self, image: Tensor) -> Tensor:
        """Features of a batch.

        Args:
            image: (N, H, W, 3) uint8 RGB.

        Returns:
            (N, D) float32.
        """
        if self.numbers is None:
            x = (image.permute(0, 3, 1, 2).to(self.mean.dtype) - self.mean) / self.std  # (N, 3, H, W)
        else:
            x = self.numbers(image.to(self.mean.dtype)).permute(0, 3, 1, 2)
        _kept.maps = maps = dict[int, Tensor]()
        try:
            last = self.trunk.forward_features(x)  # type: ignore[operator]
        finally:
            _kept.maps = None
        return torch.cat([self._vector(stage, maps, last) for stage in self.stages], dim=1)

    def _vector(self, stage: Stage, maps: Mapping[int, Tensor], last: Tensor) -> Tensor:
        if stage == "head":
            return self.trunk.forward_head(last, pre_logits=True)  # type: ignore[operator,no-any-return]
        return pool(maps[int(stage)], self.pooling)


class _Kept(threading.local):
    """Where the stages of the network that this thread computes put their maps: several threads share a network."""

    maps: dict[int, Tensor] | None = None


_kept = _Kept()


def _keep_output(stage: int) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
    def hook(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if _kept.maps is not None:
            _kept.maps[stage] = output

    return hook


def pool(feature_map: Tensor, pooling: Pooling) -> Tensor:
    """One vector per photo from a map (N, C, H, W), or from tokens (N, T, C).

    Args:
        feature_map: Output of a stage.
        pooling: "avg" or "max"; "avgmax" both; "stats" average, maximum, minimum and standard deviation.

    Returns:
        (N, C), (N, 2 C) for "avgmax", (N, 4 C) for "stats", in that order.
    """
    flat = feature_map.flatten(2) if feature_map.ndim == 4 else feature_map.transpose(1, 2)  # (N, C, places)
    average = flat.mean(dim=2)
    if pooling == "avg":
        return average
    largest = flat.amax(dim=2)
    if pooling == "max":
        return largest
    if pooling == "avgmax":
        return torch.cat([average, largest], dim=1)
    deviation = (flat - average[:, :, None]).square().mean(dim=2).sqrt()
    return torch.cat([average, largest, flat.amin(dim=2), deviation], dim=1)


def build_feature_net(
    backbone: str,
    weights: WeightsFile,
    spec: FeatureSpec,
    *,
    seed: int,
    numbers: nn.Module | None = None,
    options: Mapping[str, Any] | None = None,
) -> FeatureNet:
    """A frozen backbone in evaluation mode.

    Args:
        backbone: A timm name.
        weights: What `find_weights` found.
        spec: What to take from it.
        seed: For random weights.
        numbers: See `FeatureNet`.
        options: Allow-listed arguments of the architecture.

    Raises:
        RecipeError: unknown name, stage or option, weights that do not fit, or a download that failed.
    """
    trunk = _create_trunk(backbone, weights, seed=seed, options=options or {})
    defaults: Mapping[str, Any] = getattr(trunk, "pretrained_cfg", {})
    mean = weights.mean or defaults.get("mean") or IMAGENET_MEAN
    std = weights.std or defaults.get("std") or IMAGENET_STD
    return FeatureNet(trunk, spec, mean=mean, std=std, numbers=numbers).eval().requires_grad_(False)


def stage_modules(trunk: nn.Module) -> tuple[str, ...]:
    """Names of the modules whose outputs are the stages, in order."""
    for name in _ALLOWED_TRUNKS:
        part = getattr(trunk, name, None)
        if isinstance(part, nn.Sequential | nn.ModuleList):
            return tuple(f"{name}.{index}" for index in range(len(part)))
    info = getattr(trunk, "feature_info", None) or ()
    modules = (entry["module"] for entry in info)
    return tuple(name for name in modules if name and name in dict(trunk.named_modules()))


def resolve_stages(stages: Sequence[Stage] | None, *, count: int) -> tuple[Stage, ...]:
    """Stage numbers counted from 0, in ascending order, "head" last.

    Raises:
        RecipeError: a number outside of the backbone's stages, or none given.
    """
    if stages is None:
        return tuple(range(max(0, count - _LAST_STAGES), count)) or ("head",)
    numbers = set()
    for stage in stages:
        if stage == "head":
            continue
        if not -count <= int(stage) < count:
            raise RecipeError(
                f'model.stages must lie in 0..{count - 1} (or be negative, or "head"), got {stage}.',
                hint="`teliti info` describes the backbone of a bundle.",
            )
        numbers.add(int(stage) % count)
    resolved: tuple[Stage, ...] = (*sorted(numbers), *(("head",) if "head" in stages else ()))
    if not resolved:
        raise RecipeError("model.stages must name at least one stage, got none.", hint='For instance [-1] or ["head"].')
    return resolved


def _create_trunk(backbone: str, weights: WeightsFile, *, seed: int, options: Mapping[str, Any]) -> nn.Module:
    if not timm.is_model(backbone):
        near = closest(backbone, timm.list_models())
        raise RecipeError(
            f"model.backbone must be a timm name, got {backbone!r}.",
            hint=f'Did you mean "{near}"?' if near else "timm.list_models() lists them.",
        )
    if options:
        refuse_misfits(backbone, options)
    if weights.kind == "hub":
        return _download(backbone, options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        trunk: nn.Module = timm.create_model(backbone, pretrained=False, **options)
    if weights.kind != "random":
        _load_state(trunk, weights)
    return trunk


def _load_state(trunk: nn.Module, weights: WeightsFile) -> None:
    if weights.path is None:
        raise RecipeError(f"model.weights: no file for weights of kind {weights.kind}.")
    if weights.kind == "packaged":
        given = _read_packaged(weights, weights.path, own=trunk.state_dict())
    else:
        given = read_safetensors(weights.path)
    try:
        trunk.load_state_dict(given, strict=True)
    except RuntimeError as error:
        raise RecipeError(
            f'model.weights: "{weights.path.name}" does not fit the backbone: {what_differs(trunk, given)}.',
            hint="Use the weights of the same architecture, saved by timm.",
        ) from error


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a weights file by name.

    Raises:
        RecipeError: it is no .safetensors file, or cannot be read.
    """
    try:
        return dict(load_file(path))
    except (SafetensorError, OSError) as error:
        raise RecipeError(
            f'model.weights: "{path.name}" could not be read: {error}.', hint="It must be a .safetensors file."
        ) from error


def what_differs(trunk: nn.Module, given: Mapping[str, Tensor]) -> str:
    """In words why given tensors are not those of a network: names first, then the first wrong shape."""
    own = trunk.state_dict()
    missing, unknown = sorted(set(own) - set(given)), sorted(set(given) - set(own))
    if missing or unknown:
        names = ", ".join([*missing, *unknown][:_NAMES_SHOWN])
        return f"{len(missing)} of its tensors are missing and {len(unknown)} are unknown ({names})"
    name = next(name for name in own if own[name].shape != given[name].shape)
    return f"{name} has shape {tuple(given[name].shape)}, the network wants {tuple(own[name].shape)}"


def _read_packaged(weights: WeightsFile, path: Path, *, own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The one pickle reader: the digest was checked by `find_weights`. Kept as safetensors under timm's names.

    The packaged files hold the same tensors as timm's models, in the same order, some under other names.
    """
    name = f"{weights.sha256}.safetensors"
    kept = cached_file(name)
    if kept.is_file():
        return dict(load_file(kept))
    state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    if [tensor.shape for tensor in own.values()] == [tensor.shape for tensor in state.values()]:
        state = {key: tensor.contiguous() for key, tensor in zip(own, state.values(), strict=True)}
        keep_file(name, save(state))
    return state


def _download(backbone: str, options: Mapping[str, Any]) -> nn.Module:
    offline, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, False  # the user typed the word "hub"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trunk: nn.Module = timm.create_model(backbone, pretrained=True, **options)
    except Exception as error:
        raise RecipeError(
            f"model.weights: the weights of {backbone!r} could not be downloaded: {type(error).__name__}.",
            hint='Without internet use model.weights = "auto" or a .safetensors file.',
        ) from error
    finally:
        constants.HF_HUB_OFFLINE = offline
    return trunk
