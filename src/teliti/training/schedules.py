"""How the learning rate moves: a pure function of the step, so that a resumed run needs no schedule's state.

Cosine: I. Loshchilov and F. Hutter (2017), without restarts. One cycle: L. Smith and N. Topin (2018) in the cosine
shape of fast.ai and torch; the momentum is not cycled.
"""

from __future__ import annotations

import math

from teliti.recipe.train import TrainRecipe

_RISE = 0.3  # share of a one-cycle run in which the rate rises
_START, _END = 1 / 25, 1e-4 / 25  # its first and last rate, as multiples of the top; torch's OneCycleLR has the same


def rate_factor(options: TrainRecipe, step: int, *, steps_per_epoch: int) -> float:
    """The rate of a step as a multiple of `train.lr`.

    Args:
        options: With schedule, epochs and warm-up.
        step: Steps done in the whole run, from 0.
        steps_per_epoch: At least 1.

    Returns:
        A number in [0, 1].
    """
    warmup = round(options.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    done, total = step - warmup, max(1, options.epochs * steps_per_epoch - warmup)
    if options.schedule == "constant":
        return 1.0
    if options.schedule == "step":
        return float(options.step_factor ** (step // steps_per_epoch // options.step_epochs))
    if options.schedule == "cosine":
        return _between(1.0, 0.0, min(1.0, done / total))
    return _one_cycle(done, total)


def _one_cycle(done: int, total: int) -> float:
    top, last = _RISE * total - 1.0, total - 1.0
    if done <= top:
        return _between(_START, 1.0, done / top)
    return _between(1.0, _END, min(1.0, (done - top) / max(last - top, 1.0)))


def _between(start: float, end: float, share: float) -> float:
    """From start to end along half a cosine."""
    return end + (start - end) * (1.0 + math.cos(math.pi * share)) / 2.0
