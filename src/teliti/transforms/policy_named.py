"""Automatic augmentation by name: AutoAugment, RandAugment, TrivialAugment, AugMix, as torchvision implements them.

Each is one entry of a recipe's `[[augment]]` and acts on the pixels in its place of the chain. Some of what these
policies do moves pixels (rotation, shear, shift), so masks and boxes cannot follow them: use the chain's own geometric
operations where they must. torchvision draws from torch's global generator; here it is seeded from the photo's own
numbers for the moment of one call and then put back, so that nobody else's random numbers change.

Sources: E. Cubuk et al., "AutoAugment" (CVPR 2019); E. Cubuk et al., "RandAugment" (2020); S. Mueller and F. Hutter,
"TrivialAugment" (ICCV 2021); D. Hendrycks et al., "AugMix" (ICLR 2020).
"""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from teliti.runtime import require
from teliti.transforms.operations import OPERATIONS, FillValue, PixelOperation, Units, Values, whole_seed
from teliti.types import UInt8Image

_Interpolation = Literal["nearest", "bilinear"]
_global_generator = threading.Lock()  # torch has one generator for all threads
_NOMINAL_SIDE = 100  # shifts in `operations` are told for a photo of this side: where they are shares, in percent


class NamedPolicy(PixelOperation):
    """A published policy that draws operations and strengths by itself.

    Attributes:
        shift_unit: What a shift among the drawn operations is counted in.
        interpolation: How pixels between pixels are found.
        fill_value: Grey level 0..255, or one for each channel, of what comes in from outside the photo.
    """

    shift_unit: ClassVar[str] = "%"

    interpolation: _Interpolation = "bilinear"
    fill_value: FillValue = 0.0

    @abstractmethod
    def arguments(self) -> tuple[str, dict[str, Any]]:
        """Name of the class in torchvision.transforms.v2, and its own arguments."""

    def draw(self, units: Units) -> Values:
        """`seed`, which decides everything, and `operations`, what it decides: [name, strength] each, as told."""
        seed = whole_seed(units[0])
        return {"seed": seed, "operations": self._look_up(seed)}

    def words(self, values: Values) -> str:
        return ", ".join(self._phrase(name, strength) for name, strength in values["operations"]) or "nothing"

    def apply(self, image: UInt8Image, values: Values) -> UInt8Image:
        """(H, W, 3) or (H, W) uint8 to the same shape."""
        torch = require("torch", extra="train", purpose=_purpose(self))
        channels = image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
        tensor = torch.from_numpy(np.array(channels))  # (C, H, W), an own copy
        with _seeded(torch, values["seed"]):
            result = self._transform(_make_transform, channels=len(channels))(tensor)
        pixels = np.asarray(result.numpy(), dtype=np.uint8)
        return pixels[0] if image.ndim == 2 else np.ascontiguousarray(pixels.transpose(1, 2, 0))

    def _phrase(self, name: str, strength: float) -> str:
        """For instance `rotate -9` or `translatex +4.5 %`; what has no strength has its name alone."""
        if not strength:
            return name.lower()
        unit = f" {self.shift_unit}" if name.startswith("Translate") else ""
        return f"{name.lower()} {strength:+.3g}{unit}"

    def _transform(self, make: Any, *, channels: int = 1) -> Any:
        require("torchvision", extra="train", purpose=_purpose(self))
        name, arguments = self.arguments()
        levels = np.broadcast_to(self.fill_value, 3).tolist()
        fill = tuple(levels) if channels == 3 else (float(np.mean(levels)),)
        return make(name, tuple(arguments.items()), interpolation=self.interpolation, fill=fill)

    def _look_up(self, seed: int) -> list[list[Any]]:
        """What that seed draws, found by running the policy on a photo of no pixels to speak of."""
        torch = require("torch", extra="train", purpose=_purpose(self))
        with _seeded(torch, seed):
            recorder = self._transform(_make_recorder)
            recorder.drawn.clear()
            recorder(torch.zeros((1, _NOMINAL_SIDE, _NOMINAL_SIDE), dtype=torch.uint8))
            return [[name, strength] for name, strength in recorder.drawn]


@OPERATIONS.register("autoaugment")
class AutoAugment(NamedPolicy):
    """Pairs of operations that were found on a large public set.

    Attributes:
        policy: The set: imagenet, cifar10 or svhn.
    """

    step: Literal["autoaugment"] = "autoaugment"
    policy: Literal["imagenet", "cifar10", "svhn"] = "imagenet"

    def arguments(self) -> tuple[str, dict[str, Any]]:
        return "AutoAugment", {"policy": self.policy}


@OPERATIONS.register("randaugment")
class RandAugment(NamedPolicy):
    """A few operations in a row, all of one strength.

    Attributes:
        num_ops: How many.
        magnitude: Strength, 0 to 30.
    """

    step: Literal["randaugment"] = "randaugment"
    num_ops: Annotated[int, Field(ge=0, le=20)] = 2
    magnitude: Annotated[int, Field(ge=0, le=30)] = 9

    def arguments(self) -> tuple[str, dict[str, Any]]:
        return "RandAugment", {"num_ops": self.num_ops, "magnitude": self.magnitude}


@OPERATIONS.register("trivialaugment")
class TrivialAugment(NamedPolicy):
    """One operation of any strength, drawn uniformly; nothing to set."""

    shift_unit: ClassVar[str] = "px"

    step: Literal["trivialaugment"] = "trivialaugment"

    def arguments(self) -> tuple[str, dict[str, Any]]:
        return "TrivialAugmentWide", {}


@OPERATIONS.register("augmix")
class AugMix(NamedPolicy):
    """Several short chains of operations, mixed with the photo as it was.

    Attributes:
        severity: Largest strength of an operation, 1 to 10.
        mixture_width: How many chains.
        chain_depth: Operations in a chain; 0 draws 1 to 3.
        alpha: Parameter of the Dirichlet and Beta distributions of the weights.
    """

    step: Literal["augmix"] = "augmix"
    severity: Annotated[int, Field(ge=1, le=10)] = 3
    mixture_width: Annotated[int, Field(ge=1, le=10)] = 3
    chain_depth: Annotated[int, Field(ge=0, le=10)] = 0
    alpha: Annotated[float, Field(gt=0.0, le=100.0)] = 1.0

    def arguments(self) -> tuple[str, dict[str, Any]]:
        own = {"severity": self.severity, "mixture_width": self.mixture_width, "alpha": self.alpha}
        return "AugMix", {**own, "chain_depth": self.chain_depth or -1}


@contextmanager
def _seeded(torch: Any, seed: int) -> Iterator[None]:
    """The generator of torch at a seed for the length of the block, and afterwards as if nothing had been."""
    with _global_generator:
        before = torch.default_generator.get_state()
        try:
            torch.default_generator.manual_seed(seed)
            yield
        finally:
            torch.default_generator.set_state(before)


@cache
def _make_transform(name: str, arguments: tuple[tuple[str, Any], ...], *, interpolation: str, fill: Any) -> Any:
    return _policy_class(name)(**_translated(name, dict(arguments)), interpolation=interpolation, fill=list(fill))


@cache
def _make_recorder(name: str, arguments: tuple[tuple[str, Any], ...], *, interpolation: str, fill: Any) -> Any:
    """The policy with its pixels left alone, which keeps in `drawn` what it would have done."""
    del interpolation, fill

    class Recorder(_policy_class(name)):  # type: ignore[misc]  # the class is known when it runs
        def __init__(self, **own: Any) -> None:
            super().__init__(**own)
            self.drawn: list[tuple[str, float]] = []

        def _apply_image_or_video_transform(
            self,
            image: Any,
            transform_id: str,
            magnitude: float,
            **rest: Any,  # noqa: ARG002
        ) -> Any:
            self.drawn.append((transform_id, float(magnitude)))
            return image

    return Recorder(**_translated(name, dict(arguments)))


def _policy_class(name: str) -> Any:
    import torchvision.transforms.v2

    return getattr(torchvision.transforms.v2, name)


def _translated(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """AutoAugment takes the name of its policy as an enumeration."""
    if name != "AutoAugment":
        return arguments
    import torchvision.transforms.v2

    return {"policy": torchvision.transforms.v2.AutoAugmentPolicy(arguments["policy"])}


def _purpose(policy: NamedPolicy) -> str:
    return f"augment by {policy.arguments()[0]}"
