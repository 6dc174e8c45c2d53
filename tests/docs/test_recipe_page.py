"""docs/recipe.md lists every recipe key and every prepare step with its default, and nothing that does not exist."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from teliti.recipe import Recipe
from teliti.transforms.prepare import STEPS

PAGE = (Path(__file__).parents[2] / "docs" / "recipe.md").read_text(encoding="utf-8")
_KEY_ROW = re.compile(r"^\| `(?P<key>[a-z_.]+)` \| (?P<default>[^|]+) \| [^|]+ \|$", re.MULTILINE)
_STEP_ROW = re.compile(r"^\| `(?P<step>\w+)` \| `(?P<key>\w+)` \| (?P<default>[^|]+) \| [^|]+ \|$", re.MULTILINE)


def show(value: object) -> str:
    """A default as the page writes it."""
    return "-" if value is None or value is PydanticUndefined else f"`{json.dumps(value)}`"


def section_of(annotation: object) -> type[BaseModel] | None:
    """The section's model when a field is a table, also an optional one."""
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def recipe_keys(model: type[BaseModel], prefix: str = "") -> dict[str, str]:
    """Dotted key to default for every leaf of the schema; the list of prepare steps has a table of its own."""
    keys: dict[str, str] = {}
    for name, field in model.model_fields.items():
        key = prefix + (field.alias or name)
        if key == "prepare":
            continue
        section = section_of(field.annotation)
        if section is not None:
            keys |= recipe_keys(section, f"{key}.")
        else:
            default = field.default
            keys[key] = show(list(default) if isinstance(default, tuple) else default)
    return keys


def test_every_key_with_its_default() -> None:
    documented = {match["key"]: match["default"] for match in _KEY_ROW.finditer(PAGE)}
    assert documented == recipe_keys(Recipe)


def test_every_prepare_step_with_its_defaults() -> None:
    documented = {(match["step"], match["key"]): match["default"] for match in _STEP_ROW.finditer(PAGE)}
    expected = {
        (step, name): show(list(field.default) if isinstance(field.default, tuple) else field.default)
        for step in STEPS.names()
        if step != "frame"
        for name, field in STEPS.get(step).model_fields.items()
        if name != "step"
    }
    assert documented == expected


@pytest.mark.parametrize("word", ["accurate", "fast"])
def test_every_preset_is_named(word: str) -> None:
    assert f"`{word}`" in PAGE
