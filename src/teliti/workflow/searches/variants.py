"""Variants of a recipe's preparation from one line of words: "none,clahe,segment,clahe+median,mine.toml"."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from teliti.errors import RecipeError
from teliti.recipe import Recipe, load_recipe, override_recipe
from teliti.transforms.prepare import STEPS
from teliti.types import Record
from teliti.workflow.shared.setup import check_recipe

NONE = "none"
_FILE_SUFFIX = ".toml"
_HOW = (
    'Separate variants with commas: "none", a step ("clahe"), several steps joined by + ("clahe+median"), or a recipe '
    "file (mine.toml)."
)


def parse_variants(words: str, base: Recipe) -> dict[str, Recipe]:
    """The recipe of every variant, in the given order; `none` comes first when it was not named.

    A variant replaces the whole [[prepare]] of `base`, and nothing else of it. A step by name has its default
    parameters; `segment` finds the part and puts the original photo under that mask (alone or with other steps; with
    a later `mask` it only finds it).

    Args:
        words: As in the module's first line.
        base: Everything but the preparation.

    Raises:
        RecipeError: nothing to compare, an unknown step, a step that needs parameters, or a file that cannot be used.
    """
    names = list(dict.fromkeys(word.strip() for word in words.split(",") if word.strip()))
    if not set(names) - {NONE}:
        raise RecipeError(f"The variants must name something beside none, got {words!r}.", hint=_HOW)
    if NONE not in names:
        names.insert(0, NONE)
    recipes = {name: override_recipe(base, {"prepare": variant_steps(name)}) for name in names}
    for name, recipe in recipes.items():
        _check(name, recipe)
    return recipes


def variant_steps(name: str) -> list[Record]:
    """The [[prepare]] entries of one variant by its words.

    Raises:
        RecipeError: an unknown step, or a file that cannot be used.
    """
    if name == NONE:
        return []
    if name.lower().endswith(_FILE_SUFFIX):
        return _steps_of_file(Path(name))
    words = [word for word in map(str.strip, name.split("+")) if _is_known(word, variant=name)]
    return [_with_meaning(word, words[place + 1 :]) for place, word in enumerate(words)]


def _with_meaning(word: str, later: Sequence[str]) -> Record:
    """A step by its name alone. A segmentation is put on the photo at once, unless a later `mask` does it."""
    return {"step": word, "apply": True} if word == "segment" and "mask" not in later else {"step": word}


def _steps_of_file(path: Path) -> list[Record]:
    steps: list[dict[str, Any]] = [step.model_dump(mode="json") for step in load_recipe(path).prepare]
    if not steps:
        raise RecipeError(f'Recipe "{path}" must have [[prepare]] steps to be a variant, got none.', hint=_HOW)
    return steps


def _is_known(word: str, *, variant: str) -> bool:
    try:
        STEPS.get(word)
    except RecipeError as error:
        raise RecipeError(f'Variant "{variant}": {error.message}', hint=error.hint or _HOW) from error
    return True


def _check(name: str, recipe: Recipe) -> None:
    try:
        check_recipe(recipe)
    except RecipeError as error:
        hint = f"{error.hint} To set parameters, put the steps into a recipe file and name that file as the variant."
        raise RecipeError(f'Variant "{name}": {error.message}', hint=hint.strip()) from error
