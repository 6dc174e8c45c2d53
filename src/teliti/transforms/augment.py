"""The random steps of training: a chain of augmentations, and what it drew for a photo.

Whatever order the chain has, a photo goes through four stages: ONE warp of all geometric operations composed, ONE
look-up of all intensity operations composed, the pixel operations one after another, and, in a batch, mixing. Inside
a stage the order of the chain holds. Draws and pixels depend on the photo, the seed and the view alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.random.bit_generator import ISeedSequence
from numpy.typing import NDArray
from pydantic import ValidationError

from teliti.errors import RecipeError, UserError
from teliti.imaging.boxes import move_boxes
from teliti.imaging.geometry import IDENTITY, Affine, Fill, Level, compose, warp, warp_labels
from teliti.registry import closest
from teliti.transforms import (  # those not named below fill the registry
    mixing,
    operations_colour,  # noqa: F401
    operations_geometry,  # noqa: F401
    operations_pixels,  # noqa: F401
    policy_named,  # noqa: F401
)
from teliti.transforms.operations import (
    OPERATIONS,
    BatchOperation,
    GeometricOperation,
    IntensityOperation,
    Mixture,
    Operation,
    PhotoOperation,
    PixelOperation,
    Values,
)
from teliti.types import FloatArray, Record, UInt8Image


@dataclass(frozen=True, slots=True)
class Draw:
    """Everything random about one photo.

    Attributes:
        size: (height, width) in pixels of the photo it was drawn for.
        steps: Name of each photo operation of the chain, in its order.
        values: What was drawn for each; None where the operation is not used.
    """

    size: tuple[int, int]
    steps: tuple[str, ...]
    values: tuple[Values | None, ...]

    def to_record(self) -> Record:
        """JSON-ready: the size, and for every operation its name, whether it is used, and its values."""
        return {
            "size": list(self.size),
            "operations": [
                {"step": step, "used": values is not None, **(values or {})}
                for step, values in zip(self.steps, self.values, strict=True)
            ],
        }


@dataclass(frozen=True, slots=True)
class Augmented:
    """A photo and what followed its pixels.

    Attributes:
        image: Of the photo's shape, uint8; the photo itself where nothing was done.
        masks: (H, W) uint8 each.
        boxes_xyxy: (N, 4) float32, rows as given; None when none were given. A box that left the photo has no area.
    """

    image: UInt8Image
    masks: tuple[UInt8Image, ...] = ()
    boxes_xyxy: FloatArray | None = None


class AugmentChain:
    """The operations of a recipe, ready to run.

    Args:
        operations: In their order; made by `build_augment`.

    Raises:
        RecipeError: geometric operations that name different fills.
    """

    def __init__(self, operations: Sequence[Operation]) -> None:
        self.operations = tuple(operations)
        geometric = [operation for operation in operations if isinstance(operation, GeometricOperation)]
        self.fill: Fill = _agreed(geometric, "fill", default="nearest")
        self.fill_value: Level = _agreed(geometric, "fill_value", default=0.0)
        photo = [operation for operation in operations if isinstance(operation, PhotoOperation)]
        self._steps = tuple(str(getattr(operation, "step", "")) for operation in photo)
        self._plan: list[tuple[PhotoOperation, float, int, int]] = []  # operation, p, its first unit and the one after
        self._units = 0
        for operation in photo:
            self._plan.append((operation, operation.p, self._units, self._units + 1 + operation.units))
            self._units += 1 + operation.units
        places = list(enumerate(photo))
        self._geometric = [(i, operation) for i, operation in places if isinstance(operation, GeometricOperation)]
        self._intensity = [(i, operation) for i, operation in places if isinstance(operation, IntensityOperation)]
        self._pixel = [(i, operation) for i, operation in places if isinstance(operation, PixelOperation)]
        self._batch = [operation for operation in operations if isinstance(operation, BatchOperation)]

    @property
    def mixes(self) -> bool:
        """True when `mix` has something to do."""
        return bool(self._batch)

    @property
    def pixel_operations(self) -> tuple[PixelOperation, ...]:
        """Those that come after the warp and the table, in their order."""
        return tuple(operation for _, operation in self._pixel)

    def pixel_values(self, draw: Draw) -> tuple[Values | None, ...]:
        """What was drawn for each of `pixel_operations`; None where it is not used."""
        return tuple(draw.values[i] for i, _ in self._pixel)

    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> Draw:
        """All random values of one photo.

        Args:
            rng: Usually `photo_rng`.
            size: (height, width) of the photo in pixels.
        """
        units = rng.random(self._units).tolist()
        values = tuple(
            operation.draw(units[first + 1 : after]) if units[first] < p else None
            for operation, p, first, after in self._plan
        )
        return Draw(size, self._steps, values)

    def draw_from_record(self, record: Mapping[str, Any]) -> Draw:
        """The draw that `Draw.to_record` described, to make the same photo again.

        Raises:
            RecipeError: it was drawn by a chain of other operations.
        """
        steps = tuple(entry["step"] for entry in record["operations"])
        if steps != self._steps:
            raise RecipeError(
                f"The draw must be of the chain {', '.join(self._steps)}, got one of {', '.join(steps)}.",
                hint="Use the chain that made it.",
            )
        values = tuple(
            {key: value for key, value in entry.items() if key not in {"step", "used"}} if entry["used"] else None
            for entry in record["operations"]
        )
        return Draw((record["size"][0], record["size"][1]), steps, values)

    def affine(self, draw: Draw, size: tuple[int, int] | None = None) -> Affine:
        """All geometric operations of a draw as one map, source to result, for a photo of (height, width)."""
        matrix = IDENTITY
        for i, operation in self._geometric:
            if (values := draw.values[i]) is not None:
                own = operation.matrix(values, size or draw.size)
                matrix = own if matrix is IDENTITY else compose(matrix, own)
        return matrix

    def apply(
        self, image: UInt8Image, draw: Draw, *, masks: Sequence[UInt8Image] = (), boxes_xyxy: FloatArray | None = None
    ) -> Augmented:
        """Carry a draw out on a photo and on what lies on it.

        Args:
            image: (H, W, 3) or (H, W) uint8; never written to. Shares of a draw apply to any size.
            draw: From `draw` of this chain.
            masks: (H, W) uint8 label maps of the photo; each keeps its own labels (and 0 of a constant fill).
            boxes_xyxy: (N, 4) in absolute pixels.

        Raises:
            UserError: the photo is not uint8, a mask has another size, or boxes are no boxes.
        """
        _check_photo(image)
        size = (image.shape[0], image.shape[1])
        matrix = self.affine(draw, size)
        moved_masks = tuple(warp_labels(_checked_mask(mask, size), matrix, fill=self.fill) for mask in masks)
        moved_boxes = None if boxes_xyxy is None else move_boxes(boxes_xyxy, matrix, size)
        return Augmented(self._change(image, draw, matrix), moved_masks, moved_boxes)

    def __call__(self, image: UInt8Image, rng: np.random.Generator) -> UInt8Image:
        """Draw for a photo and carry it out: (H, W, 3) or (H, W) uint8 to the same.

        Raises:
            UserError: the photo is not uint8 of one of these shapes.
        """
        _check_photo(image)
        size = (image.shape[0], image.shape[1])
        draw = self.draw(rng, size)
        return self._change(image, draw, self.affine(draw, size))

    def mix(
        self, images: UInt8Image, weights: FloatArray, *, rng: np.random.Generator
    ) -> tuple[UInt8Image, FloatArray]:
        """Mix a batch by the chain's batch operations (mixup, cutmix), each with its probability.

        Args:
            images: (N, H, W, 3) or (N, H, W) uint8.
            weights: (N, K) float label weights, from `mixing.one_hot`.
            rng: Where every random number comes from.

        Returns:
            The batch; the same arrays where nothing was mixed.

        Raises:
            UserError: arrays of another shape or dtype.
        """
        mixing.check_batch(images, weights)
        for mixture in self.draw_mixtures(len(images), (images.shape[1], images.shape[2]), rng=rng):
            images, weights = mixture.mix_images(images), mixture.mix_weights(weights)
        return images, weights

    def draw_mixtures(self, count: int, size: tuple[int, int], *, rng: np.random.Generator) -> list[Mixture]:
        """What `mix` would do with a batch, in its order.

        Args:
            count: Photos of the batch.
            size: (height, width) of each in pixels.
            rng: Where every random number comes from.
        """
        return [operation.draw(count, size, rng=rng) for operation in self._batch if rng.random() < operation.p]

    def describe(self, draw: Draw) -> str:
        """A draw in words: one phrase for each operation used."""
        phrases = [
            operation.words(values)
            for (operation, *_), values in zip(self._plan, draw.values, strict=True)
            if values is not None
        ]
        return "; ".join(phrases) or "unchanged"

    def to_record(self) -> list[Record]:
        """Every operation with every parameter, JSON-ready; `augment_from_record` reads it back."""
        return [operation.model_dump(mode="json") for operation in self.operations]

    def change_first(self, image: UInt8Image, draw: Draw, *, pixel_operations: int) -> UInt8Image:
        """Carry out the beginning of a draw: the warp, the table, and so many of the pixel operations.

        Args:
            image: (H, W, 3) or (H, W) uint8; never written to.
            draw: From `draw` of this chain, for a photo of this size.
            pixel_operations: How many of them, from the first.
        """
        return self._change(image, draw, self.affine(draw), pixel_operations=pixel_operations)

    def level_table(self, draw: Draw) -> UInt8Image | None:
        """All intensity operations of a draw as one table, (256,) uint8 or (256, 3) for each channel; None: none."""
        used = [(operation, values) for i, operation in self._intensity if (values := draw.values[i]) is not None]
        if not used:
            return None
        table = used[0][0].table(used[0][1])
        for operation, values in used[1:]:
            table = _compose_tables(table, operation.table(values))
        return table

    def _change(
        self, image: UInt8Image, draw: Draw, matrix: Affine, *, pixel_operations: int | None = None
    ) -> UInt8Image:
        if matrix is not IDENTITY:
            image = warp(image, matrix, fill=self.fill, value=self.fill_value)
        image = self._map_levels(image, draw)
        for i, operation in self._pixel[:pixel_operations]:
            if (values := draw.values[i]) is not None:
                image = operation.apply(image, values)
        return image

    def _map_levels(self, image: UInt8Image, draw: Draw) -> UInt8Image:
        used = [(operation, values) for i, operation in self._intensity if (values := draw.values[i]) is not None]
        if len(used) == 1 and (gain := used[0][0].gain(used[0][1])) is not None:
            return np.asarray(cv2.convertScaleAbs(image, alpha=gain), dtype=np.uint8)
        table = self.level_table(draw)
        if table is None:
            return image
        if table.ndim == 2:
            table = table[:, 0] if image.ndim == 2 else table.reshape(1, 256, 3)
        return np.asarray(cv2.LUT(image, np.ascontiguousarray(table)), dtype=np.uint8)


def build_augment(steps: Iterable[Mapping[str, Any]]) -> AugmentChain:
    """The recipe's `[[augment]]` entries, checked.

    Raises:
        RecipeError: unknown operation or parameter, or a value outside its range; names the entry.
    """
    return AugmentChain([_build_operation(number, values) for number, values in enumerate(steps, start=1)])


def augment_from_record(record: Sequence[Mapping[str, Any]]) -> AugmentChain:
    """The chain that `AugmentChain.to_record` described.

    Raises:
        RecipeError: an operation or a parameter that this version does not know.
    """
    return build_augment(record)


def photo_rng(seed: int, key: bytes | str, view: int) -> np.random.Generator:
    """The random numbers of one view of one photo, whichever worker asks and in whichever order.

    Args:
        seed: The job's seed.
        key: What names the photo: the hash of its content, or its name.
        view: Which view of it: an epoch, or the number of a copy.
    """
    word = key.encode() if isinstance(key, str) else key
    digest = hashlib.blake2b(word, digest_size=32, key=f"{seed}:{view}".encode()).digest()
    state: Any = _DigestSeed(digest)  # numpy's stubs know its own seed sequence only
    return np.random.Generator(np.random.PCG64(state))


class _DigestSeed(ISeedSequence):
    """The 32 bytes of a digest as the state of a PCG64: as mixed as numpy's seed sequence, in a third of the time."""

    def __init__(self, digest: bytes) -> None:
        self._digest = digest

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> NDArray[Any]:
        return np.frombuffer(self._digest, dtype=dtype, count=n_words)


def _build_operation(number: int, values: Mapping[str, Any]) -> Operation:
    name = str(values.get("step", ""))
    try:
        kind = OPERATIONS.get(name)
    except RecipeError as error:
        raise RecipeError(f"augment step {number}: {error.message}", hint=error.hint) from None
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        problem = error.errors()[0]
        key = str(problem["loc"][0]) if problem["loc"] else "step"
        place = f"augment step {number} ({name}): {key}"
        hint = f"Its parameters are {', '.join(field for field in kind.model_fields if field != 'step')}."
        if problem["type"] == "extra_forbidden":
            near = closest(key, kind.model_fields)
            raise RecipeError(
                f"{place} is not one of its parameters.", hint=f'Did you mean "{near}"? {hint}' if near else hint
            ) from error
        cause = problem.get("ctx", {}).get("error")
        rule = str(cause) if cause else problem["msg"].replace("Input should", "must", 1)
        raise RecipeError(f"{place} {rule}, got {values[key]!r}.", hint=hint) from error


def _agreed(operations: Sequence[GeometricOperation], key: str, *, default: Any) -> Any:
    """The one value that the operations name, or the default."""
    named = {value for operation in operations if (value := getattr(operation, key)) is not None}
    if len(named) > 1:
        values = " and ".join(sorted(map(str, named)))
        raise RecipeError(
            f"{key} must be one for all geometric augmentations, got {values}.",
            hint="They are one warp; name it once.",
        )
    return named.pop() if named else default


def _compose_tables(first: UInt8Image, then: UInt8Image) -> UInt8Image:
    """The table that looks up in `first` and then in `then`; each (256,) or (256, 3)."""
    if first.ndim == 2 and then.ndim == 2:
        return np.take_along_axis(then, first.astype(np.intp), axis=0)
    return then[first]


def _check_photo(image: UInt8Image) -> None:
    if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
        raise UserError(
            f"The photo must be uint8 of shape (H, W, 3) or (H, W), got {image.dtype} of shape {image.shape}.",
            hint="Augment before the photo becomes numbers.",
        )


def _checked_mask(mask: UInt8Image, size: tuple[int, int]) -> UInt8Image:
    if mask.dtype != np.uint8 or mask.shape != size:
        raise UserError(
            f"A mask must be uint8 of shape {size}, as its photo, got {mask.dtype} of shape {mask.shape}.",
            hint="Resize it to the photo without interpolation.",
        )
    return mask
