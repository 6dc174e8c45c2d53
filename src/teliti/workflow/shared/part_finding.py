"""Where the part of a photo is: told by a file beside the photo, or found by its brightness, colours or edges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import get_args

import numpy as np

from teliti.data.beside import find_beside, names_file
from teliti.data.origins import FileOrigin, ZipOrigin
from teliti.data.part_masks import read_part_mask
from teliti.errors import PhotoRefused, RecipeError, UserError
from teliti.recipe import Recipe
from teliti.registry import closest
from teliti.transforms.prepare import PrepareChain, chain_without_frame
from teliti.transforms.steps import MaskStep, Working, name_of
from teliti.transforms.steps_mask import MaskFromFile, Method, Segment
from teliti.types import Sample, UInt8Image
from teliti.workflow.shared.sealed import even_choice

FindPart = Callable[[Sample, UInt8Image], UInt8Image]
"""A photo, (H, W, 3) or (H, W) uint8, to the mask of its part, (H, W) uint8 of 0 and 255; raises PhotoRefused."""

AUTO, OFF = "auto", "off"
BOXES = ("{stem}.xml", "../Annotations/{stem}.xml", "../annotations/{stem}.xml")
"""Where boxes in Pascal VOC's form are looked for; no photo has such a name."""
_METHODS: tuple[Method, ...] = get_args(Method)
_LEAST_PART, _MOST_PART = 0.01, 0.9  # share of the photo; a mask outside is none
_MOST_EDGE = 0.25  # share of the photo's edge that a segmented part may touch
_TRIED = 60  # photos that are asked whether boxes lie beside them
_LEAVES_NOTHING = {"constant", "neutral"}  # backgrounds that tell nothing of the photo's own


def part_finder(how: str, chain: PrepareChain) -> FindPart:
    """What gives the mask of a photo; where nothing is marked on one, a mask of zeros.

    Args:
        how: otsu, kmeans, watershed or grabcut; or a name pattern with {stem} of the mask, or of the .xml file with
            boxes, beside each photo.
        chain: Of the bundle: where it reads the same masks with a dark part, they are read so here.

    Raises:
        UserError: a way that does not exist.
    """
    if how in _METHODS:
        return _segmenter(next(method for method in _METHODS if method == how))
    if not names_file(how):
        near = closest(how, _METHODS)
        raise UserError(
            f'--evidence must be {", ".join(_METHODS)}, or a file name with {{stem}}, got "{how}".',
            hint=f'Did you mean "{near}"?' if near else 'For masks beside the photos: "{stem}_mask.png".',
        )
    is_dark = any(isinstance(step, MaskFromFile) and (step.pattern, step.part) == (how, "dark")
                  for step in chain.image_steps)  # fmt: skip

    def read(sample: Sample, photo: UInt8Image) -> UInt8Image:
        size = photo.shape[0], photo.shape[1]
        try:
            mask = read_part_mask(sample, how, size=size)
        except PhotoRefused:  # nothing is marked on it: what other photos have marked is covered
            return np.zeros(size, dtype=np.uint8)
        return np.asarray(255 - mask, dtype=np.uint8) if is_dark else mask

    return read


def check_part_mask(recipe: Recipe) -> None:
    """Find in a moment what `data.part_mask` would stop the run with.

    Raises:
        RecipeError: neither a method nor a relative name pattern.
    """
    how, words = recipe.data.part_mask, (AUTO, OFF, *_METHODS)
    if how in words:
        return
    is_outside = how.startswith("/") or "\\" in how or ":" in how or "\0" in how
    if "{stem}" not in how or "{" in how.replace("{stem}", "") or is_outside:
        near = closest(how, words)
        raise RecipeError(
            f'data.part_mask must be {", ".join(words)}, or a relative file name with {{stem}}, got "{how}".',
            hint=f'Did you mean "{near}"?' if near else 'For instance "{stem}_mask.png", or boxes: "{stem}.xml".',
        )


def not_photos(recipe: Recipe, masks: Sequence[str] = ()) -> tuple[str, ...]:
    """Name patterns of all files beside photos that are no photos by a recipe, as `Bundle.aside_patterns` by a bundle.

    Args:
        recipe: Whose prepare steps read some, and whose `data.part_mask` marks parts by others.
        masks: Further ones.

    Raises:
        RecipeError: a prepare step that cannot be used.
    """
    steps = chain_without_frame([step.model_dump() for step in recipe.prepare])
    return tuple(dict.fromkeys([*steps.beside_patterns, *masks, *aside_files([recipe])]))


def aside_files(recipes: Sequence[Recipe]) -> tuple[str, ...]:
    """Name patterns of the files that mark parts for `data.part_mask`: masks and boxes are no photos themselves."""
    found: list[str] = []
    for recipe in recipes:
        how = recipe.data.part_mask
        found += BOXES if how == AUTO else [how] if names_file(how) else []
    return tuple(dict.fromkeys(found))


def way_to_parts(recipe: Recipe, chain: PrepareChain, samples: Sequence[Sample]) -> str | None:
    """How the parts of a run's photos are found; None where nothing tells.

    Args:
        recipe: Whose `data.part_mask` is "auto": the mask of a prepare step, else boxes beside the photos.
        chain: The recipe's prepare steps.
        samples: Of some of them it is asked whether boxes lie beside them.
    """
    asked = recipe.data.part_mask
    if asked != AUTO:
        return None if asked == OFF else asked
    for step in chain.image_steps:
        if isinstance(step, MaskFromFile):
            return step.pattern
        if isinstance(step, Segment):
            return step.method
    some = [sample for sample in even_choice(samples, most=_TRIED) if isinstance(sample.origin, FileOrigin | ZipOrigin)]
    return next((pattern for pattern in BOXES if any(_has(sample, pattern) for sample in some)), None)


def hiding_step(chain: PrepareChain) -> str | None:
    """The prepare step that covers the background, so that nothing of it reaches the net; None without one."""
    masks = [step for step in chain.image_steps if isinstance(step, MaskStep)]
    applied = [step for step in masks if getattr(step, "apply", True)]
    hiding = [step for step in applied if step.background in _LEAVES_NOTHING] if applied else masks
    return name_of(hiding[0]) if hiding else None


def _has(sample: Sample, pattern: str) -> bool:
    try:
        return bool(find_beside(sample.origin, pattern).read_bytes())
    except PhotoRefused:
        return False


def _segmenter(method: Method) -> FindPart:
    step = Segment(method=method)

    def segment(sample: Sample, photo: UInt8Image) -> UInt8Image:  # noqa: ARG001 - the pixels say it
        mask = step.mask(Working(photo, photo))
        edge = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
        if not _LEAST_PART <= (mask > 0).mean() <= _MOST_PART or (edge > 0).mean() > _MOST_EDGE:
            raise PhotoRefused("part and background cannot be told apart")
        return mask

    return segment
