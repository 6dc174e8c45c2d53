"""The spaces that are searched when nobody names one: what matters most in each mode, in ranges that usually hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from teliti.recipe import Recipe
from teliti.tuning.space import parse_line
from teliti.types import Task
from teliti.workflow.learning.learn import learns_network
from teliti.workflow.searches.hidden import takes_hidden

DEFAULT = "default"

_STAGES = "model.stages=[-1],[-2],[-2,-1],[-3,-2],[-3,-2,-1],auto"
_POOLING = "model.pooling=avg,avgmax,stats"
_CLASS_HEADS = (
    "model.head=logistic,linear_svm,rbf_svm",
    "model.c@logistic=log(1e-4,0.3)",
    "model.c@linear_svm=log(1e-5,0.01)",
    "model.c@rbf_svm=log(0.5,50)",
    "model.gamma@rbf_svm=log(0.2,5)",
)
_NUMBER_HEADS = (
    "model.head=ridge,svr",
    "model.c@ridge=log(1e-5,1)",
    "model.c@svr=log(0.1,50)",
    "model.gamma@svr=log(0.2,5)",
)
_HIDDEN = (
    "hidden=none,dense,dense+dense",
    "units@dense|dense+dense=32,64,128,256",
    "activation@dense|dense+dense=relu,tanh,silu",
)
_RATES = {"finetune": "train.lr=log(5e-5,5e-3)", "scratch": "train.lr=log(1e-4,1e-2)"}


def default_space(recipe: Recipe, task: Task) -> list[str]:
    """The lines of a space, as `--space` takes them.

    Args:
        recipe: Its mode says what can be chosen.
        task: Its heads.
    """
    if not learns_network(recipe):
        return [_STAGES, _POOLING, *(_NUMBER_HEADS if task == "regression" else _CLASS_HEADS)]
    epochs = recipe.train.epochs
    lengths = sorted({max(1, epochs // 2), epochs, 2 * epochs})
    lines = [
        _RATES[recipe.train.mode],
        f"train.epochs={','.join(map(str, lengths))}",
        "train.batch_size=16,32,64",
        "model.dropout=0..0.6",
        "augment=none,light,strong",
    ]
    if not recipe.prepare:
        lines.append("prepare=none,clahe")
    return [*lines, *_HIDDEN] if takes_hidden(recipe) else lines


def space_lines(lines: Sequence[str], recipe: Recipe, task: Task) -> list[str]:
    """The lines of a space with the default one written out.

    Args:
        lines: As given; "default" stands for the default space; none at all: that alone. A line behind it with the
            key of one of its lines takes that line's place, one before it stays where it is. A default line waits only
            for choices that are still offered, and is left out where none is.
        recipe: See `default_space`.
        task: Likewise.
    """
    given = list(lines) or [DEFAULT]
    if DEFAULT not in given:
        return given
    start = given.index(DEFAULT)
    written, behind = given[:start], [line for line in given[start:] if line != DEFAULT]
    named_before = set(map(_name_of, written))
    for line in default_space(recipe, task):
        usual = _where_offered(line, written)
        names = {_name_of(line), *map(_name_of, usual)}
        own = [one for one in behind if _name_of(one) in names]
        behind = [one for one in behind if _name_of(one) not in names]
        written += own or (usual if names.isdisjoint(named_before) else [])
    return written + behind


def _where_offered(line: str, earlier: Sequence[str]) -> list[str]:
    """The line, waiting for no more than earlier ones offer; none where they offer nothing that it waits for."""
    name, _, values = line.partition("=")
    key, at, only = name.partition("@")
    if not at:
        return [line]
    offered = {choice for one in earlier for choice in parse_line(one, accepts=_accept_anything).choices}
    left = [choice for choice in only.split("|") if choice in offered]
    return [f"{key}@{'|'.join(left)}={values}"] if left else []


def _accept_anything(key: str, value: Any) -> None:
    """Whether a value can be used is asked elsewhere."""


def _name_of(line: str) -> str:
    return line.partition("=")[0].strip()
