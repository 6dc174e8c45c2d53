"""What every section of a recipe shares: unknown keys refused, values frozen; and the types of single values."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from teliti.errors import RecipeError

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]  # what numpy, torch and scikit-learn all take
Side = Annotated[int, Field(ge=8, le=4096)]


_SAID = (  # how pydantic names what a recipe calls otherwise
    (re.compile(r"a valid (tuple|list)"), "a list"),
    (re.compile(r"a valid (dictionary|mapping)( or .*)?"), "a table"),
)


class Section(BaseModel):
    """A table of the recipe."""

    # a class named 7 may be written without quotes
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, coerce_numbers_to_str=True)


class StepEntry(BaseModel):
    """One entry of `[[prepare]]` or `[[augment]]`: a step by name; the room that runs it checks its parameters."""

    model_config = ConfigDict(extra="allow", frozen=True)

    step: str


def rule_in_words(message: str) -> str:
    """What a value must be, from pydantic's sentence about one that is not: "greater than 0", "a list"."""
    rule = message.removeprefix("Input should be ").partition(", unable")[0]
    for pattern, said in _SAID:
        rule = pattern.sub(said, rule)
    return rule


def parse_seconds(budget: str | float) -> float:
    """Seconds from a number or from text such as "90s", "5m", "1.5h".

    Raises:
        RecipeError: not a positive duration.
    """
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    text = str(budget).strip().lower()
    number, unit = (text[:-1], units[text[-1]]) if text[-1:] in units else (text, 1.0)
    try:
        seconds = float(number) * unit
    except ValueError:
        seconds = 0.0
    if not 0.0 < seconds < float("inf"):
        raise RecipeError(f"train.budget must be a positive time, got {budget!r}.", hint='Write "90s", "5m" or "1h".')
    return seconds
