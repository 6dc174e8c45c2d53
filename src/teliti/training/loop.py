"""Training a network: `fit_network` is the door, `_learn` the loop.

    data = TrainingData(images=cache, targets=labels, train=train, val=val, task="classification", num_classes=2,
                        mean=network.mean, std=network.std, names=names, augment=chain)
    fitted = fit_network(network, data, recipe.train, seed=recipe.seed, stages=stages(network),
                         layer_penalty=l2_penalty, folder=run / "checkpoints", reporter=reporter, on_epoch=draw_row)

The network takes float32 photos (N, C, H, W), normalised, and gives logits (N, K). It leaves with the weights of the
best epoch, in evaluation mode. Every random number follows from the seed and the place in the run, so nothing random
has to be saved: a run that was killed goes on from its last checkpoint to the same bits. What a probe, a finder or a
budget decided stands in `Fitted.options`; a run with those options asks nobody.
Plain torch does all of it; why no training framework does: decision record 0009.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from teliti.recipe.sections import parse_seconds
from teliti.recipe.train import TrainRecipe
from teliti.runtime import torch_device
from teliti.training.activity import LayerActivity
from teliti.training.batches import TrainingData
from teliti.training.budget import has_open_budget, measured_epochs
from teliti.training.callbacks import Watch
from teliti.training.diagnose import Finding, Outcome, diagnose
from teliti.training.losses import Activation, Objective, balanced_label_weights, balanced_weights, make_objective
from teliti.training.optim import LayerPenalty, StepLength, set_rate, shorten, step_side_by_side
from teliti.training.parallel import join_processes
from teliti.training.progress import Run, open_run
from teliti.training.rate_finder import RateSearch, find_rate
from teliti.training.schedules import rate_factor
from teliti.training.speed import Choice, choose_options, has_bf16, quiet_torch, with_values
from teliti.training.unfreeze import StageModules, lowest_learning, stages_of
from teliti.types import Record, Reporter, SilentReporter

Ending = Literal["epochs", "early_stopping", "budget"]


@dataclass(frozen=True, eq=False)
class Fitted:
    """A trained network's story.

    Attributes:
        history: One row an epoch, as `history.COLUMNS` and "val_predicted".
        watch: The measure that chose, with the best epoch, from 0, and its value.
        state: The weights of the best epoch, on the CPU; the network has them.
        options: Resolved; training with them again gives the same bits on the same machine.
        activation: What turns the network's logits into outputs.
        findings: The diagnosis.
        activity: What the activations did at the end.
        seconds: Of each epoch: its steps and the measuring behind them, without the writing of checkpoints.
        ended: Why.
        probe: What the choice of precision and replicas was made by.
        rate_search: What the rate was found by, when it was.
    """

    history: tuple[Record, ...]
    watch: Watch
    state: dict[str, Tensor]
    options: TrainRecipe
    activation: Activation
    findings: tuple[Finding, ...]
    activity: tuple[LayerActivity, ...]
    seconds: tuple[float, ...]
    ended: Ending
    probe: tuple[Record, ...] = ()
    rate_search: RateSearch | None = None

    @property
    def best_epoch(self) -> int:
        """Number of the epoch whose weights were kept, from 0."""
        return self.watch.best_epoch

    def to_record(self) -> Record:
        """JSON-ready, for reports: everything but the weights."""
        return {
            "rows": list(self.history),
            "best_epoch": self.best_epoch,
            "monitor": self.watch.monitor,
            "best_value": self.watch.best_value,
            "ended": self.ended,
            "diagnosis": [finding.to_record() for finding in self.findings],
            "activity": [layer.to_record() for layer in self.activity],
            "seconds": list(self.seconds),
            "options": self.options.model_dump(mode="json", exclude_none=True),
            "probe": list(self.probe),
            "rate_search": None if self.rate_search is None else self.rate_search.to_record(),
        }


def fit_network(
    net: nn.Module,
    data: TrainingData,
    options: TrainRecipe,
    *,
    seed: int,
    stages: StageModules | None = None,
    layer_penalty: LayerPenalty | None = None,
    folder: Path | None = None,
    reporter: Reporter | None = None,
    on_epoch: Callable[[Record], None] | None = None,
) -> Fitted:
    """Train a network on photos; alone or as one of the processes that `torchrun` started.

    Args:
        net: Changed in place; it leaves with the best weights, in evaluation mode, on the device it was trained on.
        data: Photos, targets, and who learns.
        options: The recipe's [train]. Only "budget" and what is "auto" may be changed by the machine.
        seed: Of every random choice.
        stages: The network's stages from the photo to the head; None: its children.
        layer_penalty: What its layers add to the loss of their own.
        folder: For checkpoints; a run that was interrupted there goes on. None: none are kept.
        reporter: Told of choices and steps.
        on_epoch: Called with each row of the history and its "seconds", those of a resumed run first.

    Raises:
        UserError: options that do not fit the task, the photos or the network, or a folder of another run.
        RunError: the loss is no longer finite; or the disk is full.
    """
    reporter = reporter or SilentReporter()
    options = with_values(options, device=torch_device(options.device))
    objective = _objective(net, data, options)
    with join_processes(torch.device(str(options.device))) as processes:
        run = open_run(
            net, data, options, objective=objective, seed=seed, stages=stages, layer_penalty=layer_penalty,
            folder=folder, processes=processes,
            decide=lambda: _decide(net, data, options, objective=objective, seed=seed, stages=stages),
        )  # fmt: skip
        for sentence in _sentences(run, augments=data.augment is not None):
            reporter.note(sentence)
        with quiet_torch(run.options):
            try:
                ended = _learn(run, reporter=reporter, on_epoch=on_epoch)
            finally:
                run.close()
    return _fitted(run, data, objective, ended=ended)


def _learn(run: Run, *, reporter: Reporter, on_epoch: Callable[[Record], None] | None) -> Ending:
    """The loop."""
    show = on_epoch or _show_nobody
    for row, seconds in zip(run.rows, run.seconds, strict=True):
        show({**row, "seconds": seconds})
    while not (ended := _ending(run)):
        last = run.settle_length(reporter)
        with reporter.task("Training", (last - run.epoch) * run.steps_per_epoch) as advance:
            advance(run.step)
            while run.epoch < last and not _ending(run):
                _learn_epoch(run, advance)
                show({**run.rows[-1], "seconds": run.seconds[-1]})
    if has_open_budget(run.options):
        run.options = with_values(run.options, stop_after=run.epoch)
    return ended


def _learn_epoch(run: Run, advance: Callable[[int], None]) -> None:
    options = run.options
    run.begin_epoch()
    for batch in run.batches():
        result = run.stepper.gradients(batch, epoch=run.epoch)
        run.refuse_infinite_loss(batch, result)
        set_rate(run.optimizer, run.lr * rate_factor(options, run.steps_done, steps_per_epoch=run.steps_per_epoch))
        norm = shorten(run.stepper.sum_gradients(), run.stepper.replicas, clip_norm=options.clip_norm)
        run.refuse_infinite_gradient(batch, norm)
        length = StepLength(run.net) if batch.step == 0 else None
        step_side_by_side(run.optimizer, run.stepper.replicas)
        if run.average is not None:
            run.average.update_parameters(run.net)
        run.count(result, norm=norm, step_length=0.0 if length is None else length.measure())
        advance(1)
    run.end_epoch()


def _show_nobody(_row: Record) -> None:
    """Where nobody asked for rows."""


def _sentences(run: Run, *, augments: bool) -> list[str]:
    """What was chosen, for people."""
    options = run.options
    replicas = int(options.replicas)
    is_measured = measured_epochs(options, num_stages=len(run.stages)) > 0
    length = "1 epoch" if options.epochs == 1 else f"{options.epochs} epochs"
    if is_measured:
        seconds = parse_seconds(options.budget or 0.0)
        length = f"as many epochs as fit {f'{seconds:.0f} s' if seconds >= 1.0 else 'the rest of the budget'}"
    how = f"{replicas} threads with a part of each batch" if replicas > 1 else f"{options.threads} threads"
    how += ", kernels by torch.compile" if options.compile is True else ""
    found = [
        f"Training on {options.device} in {options.precision}, {how}, channels last"
        f"{_place(options, augments=augments)}, batches of {options.batch_size}"
        + (f" in {options.accumulate} parts" if options.accumulate > 1 else "")
        + f", {length}."
    ]
    if options.precision == "bf16" and not has_bf16(str(options.device)):
        found.append(
            "This processor has no instructions for bf16 and is many times slower with it: set train.precision=f32."
        )
    if run.rate_search is not None:
        found.append(f"The learning-rate finder chose train.lr = {run.rate_search.lr:g}.")
    if run.steps_done:
        found.append(f"Going on after step {run.steps_done} of an interrupted run.")
    return found


def _place(options: TrainRecipe, *, augments: bool) -> str:
    """Where photos are augmented, where that could be elsewhere."""
    if options.augment_on == "device":
        return ", augmentation on the device"
    return ", augmentation by the loader's threads" if options.device == "cuda" and augments else ""


def _ending(run: Run) -> Ending | None:
    if run.epoch and run.watch.is_over:
        return "early_stopping"
    if run.epoch >= run.options.epochs:
        return "epochs"
    if run.options.stop_after is not None and run.epoch >= run.options.stop_after:
        return "budget"
    if has_open_budget(run.options) and run.seconds:
        left = parse_seconds(run.options.budget or 0.0) - sum(run.seconds)
        if run.is_over_everywhere(left < max(run.seconds)):
            return "budget"
    return None


def _objective(net: nn.Module, data: TrainingData, options: TrainRecipe) -> Objective:
    weights = data.class_weights
    if weights is None and options.class_weights == "balanced" and data.task == "classification":
        weights = balanced_weights(np.asarray(data.targets)[data.train], data.num_classes)
    if weights is None and options.class_weights == "balanced" and data.task == "multilabel":
        weights = balanced_label_weights(np.asarray(data.targets)[data.train])
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        training = net.training
        x = torch.zeros(1, data.channels, *data.images.shape[1:3])
        num_outputs = net.cpu().eval()(x).shape[1]
        net.train(training)
    return make_objective(options, task=data.task, num_outputs=int(num_outputs), class_weights=weights)


def _decide(
    net: nn.Module, data: TrainingData, options: TrainRecipe, *, objective: Objective, seed: int,
    stages: StageModules | None,
) -> tuple[Choice, RateSearch | None]:  # fmt: skip
    """What the options leave open; asked once a run, its answer is kept with the first checkpoint."""
    num_stages = len(stages_of(net, stages))
    measures = measured_epochs(options, num_stages=num_stages)
    phases = len({lowest_learning(options, num_stages=num_stages, epoch=epoch) for epoch in range(options.epochs)})
    choice = choose_options(net, data, options, objective=objective, cuts_epochs=not measures, phases=phases)
    if options.lr != "find":
        return choice, None
    search = find_rate(net, data, choice.options, objective=objective, seed=seed, stages=stages)
    return Choice(with_values(choice.options, lr=search.lr), choice.probe), search


def _fitted(run: Run, data: TrainingData, objective: Objective, *, ended: Ending) -> Fitted:
    run.net.load_state_dict(run.best_weights())
    run.net.eval()
    is_classes = data.task == "classification"
    counts = np.bincount(data.targets[data.val], minlength=data.num_classes).tolist() if is_classes else []
    names = [data.name_of_class(index) for index in range(data.num_classes)] if is_classes else []
    outcome = Outcome(run.rows, run.watch, _constant_skill(data), names, counts, run.activity)
    return Fitted(
        tuple(run.rows), run.watch, run.best, run.options, objective.activation, tuple(diagnose(outcome)),
        tuple(run.activity), tuple(run.seconds), ended, tuple(run.probe), run.rate_search,
    )  # fmt: skip


def _constant_skill(data: TrainingData) -> dict[str, float]:
    """What the best constant answer scores on the training photos."""
    targets = np.asarray(data.targets[data.train])
    if data.task == "regression":
        return {"mae": float(np.abs(targets - np.median(targets, axis=0)).mean())}
    if data.task == "multilabel":
        share = targets.mean(axis=0)
        return {"accuracy": float(np.maximum(share, 1.0 - share).mean())}
    return {"accuracy": float(np.bincount(targets.astype(np.int64)).max() / len(targets))}
