"""The recipe of a sensitivity table's base and of each of its cells."""

from __future__ import annotations

from collections.abc import Sequence

from teliti.errors import RecipeError
from teliti.models.compact import COMPACT
from teliti.recipe import Recipe, load_recipe, override_recipe, parse_recipe, read_value, recipe_values
from teliti.recipe.model import NO_BACKBONE
from teliti.recipe.shipped import shipped_recipe
from teliti.registry import closest
from teliti.runtime import require
from teliti.tuning.sensitivity import Cell
from teliti.types import Record
from teliti.workflow.learning.learn import check_network, learns_network, settle_network_recipe
from teliti.workflow.searches.choices import apply_choices
from teliti.workflow.searches.sensitivity_cells import NETWORK
from teliti.workflow.shared.setup import check_recipe

QUICK_PHOTOS, QUICK_SIDE, QUICK_EPOCHS = 300, 64, ("4", "8")
_VGG = "vgg"


def base_recipe(chosen: Recipe, *, quick: bool) -> Recipe:
    """What all cells share: a network mode, no budget of its own, nothing that a probe would decide.

    Args:
        chosen: As the user gave it; a mode that trains no network becomes "scratch".
        quick: Small photos and random start weights.

    Raises:
        RecipeError: layers without a backbone, which no row could replace.
    """
    if chosen.model.backbone == NO_BACKBONE:
        raise RecipeError(
            'The base of a sensitivity table must have a backbone, got "none".', hint="Name networks with --networks."
        )
    values = recipe_values(chosen)
    train: Record = {"replicas": 1}
    if not learns_network(chosen) or quick:
        train |= {"mode": "scratch"}
    if chosen.train.precision == "auto" or not learns_network(chosen):
        from teliti.training.speed import processor_precision

        train |= {"precision": processor_precision()}
    values["train"] = {**values["train"], **train}
    values["train"].pop("budget", None)
    if quick:
        values["data"] = {**values["data"], "image_size": QUICK_SIDE}
        values["model"] = {**values["model"], "weights": "random"}
    return parse_recipe(values)


def check_networks(names: Sequence[str]) -> None:
    """Refuse a name that is no network before anything is read.

    Raises:
        RecipeError: neither compact nor timm's.
    """
    unknown = [name for name in names if name not in COMPACT]
    if not unknown:
        return
    timm = require("timm", extra="train", purpose="fill a sensitivity table")
    for name in unknown:
        if not timm.is_model(name):
            near = closest(name, [*COMPACT, *timm.list_models()])
            raise RecipeError(
                f"--networks must name timm or compact networks, got {name!r}.",
                hint=f'Did you mean "{near}"?' if near else f"Compact ones are {', '.join(COMPACT)}.",
            )


def cell_recipe(base: Recipe, cell: Cell) -> Recipe:
    """The base with a cell's network and choices.

    A VGG stands there without its own top, under the one that the course puts on it: flatten, 1024 units, dropout one
    half. Its own would be 120 million weights more, which a table of a few photos cannot feed.

    Args:
        base: From `base_recipe`.
        cell: Of the table.

    Raises:
        RecipeError: an unknown network, word or value; every sentence names the cell's choice.
    """
    top: Record = {}
    if cell.row.startswith(_VGG) and not base.model.layers:
        course = recipe_values(load_recipe(shipped_recipe("frozen_vgg16")))
        top = {"layers": course["model"]["layers"]}
    weights = {"weights": "random"} if base.train.mode == "scratch" and base.model.weights == "auto" else {}
    recipe = override_recipe(base, {"model": {NETWORK.partition(".")[2]: cell.row, **top, **weights}})
    values = {key: value if key in {"prepare", "augment"} else read_value(value) for key, value in cell.choices}
    recipe = settle_network_recipe(apply_choices(recipe, values))
    check_recipe(recipe)
    if recipe.data.image_size != "auto" or cell.row in COMPACT:
        sized = recipe if recipe.data.image_size != "auto" else override_recipe(recipe, {"data": {"image_size": 224}})
        check_network(sized)
    return recipe
