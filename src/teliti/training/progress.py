"""A run in the middle: network, optimiser, history, best weights; how it is saved and how it goes on.

A checkpoint holds all of it, also between two steps of an epoch. What is not in it follows from the options and the
seed. It belongs to one job: other options, photos or network are refused.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from teliti.errors import RecipeError, RunError, UserError
from teliti.files import sha256_hex
from teliti.recipe.train import TrainRecipe
from teliti.training.activity import LayerActivity, measure_activity, overall_share
from teliti.training.batches import Batch, TrainingData, epoch_batches
from teliti.training.budget import epochs_in_budget, measured_epochs
from teliti.training.callbacks import Watch, start_watch
from teliti.training.checkpoint import (
    Checkpoint,
    load_shared_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
    take,
)
from teliti.training.ema import start_ema
from teliti.training.feed import Feed
from teliti.training.history import EpochSums, measure_validation, no_validation
from teliti.training.losses import Objective
from teliti.training.optim import LayerPenalty, make_optimizer
from teliti.training.parallel import Processes
from teliti.training.rate_finder import RateSearch
from teliti.training.speed import Choice, with_values
from teliti.training.steps import Stepper, StepResult
from teliti.training.unfreeze import StageModules, lowest_learning, set_learning, stages_of
from teliti.types import IntArray, Record, Reporter

Decide = Callable[[], tuple[Choice, RateSearch | None]]
_SCHEMA = 1
_SHOWN_NAMES = 5
_TAMER = "Lower train.lr, set train.clip_norm = 1, or use train.precision = f32."
_LOOKED_AT = 32  # training photos that the activations are measured on
_ASKED_ANEW = {"num_workers", "checkpoint_s"}  # may differ when a run goes on; of "budget" what it began with counts


class Run:
    """One run.

    Args:
        net: On its device.
        data: Photos.
        options: Resolved.
        objective: What is minimised.
        seed: Of the run.
        stages: Of the network.
        layer_penalty: Of its layers.
        processes: Who shares it.
        folder: For checkpoints; None: none.
        job: What a checkpoint must belong to.
    """

    def __init__(
        self,
        net: nn.Module,
        data: TrainingData,
        options: TrainRecipe,
        *,
        objective: Objective,
        seed: int,
        stages: StageModules | None,
        layer_penalty: LayerPenalty | None,
        processes: Processes,
        folder: Path | None,
        job: str,
    ) -> None:
        self.net, self.options, self.lr = net, options, float(options.lr)
        self.stages = stages_of(net, stages)
        self.optimizer = make_optimizer(net, self.stages, options)
        self.average: AveragedModel | None = start_ema(net, options.ema) if options.ema else None
        self.stepper = Stepper(
            net, data, objective, options=options, seed=seed, processes=processes, layer_penalty=layer_penalty
        )
        self.watch: Watch = start_watch(options, data)
        self.epoch, self.step = 0, 0
        self.rows: list[Record] = []
        self.seconds: list[float] = []
        self.best: dict[str, Tensor] = {}
        self.activity: list[LayerActivity] = []
        self.probe: tuple[Record, ...] = ()
        self.rate_search: RateSearch | None = None
        self.steps_per_epoch = len(self._plan(data, 0, seed))
        self._data, self._objective, self._seed = data, objective, seed
        self._processes, self._folder, self._job = processes, folder, job
        self._feed = Feed(data, options, seed=seed, device=self.stepper.device)
        self._sums = EpochSums()
        self._spent, self._saved_at = 0.0, time.monotonic()
        self._began = time.monotonic()

    @property
    def steps_done(self) -> int:
        """Steps of the whole run."""
        return self.epoch * self.steps_per_epoch + self.step

    def begin_epoch(self) -> None:
        """Freeze and free the stages of this epoch, and start its clock."""
        lowest = lowest_learning(self.options, num_stages=len(self.stages), epoch=self.epoch)
        for net in self.stepper.replicas.nets:
            set_learning(
                net, self.stages[lowest:], keep_statistics=self.options.batch_norm == "keep",
                keep_depthwise=self.options.frozen_depthwise,
            )  # fmt: skip
        self._began = time.monotonic()

    def batches(self) -> Iterator[Batch]:
        """The batches that this epoch still has."""
        plan = self._plan(self._data, self.epoch, self._seed)
        rank, world = self._processes.rank, self._processes.world
        return self._feed.batches(plan, epoch=self.epoch, first=self.step, rank=rank, world=world)

    def refuse_infinite_loss(self, batch: Batch, result: StepResult) -> None:
        """Stop before the weights are touched.

        Raises:
            RunError: the loss of a photo is not a finite number.
        """
        if not math.isfinite(result.loss):
            own = self._names(batch.indices[~np.isfinite(result.own_losses)])
            bad = ", ".join(filter(None, self._processes.texts(own, self.stepper.device)))
            raise RunError(f"The loss is not finite at {self._place(batch)}: {bad}.", hint=_TAMER)

    def refuse_infinite_gradient(self, batch: Batch, norm: float) -> None:
        """Stop before the weights are touched.

        Raises:
            RunError: the gradient's length is not a finite number, though the loss is.
        """
        if not math.isfinite(norm):
            where = f"one of {batch.total} photos, first {self._names(batch.indices)}"
            raise RunError(f"The gradient is not finite at {self._place(batch)}: {where}.", hint=_TAMER)

    def count(self, result: StepResult, *, norm: float, step_length: float) -> None:
        """Book a step, and save it when it is time."""
        self._sums.add(
            photos=result.photos, loss=result.loss, right=result.right, distance=result.distance, steps=1, norm=norm,
            clipped=0.0 < (self.options.clip_norm or 0.0) < norm, step_length=step_length,
        )  # fmt: skip
        self.step += 1
        if self.step < self.steps_per_epoch and time.monotonic() - self._saved_at > self.options.checkpoint_s:
            self._spent += time.monotonic() - self._began
            self._began = time.monotonic()
            self.save()

    def end_epoch(self) -> Record:
        """Measure, keep the best weights, save; the epoch's row.

        Raises:
            RunError: a step was too long to be a number.
        """
        shown = self.net if self.average is None else self.average.module
        self._processes.copy_from_first(list(shown.buffers()))
        learning = self.stages[lowest_learning(self.options, num_stages=len(self.stages), epoch=self.epoch)].name
        row = {
            "epoch": self.epoch,
            "learning": learning,
            "lr": max(group["lr"] for group in self.optimizer.param_groups),
            **self._sums.row(self._data.task),
            **self._measure(shown),
        }
        self._refuse_infinite_row(row)
        self.rows.append(row)
        self.watch = self.watch.look(row)
        if self.watch.is_best:
            self.best = {name: tensor.detach().to("cpu", copy=True) for name, tensor in shown.state_dict().items()}
        self.seconds.append(self._spent + time.monotonic() - self._began)
        self.epoch, self.step, self._sums, self._spent = self.epoch + 1, 0, EpochSums(), 0.0
        self.save()
        return row

    def settle_length(self, reporter: Reporter) -> int:
        """How many epochs to go to: all, or those after which a budget decides; the same when a run goes on."""
        measured = measured_epochs(self.options, num_stages=len(self.stages))
        if self.epoch < measured:
            return measured
        if measured:
            epochs = epochs_in_budget(self.options, self.seconds[:measured])
            agreed = int(self._processes.text_from_first(str(epochs), self.stepper.device))
            self.options = with_values(self.options, epochs=agreed)
            reporter.note(f"The budget holds {agreed} epoch{'' if agreed == 1 else 's'}.")
        return self.options.epochs

    def is_over_everywhere(self, over: bool) -> bool:
        """The first process's answer: clocks differ, and all must stop at the same epoch."""
        return self._processes.text_from_first("yes" if over else "no", self.stepper.device) == "yes"

    def save(self) -> None:
        """Write a checkpoint, when there is a folder and this is the first process."""
        self._saved_at = time.monotonic()
        if self._folder is None or self._processes.rank:
            return
        tensors = {f"net.{name}": tensor for name, tensor in self.net.state_dict().items()}
        tensors |= {f"optimizer.{name}": tensor for name, tensor in optimizer_tensors(self.optimizer).items()}
        tensors |= {f"best.{name}": tensor for name, tensor in self.best.items()}
        if self.average is not None:
            tensors |= {f"average.{name}": tensor for name, tensor in self.average.state_dict().items()}
        save_checkpoint(self._folder, Checkpoint(tensors, self._record()), number=self.steps_done)

    def restore(self, saved: Checkpoint) -> None:
        """Go on from a checkpoint of this job."""
        record = saved.record
        self.net.load_state_dict(take(saved.tensors, "net."))
        restore_optimizer(self.optimizer, take(saved.tensors, "optimizer."))
        best = take(saved.tensors, "best.")
        self.best = {name: best[name] for name in self.net.state_dict() if best}  # files have an order of their own
        if self.average is not None:
            self.average.load_state_dict(take(saved.tensors, "average."))
        self.epoch, self.step, self._spent = record["epoch"], record["step"], record["spent"]
        self.rows, self.seconds = list(record["rows"]), list(record["seconds"])
        self.watch = Watch(**record["watch"])
        self.activity = [LayerActivity(**layer) for layer in record["activity"]]
        self._sums = EpochSums(record["sums"])

    def close(self) -> None:
        """Stop the threads."""
        self.stepper.close()

    def best_weights(self) -> dict[str, Tensor]:
        """The weights of the best epoch.

        Raises:
            RunError: the measure that chooses was a finite number in none.
        """
        if not self.best:
            raise RunError(
                f"The training has no best epoch: {self.watch.monitor} was finite in none of {len(self.rows)}.",
                hint=_TAMER,
            )
        return self.best

    def _refuse_infinite_row(self, row: Record) -> None:
        bad = [name for name, value in row.items() if isinstance(value, float) and not math.isfinite(value)]
        if bad:
            raise RunError(f"The {bad[0].replace('_', ' ')} is not finite in epoch {self.epoch + 1}.", hint=_TAMER)

    def _names(self, indices: IntArray) -> str:
        """The first few photos, and how many more."""
        more = f" and {len(indices) - _SHOWN_NAMES} more" if len(indices) > _SHOWN_NAMES else ""
        return ", ".join(self._data.names[index] for index in indices[:_SHOWN_NAMES]) + more

    def _place(self, batch: Batch) -> str:
        return f"epoch {self.epoch + 1}, batch {batch.step + 1} of {self.steps_per_epoch} (step {self.steps_done + 1})"

    def _measure(self, shown: nn.Module) -> Record:
        data, part = self._data, max(1, self.options.batch_size // self.options.accumulate)
        shown.eval()
        row = no_validation()
        if len(data.val):
            outputs, losses = self.stepper.outputs(shown, data.val, photos_at_once=part)
            targets = np.asarray(data.targets[data.val])
            row = measure_validation(outputs, losses, targets, task=data.task, num_classes=data.num_classes)
        few = data.train[:: max(1, len(data.train) // _LOOKED_AT)][:_LOOKED_AT]
        replicas = self.stepper.replicas
        parts = self.stepper.inputs(few).tensor_split(min(replicas.count, len(few)))
        self.activity = measure_activity(shown, parts, lambda x: self.stepper.call(shown, x), side_by_side=replicas.run)
        row["dead_units"] = overall_share(self.activity, "dead")
        row["saturated_units"] = overall_share(self.activity, "saturated")
        return row

    def _plan(self, data: TrainingData, epoch: int, seed: int) -> list[Any]:
        return epoch_batches(data.train, batch_size=self.options.batch_size, seed=seed, epoch=epoch)

    def _record(self) -> Record:
        return {
            "schema": _SCHEMA,
            "job": self._job,
            "options": self.options.model_dump(mode="json"),
            "probe": list(self.probe),
            "rate_search": None if self.rate_search is None else self.rate_search.to_record(),
            "epoch": self.epoch,
            "step": self.step,
            "spent": self._spent,
            "rows": self.rows,
            "seconds": self.seconds,
            "watch": asdict(self.watch),
            "activity": [layer.to_record() for layer in self.activity],
            "sums": self._sums.to_record(),
        }


def open_run(
    net: nn.Module,
    data: TrainingData,
    options: TrainRecipe,
    *,
    objective: Objective,
    seed: int,
    stages: StageModules | None,
    layer_penalty: LayerPenalty | None,
    folder: Path | None,
    processes: Processes,
    decide: Decide,
) -> Run:
    """A new run, or the one whose checkpoint stands in the folder.

    Args:
        net: Moved to its device, its weights laid out channels last.
        data: Photos.
        options: As asked, the device chosen.
        objective: What is minimised.
        seed: Of the run.
        stages: Of the network.
        layer_penalty: Of its layers.
        folder: For checkpoints; None: none. All processes read from the first one's.
        processes: Who shares it.
        decide: Replaces what the options leave open; called for a new run only.

    Raises:
        RecipeError: a measure that cannot move, or a loss that knows no shares where photos are mixed.
        UserError: the folder's checkpoint belongs to another job.
    """
    _refuse_misfits(objective, data, options)
    device = torch.device(str(options.device))
    net.to(device).to(memory_format=torch.channels_last).train()
    processes.copy_from_first(list(net.state_dict().values()))
    job = _job(net, data, options, seed=seed)
    saved = load_shared_checkpoint(folder, processes, device)
    processes.wait()  # all have read before the first one writes
    if saved is not None:
        _refuse_strange(saved, job=job, folder=folder)
    if saved is None:
        probe, search, resolved = _decided(decide, processes, device)
    else:
        probe, found = tuple(saved.record["probe"]), saved.record["rate_search"]
        search = None if found is None else RateSearch.from_record(found)
        kept = {name: value for name, value in saved.record["options"].items() if name not in _ASKED_ANEW}
        resolved = TrainRecipe.model_validate({**options.model_dump(), **kept})
    run = Run(
        net, data, resolved, objective=objective, seed=seed, stages=stages, layer_penalty=layer_penalty,
        processes=processes, folder=folder, job=job,
    )  # fmt: skip
    run.probe, run.rate_search = probe, search
    if saved is not None:
        run.restore(saved)
    elif resolved != options:
        run.save()  # what was decided must not be decided differently after a kill
    return run


def _refuse_strange(saved: Checkpoint, *, job: str, folder: Path | None) -> None:
    if (saved.record["schema"], saved.record["job"]) != (_SCHEMA, job):
        hint = "Options, photos, seed and network must be those that it began with; or choose another folder."
        raise UserError(f'The checkpoints in "{folder}" must be of this run, got another run\'s.', hint=hint)


def _refuse_misfits(objective: Objective, data: TrainingData, options: TrainRecipe) -> None:
    start_watch(options, data)
    if objective.loss == "perceptron" and data.mixer is not None:
        raise RecipeError(
            'train.loss must know shares of classes where photos are mixed, got "perceptron".',
            hint="Take mixup and cutmix out of augment, or use binary_cross_entropy.",
        )


def _decided(decide: Decide, processes: Processes, device: torch.device) -> tuple[Any, RateSearch | None, TrainRecipe]:
    """The first process decides for all."""
    text = ""
    if processes.rank == 0:
        choice, search = decide()
        text = json.dumps(
            {
                "options": choice.options.model_dump(mode="json"),
                "probe": list(choice.probe),
                "search": None if search is None else search.to_record(),
            }
        )
    answer = json.loads(processes.text_from_first(text, device))
    found = answer["search"]
    options = TrainRecipe.model_validate(answer["options"])
    return tuple(answer["probe"]), None if found is None else RateSearch.from_record(found), options


def _job(net: nn.Module, data: TrainingData, options: TrainRecipe, *, seed: int) -> str:
    """A hash of what must be the same for a run to go on."""
    shapes = [(name, list(tensor.shape)) for name, tensor in net.state_dict().items()]
    asked = options.model_dump(mode="json", exclude={*_ASKED_ANEW, "budget"})
    mixing = None if data.mixer is None else data.mixer.to_record()
    facts = json.dumps([asked, seed, shapes, list(data.images.shape), data.task, data.num_classes, mixing])
    shares = () if data.shares is None else (data.shares,)
    arrays = (np.asarray(data.targets), np.asarray(data.train), np.asarray(data.val), *shares)
    return sha256_hex(facts.encode() + b"".join(np.ascontiguousarray(array).tobytes() for array in arrays))
