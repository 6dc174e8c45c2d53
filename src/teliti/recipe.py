"""The recipe: every choice of a job in one typed record, read from TOML, refused when a key is unknown.

Order of precedence: defaults, then a preset, then a recipe file, then `--set key=value`.
The steps under `[[prepare]]` are checked by `transforms.prepare`, which owns their parameters.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from itertools import groupby, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from teliti.errors import RecipeError
from teliti.registry import closest

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Fit = Literal["letterbox", "stretch", "crop"]
Pooling = Literal["avg", "max", "avgmax", "stats"]
Head = Literal["auto", "logistic", "linear_svm", "rbf_svm", "softmax", "ridge", "svr"]
Mode = Literal["features", "auto"]
Engine = Literal["auto", "openvino", "onnxruntime", "torch"]
Precision = Literal["f32", "bf16"]
Preset = Literal["accurate", "fast"]
Stage = int | Literal["head"]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Side = Annotated[int, Field(ge=8, le=4096)]
_SUM_TOLERANCE = 1e-6
_KINDS = {"str", "int", "float", "bool"}  # how pydantic names the members of a union


class _Section(BaseModel):
    # a class named 7 may be written without quotes
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, coerce_numbers_to_str=True)


class SplitFractions(_Section):
    """Shares of the photos, each in [0, 1], summing to 1. `val = 0` lets out-of-fold scores choose the threshold."""

    train: Fraction = 0.6
    val: Fraction = 0.2
    test: Fraction = 0.2

    @model_validator(mode="after")
    def _sum_to_one(self) -> SplitFractions:
        total = self.train + self.val + self.test
        if abs(total - 1.0) > _SUM_TOLERANCE:
            raise ValueError(f"train + val + test must be 1, got {total:g}")
        if self.train <= 0.0:
            raise ValueError("train must be above 0, got 0")
        return self


class DataRecipe(_Section):
    """What is learnt from, how it is split, and at which size the network sees it.

    Attributes:
        source: Folder, CSV, IDX, zip, or a built-in name.
        positive: The class whose misses cost most.
        pass_classes: (`pass` in TOML) with more than two classes: those that pass; any other is a reject.
        image_size: Side length or (height, width) in pixels; "auto" takes the photos' own size up to 300.
        fit: How a photo is brought to that size.
        split: Shares of the three parts.
        group: True uses the label file's `group` column when it has one.
        near_duplicates: Keep near-duplicates on one side of the split.
        folds: "auto" (few photos of a class: 5), 0 (never), or a number of folds from 2.
        seed: Seed of the split; the recipe's seed when unset.
    """

    source: str | None = None
    positive: str | None = None
    pass_classes: tuple[str, ...] = Field(default=(), alias="pass")
    image_size: Literal["auto"] | Side | tuple[Side, Side] = "auto"
    fit: Fit = "letterbox"
    split: SplitFractions = SplitFractions()
    group: bool = True
    near_duplicates: bool = True
    folds: Literal["auto"] | Annotated[int, Field(ge=0, le=50)] = "auto"
    seed: int | None = None

    @model_validator(mode="after")
    def _folds_are_none_or_several(self) -> DataRecipe:
        if self.folds == 1:
            raise ValueError('folds must be "auto", 0 (no folds) or at least 2, got 1')
        return self


class PrepareStep(BaseModel):
    """One deterministic step by name; its parameters are checked by `transforms.prepare`."""

    model_config = ConfigDict(extra="allow", frozen=True)

    step: str


class ModelRecipe(_Section):
    """The network in front of the head, and the head.

    Attributes:
        backbone: Any timm name.
        weights: "auto" (packaged weights when there are any), "random", or a .safetensors file.
        stages: Which stages' outputs become features; counted from 0, negative from the end; "head" is the
            vector that the backbone's own classifier would see. "auto" takes the last four stages.
        pooling: How a stage's map becomes a vector: "avg", "max", "avgmax" (both), or "stats" (average, maximum,
            minimum and standard deviation).
        head: What turns features into scores. "auto": RBF SVM for classes, SVR for numbers.
        c: Inverse regularisation; unset: chosen by cross-validation inside the training part.
        gamma: Width of the RBF kernel, a multiple of 1 / (dimensions x variance); unset: chosen likewise.
    """

    backbone: str = "tf_efficientnet_lite0"
    weights: str = "auto"
    stages: Literal["auto"] | tuple[Stage, ...] = "auto"
    pooling: Pooling = "stats"
    head: Head = "auto"
    c: Annotated[float, Field(gt=0)] | None = None
    gamma: Annotated[float, Field(gt=0)] | None = None


class TrainRecipe(_Section):
    """How it is trained.

    Attributes:
        mode: "features" (frozen backbone) or "auto" (several set-ups within the budget, best on validation).
        budget: Seconds that "auto" may take, as a number or like "90s", "5m", "1h".
        engine: What computes features; "auto" probes the installed ones.
        precision: bf16 is faster where the processor has it, and less exact.
        threads: Threads for decoding and for the engine; unset: the cores this process may use.
        batch_size: Photos per call of the engine.
    """

    mode: Mode = "features"
    budget: str | Annotated[float, Field(gt=0)] | None = None
    engine: Engine = "auto"
    precision: Precision = "f32"
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    batch_size: Annotated[int, Field(ge=1, le=4096)] = 8

    @field_validator("budget")
    @classmethod
    def _budget_is_a_time(cls, budget: str | float | None) -> str | float | None:
        if budget is not None:
            parse_seconds(budget)
        return budget


class Cost(_Section):
    """What a wrong verdict costs, in any one currency."""

    miss: Annotated[float, Field(ge=0)]
    false_alarm: Annotated[float, Field(ge=0)] = 1.0


class DecideRecipe(_Section):
    """How the threshold of the positive class is chosen; at most one of them.

    Attributes:
        threshold: A fixed score in [0, 1].
        rule: "f1" (best F1 on validation) or "argmax" (the most probable class).
        max_miss_rate: The highest threshold that misses at most this share of the positives of validation.
        cost: The threshold that is cheapest on validation.
    """

    threshold: Fraction | None = None
    rule: Literal["f1", "argmax"] | None = None
    max_miss_rate: Fraction | None = None
    cost: Cost | None = None

    @model_validator(mode="after")
    def _one_rule(self) -> DecideRecipe:
        given = [name for name in ("threshold", "rule", "max_miss_rate", "cost") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(
                f"only one of threshold, rule, max_miss_rate, cost may be given, got {' and '.join(given)}"
            )
        return self


class Recipe(_Section):
    """One job. `seed` feeds every random choice that has no seed of its own."""

    seed: int = 7
    data: DataRecipe = DataRecipe()
    prepare: tuple[PrepareStep, ...] = ()
    model: ModelRecipe = ModelRecipe()
    train: TrainRecipe = TrainRecipe()
    decide: DecideRecipe = DecideRecipe()


PRESETS: dict[Preset, dict[str, Any]] = {
    "accurate": {},
    "fast": {
        "data": {"image_size": 224},
        "model": {"stages": [-2]},
    },
}


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
    try:
        value: Any = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    for part in reversed(key.strip().split(".")):
        value = {part: value}
    return dict(value)


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` laid over `below`; the keys of [decide] exclude each other, so a new one replaces the others."""
    merged = dict(below)
    for key, value in above.items():
        both_tables = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        if both_tables and key == "decide":
            merged[key] = {rule: old for rule, old in merged[key].items() if rule in value}
        merged[key] = _merge(merged[key], value) if both_tables else value
    return merged


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
            rules = " or ".join(
                problem["msg"].removeprefix("Input should be ").partition(", unable")[0] for problem in problems
            )
            sentences.append(
                f"{key} is missing."
                if first["type"] == "missing"
                else f"{key} must be {rules}, got {first['input']!r}."
            )
    return RecipeError(" ".join(dict.fromkeys(sentences)), hint=hint)


def _key_of(problem: ErrorDetails) -> str:
    """The key as the user wrote it; pydantic appends the kinds of a union, which are no words of a recipe."""
    place = [str(part) for part in problem["loc"]]
    if problem["type"] != "extra_forbidden":
        place = list(takewhile(lambda part: re.fullmatch(r"\w+", part) and part not in _KINDS, place))
    return ".".join(place) or "recipe"


def _known_keys(path: Iterable[str]) -> list[str]:
    model: type[BaseModel] = Recipe
    for part in path:
        inner = model.model_fields[part].annotation if part in model.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        model = inner
    return [field.alias or name for name, field in model.model_fields.items()]
