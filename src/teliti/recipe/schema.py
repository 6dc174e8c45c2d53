"""The whole recipe: one typed record of sections, and the presets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import model_validator

from teliti.recipe.data import DataRecipe
from teliti.recipe.decide import DecideRecipe
from teliti.recipe.model import ModelRecipe
from teliti.recipe.sections import Section, Seed, StepEntry
from teliti.recipe.train import TrainRecipe

Preset = Literal["accurate", "fast"]


MODE_AUGMENT: dict[str, tuple[dict[str, Any], ...]] = {
    "finetune": ({"step": "flip", "horizontal": 0.5, "vertical": 0.5},),
}
"""The random steps of these modes, where a recipe says nothing of its own; `augment = []` takes them away."""


class Recipe(Section):
    """One job. `seed` feeds every random choice that has no seed of its own."""

    seed: Seed = 7
    data: DataRecipe = DataRecipe()
    prepare: tuple[StepEntry, ...] = ()
    augment: tuple[StepEntry, ...] = ()
    model: ModelRecipe = ModelRecipe()
    train: TrainRecipe = TrainRecipe()
    decide: DecideRecipe = DecideRecipe()

    @model_validator(mode="before")
    @classmethod
    def _augment_of_the_mode(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and "augment" not in values:
            train = values.get("train")
            mode = train.get("mode") if isinstance(train, Mapping) else getattr(train, "mode", None)
            return {**values, "augment": MODE_AUGMENT.get(str(mode), ())}
        return values


PRESETS: dict[Preset, dict[str, Any]] = {
    "accurate": {},
    "fast": {
        "data": {"image_size": 224},
        "model": {"stages": [-3]},
    },
}
