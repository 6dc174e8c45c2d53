"""The spaces that are searched when nobody names one: what matters most in each mode, in ranges that usually hold."""

from __future__ import annotations

from collections.abc import Sequence

from teliti.recipe import Recipe
from teliti.types import Task
from teliti.workflow.hidden import takes_hidden
from teliti.workflow.learn import learns_network

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
        lines: As given; "default" stands for the default space, whose lines for keys that others name are left out;
            none at all: the default space alone.
        recipe: See `default_space`.
        task: Likewise.
    """
    named = {_key_of(line) for line in lines if line != DEFAULT}
    usual = [line for line in default_space(recipe, task) if _key_of(line) not in named]
    return [own for line in lines or [DEFAULT] for own in (usual if line == DEFAULT else [line])]


def _key_of(line: str) -> str:
    return line.partition("=")[0].strip()
