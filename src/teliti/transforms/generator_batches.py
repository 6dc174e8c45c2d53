"""Batches of photos from arrays or files: load, augment, standardize, preview.

`Batches` is what `flow`, `flow_from_directory` and `flow_from_dataframe` return. It knows no files: a `PhotoSource`
loads the photos, so that this room stays free of decoding.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypedDict

import numpy as np
from numpy.typing import NDArray

from teliti.errors import PhotoRefused, UserError
from teliti.files import resolve_inside, write_bytes_atomic
from teliti.transforms.generator import GeneratorSettings
from teliti.transforms.generator_draw import GLOBAL, RandomSource
from teliti.transforms.generator_order import BatchOrder, KerasOrder, SeededOrder, Turn
from teliti.transforms.generator_pictures import encode_picture, picture_from, stretch, true_pixels
from teliti.types import IntArray, Refused

Photo = NDArray[Any]
Parallel = Callable[[Callable[[int], Any], Sequence[int]], Iterator[Any]]


class PhotoSource(Protocol):
    """Photos by position, and what belongs to them.

    Attributes:
        names: (N) of the photos, for sentences.
        positions: (N) place of each photo in what the user gave, before any subset was taken.
        image_shape: Of one photo in a batch.
        largest_random: Keras's file names end in a random number below this.
    """

    positions: IntArray
    largest_random: int

    @property
    def names(self) -> Sequence[str]: ...

    @property
    def image_shape(self) -> tuple[int, ...]: ...

    def load(self, index: int) -> Photo:
        """One photo in `image_shape`, uint8 or float.

        Raises:
            PhotoRefused: it cannot be read.
        """
        ...

    def outputs(self, batch: Photo, indices: IntArray) -> Any:
        """The batch with its targets and weights, as Keras hands them out."""
        ...


class Batching(TypedDict, total=False):
    """How photos are put into batches; names as in Keras, defaults in `BatchOptions`.

    Attributes:
        shuffle: A new order in every epoch.
        seed: Of order and augmentation; None draws one.
        save_to_dir: Folder of previews, or None.
        save_prefix: Begin of their names.
        save_format: png, jpeg or another format of Pillow.
    """

    shuffle: bool
    seed: int | None
    save_to_dir: str | Path | None
    save_prefix: str
    save_format: str


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """`Batching` with its defaults, and the photos of a batch."""

    batch_size: int
    shuffle: bool = True
    seed: int | None = None
    save_to_dir: str | Path | None = None
    save_prefix: str = ""
    save_format: str = "png"

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise UserError(f"batch_size must be at least 1, got {self.batch_size}.", hint="Use 32.")
        if self.seed is not None and self.seed < 0:
            raise UserError(f"seed must be at least 0, got {self.seed}.", hint="Use any number from 0, or None.")


@dataclass(frozen=True)
class PhotoSteps:
    """What happens to a photo.

    Attributes:
        settings: Of the generator.
        augment: Photo and random numbers to the changed photo; None for the validation part.
        standardize: The changed photo to numbers.
    """

    settings: GeneratorSettings
    augment: Callable[[Photo, RandomSource], Photo] | None
    standardize: Callable[[Photo], Photo]


class Batches:
    """An endless iterator over batches that can also be asked for one batch of an epoch.

    `next(batches)` may be called from several threads; `batches[i]` and `on_epoch_end()` go epoch by epoch, and
    `len(batches)` is the number of batches of an epoch. What the source knows (`classes`, `class_indices`,
    `filenames`, `samples`, ...) can be read here too.

    Args:
        source: The photos.
        steps: What happens to each.
        options: Batch size, order, previews.
        parallel: Maps a function over positions, results in order; the built-in `map` where there is one thread.

    Attributes:
        n: Photos.
        refused: Photos that could not be read and were left out of their batches, with the reason.
    """

    def __init__(self, source: PhotoSource, steps: PhotoSteps, options: BatchOptions, *, parallel: Parallel) -> None:
        self.source, self._steps, self._parallel = source, steps, parallel
        self._options = options
        self.batch_size, self.shuffle, self.seed = options.batch_size, options.shuffle, options.seed
        self.n = len(source.names)
        self._broken: dict[int, str] = {}
        make = KerasOrder if steps.settings.keras_compatible else SeededOrder
        self._order: BatchOrder = make(self.n, options.batch_size, shuffle=options.shuffle, seed=options.seed)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "source":
            raise AttributeError(name)
        return getattr(self.source, name)

    def __len__(self) -> int:
        return math.ceil(self.n / self.batch_size)

    def __getitem__(self, number: int) -> Any:
        if not -len(self) <= number < len(self):
            raise IndexError(f"Batch {number} does not exist: an epoch has {len(self)} batches.")
        turn = self._order.batch(number % len(self))
        return self._outputs(turn, self._make(turn))

    def __iter__(self) -> Batches:
        return self

    def __next__(self) -> Any:
        for _ in range(max(1, len(self))):
            turn = self._order.next_batch()
            made = self._make(turn)
            if made:
                return self._outputs(turn, made)
        raise UserError(
            f"At least one photo must be readable, got {len(self.refused)} refused.", hint="See the warnings above."
        )

    @property
    def refused(self) -> tuple[Refused, ...]:
        """Photos that could not be read, in the order of the set."""
        return tuple(Refused(self.source.names[index], self._broken[index]) for index in sorted(self._broken))

    @property
    def readable(self) -> NDArray[np.bool_]:
        """(N,) False where a photo was refused: the rows of `classes` that predictions in order belong to."""
        mask = np.ones(self.n, dtype=np.bool_)
        mask[list(self._broken)] = False
        return mask

    def reset(self) -> None:
        """Begin anew: the same batches again, pixel by pixel. With `keras_compatible`: begin a new epoch."""
        self._order.restart()

    def on_epoch_end(self) -> None:
        """Go on to the next epoch for `batches[i]`."""
        self._order.end_epoch()

    def _make(self, turn: Turn) -> dict[int, Photo]:
        make = self._make_like_keras if self._steps.settings.keras_compatible else self._make_safely
        return make(turn)

    def _outputs(self, turn: Turn, made: dict[int, Photo]) -> Any:
        dtype = self._steps.settings.dtype
        batch = np.zeros((len(made), *self.source.image_shape), dtype=dtype)
        for row, photo in enumerate(made.values()):
            batch[row] = photo
        if self._options.save_to_dir is not None and self._steps.settings.keras_compatible:
            self._save_like_keras(batch, turn.indices)
        return self.source.outputs(batch, np.array(list(made), dtype=np.int64))

    def _make_safely(self, turn: Turn) -> dict[int, Photo]:
        """Photos by position; those that cannot be read are left out, each said once."""

        def work(index: int) -> Photo | PhotoRefused:
            try:
                photo = self.source.load(index)
            except PhotoRefused as refusal:
                return refusal
            if self._steps.augment is not None:
                photo = self._steps.augment(photo, self._order.source(turn.epoch, index))
            if self._options.save_to_dir is not None:
                self._save(photo, index, turn.epoch)
            return self._steps.standardize(photo)

        indices = turn.indices.tolist()
        made = dict(zip(indices, self._parallel(work, indices), strict=True))
        for index, result in made.items():
            if isinstance(result, PhotoRefused) and index not in self._broken:
                self._broken[index] = result.reason
                warnings.warn(f'"{self.source.names[index]}" is left out: {result.reason}', stacklevel=4)
        return {index: photo for index, photo in made.items() if not isinstance(photo, PhotoRefused)}

    def _make_like_keras(self, turn: Turn) -> dict[int, Photo]:
        made = {}
        for index in turn.indices.tolist():
            try:
                photo = self.source.load(index)
            except PhotoRefused as refusal:
                raise UserError(
                    f'"{self.source.names[index]}" cannot be read: {refusal.reason}.',
                    hint="Remove it, or leave keras_compatible out, and broken photos are skipped.",
                ) from refusal
            if self._steps.augment is not None:
                photo = self._steps.augment(photo, GLOBAL)
            made[index] = self._steps.standardize(photo)
        return made

    def _save(self, photo: Photo, index: int, epoch: int) -> None:
        """A preview of the photo before standardisation, at its true brightness; the same name for the same seed."""
        options = self._options
        name = f"{options.save_prefix}_{self.source.positions[index]}_{epoch}.{options.save_format}"
        path = resolve_inside(Path(str(options.save_to_dir)), name)
        picture = picture_from(true_pixels(self._channels_last(photo)))
        write_bytes_atomic(path, encode_picture(picture, options.save_format))

    def _save_like_keras(self, batch: Photo, indices: IntArray) -> None:
        """Previews after standardisation, each stretched to its own full range, with a random number in the name."""
        options = self._options
        for photo, index in zip(batch, indices.tolist(), strict=True):
            number = np.random.randint(self.source.largest_random)
            name = f"{options.save_prefix}_{index}_{number}.{options.save_format}"
            path = resolve_inside(Path(str(options.save_to_dir)), name)
            picture = picture_from(stretch(self._channels_last(photo)))
            write_bytes_atomic(path, encode_picture(picture, options.save_format))

    def _channels_last(self, photo: Photo) -> Photo:
        return photo if self._steps.settings.data_format == "channels_last" else photo.transpose(1, 2, 0)
