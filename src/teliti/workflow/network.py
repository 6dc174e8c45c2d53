"""Describe a network: every layer's output size, parameters, multiply-adds and memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from teliti.errors import UserError
from teliti.recipe import Recipe, load_recipe, parse_recipe
from teliti.recipe.shipped import shipped_recipe, shipped_recipes
from teliti.runtime import require
from teliti.types import Record

if TYPE_CHECKING:
    from teliti.models.networks import Network

_USUAL_SIZE = 224


def describe_named_network(
    name: str, *, image_size: tuple[int, int] | None = None, num_outputs: int = 2, in_channels: int = 3
) -> Record:
    """The table of a network's layers; no weights are read, and none are made.

    Args:
        name: A compact network, any timm name, a shipped recipe, or the path of a recipe file (.toml).
        image_size: (height, width) in pixels; the recipe's own, or 224 x 224, when unset.
        num_outputs: Classes, labels or numbers.
        in_channels: 3 for RGB, 1 for grey.

    Raises:
        RecipeError: an unknown name, or layers that do not fit together.
        MissingExtraError: torch or timm is not installed.
    """
    if num_outputs < 1:
        raise UserError(f"The number of outputs must be at least 1, got {num_outputs}.")
    if image_size is not None and min(image_size) < 1:
        raise UserError(f"The image size must be at least 1 x 1, got {image_size[0]} x {image_size[1]}.")
    recipe = _recipe_of(name)
    for library in ("torch", "timm", "safetensors"):
        require(library, extra="train", purpose="describe a network")
    from teliti.models.describe import describe_network

    size = image_size or _own_size(recipe)
    network = _build_on_paper(recipe, image_size=size, num_outputs=num_outputs, in_channels=in_channels)
    return {"schema": 1, "network": name, "options": recipe.model.timm_options(), **describe_network(network)}


def _recipe_of(name: str) -> Recipe:
    if name.endswith(".toml"):
        return load_recipe(Path(name))
    if name in shipped_recipes():
        return load_recipe(shipped_recipe(name))
    return parse_recipe({"model": {"backbone": name}})


def _own_size(recipe: Recipe) -> tuple[int, int]:
    size = recipe.data.image_size
    if isinstance(size, int):
        return size, size
    return (_USUAL_SIZE, _USUAL_SIZE) if size == "auto" else size


def _build_on_paper(recipe: Recipe, *, image_size: tuple[int, int], num_outputs: int, in_channels: int) -> Network:
    import torch

    from teliti.models.networks import build_network

    model = recipe.model.model_copy(update={"weights": "random"})
    with torch.device("meta"):
        return build_network(
            model, num_outputs=num_outputs, image_size=image_size, in_channels=in_channels, seed=recipe.seed
        )
