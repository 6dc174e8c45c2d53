"""The recipe: every choice of a job in one typed record, read from TOML, refused when a key is unknown.

Order of precedence: defaults, then a preset, then a recipe file, then `--set key=value`.
The steps under `[[prepare]]` are checked by `transforms.prepare`, which owns their parameters.
"""

from __future__ import annotations

from teliti.recipe.data import DataRecipe, Fit, SplitFractions
from teliti.recipe.decide import Cost, DecideRecipe
from teliti.recipe.model import Head, ModelRecipe, Pooling, Stage
from teliti.recipe.reading import (
    dump_recipe,
    load_recipe,
    nest_value,
    override_recipe,
    parse_recipe,
    read_value,
    recipe_schema,
    recipe_values,
)
from teliti.recipe.schema import PRESETS, Preset, Recipe
from teliti.recipe.sections import StepEntry, parse_seconds
from teliti.recipe.train import Engine, Mode, Precision, TrainRecipe

__all__ = [
    "PRESETS", "Cost", "DataRecipe", "DecideRecipe", "Engine", "Fit", "Head", "Mode", "ModelRecipe", "Pooling",
    "Precision", "Preset", "Recipe", "SplitFractions", "Stage", "StepEntry", "TrainRecipe", "dump_recipe",
    "load_recipe", "nest_value", "override_recipe", "parse_recipe", "parse_seconds", "read_value", "recipe_schema",
    "recipe_values",
]  # fmt: skip
