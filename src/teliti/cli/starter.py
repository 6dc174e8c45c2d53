"""A recipe file to start from, made from the recipe's own model: keys, defaults, ranges and explanations."""

from __future__ import annotations

import inspect
import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from teliti.recipe import Recipe, recipe_schema

_WIDTH = 100
_HEAD = """\
A recipe for `teliti train DATA --recipe THIS_FILE`.
Each line that begins with #name = ... shows a key and its default; take the # away to change it.
`teliti recipe show --recipe THIS_FILE` prints what a run would do, `teliti recipe schema` every key."""
_STEPS = """\
Deterministic steps before the network, in order; each is a table of its own with its parameters, for instance:
[[prepare]]
step = "clahe"

Random steps for training photos alone, written likewise:
[[augment]]
step = "flip"
horizontal = 0.5

Layers of a network of your own (train.mode = "scratch"), or on a backbone ("finetune"):
[[model.layers]]
kind = "conv"
filters = 16
kernel_size = 3
activation = "relu\""""
_TABLES = {"prepare", "augment", "layers"}  # arrays of tables, shown by an example
_ATTRIBUTE = re.compile(r"(\w+): (.*)")
_ALTERNATIVES = {"string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false"}


def starter_recipe() -> str:
    """TOML text that loads as the default recipe, and still does with every `#name = ...` line taken up."""
    lines = [*_comment(_HEAD), ""]
    schema = recipe_schema()
    lines += _section(Recipe, schema, schema=schema)
    for name, field in Recipe.model_fields.items():
        model = field.annotation
        if _is_model(model):
            section = schema["$defs"][model.__name__]
            lines += [*_comment(_first_paragraph(model)), f"[{name}]", *_section(model, section, schema=schema)]
    lines += _comment(_STEPS)
    return "\n".join(lines) + "\n"


def _section(model: type[BaseModel], section: Mapping[str, Any], *, schema: Mapping[str, Any]) -> Iterator[str]:
    """The keys of one table that are values, not tables."""
    meanings = _attributes(model)
    for name, field in model.model_fields.items():
        if name in _TABLES or (model is Recipe and _is_model(field.annotation)):
            continue
        key = field.alias or name
        choices = _choices(section["properties"][key], schema)
        yield from _comment(" ".join(part for part in (meanings.get(name, ""), choices) if part))
        default = field.default
        if default is None or default is PydanticUndefined:
            yield f"# {key} is unset."  # TOML has no word for it
        else:
            plain = default.model_dump(by_alias=True) if isinstance(default, BaseModel) else default
            yield f"#{key} = {_toml(plain)}"
        yield ""


def _attributes(model: type[BaseModel]) -> dict[str, str]:
    """What a model's docstring says of each of its attributes."""
    found: dict[str, str] = {}
    name = ""
    for line in (inspect.getdoc(model) or "").partition("Attributes:")[2].splitlines():
        match = _ATTRIBUTE.fullmatch(line.strip()) if line.startswith("    ") and line[4:5] != " " else None
        if match:
            name = match[1]
            found[name] = match[2]
        elif name and line.strip():
            found[name] += " " + line.strip()
    return found


def _first_paragraph(model: type[BaseModel]) -> str:
    return (inspect.getdoc(model) or "").partition("\n\n")[0]


def _choices(node: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """The allowed values in words, from a property's JSON Schema."""
    alternatives = list(dict.fromkeys(_alternatives(node, schema)))
    return f"({' or '.join(alternatives)})" if alternatives else ""


def _alternatives(node: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    if "$ref" in node:
        target = schema["$defs"][node["$ref"].rpartition("/")[2]]
        if target.get("type") == "object":
            yield f"{{{', '.join(target['properties'])}}}"
            return
        node = target
    for inner in node.get("anyOf", ()):
        yield from _alternatives(inner, schema)
    if "enum" in node:
        yield " | ".join(json.dumps(value) for value in node["enum"])
    elif "const" in node:
        yield json.dumps(node["const"])
    elif node.get("type") == "array":
        yield "a list"
    elif node.get("type") in _ALTERNATIVES:
        yield _ALTERNATIVES[node["type"]] + _range(node)


def _range(node: Mapping[str, Any]) -> str:
    low, high = node.get("minimum"), node.get("maximum")
    if low is not None and high is not None:
        return f" from {low:g} to {high:g}"
    if low is not None:
        return f" from {low:g}"
    return f" above {node['exclusiveMinimum']:g}" if "exclusiveMinimum" in node else ""


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key} = {_toml(item)}' for key, item in value.items())}}}"
    return json.dumps(value)


def _is_model(annotation: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _comment(text: str) -> list[str]:
    return [f"# {line}" for paragraph in text.splitlines() for line in textwrap.wrap(paragraph, _WIDTH)]
