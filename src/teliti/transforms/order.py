"""Whether the steps of a chain fit each other, found before anything runs; a mistake names the step and the way out."""

from __future__ import annotations

from collections.abc import Sequence

from teliti.errors import RecipeError
from teliti.transforms.steps import BINARY, COLOUR, Kind, NumberStep, Step, TileStep, name_of

_KINDS: tuple[Kind, ...] = ("colour", "grey", "binary")


def check_order(steps: Sequence[Step]) -> None:
    """Check the kinds of picture between the steps, and the places of those that need a certain one.

    Raises:
        RecipeError: the steps do not fit each other.
    """
    _check_numbers_come_last(steps)
    _check_one_tile(steps)
    _check_masks_fit(steps)
    kinds = kinds_between(steps, "colour")
    for index, step in enumerate(steps):
        if kinds[index] not in step.takes:
            raise _misfit(steps, kinds, index)


def kinds_between(steps: Sequence[Step], first: Kind) -> list[Kind]:
    """The kind of picture that goes into each step, and last the kind that comes out of the chain."""
    kinds = [first]
    for step in steps:
        kinds.append(step.gives(kinds[-1]))
    return kinds


def fits_grey(steps: Sequence[Step]) -> bool:
    """True when every step takes what it gets of a grey photo in one channel."""
    kind: Kind = "grey"
    for step in steps:
        if kind not in step.takes:
            return False
        given = step.gives(kind)
        kind = "grey" if given == "colour" else given  # the original that comes back is grey, too
    return True


def _title(steps: Sequence[Step], index: int) -> str:
    return f"step {index + 1} ({name_of(steps[index])})"


def _misfit(steps: Sequence[Step], kinds: Sequence[Kind], index: int) -> RecipeError:
    takes, given = steps[index].takes, kinds[index]
    source = f"{_title(steps, index - 1)} gives {given}" if index else f"a photo is {given}"
    wanted = " or ".join(kind for kind in _KINDS if kind in takes)
    # the step from which on the picture was of a kind that this one does not take
    turn = next((at for at in range(index - 1, -1, -1) if kinds[at] in takes), None)
    if given == "binary":
        way_out = "Put mask before it, which brings the photo back"
        way_out += "." if turn is None else f", or put it before {_title(steps, turn)}."
    elif takes == BINARY:
        way_out = "Put binarize before it."
    elif takes == COLOUR and turn is not None:
        way_out = f"Put it before {_title(steps, turn)}."
    else:
        way_out = "Put grey before it."
    return RecipeError(f"prepare {_title(steps, index)} takes a {wanted} image, but {source}.", hint=way_out)


def _check_numbers_come_last(steps: Sequence[Step]) -> None:
    numbers = [index for index, step in enumerate(steps) if isinstance(step, NumberStep)]
    for index, step in enumerate(steps):
        if numbers and index > numbers[0] and not isinstance(step, NumberStep):
            first = _title(steps, numbers[0])
            raise RecipeError(
                f"prepare {_title(steps, index)} works on an image, but {first} gives numbers.",
                hint=f"Put it before {first}.",
            )


def _check_one_tile(steps: Sequence[Step]) -> None:
    tiles = [index for index, step in enumerate(steps) if isinstance(step, TileStep)]
    if len(tiles) > 1:
        raise RecipeError(
            f"prepare {_title(steps, tiles[1])} cuts tiles, and {_title(steps, tiles[0])} does so already.",
            hint="Keep one of them.",
        )


def _check_masks_fit(steps: Sequence[Step]) -> None:
    """A mask has the size of the original only where nothing resized the one without the other."""
    for index, step in enumerate(steps):
        earlier = range(index)
        moved = next((at for at in earlier if steps[at].moves), None)
        if step.needs_place and moved is not None:
            raise RecipeError(
                f"prepare {_title(steps, index)} needs the photo as it was decoded, "
                f"but {_title(steps, moved)} moves its pixels.",
                hint=f"Put it before {_title(steps, moved)}.",
            )
        resized = next((at for at in earlier if not steps[at].keeps_size), None)
        if step.needs_original and resized is not None:
            raise RecipeError(
                f"prepare {_title(steps, index)} puts a mask on the photo, but {_title(steps, resized)} changes the "
                "size of the picture that the mask is made from.",
                hint=f"Let {name_of(steps[resized])} keep the size, or put it after {_title(steps, index)}.",
            )
