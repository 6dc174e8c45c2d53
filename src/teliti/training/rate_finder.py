"""A learning rate found by raising it step by step (L. Smith, "Cyclical Learning Rates", 2017).

A copy of the network learns for a hundred short steps while the rate grows from 1e-6 to 1; the loss first stays, then
falls, then explodes. Smith reads the rates between which the loss falls off such a curve by eye. The finders that came
after him smooth the curve, stop once the loss is several times its best, leave out the first steps and take a tenth of
the rate at which the loss was lowest. So here, with two bounds that keep few and noisy losses from deciding:

- The first ten rates are too small to change a network, so the smoothed loss behind them is that of the start. No
  search ends there, unless a loss is not finite, and no rate is chosen by them.
- A loss has exploded when it is four times that of the start. Four times the lowest would stop at the second step
  where the first batch happened to be answered almost perfectly.

Where the loss never fell, the network has learnt already; then it is a tenth of the largest rate that did no harm.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
from torch import nn

from teliti.recipe.train import TrainRecipe
from teliti.training.batches import TrainingData, epoch_batches
from teliti.training.feed import Feed
from teliti.training.losses import Objective
from teliti.training.optim import make_optimizer, set_rate
from teliti.training.parallel import Processes
from teliti.training.speed import quiet_torch
from teliti.training.steps import Stepper
from teliti.training.unfreeze import StageModules, lowest_learning, set_learning, stages_of
from teliti.types import Record

STEPS = 100
LOWEST, HIGHEST = 1e-6, 1.0
_SMOOTHING = 0.9
_FIRST = STEPS // 10  # up to 3.5e-6
_EXPLODED = 4.0  # times the loss at the start
_FELL = 0.95  # of the loss at the start, for the lowest to count
_HARMLESS = 1.1  # times the loss at the start


@dataclass(frozen=True)
class RateSearch:
    """What the finder saw.

    Attributes:
        lr: The chosen rate.
        curve: (rate, smoothed loss) of each step.
    """

    lr: float
    curve: tuple[tuple[float, float], ...]

    @classmethod
    def from_record(cls, record: Record) -> RateSearch:
        """A search as `to_record` gave it."""
        return cls(record["lr"], tuple((float(lr), float(loss)) for lr, loss in record["curve"]))

    def to_record(self) -> Record:
        """JSON-ready."""
        return {"lr": self.lr, "curve": [list(point) for point in self.curve]}


def find_rate(
    net: nn.Module,
    data: TrainingData,
    options: TrainRecipe,
    *,
    objective: Objective,
    seed: int,
    stages: StageModules | None = None,
) -> RateSearch:
    """Try the rates on a copy of the network; the network is left as it is.

    Args:
        net: On its device.
        data: Photos; the training part is learnt from.
        options: Resolved but for the rate.
        objective: What is minimised.
        seed: Of the order of the photos.
        stages: The network's stages; those that learn after the last freezing learn here.
    """
    own = copy.deepcopy(net)
    own_stages = stages_of(net, stages)
    last = lowest_learning(options, num_stages=len(own_stages), epoch=max(options.epochs - 1, options.head_epochs))
    eager = options.model_copy(update={"compile": False})  # the run's kernels would not earn themselves back here
    stepper = Stepper(own, data, objective, options=eager, seed=seed, processes=Processes())
    for replica in stepper.replicas.nets:
        set_learning(
            replica, own_stages[last:], keep_statistics=options.batch_norm == "keep",
            keep_depthwise=options.frozen_depthwise,
        )  # fmt: skip
    optimizer = make_optimizer(own, own_stages, options)
    try:
        with quiet_torch(options):
            return _choose(_curve(stepper, optimizer, data, options=options, seed=seed))
    finally:
        stepper.close()


def _curve(
    stepper: Stepper, optimizer: torch.optim.Optimizer, data: TrainingData, *, options: TrainRecipe, seed: int
) -> list[tuple[float, float]]:
    feed = Feed(data, options.model_copy(update={"num_workers": 0}), seed=seed, device=stepper.device)
    curve: list[tuple[float, float]] = []
    average, step = 0.0, 0
    for epoch in range(STEPS):
        plan = epoch_batches(data.train, batch_size=options.batch_size, seed=seed, epoch=epoch)
        for batch in feed.batches(plan, epoch=epoch):
            lr = LOWEST * (HIGHEST / LOWEST) ** (step / (STEPS - 1))
            result = stepper.gradients(batch, epoch=epoch)
            average = _SMOOTHING * average + (1.0 - _SMOOTHING) * result.loss / result.photos
            smoothed = average / (1.0 - _SMOOTHING ** (step + 1))
            if not math.isfinite(smoothed) or (step >= _FIRST and smoothed > _EXPLODED * curve[_FIRST - 1][1]):
                return curve
            curve.append((lr, smoothed))
            set_rate(optimizer, lr)
            optimizer.step()
            step += 1
            if step == STEPS:
                return curve
    return curve


def _choose(curve: list[tuple[float, float]]) -> RateSearch:
    tried = curve[_FIRST:]
    if not tried:
        return RateSearch(LOWEST, tuple(curve))
    start = curve[_FIRST - 1][1]
    rate, lowest = min(tried, key=lambda point: point[1])
    if lowest > _FELL * start:
        rate = max((lr for lr, loss in tried if loss <= _HARMLESS * start), default=LOWEST)
    return RateSearch(float(f"{max(rate / 10.0, LOWEST):.2g}"), tuple(curve))
