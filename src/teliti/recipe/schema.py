"""The whole recipe: one typed record of sections, and the presets."""

from __future__ import annotations

from typing import Any, Literal

from teliti.recipe.data import DataRecipe
from teliti.recipe.decide import DecideRecipe
from teliti.recipe.model import ModelRecipe
from teliti.recipe.sections import Section, Seed, StepEntry
from teliti.recipe.train import TrainRecipe

Preset = Literal["accurate", "fast"]


class Recipe(Section):
    """One job. `seed` feeds every random choice that has no seed of its own."""

    seed: Seed = 7
    data: DataRecipe = DataRecipe()
    prepare: tuple[StepEntry, ...] = ()
    augment: tuple[StepEntry, ...] = ()
    model: ModelRecipe = ModelRecipe()
    train: TrainRecipe = TrainRecipe()
    decide: DecideRecipe = DecideRecipe()


PRESETS: dict[Preset, dict[str, Any]] = {
    "accurate": {},
    "fast": {
        "data": {"image_size": 224},
        "model": {"stages": [-3]},
    },
}
