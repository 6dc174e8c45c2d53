"""What a search may choose, put into a recipe: any key, and words of their own.

`prepare` takes the words of `teliti prepare --compare` (none, clahe, clahe+median, mine.toml); `augment` takes none,
light, strong, operations by name joined by +, or a recipe or policy file. `hidden` puts dense layers in front of the
closing one of a network that learns: none, dense, dense+dense; `units` and `activation` say of what kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from teliti.errors import RecipeError
from teliti.recipe import Recipe, load_recipe, nest_value, override_recipe
from teliti.transforms.operations import OPERATIONS
from teliti.transforms.policy_file import read_policy
from teliti.types import Record
from teliti.workflow.searches.hidden import OF_HIDDEN, with_hidden
from teliti.workflow.searches.variants import variant_steps
from teliti.workflow.shared.setup import check_recipe

NONE = "none"
PREPARE, AUGMENT = "prepare", "augment"
STRENGTHS: Mapping[str, tuple[Record, ...]] = {
    "light": (
        {"step": "flip", "horizontal": 0.5},
        {"step": "rotate", "degrees": 5.0},
        {"step": "brightness", "factor": 0.1},
    ),
    "strong": (
        {"step": "flip", "horizontal": 0.5, "vertical": 0.5},
        {"step": "rotate", "degrees": 20.0},
        {"step": "zoom", "scale": 0.15},
        {"step": "brightness", "factor": 0.35},
        {"step": "contrast", "factor": 0.35},
    ),
}
_HOW = f'Write none, {", ".join(STRENGTHS)}, operations joined by + ("flip+rotate"), or a recipe or policy file.'


def apply_choices(base: Recipe, values: Mapping[str, Any]) -> Recipe:
    """The recipe with some keys chosen.

    Args:
        base: Everything else.
        values: Dotted keys, or the words of this module, to values.

    Raises:
        RecipeError: an unknown key or word, or a value that the key does not take.
    """
    recipe = base
    for key, value in values.items():
        if key in OF_HIDDEN:
            continue
        if key == PREPARE:
            nested: Record = {PREPARE: variant_steps(str(value))}
        elif key == AUGMENT:
            nested = {AUGMENT: augment_steps(str(value))}
        else:
            nested = nest_value(key, value)
        recipe = override_recipe(recipe, nested)
    hidden = {key: values[key] for key in OF_HIDDEN if key in values}
    return with_hidden(recipe, **hidden) if hidden else recipe


def accept_choice(base: Recipe, key: str, value: Any) -> None:
    """Refuse a key or value that could not be used.

    Raises:
        RecipeError: see `apply_choices`; or steps that cannot be built, or a seed or split, which is no choice.
    """
    if key == "seed" or (key.startswith("data.") and key not in {"data.image_size", "data.fit"}):
        raise RecipeError(
            f"{key} is no choice: all trials must see the same photos in the same parts.",
            hint="Of [data] only data.image_size and data.fit can be searched.",
        )
    if key in {"train.mode", "train.budget", "train.threads", "train.device"}:
        raise RecipeError(f"{key} is no choice of a search.", hint="Set it for all trials with --set.")
    check_recipe(apply_choices(base, {key: value}))


def augment_steps(words: str) -> list[Record]:
    """The [[augment]] entries that some words mean.

    Raises:
        RecipeError: an unknown operation, or a file that cannot be used.
    """
    if words == NONE:
        return []
    if words in STRENGTHS:
        return [dict(step) for step in STRENGTHS[words]]
    if words.lower().endswith(".toml"):
        return _steps_of_file(Path(words))
    names = [name.strip() for name in words.split("+")]
    for name in names:
        try:
            OPERATIONS.get(name)
        except RecipeError as error:
            raise RecipeError(f"augment: {error.message}", hint=f"{error.hint} {_HOW}".strip()) from error
    return [{"step": name} for name in names]


def _steps_of_file(path: Path) -> list[Record]:
    try:
        return list(read_policy(path).steps)
    except RecipeError:
        steps: list[Record] = [step.model_dump(mode="json") for step in load_recipe(path).augment]
        if not steps:
            message = f'Recipe "{path}" must have [[augment]] steps to be a choice, got none.'
            raise RecipeError(message, hint=_HOW) from None
        return steps
