"""The deterministic steps between a decoded photo and the network, the same at training and at inspection.

`build_chain` checks every parameter and the order of the steps before anything runs, and the chain's record (saved
in the bundle) builds the equal chain again. The last image step is always `frame`; steps that yield numbers follow
it and run inside the network's graph.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import takewhile
from typing import Any, Literal

import numpy as np
from pydantic import ValidationError

from teliti.errors import PhotoRefused, RecipeError
from teliti.imaging.framing import as_colour
from teliti.recipe import Fit
from teliti.recipe.sections import rule_in_words
from teliti.transforms import (  # imported for the steps that they register
    steps_appearance,  # noqa: F401
    steps_binarize,  # noqa: F401
    steps_colour,  # noqa: F401
    steps_contrast,  # noqa: F401
    steps_mask,  # noqa: F401
    steps_morphology,  # noqa: F401
)
from teliti.transforms.order import check_order, fits_grey
from teliti.transforms.steps import STEPS, Combine, NumberStep, Step, TileStep, Working, name_of
from teliti.transforms.steps_framing import Frame
from teliti.transforms.steps_mask import MaskFromFile
from teliti.transforms.steps_numbers import check_numbers
from teliti.types import Record, UInt8Image

__all__ = ["STEPS", "PrepareChain", "Step", "build_chain", "chain_from_record", "chain_without_frame"]

Beside = Callable[[str], UInt8Image]


@dataclass(frozen=True)
class PrepareChain:
    """The steps in order; calling it prepares one photo. Safe to call from several threads.

    Args:
        steps: Image steps (the closing `frame` last), then number steps.

    Raises:
        RecipeError: the steps do not fit each other; names the step and says what to do.
    """

    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        check_order(self.steps)

    def __call__(self, image: UInt8Image, *, beside: Beside | None = None) -> UInt8Image:
        """Prepare one photo.

        Args:
            image: (H, W, 3) uint8 RGB, as decoded, or (H, W) grey: the result is that of three equal channels.
            beside: Reads a picture that lies beside the photo, by a name pattern.

        Returns:
            (height, width, 3) uint8 RGB of the network's size, contiguous.

        Raises:
            RecipeError: the chain makes several pictures of a photo.
            PhotoRefused: a picture that a step needs beside the photo cannot be used.
        """
        if self.tile is not None:
            raise RecipeError(
                f"{self._title(self.image_steps.index(self.tile))} makes several pictures of a photo, "
                "and one is asked for here.",
                hint="Take the tile step out, or use the chain's views.",
            )
        return _to_network(self._run(self._start(image, beside), 0))

    def views(self, image: UInt8Image, beside: Beside | None = None) -> UInt8Image:
        """Prepare one photo: all its tiles, or the one picture of a chain without tiles.

        Args:
            image: (H, W, 3) uint8 RGB, as decoded, or (H, W) grey.
            beside: Reads a picture that lies beside the photo, by a name pattern.

        Returns:
            (T, height, width, 3) uint8 RGB, contiguous, tiles in reading order.

        Raises:
            PhotoRefused: a picture that a step needs beside the photo cannot be used.
        """
        photo = self._start(image, beside)
        if self.tile is None:
            return _to_network(self._run(photo, 0))[None]
        at = self.image_steps.index(self.tile)
        tiles = self._cut(self.tile, self._run(photo, 0, at))
        return np.stack([_to_network(self._run(tile, at + 1)) for tile in tiles])

    def check_size(self, size: tuple[int, int]) -> None:
        """Refuse a photo by its size, where `refuses_by` is "size": nothing is decoded, and hardly anything computed.

        Args:
            size: (height, width) of the photo.

        Raises:
            PhotoRefused: a photo of that size cannot be prepared; names the step.
        """
        blank = np.zeros(size, dtype=np.uint8)
        self._check(Working(blank, blank, kind="grey"), by_size=True)

    def check_photo(self, image: UInt8Image, beside: Beside | None = None) -> None:
        """Refuse a photo that cannot be prepared; runs the steps up to the last one that may refuse.

        Args:
            image: (H, W, 3) uint8 RGB, as decoded, or (H, W) grey.
            beside: Reads a picture that lies beside the photo, by a name pattern.

        Raises:
            PhotoRefused: the photo cannot be prepared; names the step.
        """
        self._check(self._start(image, beside), by_size=False)

    def trace(self, image: UInt8Image, beside: Beside | None = None) -> list[tuple[str, UInt8Image]]:
        """The picture after every image step, for previews; after `tile`, the tile in the middle is followed.

        Returns:
            (step name, (H, W, 3) or (H, W) uint8), in order; for `tile` the photo with the tiles' borders drawn.
        """
        photo, pictures = self._start(image, beside), []
        for index, step in enumerate(self.image_steps):
            after = self._run(photo, index, index + 1)
            shown = step.outline(photo.image) if isinstance(step, TileStep) else after.image
            pictures.append((name_of(step), shown))
            photo = after
        return pictures

    @cached_property
    def image_steps(self) -> tuple[Step, ...]:
        """The steps that work on pixels, the closing `frame` last."""
        return tuple(step for step in self.steps if not isinstance(step, NumberStep))

    @cached_property
    def beside_patterns(self) -> tuple[str, ...]:
        """Name patterns of the files that must lie beside each photo."""
        return tuple(step.pattern for step in self.image_steps if isinstance(step, MaskFromFile))

    @cached_property
    def refuses_by(self) -> Literal["nothing", "size", "pixels"]:
        """What decides whether a photo can be prepared; most chains take every photo."""
        if self._last_refusal < 0:
            return "nothing"
        before = self.image_steps[: self._last_refusal]
        return "pixels" if any(step.sized_by_pixels for step in before) else "size"

    @cached_property
    def numbers(self) -> tuple[NumberStep, ...]:
        """The steps that run inside the network's graph."""
        return tuple(step for step in self.steps if isinstance(step, NumberStep))

    @cached_property
    def tile(self) -> TileStep | None:
        """The step that cuts the photo into tiles; its `combine` says how their scores become the photo's."""
        return next((step for step in self.steps if isinstance(step, TileStep)), None)

    @property
    def combine(self) -> Combine:
        """How the answers for the tiles of a photo become one."""
        return "mean" if self.tile is None else self.tile.combine

    @cached_property
    def is_channelwise(self) -> bool:
        """True when grey photos run in one channel: every step allows it, and takes what it then gets."""
        return all(step.channelwise for step in self.image_steps) and fits_grey(self.steps)

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) of what the chain yields."""
        frame = self.image_steps[-1] if self.image_steps else None
        if not isinstance(frame, Frame):
            raise RecipeError("The last prepare step must be frame.", hint="Rebuild the chain with build_chain.")
        return frame.height, frame.width

    def to_record(self) -> list[Record]:
        """Every step with every parameter, JSON-ready; `chain_from_record` reads it back."""
        return [step.model_dump(mode="json") for step in self.steps]

    @cached_property
    def _last_need(self) -> int:
        """Index of the last image step that reads the original; -1 when none does."""
        return max((index for index, step in enumerate(self.image_steps) if step.needs_original), default=-1)

    @cached_property
    def _last_refusal(self) -> int:
        """Index of the last image step that may refuse a photo; -1 when none does."""
        return max((index for index, step in enumerate(self.image_steps) if step.may_refuse), default=-1)

    def _check(self, photo: Working, *, by_size: bool) -> None:
        stop = self._last_refusal + 1
        at = stop if self.tile is None else min(self.image_steps.index(self.tile), stop)
        photo = self._run(photo, 0, at, by_size=by_size)
        if self.tile is not None and at < stop:
            tiles = self._cut(self.tile, photo)
            for tile in tiles[:1] if by_size else tiles:  # all are of one size
                self._run(tile, at + 1, stop, by_size=by_size)

    def _start(self, image: UInt8Image, beside: Beside | None) -> Working:
        if image.ndim == 2 and not self.is_channelwise:
            image = as_colour(image)
        return Working(image, image, beside, "colour" if image.ndim == 3 else "grey")

    def _run(self, photo: Working, start: int, stop: int | None = None, *, by_size: bool = False) -> Working:
        for index in range(start, len(self.image_steps) if stop is None else stop):
            step = self.image_steps[index]
            if by_size and step.keeps_size and not step.moves and not step.may_refuse:
                continue
            try:
                photo = step.run(photo)
            except PhotoRefused as refusal:
                raise PhotoRefused(f"{self._title(index)}: {refusal.reason}") from refusal
            kind = step.gives(photo.kind)
            if kind == "colour" and photo.image.ndim == 2:  # a grey photo that runs in one channel
                kind = "grey"
            original = photo.original if index < self._last_need else photo.image  # not moved along for nothing
            photo = replace(photo, original=original, kind=kind)
        return photo

    def _cut(self, tile: TileStep, photo: Working) -> tuple[Working, ...]:
        try:
            return tile.cut(photo)
        except PhotoRefused as refusal:
            raise PhotoRefused(f"{self._title(self.image_steps.index(tile))}: {refusal.reason}") from refusal

    def _title(self, index: int) -> str:
        return f"prepare step {index + 1} ({name_of(self.image_steps[index])})"


def build_chain(steps: Iterable[Mapping[str, Any]], *, image_size: tuple[int, int], fit: Fit) -> PrepareChain:
    """The recipe's steps, checked, with `frame` after the last image step.

    Raises:
        RecipeError: unknown step or parameter, a value outside its range, or an order that cannot work; names the
            step.
    """
    own = chain_without_frame(steps)
    check_numbers(own.steps, image_size=image_size)
    frame = Frame(height=image_size[0], width=image_size[1], fit=fit)
    return PrepareChain((*own.image_steps, frame, *own.numbers))


def chain_without_frame(steps: Iterable[Mapping[str, Any]]) -> PrepareChain:
    """The recipe's steps, checked, where the size of the network is not known yet or not wanted.

    Raises:
        RecipeError: as `build_chain`.
    """
    values = list(steps)
    for number, entry in enumerate(values, start=1):
        if entry.get("step") == "frame":
            raise RecipeError(
                f"prepare step {number} must not be frame, which always comes last.",
                hint="Set data.image_size and data.fit instead.",
            )
    return chain_from_record(values)


def chain_from_record(record: Sequence[Mapping[str, Any]]) -> PrepareChain:
    """The chain that `to_record` described.

    Raises:
        RecipeError: a step or a parameter that this version does not know, or an order that cannot work.
    """
    return PrepareChain(tuple(_build_step(number, values) for number, values in enumerate(record, start=1)))


def _build_step(number: int, values: Mapping[str, Any]) -> Step:
    name = str(values.get("step", ""))
    try:
        return STEPS.get(name).model_validate(dict(values))
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(takewhile(lambda part: re.fullmatch(r"\w+", part), map(str, problem["loc"])))
        cause = problem.get("ctx", {}).get("error")
        message = str(cause or problem["msg"])
        if message.startswith("Input should be "):
            said = f"{key} must be {rule_in_words(message)}, got {problem['input']!r}"
        else:  # a rule about several parameters has no key of its own, and its sentence says what it got
            rule = message if cause else message.lower()
            said = f"{key}: {rule}, got {problem['input']!r}" if key else rule.removesuffix(".")
        names = [field for field in STEPS.get(name).model_fields if field != "step"]
        raise RecipeError(
            f"prepare step {number} ({name}): {said}.", hint=f"Its parameters are {', '.join(names) or 'none'}."
        ) from error


def _to_network(photo: Working) -> UInt8Image:
    return np.ascontiguousarray(as_colour(photo.image))
