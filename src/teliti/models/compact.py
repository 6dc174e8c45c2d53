"""Compact networks by name, and the plan of every network that is made of layers alone. No torch here.

Each compact network is the list of layers of a shipped recipe, which a user can copy and change.
"""

from __future__ import annotations

from functools import cache

from teliti.errors import RecipeError
from teliti.models.shapes import Planned, plan_layers
from teliti.recipe import ModelRecipe, load_recipe
from teliti.recipe.layers import Layer
from teliti.recipe.model import NO_BACKBONE
from teliti.recipe.shipped import shipped_recipe

COMPACT = ("perceptron", "mlp", "lenet", "regularised", "tiny_vgg", "small_cnn")


@cache
def compact_layers(name: str) -> tuple[Layer, ...]:
    """The layers of a compact network, without the closing one.

    Args:
        name: One of `COMPACT`.
    """
    return load_recipe(shipped_recipe(name)).model.layers


def plan_network(
    model: ModelRecipe, *, num_outputs: int, image_size: tuple[int, int], in_channels: int = 3
) -> tuple[Planned, ...] | None:
    """Every layer of a network without a backbone, with its sizes; None for a network that has one.

    Args:
        model: Backbone, layers and dropout are read.
        num_outputs: Classes, labels or numbers.
        image_size: (height, width) in pixels.
        in_channels: 3 for RGB, 1 for grey.

    Raises:
        RecipeError: layers that do not fit together, or that stand beside the name of a compact network.
    """
    if model.backbone not in {*COMPACT, NO_BACKBONE}:
        return None
    layers = model.layers
    if model.backbone in COMPACT:
        if model.timm_options():
            raise RecipeError(
                f'model.options must stand beside a timm network, got model.backbone = "{model.backbone}".',
                hint=f"`teliti recipe new my.toml --from {model.backbone}` writes its layers, to be changed.",
            )
        if layers:
            raise RecipeError(
                f'model.layers cannot stand on the compact network "{model.backbone}".',
                hint=f'Set model.backbone = "{NO_BACKBONE}" and write all layers, or name a timm backbone.',
            )
        layers = compact_layers(model.backbone)
    input_shape = (in_channels, *image_size)
    return plan_layers(layers, input_shape=input_shape, num_outputs=num_outputs, dropout=model.dropout)
