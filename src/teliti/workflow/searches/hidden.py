"""Dense layers in front of the closing one, on any network that learns: how many, of how many units, how activated.

A timm backbone gets them behind the average of its map, in the place of its own classifier; a compact network, or one
of [[model.layers]], gets them where its vector is ready.
"""

from __future__ import annotations

from teliti.errors import RecipeError
from teliti.models.compact import COMPACT, compact_layers, plan_network
from teliti.recipe import Recipe, override_recipe
from teliti.recipe.layers import Dense, Flatten, Layer
from teliti.recipe.model import NO_BACKBONE
from teliti.types import Record
from teliti.workflow.learning.learn import learns_network

OF_HIDDEN = ("hidden", "units", "activation")
"""What a search may choose of them."""
NONE, DENSE = "none", "dense"
_UNITS, _ACTIVATION = 64, "relu"
_ON_A_MAP: tuple[Record, ...] = ({"kind": "avg_pool", "kernel_size": "global"}, {"kind": "flatten"})
_SOME_SIZE = 64


def with_hidden(recipe: Recipe, *, hidden: str = DENSE, units: int = _UNITS, activation: str = _ACTIVATION) -> Recipe:
    """The recipe with dense layers in front of the closing one.

    Args:
        recipe: Of a network that learns.
        hidden: "none", or "dense" as often as there shall be layers, joined by +.
        units: Of each of them.
        activation: Of each of them.

    Raises:
        RecipeError: another word, a value that a layer does not take, or a recipe whose network does not learn.
    """
    words = [] if hidden == NONE else str(hidden).split("+")
    if any(word != DENSE for word in words):
        raise RecipeError(
            f"hidden must be none, or dense as often as there shall be layers, got {hidden!r}.",
            hint="For instance hidden=none,dense,dense+dense.",
        )
    if not learns_network(recipe):
        raise RecipeError(
            f"hidden needs a network that learns, and train.mode is {recipe.train.mode}.",
            hint="Set train.mode to finetune or scratch.",
        )
    if not words:
        return recipe
    added: list[Record] = [{"kind": DENSE, "units": units, "activation": activation} for _ in words]
    before, closing = _own_layers(recipe)
    backbone = NO_BACKBONE if recipe.model.backbone in COMPACT else recipe.model.backbone
    return override_recipe(recipe, {"model": {"backbone": backbone, "layers": [*before, *added, *closing]}})


def takes_hidden(recipe: Recipe) -> bool:
    """True where dense layers fit in front of the closing one of a network that learns."""
    if recipe.train.loss == "perceptron":
        return False
    try:
        model = with_hidden(recipe).model
        size = recipe.data.image_size
        sides = (_SOME_SIZE, _SOME_SIZE) if size == "auto" else (size, size) if isinstance(size, int) else size
        plan_network(model, num_outputs=_units_of(model.layers[-1]) or 2, image_size=sides)
    except RecipeError:
        return False
    return True


def _units_of(layer: Layer) -> int | None:
    return layer.units if isinstance(layer, Dense) and layer.activation is None else None


def _own_layers(recipe: Recipe) -> tuple[list[Record], list[Record]]:
    """The network's layers up to where its vector is ready, and behind that the closing one, where it is written."""
    model = recipe.model
    layers: tuple[Layer, ...] = compact_layers(model.backbone) if model.backbone in COMPACT else model.layers
    if not layers:
        return [*_ON_A_MAP], []
    records = [layer.model_dump(mode="json", exclude_none=True) for layer in layers]
    if isinstance(layers[-1], Dense) and layers[-1].activation is None:
        return records[:-1], records[-1:]
    is_flat = any(isinstance(layer, Flatten) for layer in layers)
    return [*records, *([] if is_flat else [{"kind": "flatten"}])], []
