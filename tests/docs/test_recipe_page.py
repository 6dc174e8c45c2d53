"""The manual lists every recipe key, prepare step, augmentation and layer with its default, and nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from teliti.recipe import Recipe
from teliti.recipe.layers import KINDS
from teliti.recipe.shipped import shipped_recipes
from teliti.recipe.train import MODE_DEFAULTS
from teliti.registry import Registry
from teliti.transforms import augment, prepare  # noqa: F401 - they fill the registries
from teliti.transforms.operations import OPERATIONS
from teliti.transforms.steps import STEPS

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "recipe.md").read_text(encoding="utf-8")
NETWORKS = (DOCS / "networks.md").read_text(encoding="utf-8")
ITSELF = "-"
_KEY_ROW = re.compile(r"^\| `(?P<key>[a-z0-9_.]+)` \| (?P<default>[^|]+) \| [^|]+ \|$", re.MULTILINE)
_MODE_ROW = re.compile(r"^\| (?P<mode>\w+) \| `train\.(?P<key>\w+)` \| `(?P<default>[^|]+)` \|$", re.MULTILINE)
_STEP_ROW = re.compile(
    r"^\| (?P<steps>all|`\w+`(?:, `\w+`)*) \| (?:`(?P<key>\w+)`|-) \| (?P<default>[^|]+) \| [^|]+ \|$", re.MULTILINE
)

Rows = dict[tuple[str, str], str]


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
    """Dotted key to default for every leaf of the schema; the lists of steps have pages of their own."""
    keys: dict[str, str] = {}
    for name, field in model.model_fields.items():
        key = prefix + (field.alias or name)
        if key in {"prepare", "augment"}:
            continue
        section = section_of(field.annotation)
        if section is not None:
            keys |= recipe_keys(section, f"{key}.")
        else:
            default = field.default
            keys[key] = show(list(default) if isinstance(default, tuple) else default)
    return keys


def documented_steps(page: str, *, known: Iterable[str]) -> Rows:
    """(step, key) to default of every row of a page; a row may name several steps, or all of them."""
    found: Rows = {}
    for match in _STEP_ROW.finditer(page):
        steps = list(known) if match["steps"] == "all" else re.findall(r"\w+", match["steps"])
        for step in steps:
            row = (step, match["key"] or ITSELF)
            assert row not in found, f"{row} is documented twice"
            found[row] = match["default"]
    return found


def expected_steps(models: Mapping[str, type[BaseModel]], *, tag: str) -> Rows:
    """The same from the code: a row that says what a step does, and one for each key."""
    rows: Rows = {}
    for step, model in models.items():
        rows[step, ITSELF] = "-"
        for name, field in model.model_fields.items():
            if name != tag:
                default = field.default
                rows[step, name] = show(list(default) if isinstance(default, tuple) else default)
    return rows


def registered(registry: Registry[type[BaseModel]]) -> dict[str, type[BaseModel]]:
    """Everything that a recipe may name; `frame` is not written by hand."""
    return {name: registry.get(name) for name in registry.names() if name != "frame"}


def test_every_key_with_its_default() -> None:
    documented = {match["key"]: match["default"] for match in _KEY_ROW.finditer(PAGE)}
    assert documented == recipe_keys(Recipe)


def test_every_default_that_a_mode_changes() -> None:
    documented = {(match["mode"], match["key"]): json.loads(match["default"]) for match in _MODE_ROW.finditer(PAGE)}
    expected = {(mode, key): value for mode, values in MODE_DEFAULTS.items() for key, value in values.items()}
    assert documented == expected


@pytest.mark.parametrize(("page", "registry"), [("prepare.md", STEPS), ("augment.md", OPERATIONS)])
def test_every_step_with_its_defaults(page: str, registry: Registry[type[BaseModel]]) -> None:
    models = registered(registry)
    text = (DOCS / page).read_text(encoding="utf-8")
    assert documented_steps(text, known=models) == expected_steps(models, tag="step")


def test_every_layer_with_its_defaults() -> None:
    assert documented_steps(NETWORKS, known=KINDS) == expected_steps(KINDS, tag="kind")


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_shipped_recipe_is_named(name: str) -> None:
    assert f"`{name}`" in NETWORKS


@pytest.mark.parametrize("word", ["accurate", "fast"])
def test_every_preset_is_named(word: str) -> None:
    assert f"`{word}`" in PAGE
