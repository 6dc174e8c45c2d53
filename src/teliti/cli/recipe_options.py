"""The options that choose a recipe, shared by `train` and `recipe show`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Group, Parameter

if TYPE_CHECKING:
    from teliti.recipe import Recipe

PresetName = Literal["accurate", "fast"]  # the recipe's own names, repeated so that --help need not load it
ModeName = Literal["features", "finetune", "scratch", "auto"]

DeviceName = Literal["auto", "cpu", "cuda"]
PrecisionName = Literal["auto", "f32", "bf16"]


@Parameter(name="*", group=Group("Recipe", sort_key=5))
@dataclass(frozen=True)
class RecipeOptions:
    """Which recipe: a preset, then a file, then single keys, the later over the earlier.

    Attributes:
        recipe: A recipe file (TOML); `teliti recipe new` writes one to start from.
        preset: Where to start from; fast takes small images and one layer of the network. [default: accurate]
        mode: Frozen features, a network that learns (finetune, scratch), or several set-ups in a budget (auto).
        budget: Time for training (auto) or for the whole command (finetune, scratch), such as 90s or 5m.
        device: Where a network is trained or computes features: auto, cpu or cuda. [default: auto]
        precision: How exact training computes: auto, f32 or bf16. [default: by mode, and auto by a short trial]
        set_: One key, for instance --set data.positive=scratch; may be given several times.
    """

    recipe: Path | None = None
    preset: PresetName | None = None
    mode: ModeName | None = None
    budget: str | None = None
    device: DeviceName | None = None
    precision: PrecisionName | None = None
    set_: Annotated[list[str] | None, Parameter(name="--set", negative="", metavar="KEY=VALUE")] = None

    def is_empty(self) -> bool:
        """True when none of these options was given."""
        return self == RecipeOptions()

    def load(self) -> Recipe:
        """The recipe that the options describe.

        Raises:
            RecipeError: unreadable file, unknown key, or a value outside its range.
        """
        from teliti.recipe import load_recipe

        shorthands = {
            "train.mode": self.mode, "train.budget": self.budget, "train.device": self.device,
            "train.precision": self.precision,
        }  # fmt: skip
        overrides = [f"{key}={value}" for key, value in shorthands.items() if value is not None]
        return load_recipe(self.recipe, overrides=[*overrides, *(self.set_ or ())], preset=self.preset or "accurate")


DEFAULT_RECIPE = RecipeOptions()
