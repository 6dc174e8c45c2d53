"""Recipes from TOML and from overrides, back to TOML, and every mistake in them as one sentence."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from itertools import groupby, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w
from pydantic import BaseModel, ValidationError

from teliti.errors import RecipeError
from teliti.recipe.decide import PROMISES, RULES
from teliti.recipe.schema import PRESETS, Preset, Recipe
from teliti.recipe.sections import rule_in_words
from teliti.registry import closest

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_TOML_STARTS = ("[", "{", '"', "'")  # what cannot be a bare word
_ENTRY_HINTS = {
    "prepare": 'For instance prepare = [{step = "clahe"}], or [[prepare]] with step = "clahe" below it.',
    "augment": 'For instance augment = [{step = "flip"}], or [[augment]] with step = "flip" below it.',
}
_KINDS = {"str", "int", "float", "bool"}  # how pydantic names the members of a union


def load_recipe(path: Path | None = None, *, overrides: Iterable[str] = (), preset: Preset = "accurate") -> Recipe:
    """A recipe from a preset, a TOML file and `key=value` overrides, in that order.

    Raises:
        RecipeError: unreadable file, unknown key or preset, or a value outside its range.
    """
    if preset not in PRESETS:
        raise RecipeError(f"preset must be one of {', '.join(PRESETS)}, got {preset!r}.")
    values = _merge({}, PRESETS[preset])
    if path is not None:
        values = _merge(values, _read_toml(path))
    for override in overrides:
        values = _merge(values, _parse_override(override))
    return parse_recipe(values)


def parse_recipe(values: Mapping[str, Any]) -> Recipe:
    """A recipe from nested plain values.

    Raises:
        RecipeError: unknown key (with the nearest known one) or a value outside its range.
    """
    try:
        return Recipe.model_validate(dict(values))
    except ValidationError as error:
        raise _recipe_error(error) from error


def override_recipe(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """The recipe with some values replaced: nested, as in TOML."""
    return parse_recipe(_merge(recipe_values(recipe), values))


def recipe_values(recipe: Recipe) -> dict[str, Any]:
    """The recipe as nested plain values, TOML names, unset keys left out."""
    return recipe.model_dump(mode="json", by_alias=True, exclude_none=True)


def dump_recipe(recipe: Recipe) -> str:
    """The recipe as TOML text that `load_recipe` reads back to an equal recipe."""
    return tomli_w.dumps(recipe_values(recipe))


def recipe_schema() -> dict[str, Any]:
    """The JSON Schema of a recipe."""
    return Recipe.model_json_schema(by_alias=True)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RecipeError(f'Recipe "{path}" does not exist.', hint="Check the path.") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(f'Recipe "{path}" could not be read: {error}.', hint="It must be a TOML file.") from error


def _parse_override(override: str) -> dict[str, Any]:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"--set must look like key=value, got {override!r}.", hint="For instance --set model.c=10")
    return nest_value(key.strip(), read_value(text, subject=f"--set {key.strip()}"))


def read_value(text: str, *, subject: str = "A value") -> Any:
    """A value as it is typed behind `--set key=`: TOML, or else the words themselves.

    Args:
        text: As typed.
        subject: What an error is about.

    Raises:
        RecipeError: a list, table or quotation that is not closed.
    """
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError as error:
        value = text.strip()
        if value.startswith(_TOML_STARTS):
            raise RecipeError(
                f"{subject} must be a value as in TOML, got {value}: {_reason(error)}.",
                hint="Close what is opened, and quote the whole for the shell: --set 'prepare=[{step = \"clahe\"}]'",
            ) from error
        return value


def nest_value(key: str, value: Any) -> dict[str, Any]:
    """A value under its dotted key: `nest_value("train.lr", 0.1)` is {"train": {"lr": 0.1}}."""
    for part in reversed(key.split(".")):
        value = {part: value}
    return dict(value)


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` laid over `below`; the rules of [decide] exclude each other, so a new one replaces the others."""
    merged = dict(below)
    for key, value in above.items():
        both_tables = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        if both_tables and key == "decide":
            merged[key] = _without_other_rules(merged[key], value)
        merged[key] = _merge(merged[key], value) if both_tables else value
    return merged


def _without_other_rules(decide: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    if not any(rule in above for rule in RULES):
        return dict(decide)
    promises = "max_miss_rate" in above or decide.get("max_error_rate") is not None
    dropped = {*RULES} if promises else {*RULES, *PROMISES}
    return {name: old for name, old in decide.items() if name in above or name not in dropped}


def _recipe_error(error: ValidationError) -> RecipeError:
    sentences: list[str] = []
    hint = "`teliti recipe schema` lists every key and its range."
    for key, group in groupby(error.errors(), key=_key_of):  # one problem for each kind of value that a key takes
        problems = list(group)
        first, cause = problems[0], problems[0].get("ctx", {}).get("error")
        if first["type"] == "extra_forbidden":
            *path, name = map(str, first["loc"])
            near = closest(name, _known_keys(path))
            sentences.append(f"{key} is not a recipe key.")
            hint = f'Did you mean "{".".join([*path, near])}"?' if near else hint
        elif isinstance(cause, RecipeError):
            sentences.append(cause.message)
            hint = cause.hint or hint
        elif cause is not None:
            sentences.append(f"{key}: {cause}.")
        else:
            rules = " or ".join(rule_in_words(problem["msg"]) for problem in problems)
            hint = _ENTRY_HINTS.get(str(first["loc"][0]), hint) if rules in {"a list", "a table"} else hint
            sentences.append(
                f"{key} is missing."
                if first["type"] == "missing"
                else f"{key} must be {rules}, got {first['input']!r}."
            )
    return RecipeError(" ".join(dict.fromkeys(sentences)), hint=hint)


def _reason(error: tomllib.TOMLDecodeError) -> str:
    """Why, without the place, which counts characters that the user did not write."""
    text = str(error).partition(" (at")[0]
    return text[:1].lower() + text[1:]


def _key_of(problem: ErrorDetails) -> str:
    """The key as the user wrote it; pydantic appends the kinds of a union, which are no words of a recipe."""
    place = [str(part) for part in problem["loc"]]
    if problem["type"] != "extra_forbidden":
        place = list(takewhile(lambda part: re.fullmatch(r"\w+", part) and part not in _KINDS, place))
    return _named(place) or "recipe"


def _named(place: Iterable[str]) -> str:
    """Keys joined by dots; an entry of a list by its number, counted from 1: "model.layers 2: kind"."""
    name, joint = "", ""
    for part in place:
        if part.isdigit():
            name, joint = f"{name} {int(part) + 1}", ": "
        else:
            name, joint = f"{name}{joint}{part}", "."
    return name


def _known_keys(path: Iterable[str]) -> list[str]:
    model: type[BaseModel] = Recipe
    for part in path:
        inner = model.model_fields[part].annotation if part in model.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        model = inner
    return [field.alias or name for name, field in model.model_fields.items()]
