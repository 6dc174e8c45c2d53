"""A network's epochs as they are told while it learns, and as they are kept: rows, files, the run's record.

The network learns numbers brought to mean 0 and deviation 1; errors are told and kept in the photos' own unit.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from teliti.files import write_text_atomic
from teliti.recipe import Recipe
from teliti.recipe.train import TrainRecipe
from teliti.types import Record, Reporter

if TYPE_CHECKING:
    from teliti.models.networks import Network
    from teliti.training.batches import TrainingData
    from teliti.training.loop import Fitted

HISTORY_FILE, EVENTS = "history.csv", "events"
CLOSING_LAYER = "closing layer"
_ERRORS = ("train_mae", "val_mae")


@runtime_checkable
class EpochReporter(Protocol):
    """A reporter that can show the epochs of a training as they end."""

    def epoch(self, row: Record) -> None:
        """A history row with its "seconds" and "best": whether it is the best so far.

        Rows of a resumed run come first, at once.
        """
        ...


def tell_epochs(
    reporter: Reporter, data: TrainingData, options: TrainRecipe, *, scale: float | None
) -> Callable[[Record], None]:
    """What `fit_network` shall call with each row of its history.

    Args:
        reporter: One that cannot show epochs is not told.
        data: What is learnt from.
        options: The recipe's [train].
        scale: Of an error in the photos' own unit, for one of the network's; None: it stays in deviations.

    Raises:
        RecipeError: the measure to watch could not move on these photos.
    """
    from teliti.training.callbacks import start_watch

    watch = start_watch(options, data)

    def tell(row: Record) -> None:
        nonlocal watch
        watch = watch.look(row)
        if isinstance(reporter, EpochReporter):
            reporter.epoch({**_in_own_unit(row, scale), "best": watch.is_best})

    return tell


def record_learning(
    fitted: Fitted, data: TrainingData, recipe: Recipe, *, photos: Record, scale: float | None
) -> Record:
    """The run's "history" of a trained network.

    Args:
        fitted: What `fit_network` gave.
        data: What it learnt from.
        recipe: With the random changes of the photos.
        photos: How many were "learnt" and "chosen_on", and what the latter are called: "chooser".
        scale: Of an error in the photos' own unit, for one of the network's; None: it stays in deviations.
    """
    history = fitted.to_record()
    if data.task == "regression":
        history |= {
            "rows": [_in_own_unit(row, scale) for row in fitted.history],
            "best_value": history["best_value"] * (_own(scale) if fitted.watch.monitor in _ERRORS else 1.0),
            "diagnosis": _diagnosis_in_own_unit(fitted, data, scale),
            "target_scale": scale,
        }
    return history | {
        "head": CLOSING_LAYER,
        "calibration": None,
        "photos": photos,
        "augment": [str(step.model_dump()["step"]) for step in recipe.augment],
    }


def record_network(fitted: Fitted, network: Network) -> Record:
    """The table of a trained network's layers, and how many of its parameters learnt."""
    from teliti.models.describe import describe_network

    return {**describe_network(network), "learnt_parameters": _learnt_parameters(fitted, network)}


def write_epoch_files(folder: Path, rows: list[Record]) -> None:
    """`history.csv`, and below `events` the curves as TensorBoard reads them: some 400 bytes an epoch.

    Args:
        folder: The run's.
        rows: Of the history.

    Raises:
        StorageError: the disk is full or the folder is not writable.
    """
    from teliti.training.events import write_events
    from teliti.training.history import COLUMNS, history_csv

    write_text_atomic(folder / HISTORY_FILE, history_csv(rows))
    shutil.rmtree(folder / EVENTS, ignore_errors=True)  # of an interrupted run: TensorBoard would draw both
    write_events(folder / EVENTS, rows, tags=[name for name in COLUMNS if name not in {"epoch", "learning"}])


def _own(scale: float | None) -> float:
    return 1.0 if scale is None else scale


def _in_own_unit(row: Mapping[str, Any], scale: float | None) -> Record:
    return {**row, **{key: row[key] * _own(scale) for key in _ERRORS if row.get(key) is not None}}


def _diagnosis_in_own_unit(fitted: Fitted, data: TrainingData, scale: float | None) -> list[Record]:
    """The same findings, which go by shares, with errors that a reader knows."""
    from teliti.training.diagnose import Outcome, diagnose

    targets = np.asarray(data.targets[data.train])
    constant = {"mae": _own(scale) * float(np.abs(targets - np.median(targets, axis=0)).mean())}
    rows = [_in_own_unit(row, scale) for row in fitted.history]
    return [found.to_record() for found in diagnose(Outcome(rows, fitted.watch, constant, activity=fitted.activity))]


def _learnt_parameters(fitted: Fitted, network: Network) -> int:
    """Parameters of the stages that learnt at any epoch; the last epoch frees the most."""
    from teliti.models.networks import stages
    from teliti.training.depthwise import depthwise_kernels
    from teliti.training.unfreeze import lowest_learning, stages_of

    own = stages_of(network, stages(network))
    lowest = lowest_learning(fitted.options, num_stages=len(own), epoch=len(fitted.history) - 1)
    sizes = {name: parameter.numel() for name, parameter in network.named_parameters()}
    learnt = {name for stage in own[lowest:] for name in stage.parameters}
    if fitted.options.frozen_depthwise:
        kernels = {id(kernel) for kernel in depthwise_kernels(network)}
        learnt -= {name for name, parameter in network.named_parameters() if id(parameter) in kernels}
    return sum(sizes[name] for name in learnt)
