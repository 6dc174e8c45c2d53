"""Augmentation where the network is: the same draws as on the CPU, carried out for a whole batch by torch.

One rule divides a chain: after the last pixel operation that has no tensor form (JPEG, de-texturing, salient edges, the
named policies), everything is done on the device, up to there everything on the CPU by the loader's threads. Where all
have one, the warp and the table are done on the device, too. Mixing always is.
Every value comes from the chain's own draw, by seed, photo and epoch. The pixels of noise come from the drawn seed, but
from torch's generator: another noise of the same law.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from teliti.imaging.geometry import IDENTITY
from teliti.training.augment_tensors import (
    blend_photos,
    blur_levels,
    cover_windows,
    luminance_of,
    map_levels,
    per_photo,
    to_levels,
    turn_colours,
    warp_photos,
)
from teliti.transforms.augment import AugmentChain, Draw
from teliti.transforms.operations import Mixture, PixelOperation, Values
from teliti.transforms.operations_colour import ColourJitter, colour_matrix
from teliti.transforms.operations_pixels import Blur, Decolourise, EnhanceEdges, Erase, Noise
from teliti.types import UInt8Image

Form = Callable[[Any, Tensor, Sequence[Values]], Tensor]
"""An operation, (N, H, W, C) uint8 photos and the values of each to photos of the same shape."""


@dataclass(frozen=True, eq=False)
class LeftToDo:
    """What the device has still to do with the photos of a step.

    Attributes:
        draws: One a photo.
        mixtures: Of the photos, one after another.
        part: The photos that are this process's once they are mixed; None: all.
    """

    draws: tuple[Draw, ...]
    mixtures: tuple[Mixture, ...] = ()
    part: slice | None = None


class DeviceAugment:
    """A chain divided between the CPU and the device.

    Args:
        chain: Built from the recipe.
    """

    def __init__(self, chain: AugmentChain) -> None:
        self.chain = chain
        kinds = [type(operation) for operation in chain.pixel_operations]
        without = [place for place, kind in enumerate(kinds) if kind not in _FORMS]
        self._first = without[-1] + 1 if without else 0

    @property
    def has_work(self) -> bool:
        """True when something is left for the device."""
        is_whole = self._first == 0 and bool(self.chain.operations)
        return is_whole or self.chain.mixes or self._first < len(self.chain.pixel_operations)

    def begin(self, image: UInt8Image, rng: np.random.Generator) -> tuple[UInt8Image, Draw]:
        """The draw for a photo, and the photo after what is done on the CPU.

        Args:
            image: (H, W, 3) uint8.
            rng: Usually `photo_rng`.
        """
        draw = self.chain.draw(rng, (image.shape[0], image.shape[1]))
        if self._first == 0:
            return image, draw
        return self.chain.change_first(image, draw, pixel_operations=self._first), draw

    def finish(self, images: Tensor, left: LeftToDo) -> Tensor:
        """The rest, for the photos of a step.

        Args:
            images: (N, H, W, C) uint8 from `begin`, on any device; not written to.
            left: Their draws.

        Returns:
            (N', H, W, C) uint8 on the same device: the part of this process.
        """
        if self._first == 0:
            images = self._map_levels(self._warp(images, left.draws), left.draws)
        values = [self.chain.pixel_values(draw) for draw in left.draws]
        operations = self.chain.pixel_operations
        for place in range(self._first, len(operations)):
            images = _where_used(operations[place], images, [own[place] for own in values])
        for mixture in left.mixtures:
            images = _mix(images, mixture)
        return images if left.part is None else images[left.part]

    def _warp(self, images: Tensor, draws: Sequence[Draw]) -> Tensor:
        maps = [self.chain.affine(draw) for draw in draws]
        if all(own is IDENTITY for own in maps):
            return images
        return warp_photos(images, maps, fill=self.chain.fill, value=self.chain.fill_value)

    def _map_levels(self, images: Tensor, draws: Sequence[Draw]) -> Tensor:
        tables = [self.chain.level_table(draw) for draw in draws]
        if all(table is None for table in tables):
            return images
        return map_levels(images, np.stack([_wide(table) for table in tables]))


def _where_used(operation: PixelOperation, images: Tensor, values: Sequence[Values | None]) -> Tensor:
    """One operation on those photos of a batch that it was drawn for."""
    used = [place for place, own in enumerate(values) if own is not None]
    if not used:
        return images
    form, own_values = _FORMS[type(operation)], [own for own in values if own is not None]
    if len(used) == len(images):
        return form(operation, images, own_values)
    places = torch.tensor(used).to(images.device)
    return images.index_copy(0, places, form(operation, images[places], own_values))


def _mix(images: Tensor, mixture: Mixture) -> Tensor:
    partners = images[torch.from_numpy(mixture.partner).to(images.device)]
    if mixture.windows is not None:
        return cover_windows(images, mixture.windows, partners)
    return blend_photos(images, partners, (1.0 - mixture.own).tolist())


def _wide(table: UInt8Image | None) -> UInt8Image:
    """A table as (256, 3); None changes nothing."""
    own = np.arange(256, dtype=np.uint8) if table is None else table
    return np.broadcast_to(own[:, None], (256, 3)) if own.ndim == 1 else own


def _noise(operation: Noise, images: Tensor, values: Sequence[Values]) -> Tensor:
    shape = images.shape[1:] if operation.per_channel else (*images.shape[1:3], 1)
    noise = torch.stack([_normal(shape, own["seed"], images.device) for own in values])
    return to_levels(noise.mul_(per_photo([own["std"] for own in values], images.device)) + images)


def _blur(_operation: Blur, images: Tensor, values: Sequence[Values]) -> Tensor:
    return to_levels(blur_levels(images.float(), [own["sigma"] for own in values], widths=3))


def _erase(operation: Erase, images: Tensor, values: Sequence[Values]) -> Tensor:
    size = (images.shape[1], images.shape[2])
    windows = np.array([operation.hole(own, size) for own in values], dtype=np.int64)
    if operation.fill == "noise":
        colours = torch.stack([_uniform(images.shape[1:], own["seed"], images.device) for own in values])
    elif operation.fill == "mean":
        colours = to_levels(images.double().mean(dim=(1, 2), keepdim=True))
    else:
        colours = torch.full((1,), round(operation.fill), dtype=torch.uint8, device=images.device)
    return cover_windows(images, windows, colours)


def _colour_jitter(_operation: ColourJitter, images: Tensor, values: Sequence[Values]) -> Tensor:
    if images.shape[3] == 1:
        return images
    return turn_colours(images, [colour_matrix(own["saturation"], own["hue"]) for own in values])


def _decolourise(_operation: Decolourise, images: Tensor, values: Sequence[Values]) -> Tensor:
    return blend_photos(images, luminance_of(images), [own["strength"] for own in values])


def _enhance_edges(operation: EnhanceEdges, images: Tensor, values: Sequence[Values]) -> Tensor:
    light = luminance_of(images)
    detail = light - blur_levels(light, [operation.sigma] * len(values), widths=4)
    return to_levels(detail.mul_(per_photo([own["strength"] for own in values], images.device)) + images)


def _normal(shape: Sequence[int], seed: int, device: torch.device) -> Tensor:
    return torch.randn(tuple(shape), generator=torch.Generator(device).manual_seed(seed), device=device)


def _uniform(shape: Sequence[int], seed: int, device: torch.device) -> Tensor:
    generator = torch.Generator(device).manual_seed(seed)
    return torch.randint(0, 256, tuple(shape), generator=generator, device=device, dtype=torch.uint8)


_FORMS: dict[type[PixelOperation], Form] = {
    Noise: _noise, Blur: _blur, Erase: _erase, ColourJitter: _colour_jitter, Decolourise: _decolourise,
    EnhanceEdges: _enhance_edges,
}  # fmt: skip
