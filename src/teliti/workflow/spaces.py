"""The spaces that are searched when nobody names one: what matters most in each mode, in ranges that usually hold."""

from __future__ import annotations

from teliti.errors import RecipeError
from teliti.models.compact import COMPACT, plan_network
from teliti.recipe import Recipe, nest_value, override_recipe, read_value
from teliti.types import Task
from teliti.workflow.learn import learns_network

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
_TOP = '[{kind="avg_pool",kernel_size="global"},{kind="flatten"},{kind="dense",units=%d,activation="%s"}]'
_TOPS = ",".join(["[]", *(_TOP % top for top in ((64, "relu"), (256, "relu"), (256, "tanh")))])
_SOME_SIZE = (64, 64)
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
    if _takes_a_top(recipe):
        lines.append(f"model.layers={_TOPS}")
    return lines


def _takes_a_top(recipe: Recipe) -> bool:
    """True where layers of one's own can be put on the network: it ends in a map, and has none yet."""
    if recipe.model.layers:
        return False
    if recipe.model.backbone not in COMPACT:
        return True
    topped = override_recipe(recipe, nest_value("model.layers", read_value(_TOP % (64, "relu"))))
    try:
        plan_network(topped.model, num_outputs=2, image_size=_SOME_SIZE)
    except RecipeError:
        return False
    return True
