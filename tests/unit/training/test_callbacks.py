"""Which epoch is the best, when to stop, and measures that are refused."""

from __future__ import annotations

import numpy as np
import pytest

from teliti.errors import RecipeError
from teliti.training.callbacks import Watch, start_watch
from teliti.training.loop import fit_network
from unit.training.tiny_networks import conv_net, options, same_state, training_data


def look_at(watch: Watch, values: list[float | None]) -> Watch:
    for value in values:
        watch = watch.look({watch.monitor: value})
    return watch


@pytest.mark.parametrize(
    ("monitor", "values", "best"),
    [
        ("val_loss", [0.9, 0.5, 0.6, 0.5], 1),
        ("val_accuracy", [0.5, 0.8, 0.8, 0.7], 1),
        ("val_auc", [None, 0.6, None, 0.7], 3),
        ("train_loss", [0.9, 0.8, 0.7], 2),
    ],
)
def test_the_first_of_the_best_epochs_is_kept(monitor: str, values: list[float | None], best: int) -> None:
    watch = look_at(Watch(monitor), values)
    assert (watch.best_epoch, watch.best_value) == (best, values[best])


def test_the_last_epoch_is_best_only_when_it_is() -> None:
    assert look_at(Watch("val_loss"), [0.9, 0.5]).is_best
    assert not look_at(Watch("val_loss"), [0.5, 0.9]).is_best
    assert not Watch("val_loss").is_best


@pytest.mark.parametrize(
    ("patience", "values", "over"),
    [(2, [3, 2, 4], False), (2, [3, 2, 4, 4], True), (1, [3, 2, 1], False), (None, [1, 2, 3, 4], False)],
)
def test_patience_counts_epochs_since_the_best(patience: int | None, values: list[float], over: bool) -> None:
    assert look_at(Watch("val_loss", patience), values).is_over is over


def test_without_validation_photos_the_training_loss_is_watched() -> None:
    assert start_watch(options(), training_data()).monitor == "val_loss"
    assert start_watch(options(), training_data(held_out=0)).monitor == "train_loss"


@pytest.mark.parametrize(
    ("monitor", "values", "reason"),
    [
        ("val_loss", {"val": np.array([], int)}, "there are no validation photos"),
        ("val_auc", {"val": np.array([0, 2, 4])}, "the validation photos are of one class"),
        ("val_accuracy", {"task": "regression", "num_classes": 1}, "numbers have no classes"),
        ("val_mae", {}, "classes have no distance"),
    ],
)
def test_a_measure_that_cannot_move_is_refused(monitor: str, values: dict, reason: str) -> None:
    with pytest.raises(RecipeError, match=f"train.monitor must be a measure that can move, got {monitor}: {reason}"):
        start_watch(options(monitor=monitor), training_data(**values))


def test_an_area_of_labels_needs_one_that_some_photos_have_and_others_have_not() -> None:
    labels = np.tile(np.array([1.0, 0.0], dtype=np.float32), (48, 1))
    values = {"targets": labels, "task": "multilabel"}
    with pytest.raises(
        RecipeError, match=r"no label is there on some validation photos and not on others\. Use val_loss"
    ):
        start_watch(options(monitor="val_auc"), training_data(**values))
    labels[40, 1] = 1.0  # among those held out
    assert start_watch(options(monitor="val_auc"), training_data(**values)).monitor == "val_auc"


def test_an_area_of_three_classes_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"got val_auc: it is a measure of two classes\. Use val_loss"):
        start_watch(options(monitor="val_auc"), training_data(classes=3))


def test_early_stopping_ends_the_run_and_the_best_weights_are_those_of_a_run_that_ended_there() -> None:
    values = {"lr": 3.0, "optimizer": "sgd", "schedule": "constant"}
    data = training_data(held_out=16)
    fitted = fit_network(conv_net(), data, options(epochs=60, early_stopping=3, **values), seed=1)
    assert fitted.ended == "early_stopping"
    assert len(fitted.history) == fitted.best_epoch + 4 < 60
    again = fit_network(conv_net(), data, options(epochs=fitted.best_epoch + 1, **values), seed=1)
    assert same_state(again.state, fitted.state)
