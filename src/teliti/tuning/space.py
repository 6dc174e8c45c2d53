"""What a search may choose from, written in one line for each key.

    train.lr=log(1e-4, 1e-1)        between the two, every power of ten as likely as another
    model.dropout=0..0.6            between the two, all values alike
    train.epochs=10..50..10         the same in steps
    train.batch_size=16,32,64       one of these
    model.c@rbf_svm=log(1, 100)     only where an earlier line has chosen rbf_svm
    units@dense|dense+dense=32,64   only where an earlier line has chosen one of these

A key is a dotted recipe key, or a word that the caller gives a meaning. Whether a key and its values can be used is
asked before anything runs: the caller's `accepts` is tried with every choice and with both ends of a range.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from teliti.errors import RecipeError, UserError
from teliti.recipe import read_value

Point = dict[str, str | int | float]
"""A place in a space: a parameter's name to its number, or to a choice as it was written."""
Accepts = Callable[[str, Any], None]
"""Raises RecipeError where a key cannot have a value."""

_HOW = (
    'Write "train.lr=log(1e-4,1e-1)", "model.dropout=0..0.6", "train.epochs=10..50..10", "train.batch_size=16,32,64", '
    'or for a choice made earlier "model.c@rbf_svm=log(1,100)".'
)
_LOG = re.compile(r"log\((.*)\)", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][\w]*(\.[A-Za-z_][\w]*)*")


@dataclass(frozen=True)
class Parameter:
    """One thing to choose.

    Attributes:
        key: What it sets.
        choices: As written; empty for a range.
        low: Smallest number of a range.
        high: Largest number of a range.
        step: Between the numbers of a range; None: every number.
        is_log: Equal ratios are equally likely.
        is_whole: Whole numbers only.
        only: The choices of an earlier parameter, joined by |, under which this one is chosen at all; None: always.
    """

    key: str
    choices: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    step: float | None = None
    is_log: bool = False
    is_whole: bool = False
    only: str | None = None

    @property
    def name(self) -> str:
        """Unique in its space."""
        return self.key if self.only is None else f"{self.key}@{self.only}"

    def value(self, chosen: str | int | float) -> Any:
        """What the key is set to."""
        return read_value(str(chosen)) if self.choices else chosen

    def ends(self) -> tuple[Any, ...]:
        """All choices, or both ends of the range, as values."""
        if self.choices:
            return tuple(map(read_value, self.choices))
        return (int(self.low), int(self.high)) if self.is_whole else (self.low, self.high)

    def to_record(self) -> dict[str, Any]:
        """JSON-ready."""
        if self.choices:
            return {"name": self.name, "choices": list(self.choices)}
        return {"name": self.name, "low": self.low, "high": self.high, "step": self.step, "log": self.is_log,
                "whole": self.is_whole}  # fmt: skip


@dataclass(frozen=True)
class Space:
    """Parameters in the order in which they are chosen."""

    parameters: tuple[Parameter, ...]

    def applies(self, parameter: Parameter, point: Mapping[str, Any]) -> bool:
        """True where a choice that a parameter waits for was made."""
        made = {point.get(other.name) for other in self.parameters if other.choices}
        return parameter.only is None or not made.isdisjoint(parameter.only.split("|"))

    def values(self, point: Mapping[str, str | int | float]) -> dict[str, Any]:
        """Each chosen key with its value."""
        return {one.key: one.value(point[one.name]) for one in self.parameters if one.name in point}

    def to_record(self) -> list[dict[str, Any]]:
        """JSON-ready."""
        return [parameter.to_record() for parameter in self.parameters]


def parse_space(lines: Iterable[str], *, accepts: Accepts) -> Space:
    """Read and check a space.

    Args:
        lines: As in the module's first lines.
        accepts: Asked about every choice and both ends of every range.

    Raises:
        UserError: a line that cannot be read, or the same parameter twice; every sentence names the key.
        RecipeError: a key that does not exist, or a value that it does not take.
    """
    parameters = list[Parameter]()
    for line in lines:
        parameter = parse_line(line, accepts=accepts)
        if any(parameter.name == other.name for other in parameters):
            raise UserError(f"--space must name each key once, got {parameter.name} twice.", hint="Leave one out.")
        _check_condition(parameter, parameters)
        parameters.append(parameter)
    if not parameters:
        raise UserError("--space must name at least one key, got none.", hint=_HOW)
    return Space(tuple(parameters))


def parse_line(line: str, *, accepts: Accepts) -> Parameter:
    """Read and check one line by itself; whether an earlier one offers what it waits for is not asked.

    Args:
        line: As in the module's first lines.
        accepts: Asked about every choice and both ends of a range.

    Raises:
        UserError: it cannot be read.
        RecipeError: a key that does not exist, or a value that it does not take.
    """
    return _settle(_parse(line), accepts)


def _check_condition(parameter: Parameter, earlier: Sequence[Parameter]) -> None:
    if parameter.only is None:
        return
    known = [choice for other in earlier for choice in other.choices]
    unknown = [choice for choice in parameter.only.split("|") if choice not in known]
    if unknown:
        raise UserError(
            f"--space {parameter.name}: behind @ must stand a choice of an earlier key, got {unknown[0]!r}.",
            hint=f"So far there are: {', '.join(known) or 'none'}.",
        )


def _parse(line: str) -> Parameter:
    left, equals, right = (part.strip() for part in line.partition("="))
    key, at, only = left.partition("@")
    if not equals or not right or not _NAME.fullmatch(key) or (at and not only):
        raise UserError(f"--space must look like key=values, got {line!r}.", hint=_HOW)
    bare = Parameter(key, only=only or None)
    if found := _LOG.fullmatch(right):
        low, high = _numbers(found[1].split(","), left, right, count=(2,))
        if low <= 0.0:
            raise UserError(f"--space {left}: log must begin above 0, got {low:g}.", hint=_HOW)
        return replace(bare, low=low, high=high, is_log=True)
    if ".." in right and not right.startswith(("[", '"', "'")):
        low, high, *step = _numbers(right.split(".."), left, right, count=(2, 3))
        if step and not 0.0 < step[0] <= high - low:
            raise UserError(
                f"--space {left}: the step must be above 0 and at most {high - low:g}, got {step[0]:g}.", hint=_HOW
            )
        return replace(bare, low=low, high=high, step=step[0] if step else None)
    choices = tuple(dict.fromkeys(filter(None, map(str.strip, _split(right)))))
    if len(choices) < 2:
        raise UserError(f"--space {left}: there must be at least two choices, got {right!r}.", hint=_HOW)
    return replace(bare, choices=choices)


def _numbers(words: Sequence[str], name: str, text: str, *, count: tuple[int, ...]) -> list[float]:
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        numbers = []
    if len(numbers) not in count or not all(map(math.isfinite, numbers)):
        raise UserError(f"--space {name}: a range must have {count[0]} numbers, got {text!r}.", hint=_HOW)
    if not numbers[0] < numbers[1]:
        raise UserError(
            f"--space {name}: a range must rise, got {numbers[0]:g} to {numbers[1]:g}.", hint="Give the smaller first."
        )
    return numbers


def _split(text: str) -> list[str]:
    """At the commas outside of brackets and quotes."""
    parts, depth, quote = [""], 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        depth += (character in "[{") - (character in "]}")
        if character == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _settle(parameter: Parameter, accepts: Accepts) -> Parameter:
    """The parameter, whole where its key takes no fraction; every end of it was accepted."""
    if not parameter.choices:
        parameter = replace(parameter, is_whole=_is_whole(parameter, accepts))
    for value in parameter.ends():
        try:
            accepts(parameter.key, value)
        except RecipeError as error:
            raise RecipeError(f"--space {parameter.name}: {error.message}", hint=error.hint) from error
    return parameter


def _is_whole(parameter: Parameter, accepts: Accepts) -> bool:
    """True where all numbers of a range are whole and its key refuses one between them."""
    numbers = (parameter.low, parameter.high, parameter.step or 1.0)
    if not all(number.is_integer() for number in numbers):
        return False
    try:
        accepts(parameter.key, parameter.low + 0.5)
    except RecipeError:
        return True
    return False
