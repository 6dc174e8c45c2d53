"""Rows of the history: sums over steps, measures of validation, and the CSV."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, mean_absolute_error, roc_auc_score

from teliti.training.history import (
    COLUMNS,
    EpochSums,
    count_right,
    history_csv,
    measure_validation,
    predictions,
    sum_distance,
)

RNG = np.random.default_rng(0)


def test_an_epochs_row_is_the_mean_over_its_photos() -> None:
    sums = EpochSums()
    sums.add(photos=10, loss=5.0, right=7, steps=1, norm=2.0, clipped=True, step_length=0.01)
    sums.add(photos=6, loss=1.0, right=5, steps=1, norm=1.0)
    row = sums.row("classification")
    assert row == {
        "train_loss": 6 / 16, "train_accuracy": 12 / 16, "train_mae": None, "gradient_norm": 1.5, "clipped": 0.5,
        "step_length": 0.01,
    }  # fmt: skip
    numbers = EpochSums({"photos": 4.0, "distance": 2.0}).row("regression")
    assert (numbers["train_mae"], numbers["train_accuracy"]) == (0.5, None)


def test_sums_survive_a_checkpoint_to_the_bit() -> None:
    sums = EpochSums()
    for value in RNG.random(50):
        sums.add(loss=value, photos=1)
    again = EpochSums(json.loads(json.dumps(sums.to_record())))
    assert again.row("classification") == sums.row("classification")


def test_classes_are_measured_as_scikit_learn_does() -> None:
    labels = RNG.integers(0, 2, 40)
    probs = RNG.random(40)
    outputs = np.stack([1 - probs, probs], axis=1)
    row = measure_validation(outputs, np.full(40, 0.25), labels, task="classification", num_classes=2)
    assert row["val_accuracy"] == pytest.approx(accuracy_score(labels, probs > 0.5))
    assert row["val_auc"] == pytest.approx(roc_auc_score(labels, probs))
    assert row["val_loss"] == 0.25
    assert row["val_predicted"] == np.bincount((probs > 0.5).astype(int), minlength=2).tolist()
    one = measure_validation(probs[:, None], np.full(40, 0.25), labels, task="classification", num_classes=2)
    assert one == row


def test_three_classes_have_no_area() -> None:
    row = measure_validation(RNG.random((9, 3)), np.ones(9), np.arange(9) % 3, task="classification", num_classes=3)
    assert row["val_auc"] is None
    assert sum(row["val_predicted"]) == 9


def test_several_labels_count_each_and_average_their_areas() -> None:
    targets = RNG.integers(0, 2, (30, 3)).astype(float)
    outputs = RNG.random((30, 3))
    row = measure_validation(outputs, np.ones(30), targets, task="multilabel", num_classes=3)
    assert row["val_accuracy"] == pytest.approx(float(((outputs > 0.5) == targets).mean()))
    assert row["val_auc"] == pytest.approx(roc_auc_score(targets, outputs, average="macro"))
    assert row["val_predicted"] == (outputs > 0.5).sum(axis=0).tolist()
    assert predictions(outputs, "multilabel").shape == (30, 3)


def test_numbers_have_a_distance() -> None:
    targets, outputs = RNG.random((20, 2)), RNG.random((20, 2))
    row = measure_validation(outputs, np.ones(20), targets, task="regression", num_classes=2)
    assert row["val_mae"] == pytest.approx(mean_absolute_error(targets, outputs))
    assert row["val_accuracy"] is None
    assert sum_distance(outputs[:, :1], targets[:, 0]) == pytest.approx(np.abs(outputs[:, 0] - targets[:, 0]).sum())


def test_right_answers_are_counted_for_one_and_for_more_outputs() -> None:
    labels = np.array([0, 1, 1])
    assert count_right(np.array([[0.2], [0.7], [0.4]]), labels, "classification") == 2
    assert count_right(np.array([[0.8, 0.2], [0.3, 0.7], [0.6, 0.4]]), labels, "classification") == 2


def test_no_photos_and_no_number_are_none() -> None:
    empty = measure_validation(np.zeros((0, 2)), np.zeros(0), np.zeros(0), task="classification", num_classes=2)
    assert set(empty.values()) == {None}
    lost = measure_validation(
        np.zeros((2, 2)), np.array([np.inf, 1]), np.zeros(2), task="classification", num_classes=2
    )
    assert lost["val_loss"] is None


def test_the_csv_has_a_column_for_each_number_and_gaps_for_none() -> None:
    text = history_csv([{"epoch": 0, "learning": "head", "lr": 0.1, "train_loss": 1 / 3, "val_auc": None}])
    header, row = csv.reader(io.StringIO(text))
    assert tuple(header) == COLUMNS
    found = dict(zip(header, row, strict=True))
    assert (found["learning"], float(found["train_loss"]), found["val_auc"]) == ("head", 1 / 3, "")
