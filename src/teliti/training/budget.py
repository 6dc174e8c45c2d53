"""How many epochs fit a budget of time: measured on the run's own first epochs, decided once.

The schedule of the rate needs its length from the end of the warm-up on, and not before. So the epochs inside the
warm-up are measured as they are, on the machine as it is, validation included; then the length is settled and kept.
Without such epochs a probe of some steps decides before the first one (`speed`). A recipe whose budget was spent has
`train.stop_after`: a replay asks no clock.
"""

from __future__ import annotations

from collections.abc import Sequence

from teliti.recipe.sections import parse_seconds
from teliti.recipe.train import TrainRecipe
from teliti.training.unfreeze import lowest_learning

PLANNED_SHARE = 0.93
"""Of the budget; the rest is for epochs that take longer than those that were measured."""
_NEEDS_NO_LENGTH = {"constant", "step"}


def has_open_budget(options: TrainRecipe) -> bool:
    """True where time still decides how many epochs there are."""
    return options.budget is not None and options.stop_after is None


def measured_epochs(options: TrainRecipe, *, num_stages: int) -> int:
    """First epochs after which a budget settles the length of the run; 0 where it must be settled before the first.

    Their rates must not depend on the length, and in the last of them everything learns that ever will.

    Args:
        options: With schedule, warm-up and freezing.
        num_stages: Of the network.
    """
    whole = int(options.warmup_epochs)
    if options.schedule in _NEEDS_NO_LENGTH:
        whole = max(1, whole)
    if not has_open_budget(options) or not 0 < whole < options.epochs:
        return 0
    lowest = [lowest_learning(options, num_stages=num_stages, epoch=epoch) for epoch in (whole - 1, options.epochs - 1)]
    return whole if lowest[0] == lowest[1] else 0


def epochs_in_budget(options: TrainRecipe, seconds: Sequence[float]) -> int:
    """The length of the run: as many epochs as fit, at least those that were measured, at most those asked for.

    Args:
        options: With an open budget.
        seconds: Of each measured epoch; the last one speaks for those to come.
    """
    left = parse_seconds(options.budget or 0.0) * PLANNED_SHARE - sum(seconds)
    return min(options.epochs, len(seconds) + max(0, int(left / max(seconds[-1], 1e-6))))
