"""What a network learns from, and the batches of an epoch: the same photos in the same order for any number of threads.

The order of an epoch follows from seed and epoch alone, the augmentation of a photo from seed, photo and epoch. The
batches of an epoch are as equal in size as can be (65 photos in batches of at most 64 are 33 and 32), because a last
batch of one photo would give BatchNorm nothing to average. Photos go as uint8 from the cache into kept buffers and
become float32 in one pass where the network is; nothing here knows a network.

Mixing (mixup, cutmix) comes after the augmentation of each photo and is drawn from seed, epoch and step. It is of the
whole step's photos, so that the number of processes changes nothing; each process therefore augments all of them.
What of the augmentation is done where the network is (`device_augment`), a batch says with its photos.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from teliti.data.loading import map_ahead
from teliti.errors import UserError
from teliti.training.device_augment import DeviceAugment, LeftToDo
from teliti.transforms.augment import AugmentChain, Draw, photo_rng
from teliti.transforms.mixing import one_hot
from teliti.types import FloatArray, IntArray, UInt8Image

NetworkTask = Literal["classification", "multilabel", "regression"]
Augment = Callable[[UInt8Image, np.random.Generator], UInt8Image]
_ORDER = 0x6F72646572  # keeps the order's random numbers apart from all others of one seed
_MIXING = 0x6D6978  # likewise


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Prepared photos and what is to be said about them.

    Attributes:
        images: (M, H, W, C) uint8, RGB for three channels; an array or a memory map.
        targets: (M,) int class index; (M, K) float of 0 and 1 for several labels a photo; (M,) or (M, K) float numbers.
        train: Positions of the photos to learn from.
        val: Positions of the photos to choose the epoch on; may be empty.
        task: Classes, several labels a photo, or numbers.
        num_classes: Classes, labels or numbers a photo: K.
        mean: Per channel, of values in [0, 1].
        std: Likewise.
        names: Of the M photos, for sentences, and what their random numbers are drawn by.
        class_names: Of the K classes, for sentences.
        augment: (H, W, C) uint8 and its random numbers to a photo of the same shape; training photos only. The photos
            of a step are mixed as well where it is a chain that mixes.
        class_weights: (K,) weight of each class in the loss, or (2, K) of each label where it is missing and where it
            is there; None: 1.
        numbers: (N, H, W, C) uint8 to the network's input (N, C, H, W) float32, in the place of mean and std.
        shares: (M, K) float32 share of each class, adding to 1 a photo: what is learnt in the place of the class;
            everything is measured against `targets`. None: the class alone.
    """

    images: UInt8Image
    targets: NDArray[Any]
    train: IntArray
    val: IntArray
    task: NetworkTask
    num_classes: int
    mean: Sequence[float]
    std: Sequence[float]
    names: Sequence[str]
    class_names: Sequence[str] = ()
    augment: Augment | None = None
    class_weights: FloatArray | None = None
    numbers: nn.Module | None = None
    shares: FloatArray | None = None

    def __post_init__(self) -> None:
        count = len(self.images)
        if self.images.dtype != np.uint8 or self.images.ndim != 4:
            raise UserError(f"images must be uint8 (M, H, W, C), got {self.images.dtype} {self.images.shape}.")
        if not len(self.targets) == len(self.names) == count:
            raise UserError(
                f"images, targets and names must be equally many, got {count}, {len(self.targets)}, {len(self.names)}."
            )
        if not len(self.train):
            raise UserError("The training part must have photos, got none.", hint="Raise data.split.train.")
        used = np.concatenate([self.train, self.val]).astype(np.int64)
        if used.min() < 0 or used.max() >= count:
            raise UserError(f"train and val must be positions in 0..{count - 1}, got {used.min()}..{used.max()}.")
        self._check_targets(used)

    def _check_targets(self, used: IntArray) -> None:
        targets = np.asarray(self.targets[used])
        if self.task == "classification":
            if targets.ndim != 1 or targets.min() < 0 or targets.max() >= self.num_classes:
                raise UserError(
                    f"targets must be (M,) class indices in 0..{self.num_classes - 1}, "
                    f"got {targets.shape[1:]} {targets.min()}..{targets.max()}."
                )
        elif targets.size != len(used) * self.num_classes or not np.isfinite(targets).all():
            raise UserError(
                f"targets must be finite numbers (M, {self.num_classes}), got {targets.shape} of {targets.dtype}."
            )

    @property
    def channels(self) -> int:
        """C."""
        return int(self.images.shape[3])

    def name_of_class(self, index: int) -> str:
        """The class's name, or its number where no names were given."""
        return self.class_names[index] if self.class_names else str(index)

    @property
    def mixer(self) -> AugmentChain | None:
        """The augmentation, where it mixes the photos of a step."""
        return self.augment if isinstance(self.augment, AugmentChain) and self.augment.mixes else None

    @property
    def device_augment(self) -> DeviceAugment | None:
        """The augmentation divided between CPU and device, where something of it can be done on the device."""
        found = DeviceAugment(self.augment) if isinstance(self.augment, AugmentChain) else None
        return found if found is not None and found.has_work else None


@dataclass(frozen=True)
class Batch:
    """One step's photos of this process.

    Attributes:
        step: Number in its epoch, from 0.
        indices: (N,) positions of its photos.
        images: (N, H, W, C) uint8; a kept buffer, overwritten a few batches later.
        total: Photos of the whole step, those of other processes included.
        mixed: (N, K) targets of photos that are mixed or have shares: float32 share of each class, adding to 1 a
            photo, or float64 labels or numbers; None: targets are those of the data.
        left: What the device has still to do with the images, which are those of the whole step where it mixes them;
            None: nothing.
    """

    step: int
    indices: IntArray
    images: Tensor
    total: int
    mixed: FloatArray | None = None
    left: LeftToDo | None = None


def epoch_batches(train: IntArray, *, batch_size: int, seed: int, epoch: int) -> list[IntArray]:
    """The positions of each step of an epoch, shuffled: ceil(n / batch_size) batches, sizes equal or one apart.

    Args:
        train: Positions of the training photos.
        batch_size: At most so many photos a step.
        seed: Of the run.
        epoch: From 0.
    """
    order = np.random.default_rng((_ORDER, seed, epoch)).permutation(train)
    return np.array_split(order, max(1, -(-len(order) // batch_size)))


def share_of(indices: IntArray, rank: int, world: int) -> IntArray:
    """The part of a batch that process `rank` of `world` computes; together they are the batch, in order."""
    return np.array_split(indices, world)[rank]


class BatchLoader:
    """Assembles batches, a few ahead, in buffers that are kept.

    Args:
        data: Photos.
        seed: Of the run; decides the augmentation.
        workers: Threads; 0 assembles in the caller's.
        pin: Put the buffers where a GPU reads them without a copy.
        device_augment: What the device does of the augmentation is left to it; None: all is done here.
        kept: Batches that the caller may still read from when it asks for the next one.
    """

    def __init__(
        self,
        data: TrainingData,
        *,
        seed: int,
        workers: int,
        pin: bool = False,
        device_augment: DeviceAugment | None = None,
        kept: int = 0,
    ) -> None:
        self._data, self._seed, self._workers, self._pin = data, seed, workers, pin
        self._device_augment, self._kept = device_augment, kept
        self._buffers: list[Tensor] = []

    def batches(
        self, plan: Sequence[IntArray], *, epoch: int, first: int = 0, rank: int = 0, world: int = 1
    ) -> Iterator[Batch]:
        """The batches of an epoch from step `first` on, in order; close the iterator to stop early.

        Args:
            plan: From `epoch_batches`.
            epoch: From 0.
            first: Steps done already.
            rank: Number of this process.
            world: How many processes share each batch.
        """
        steps, mixer = range(first, len(plan)), self._data.mixer
        self._keep_buffers(
            max((len(plan[step] if mixer else share_of(plan[step], rank, world)) for step in steps), default=0)
        )

        def assemble(step: int) -> Batch:
            own, buffer = share_of(plan[step], rank, world), self._buffers[step % len(self._buffers)]
            if mixer is None:
                draws = self._fill(buffer[: len(own)].numpy(), own, epoch)
                shares = None if self._data.shares is None else self._data.shares[own]
                left = LeftToDo(draws) if draws else None
                return Batch(step, own, buffer[: len(own)], len(plan[step]), shares, left)
            first = sum(len(share_of(plan[step], before, world)) for before in range(rank))
            part = slice(first, first + len(own))
            images = buffer[: len(plan[step])]
            targets, left = self._fill_mixed(mixer, images.numpy(), plan[step], epoch=epoch, step=step, part=part)
            return Batch(step, own, images[part] if left is None else images, len(plan[step]), targets[part], left)

        if not self._workers:
            yield from map(assemble, steps)
            return
        yield from map_ahead(assemble, steps, threads=self._workers, ahead=1)

    def _keep_buffers(self, photos: int) -> None:
        ahead = self._workers + 2 if self._workers else 0  # waiting: workers + 1; being given back: 1
        count = 1 + ahead + self._kept
        if len(self._buffers) < count or len(self._buffers[0]) < photos:
            shape = (photos, *self._data.images.shape[1:])
            self._buffers = [torch.empty(shape, dtype=torch.uint8, pin_memory=self._pin) for _ in range(count)]

    def _fill(self, out: UInt8Image, indices: IntArray, epoch: int) -> tuple[Draw, ...]:
        """The photos of a step; where the device augments, what was drawn for them."""
        data, divided = self._data, self._device_augment
        if data.augment is None:
            np.take(data.images, indices, axis=0, out=out, mode="clip")  # "raise" would copy once more
            return ()
        draws = list[Draw]()
        for place, index in enumerate(indices.tolist()):
            photo, rng = np.asarray(data.images[index]), photo_rng(self._seed, data.names[index], epoch)
            if divided is None:
                photo = data.augment(photo, rng)
            else:
                photo, draw = divided.begin(photo, rng)
                draws.append(draw)
            if photo.shape != out.shape[1:]:
                raise UserError(f"augment must keep the shape {out.shape[1:]}, got {photo.shape}.")
            out[place] = photo
        return tuple(draws)

    def _fill_mixed(
        self, mixer: AugmentChain, out: UInt8Image, indices: IntArray, *, epoch: int, step: int, part: slice
    ) -> tuple[FloatArray, LeftToDo | None]:
        """The photos of a whole step, mixed or with what is left to do; their mixed targets (N, K)."""
        draws = self._fill(out, indices, epoch)
        rng, targets = np.random.default_rng((_MIXING, self._seed, epoch, step)), _as_rows(self._data, indices)
        if self._device_augment is None:
            images, targets = mixer.mix(out, targets, rng=rng)
            np.copyto(out, images)
            return targets, None
        mixtures = mixer.draw_mixtures(len(out), (out.shape[1], out.shape[2]), rng=rng)
        for mixture in mixtures:
            targets = mixture.mix_weights(targets)
        return targets, LeftToDo(draws, tuple(mixtures), part)


def _as_rows(data: TrainingData, indices: IntArray) -> FloatArray:
    """(N, K) targets: float32 of 0 and 1 for classes, else float64, in which a share of 1 leaves a number as it is."""
    if data.shares is not None:
        return data.shares[indices]
    targets = data.targets[indices]
    if data.task == "classification":
        return one_hot(targets, data.num_classes)
    return np.asarray(targets, dtype=np.float64).reshape(len(indices), -1)


class InputMaker:
    """uint8 photos to the network's input, on the network's device, in a buffer that is kept.

    Mean and std are laid out as one row of a photo: adding a row to each row is what processors do fast.

    Args:
        data: For mean and std, or the steps in their place, and the photos' size.
        device: Of the network.
        size: (height, width) of the upper left part that is wanted; None: all.
    """

    def __init__(self, data: TrainingData, device: torch.device, size: tuple[int, int] | None = None) -> None:
        own = data.numbers
        self._numbers = own if own is None or device.type == "cpu" else copy.deepcopy(own).to(device)
        mean, std = (np.asarray(values, dtype=np.float64) for values in (data.mean, data.std))
        height, width = data.images.shape[1:3] if size is None else size
        self._part = slice(None), slice(height), slice(width)
        self._scale = _as_row(1.0 / (255.0 * std), width, device)
        self._shift = _as_row(-mean / std, width, device)
        self._device = device
        self._buffer: Tensor | None = None

    def make(self, images: Tensor, *, keep: bool = True) -> Tensor:
        """Normalised photos.

        Args:
            images: (N, H, W, C) uint8.
            keep: Reuse one buffer: the last result is overwritten.

        Returns:
            (N, C, H, W) float32, channels last in memory.
        """
        moved = images.to(self._device, non_blocking=True)
        if self._numbers is not None:
            numbers: Tensor = self._numbers(moved)[:, :, *self._part[1:]]
            return numbers.contiguous(memory_format=torch.channels_last)
        moved = moved[self._part]
        x = self._kept(moved) if keep else torch.empty(moved.shape, dtype=torch.float32, device=self._device)
        rows = x.view(*x.shape[:2], -1)  # (N, H, W C)
        rows.copy_(moved.flatten(2))
        torch.addcmul(self._shift, rows, self._scale, out=rows)
        return x.permute(0, 3, 1, 2)

    def _kept(self, images: Tensor) -> Tensor:
        kept = self._buffer
        if kept is None or len(kept) < len(images):
            kept = torch.empty(images.shape, dtype=torch.float32, device=self._device)
            self._buffer = kept
        return kept[: len(images)]


def _as_row(channels: FloatArray, width: int, device: torch.device) -> Tensor:
    """(W C,) float32 of one number a channel."""
    return torch.tensor(np.tile(channels, width), dtype=torch.float32, device=device)
