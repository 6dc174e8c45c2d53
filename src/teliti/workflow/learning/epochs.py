"""A network's epochs as they are told while it learns, and as they are kept: rows, files, the run's record.

The network learns numbers brought to mean 0 and deviation 1; errors are told and kept in the photos' own unit.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from teliti.errors import StorageError
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
_BETWEEN_S = 2.0  # between two writings, which wait for the disk
_ERRORS = ("train_mae", "val_mae")


@runtime_checkable
class EpochReporter(Protocol):
    """A reporter that can show the epochs of a training as they end."""

    def epoch(self, row: Record) -> None:
        """A history row with its "seconds" and "best": whether it is the best so far.

        Rows of a resumed run come first, at once.
        """
        ...


class EpochFiles:
    """`history.csv`, and below `events` the curves as TensorBoard reads them, while a network learns.

    A block: what is not on the disk when it is left is written then. Rows of a run that goes on come again, all at
    once, so both are begun anew: the files of the interrupted run stand until these rows are written together.

    Args:
        folder: The run's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rows: list[Record] = []
        self._kept = 0
        self._events: Path | None = None
        self._one_at_a_time = threading.Lock()
        self._later: threading.Timer | None = None
        self._trouble: StorageError | None = None

    def __enter__(self) -> EpochFiles:
        return self

    def __exit__(self, *_: object) -> None:
        if self._later is not None:
            self._later.cancel()
        with self._one_at_a_time:
            self._write()

    def add(self, row: Record) -> None:
        """Keep a row of the history: it is written two seconds later, with those that came meanwhile.

        Raises:
            StorageError: the disk is full or the folder is not writable, found now or when earlier rows were written.
        """
        with self._one_at_a_time:
            if self._trouble is not None:
                raise self._trouble
            self._rows.append(row)
            if self._later is None:
                self._later = threading.Timer(_BETWEEN_S, self._write_what_waits)
                self._later.daemon = True
                self._later.start()

    def _write_what_waits(self) -> None:
        with self._one_at_a_time:
            self._later = None
            try:
                self._write()
            except StorageError as error:  # for whoever adds the next row
                self._trouble = error

    def _write(self) -> None:
        if self._kept == len(self._rows):
            return
        from teliti.training.events import append_events, write_events
        from teliti.training.history import COLUMNS, history_csv

        write_text_atomic(self._folder / HISTORY_FILE, history_csv(self._rows))
        rows, tags = self._rows[self._kept :], [name for name in COLUMNS if name not in {"epoch", "learning"}]
        if self._events is None:
            shutil.rmtree(self._folder / EVENTS, ignore_errors=True)  # TensorBoard would draw both
            self._events = write_events(self._folder / EVENTS, rows, tags=tags)
        else:
            append_events(self._events, rows, tags=tags)
        self._kept = len(self._rows)


def tell_epochs(
    reporter: Reporter, data: TrainingData, options: TrainRecipe, *, scale: float | None,
    files: EpochFiles | None = None,
) -> Callable[[Record], None]:  # fmt: skip
    """What `fit_network` shall call with each row of its history.

    Args:
        reporter: One that cannot show epochs is not told.
        data: What is learnt from.
        options: The recipe's [train].
        scale: Of an error in the photos' own unit, for one of the network's; None: it stays in deviations.
        files: Where the rows are kept, too.

    Raises:
        RecipeError: the measure to watch could not move on these photos.
    """
    from teliti.training.callbacks import start_watch

    watch = start_watch(options, data)

    def tell(row: Record) -> None:
        nonlocal watch
        watch, own = watch.look(row), _in_own_unit(row, scale)
        if files is not None:
            files.add(own)
        if isinstance(reporter, EpochReporter):
            reporter.epoch({**own, "best": watch.is_best})

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
    unit = "standard deviations" if scale is None else ""
    outcome = Outcome(rows, fitted.watch, constant, activity=fitted.activity, unit=unit)
    return [found.to_record() for found in diagnose(outcome)]


def _learnt_parameters(fitted: Fitted, network: Network) -> int:
    """Parameters of the stages that learnt at any epoch; the last epoch frees the most."""
    from teliti.models.networks import stages
    from teliti.training.cpu_layers.depthwise import depthwise_kernels
    from teliti.training.unfreeze import lowest_learning, stages_of

    own = stages_of(network, stages(network))
    lowest = lowest_learning(fitted.options, num_stages=len(own), epoch=len(fitted.history) - 1)
    sizes = {name: parameter.numel() for name, parameter in network.named_parameters()}
    learnt = {name for stage in own[lowest:] for name in stage.parameters}
    if fitted.options.frozen_depthwise:
        kernels = {id(kernel) for kernel in depthwise_kernels(network)}
        learnt -= {name for name, parameter in network.named_parameters() if id(parameter) in kernels}
    return sum(sizes[name] for name in learnt)
