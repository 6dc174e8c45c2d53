"""A policy file: augmentation entries that can be carried to other photos, with what each was measured to give.

TOML with `schema`, `name`, `made_from` (what it was measured on) and a list of `[[augment]]` entries as in a recipe,
each with a table `measured`. A recipe points to one by `[[augment]] step = "policy", file = "A.toml"`;
`expand_policies` puts the file's entries in its place, so that a resolved recipe needs no file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from teliti.errors import RecipeError
from teliti.files import write_text_atomic
from teliti.registry import closest
from teliti.types import Record

POLICY_STEP = "policy"
"""The `step` of a recipe's entry that stands for a file's entries."""

_HINT = "`teliti augment DATA --search` writes such a file."


class Measured(BaseModel):
    """What one operation, or the whole policy, was measured to give.

    Attributes:
        gain: Loss without it minus loss with it; above 0 helps.
        interval: 95 % interval of the gain, [low, high]; None where the repeats do not vary.
        accuracy_gain: Accuracy with it minus accuracy without; None for numbers.
        status: "shown" when the gain is more than noise, also as one of several looked at; else "unproven".
        repeats: How many paired differences stand behind it.
        photos: How many photos they were measured on.
        affinity: Accuracy of the clean head on augmented over that on clean photos; None where undefined.
        diversity: Training loss on augmented over that on clean photos; None where undefined.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    gain: float
    interval: tuple[float, float] | None = None
    accuracy_gain: float | None = None
    status: Literal["shown", "unproven"]
    repeats: Annotated[int, Field(ge=1)]
    photos: Annotated[int, Field(ge=1)]
    affinity: float | None = None
    diversity: float | None = None

    @model_validator(mode="after")
    def _interval_rises(self) -> Measured:
        if self.interval is not None and self.interval[0] > self.interval[1]:
            raise ValueError(f"interval must rise, got {list(self.interval)}")
        return self


class PolicyEntry(BaseModel):
    """One `[[augment]]` entry: a step, its parameters, and what it was measured to give."""

    model_config = ConfigDict(extra="allow", frozen=True)

    step: str
    measured: Measured | None = None

    @property
    def values(self) -> Record:
        """The entry as a recipe has it: step and parameters."""
        return self.model_dump(mode="json", exclude={"measured"})


class Policy(BaseModel):
    """A list of augmentation entries with their provenance.

    Attributes:
        schema_: Version of this format; `schema` in TOML.
        name: What people call it.
        made_from: Facts about the measurement: source, photos, digest, criterion, head, backbone, version.
        measured: What all entries together were measured to give; None where they were not.
        augment: The entries, in the order in which they act; empty where nothing helped.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    schema_: Literal[1] = Field(default=1, alias="schema")
    name: Annotated[str, Field(min_length=1, max_length=200)]
    made_from: dict[str, str | int | float | bool] = Field(default_factory=dict)
    measured: Measured | None = None
    augment: tuple[PolicyEntry, ...] = ()

    @property
    def steps(self) -> list[Record]:
        """The entries as a recipe has them."""
        return [entry.values for entry in self.augment]


def read_policy(path: Path) -> Policy:
    """A policy from its file; the parameters of its steps are checked where they are built (`build_augment`).

    Raises:
        RecipeError: unreadable file, unknown key, or an entry that is itself a policy.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RecipeError(f'Policy "{path}" does not exist.', hint=f"Check the path. {_HINT}") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(f'Policy "{path}" could not be read: {error}.', hint="It must be a TOML file.") from error
    try:
        policy = Policy.model_validate(values)
    except ValidationError as error:
        raise _policy_error(path, error) from error
    if any(entry.step == POLICY_STEP for entry in policy.augment):
        raise RecipeError(f'Policy "{path}" must hold operations, got a policy in it.', hint="Write its entries out.")
    return policy


def write_policy(path: Path, policy: Policy) -> None:
    """Write a policy so that `read_policy` gives an equal one; the file appears whole or not at all.

    Raises:
        StorageError: the disk is full or the folder is not writable.
    """
    values = policy.model_dump(mode="json", by_alias=True, exclude_none=True)
    write_text_atomic(path, tomli_w.dumps(values))


def expand_policies(entries: Iterable[Mapping[str, Any]]) -> list[Record]:
    """Augment entries in which every `step = "policy"` is replaced by the entries of its file.

    Args:
        entries: As in a recipe; the `file` of a policy is a path from the current folder.

    Raises:
        RecipeError: a policy entry without a file or with other keys, or a file that cannot be used.
    """
    expanded = list[Record]()
    for number, values in enumerate(entries, start=1):
        if values.get("step") != POLICY_STEP:
            expanded.append(dict(values))
            continue
        file = values.get("file")
        if not isinstance(file, str) or set(values) != {"step", "file"}:
            got = ", ".join(f"{key} = {value!r}" for key, value in values.items())
            raise RecipeError(
                f"augment step {number} (policy) must have one parameter, file, got {got}.",
                hint='For instance step = "policy", file = "A.toml".',
            )
        expanded += read_policy(Path(file)).steps
    return expanded


def _policy_error(path: Path, error: ValidationError) -> RecipeError:
    problem = error.errors()[0]
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = Measured.model_fields if "measured" in problem["loc"][:-1] else {"schema", *Policy.model_fields}
        near = closest(str(problem["loc"][-1]), known)
        hint = f'Did you mean "{near}"?' if near else _HINT
        return RecipeError(f'Policy "{path}": {key} is not a key of a policy.', hint=hint)
    if problem["type"] == "missing":
        return RecipeError(f'Policy "{path}": {key} is missing.', hint=_HINT)
    rule = problem["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    got = "" if problem["type"] == "value_error" else f", got {problem['input']!r}"
    return RecipeError(f'Policy "{path}": {key} must be {rule}{got}.', hint=_HINT)
