"""Each diagnosis is trained into on purpose, and a healthy run has none of the bad ones."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from teliti.training.activity import LayerActivity
from teliti.training.callbacks import Watch
from teliti.training.diagnose import Finding, Outcome, diagnose, skill
from teliti.training.loop import fit_network
from unit.training.tiny_networks import conv_net, options, striped_photos, training_data

SGD = {"optimizer": "sgd", "schedule": "constant"}


def findings(net: nn.Module, data: Any, **values: Any) -> dict[str, Finding]:
    """Train and diagnose."""
    return {finding.kind: finding for finding in fit_network(net, data, options(**values), seed=1).findings}


def test_a_healthy_run_is_called_healthy() -> None:
    found = findings(conv_net(), training_data(160, held_out=64), epochs=30, lr=0.03, schedule="cosine")
    assert not set(found) - {"still_improving"}


def test_a_network_that_cannot_see_the_difference_under_fits() -> None:
    """A linear unit on the mean of each photo, and both classes have the same mean."""
    net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
    found = findings(net, training_data(96), epochs=12, lr=0.01)
    assert "under_fitting" in found
    assert "on the training photos themselves" in found["under_fitting"].measure
    assert found["under_fitting"].advice == (
        "Train longer or with a larger network, free more stages, or take away dropout, penalties or augmentation."
    )


def test_labels_drawn_by_chance_are_learnt_by_heart_and_called_over_fitting() -> None:
    photos, _ = striped_photos(64)
    labels = np.random.default_rng(0).integers(0, 2, 64)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 64), nn.ReLU(), nn.Linear(64, 2))
    found = findings(net, training_data(64, held_out=32, images=photos, targets=labels), epochs=40, lr=0.01)
    assert "over_fitting" in found
    assert "Accuracy 1.000 on training photos" in found["over_fitting"].measure
    assert found["over_fitting"].advice == (
        "Add photos or augmentation, dropout, train.l2 or label_smoothing, freeze more stages, or set "
        "train.early_stopping; the weights of the best epoch were kept."
    )


def test_a_run_cut_short_is_still_improving() -> None:
    found = findings(conv_net(), training_data(160, held_out=64), epochs=6, lr=0.02, schedule="constant")
    assert "still_improving" in found
    assert "in the last 3 epochs" in found["still_improving"].measure
    assert found["still_improving"].advice == "Train longer: raise train.epochs or the budget."


def test_steps_that_are_far_too_long_are_seen() -> None:
    found = findings(conv_net(), training_data(), epochs=8, lr=20.0, **SGD)
    assert "rate_too_large" in found
    assert "rate_too_small" not in found
    measure, advice = found["rate_too_large"].measure, found["rate_too_large"].advice
    assert re.fullmatch(
        r"A step moved the weights by \S+ of their length \(about 0.001 is healthy\), and the training loss rose "
        r"\d times in 8 epochs, from \S+ to \S+\.",
        measure,
    )
    assert advice == "Lower train.lr by 3 to 10 times, or set train.clip_norm = 1 and a warm-up."


def test_steps_that_are_far_too_short_are_seen() -> None:
    found = findings(conv_net(), training_data(), epochs=6, lr=1e-6, **SGD)
    assert "rate_too_small" in found
    assert {"rate_too_large", "under_fitting", "still_improving"}.isdisjoint(found)
    assert re.fullmatch(
        r"A step moved the weights by \S+ of their length \(about 0.001 is healthy\), and the training loss fell by "
        r"\d+% only in 6 epochs\.",
        found["rate_too_small"].measure,
    )
    assert found["rate_too_small"].advice == 'Raise train.lr by 3 to 10 times, or let train.lr = "find" choose it.'


def test_a_rare_class_that_is_never_predicted_is_named() -> None:
    """Photos of one kind only: the best a network can do is to name the larger class."""
    photos, _ = striped_photos(96, classes=1)
    labels = (np.arange(96) % 12 == 0).astype(np.int64)
    data = training_data(96, held_out=48, images=photos, targets=labels)
    found = findings(conv_net(), data, epochs=4)
    assert 'Class "column" was predicted for none of the validation photos; 4 of them' in (
        found["class_never_predicted"].measure
    )
    assert found["class_never_predicted"].advice == (
        'Set train.class_weights = "balanced", add photos of it, or train longer.'
    )


def test_a_layer_pushed_below_zero_has_dead_units() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 2))
    with torch.no_grad():
        net[0].bias.fill_(-50.0)
    found = findings(net, training_data(), epochs=3)
    assert 'In layer "1" 100% of the 8 units give 0 for every photo' in found["dead_units"].measure
    assert found["dead_units"].advice == ("Lower train.lr, use leaky ReLU or BatchNorm, or start from another seed.")


def test_sigmoids_behind_large_weights_are_saturated() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 16), nn.Sigmoid(), nn.Linear(16, 2))
    with torch.no_grad():
        net[1].weight.mul_(200.0)
    found = findings(net, training_data(), epochs=3)
    assert "saturation" in found
    assert 'In layer "2"' in found["saturation"].measure
    assert " outputs are at a limit, where the slope is flat" in found["saturation"].measure
    assert found["saturation"].advice == (
        "Use ReLU in hidden layers, add BatchNorm, lower train.lr, or check mean and std."
    )


@pytest.mark.parametrize(
    ("row", "constant", "expected"),
    [
        ({"val_accuracy": 0.9}, {"accuracy": 0.5}, 0.8),
        ({"val_accuracy": 0.5}, {"accuracy": 0.5}, 0.0),
        ({"val_accuracy": 1.0}, {"accuracy": 1.0}, None),
        ({"val_mae": 0.1}, {"mae": 0.4}, 0.75),
        ({"val_mae": 0.1}, {"mae": 0.0}, None),
        ({}, {"accuracy": 0.5}, None),
    ],
)
def test_skill_is_the_way_from_a_constant_answer_to_a_perfect_one(
    row: dict, constant: dict, expected: float | None
) -> None:
    assert skill(row, "val", constant) == (None if expected is None else pytest.approx(expected))


def test_numbers_are_diagnosed_by_their_distance() -> None:
    photos, labels = striped_photos(96)
    net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 1))
    data = training_data(96, images=photos, targets=labels * 4.0, task="regression", num_classes=1)
    found = findings(net, data, epochs=12, lr=0.05)
    assert "Mean error" in found["under_fitting"].measure


def test_one_or_two_epochs_say_nothing_about_curves() -> None:
    rows = [
        {"train_loss": loss, "val_loss": loss, "step_length": 1.0, "train_accuracy": 1.0, "val_accuracy": 1.0,
         "val_predicted": [1, 1]}
        for loss in (9.0, 1.0)
    ]  # fmt: skip
    outcome = Outcome(rows, Watch("val_loss", best_epoch=1), {"accuracy": 0.5}, ["a", "b"], [1, 1])
    assert diagnose(outcome) == []


def test_a_finding_is_json_ready() -> None:
    assert Finding("dead_units", "m", "a").to_record() == {"kind": "dead_units", "measure": "m", "advice": "a"}


def finished(
    val_losses: list[float], *, train: float, val: float, activity: list[LayerActivity] | None = None
) -> dict[str, Finding]:
    """Findings of a run with these validation losses, and accuracies at its end."""
    rows = [
        {"train_loss": loss, "val_loss": loss, "step_length": 1e-3, "train_accuracy": train, "val_accuracy": val,
         "val_predicted": [5, 5]}
        for loss in val_losses
    ]  # fmt: skip
    best = val_losses.index(min(val_losses))
    watch = Watch("val_loss", best_epoch=best)
    outcome = Outcome(rows, watch, {"accuracy": 0.5}, ["a", "b"], [5, 5], activity or [])
    return {finding.kind: finding for finding in diagnose(outcome)}


def test_a_small_gap_is_no_over_fitting_while_the_validation_loss_falls() -> None:
    falling = [0.9, 0.6, 0.4, 0.3]
    assert "over_fitting" not in finished(falling, train=1.0, val=0.9)
    assert "over_fitting" in finished([0.9, 0.3, 0.4, 0.5], train=1.0, val=0.9)
    assert "over_fitting" in finished(falling, train=1.0, val=0.8)  # a wide gap speaks for itself
    assert "over_fitting" not in finished([0.9, 0.3, 0.4, 0.5], train=0.9, val=0.9)


@pytest.mark.parametrize(
    ("losses", "ending"),
    [
        ([0.9, 0.6, 0.4, 0.3], "validation photos at the end; the validation loss ended at its lowest, 0.3."),
        ([0.9, 1e-6, 0.4, 0.315], "the validation loss was lowest at epoch 2, 1e-06, and ended at 0.315."),
        ([0.9, 0.0, 0.4, 0.5], "the validation loss was lowest at epoch 2, 0, and ended at 0.5."),
    ],
)
def test_over_fitting_reads_well(losses: list[float], ending: str) -> None:
    measure = finished(losses, train=1.0, val=0.75)["over_fitting"].measure
    assert measure.startswith("Accuracy 1.000 on training photos and accuracy 0.750 on validation photos")
    assert measure.endswith(ending)


@pytest.mark.parametrize(
    ("layers", "ending"),
    [
        (1, "give 0 for every photo."),
        (2, "give 0 for every photo, and one more layer has over half of them so."),
        (3, "give 0 for every photo, and 2 more layers have over half of them so."),
    ],
)
def test_other_layers_are_counted(layers: int, ending: str) -> None:
    activity = [LayerActivity(str(number), "dead", 0.75, 8) for number in range(layers)]
    found = finished([0.9, 0.6, 0.4, 0.3], train=1.0, val=1.0, activity=activity)
    assert found["dead_units"].measure.endswith(ending)


def test_a_network_that_is_dead_as_a_whole_is_told_before_and_in_the_place_of_a_small_rate() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 2))
    with torch.no_grad():
        net[0].bias.fill_(-50.0)
    kinds = list(findings(net, training_data(), epochs=6, lr=1e-6, **SGD))
    assert kinds[0] == "dead_units"
    assert "rate_too_small" not in kinds


@pytest.mark.parametrize(
    ("train", "place"),
    [(0.4, "worse than the best constant answer."), (0.6, "20% of the way from the best constant answer to a perfect")],
)
def test_where_a_network_stands_is_told_below_a_constant_answer_too(train: float, place: str) -> None:
    measure = finished([0.9, 0.9, 0.9], train=train, val=train)["under_fitting"].measure
    assert f" on the training photos themselves, {place}" in measure


@pytest.mark.parametrize(
    ("unit", "words"), [("", "Mean error 0.9 on"), ("standard deviations", "Mean error 0.9 standard deviations on")]
)
def test_an_error_has_its_unit(unit: str, words: str) -> None:
    rows = [{"train_loss": 1.0, "val_loss": None, "step_length": 1e-3, "train_mae": 0.9}] * 3
    [found] = diagnose(Outcome(rows, Watch("train_loss", best_epoch=0), {"mae": 1.0}, unit=unit))
    assert found.kind == "under_fitting"
    assert found.measure.startswith(words)
