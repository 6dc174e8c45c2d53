"""Measures of several labels a photo against scikit-learn, and what cannot be measured."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from teliti.errors import UserError
from teliti.metrics.multilabel import measure_labels, measure_verdicts

NAMES = ("scratch", "dent", "rust")


def draw(seed: int, photos: int = 120) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Targets, probabilities that know something of them, and labels found at 0.4."""
    rng = np.random.default_rng(seed)
    targets = (rng.random((photos, 3)) < [0.5, 0.3, 0.15]).astype(np.int64)
    probs = np.clip(0.5 * targets + rng.random((photos, 3)) * 0.7, 0.01, 0.99).round(2)
    return targets, probs, (probs >= 0.4).astype(np.int64)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_measure_agrees_with_scikit_learn(seed: int) -> None:
    targets, probs, found = draw(seed)
    record = measure_labels(targets, probs, found, names=NAMES, seed=7)
    oracle = {
        "subset_accuracy": metrics.accuracy_score(targets, found),
        "subset_accuracy_at_half": metrics.accuracy_score(targets, probs > 0.5),
        "hamming_loss": metrics.hamming_loss(targets, found),
        "roc_auc": metrics.roc_auc_score(targets, probs),
        "roc_auc_micro": metrics.roc_auc_score(targets, probs, average="micro"),
        "pr_auc": metrics.average_precision_score(targets, probs),
        "pr_auc_micro": metrics.average_precision_score(targets, probs, average="micro"),
        "brier": float(np.mean([metrics.brier_score_loss(targets[:, k], probs[:, k]) for k in range(3)])),
        "log_loss": float(np.mean([metrics.log_loss(targets[:, k], probs[:, k]) for k in range(3)])),
    }
    for average in ("micro", "macro"):
        values = metrics.precision_recall_fscore_support(targets, found, average=average, zero_division=0)
        oracle |= {
            f"{name}_{average}": value for name, value in zip(("precision", "recall", "f1"), values, strict=False)
        }
    assert {name: record[name] for name in oracle} == pytest.approx(oracle)
    for k, row in enumerate(record["per_label"]):
        own = metrics.precision_recall_fscore_support(targets[:, k], found[:, k], average="binary")
        assert (row["label"], row["n"]) == (NAMES[k], targets[:, k].sum())
        assert [row["precision"], row["recall"], row["f1"]] == pytest.approx(own[:3])
        assert row["specificity"] == pytest.approx(metrics.recall_score(targets[:, k], found[:, k], pos_label=0))
        assert row["roc_auc"] == pytest.approx(metrics.roc_auc_score(targets[:, k], probs[:, k]))
        assert row["pr_auc"] == pytest.approx(metrics.average_precision_score(targets[:, k], probs[:, k]))


def test_intervals_hold_their_value_and_the_order_of_photos_does_not_matter() -> None:
    targets, probs, found = draw(3)
    record = measure_labels(targets, probs, found, names=NAMES, seed=7)
    assert {"subset_accuracy", "hamming_loss", "f1_macro", "f1_micro", "roc_auc"} <= set(record["intervals"])
    for name, (low, high) in record["intervals"].items():
        assert low <= record[name] <= high
    turned = np.random.default_rng(0).permutation(len(targets))
    assert measure_labels(targets[turned], probs[turned], found[turned], names=NAMES, seed=7) == record


def test_perfect_answers_are_best() -> None:
    targets, _, _ = draw(4)
    record = measure_labels(targets, targets.astype(float), targets, names=NAMES, seed=7)
    assert (record["subset_accuracy"], record["hamming_loss"], record["f1_macro"], record["roc_auc"]) == (1, 0, 1, 1)


def test_baselines_are_the_commonest_answers() -> None:
    targets = np.array([[1, 0], [1, 0], [0, 1], [0, 0]])
    record = measure_labels(targets, np.full((4, 2), 0.5), np.zeros((4, 2)), names=("a", "b"), seed=7)
    assert (record["majority_subset_accuracy"], record["majority_hamming_loss"]) == (0.5, 0.375)


def test_what_photos_cannot_tell_is_none() -> None:
    targets, probs = np.array([[1, 0], [0, 0]]), np.array([[0.9, 0.1], [0.2, 0.3]])
    record = measure_labels(targets, probs, (probs > 0.5).astype(int), names=("a", "b"), seed=7)
    missing = record["per_label"][1]
    assert (missing["n"], missing["recall"], missing["precision"], missing["f1"], missing["roc_auc"]) == (
        0,
        *[None] * 4,
    )
    assert record["f1_macro"] == 1.0  # of the label that has photos
    assert measure_labels(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros((0, 2)), names=("a", "b"), seed=7)["n"] == 0


def test_wrong_shapes_and_probabilities_are_refused() -> None:
    with pytest.raises(UserError, match=r"must have one shape \(N, 2\), got \(3, 2\), \(3, 3\) and \(3, 2\)"):
        measure_labels(np.zeros((3, 2)), np.zeros((3, 3)), np.zeros((3, 2)), names=("a", "b"), seed=7)
    with pytest.raises(UserError, match=r"Probabilities must be in \[0, 1\], got 1 that are not"):
        measure_labels(np.zeros((1, 2)), np.array([[0.5, 1.5]]), np.zeros((1, 2)), names=("a", "b"), seed=7)


def test_verdicts_are_counted_with_intervals() -> None:
    record = measure_verdicts(np.array([True, True, True, False, False]), np.array([True, True, False, True, False]))
    assert (record["bad"], record["missed"], record["good"], record["false_alarms"]) == (3, 1, 2, 1)
    assert record["accuracy"] == 0.6
    assert record["missed_interval"][0] < 1 / 3 < record["missed_interval"][1]
    assert measure_verdicts(np.array([False]), np.array([False]))["missed_interval"] is None
