"""One record of measures: numbers checked by hand, against scikit-learn, and at the edges."""

import json

import numpy as np
import pytest
from sklearn import metrics as oracle

from teliti.errors import UserError
from teliti.metrics.classification import (
    accuracy_flatters,
    brier_loss,
    confusion_matrix,
    log_loss,
    measure,
)


def _from_counts(*, tn, fn, fp, tp):
    """Labels, probabilities and predictions of an inspector with this confusion matrix; class 1 is the defect."""
    labels = np.repeat([0, 1, 0, 1], [tn, fn, fp, tp])
    preds = np.repeat([0, 0, 1, 1], [tn, fn, fp, tp])
    return labels, np.where(preds[:, None] == np.arange(2), 0.8, 0.2), preds


def _random(n, num_classes, *, seed):
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(num_classes), rng.integers(0, num_classes, n - num_classes)])
    logits = rng.normal(size=(n, num_classes)).round(1)
    logits[np.arange(n), labels] += 1.0
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return labels, probs, rng.permuted(np.where(rng.random(n) < 0.7, labels, probs.argmax(axis=1)))


def test_ninety_eight_good_and_two_bad():
    record = measure(*_from_counts(tn=96, fn=1, fp=2, tp=1), positive=1, seed=0)
    assert record["n"] == 100
    assert record["accuracy"] == pytest.approx(0.97)
    assert record["recall"] == pytest.approx(0.50)
    assert record["precision"] == pytest.approx(1 / 3)
    assert round(record["specificity"], 3) == 0.980
    assert record["majority_accuracy"] == pytest.approx(0.98)
    assert [round(end, 2) for end in record["intervals"]["recall"]] == [0.09, 0.91]
    assert record["confusion_matrix"] == [[96, 2], [1, 1]]
    assert accuracy_flatters(record) == (
        "Accuracy 97.0 % flatters: always naming the largest class would score 98.0 %, while recall is 50.0 % "
        "and balanced accuracy is 74.0 %. Judge this inspector by recall and balanced accuracy."
    )


def test_confusion_matrix_of_a_poor_inspector():
    record = measure(*_from_counts(tn=86, fn=58, fp=75, tp=93), positive=1, seed=0)
    percents = [round(100 * record[name], 1) for name in ("accuracy", "recall", "precision", "specificity")]
    assert percents == [57.4, 61.6, 55.4, 53.4]
    assert record["f1"] == pytest.approx(2 * 93 / (2 * 93 + 58 + 75))
    assert record["confusion_matrix"] == [[86, 75], [58, 93]]
    assert accuracy_flatters(record) is None  # poor, and accuracy says so


@pytest.mark.parametrize("seed", range(6))
def test_two_classes_equal_scikit_learn(seed):
    labels, probs, preds = _random(60, 2, seed=seed)
    record = measure(labels, probs, preds, positive=1, seed=seed)
    expected = {
        "accuracy": oracle.accuracy_score(labels, preds),
        "accuracy_at_half": oracle.accuracy_score(labels, probs.argmax(axis=1)),
        "balanced_accuracy": oracle.balanced_accuracy_score(labels, preds),
        "precision": oracle.precision_score(labels, preds),
        "recall": oracle.recall_score(labels, preds),
        "specificity": oracle.recall_score(labels, preds, pos_label=0),
        "f1": oracle.f1_score(labels, preds),
        "f1_macro": oracle.f1_score(labels, preds, average="macro"),
        "roc_auc": oracle.roc_auc_score(labels, probs[:, 1]),
        "pr_auc": oracle.average_precision_score(labels, probs[:, 1]),
        "log_loss": oracle.log_loss(labels, probs),
        "brier": oracle.brier_score_loss(labels, probs[:, 1]),
    }
    assert {name: record[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    assert record["confusion_matrix"] == oracle.confusion_matrix(labels, preds).tolist()


@pytest.mark.parametrize("seed", range(6))
def test_more_classes_equal_scikit_learn(seed):
    labels, probs, preds = _random(90, 4, seed=seed)
    record = measure(labels, probs, preds, positive=None, seed=seed)
    truth = np.eye(4)[labels]
    expected = {
        "balanced_accuracy": oracle.balanced_accuracy_score(labels, preds),
        "precision": oracle.precision_score(labels, preds, average="macro", zero_division=0),
        "recall": oracle.recall_score(labels, preds, average="macro"),
        "f1": oracle.f1_score(labels, preds, average="macro"),
        "f1_macro": oracle.f1_score(labels, preds, average="macro"),
        "roc_auc": oracle.roc_auc_score(labels, probs, multi_class="ovr"),
        "pr_auc": oracle.average_precision_score(truth, probs, average="macro"),
        "log_loss": oracle.log_loss(labels, probs),
        "brier": ((probs - truth) ** 2).sum(axis=1).mean(),
        "majority_accuracy": np.bincount(labels).max() / 90,
    }
    assert {name: record[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    each = oracle.precision_recall_fscore_support(labels, preds, zero_division=0)
    for index, entry in enumerate(record["per_class"]):
        assert entry["class_index"] == index
        assert [entry["precision"], entry["recall"], entry["f1"], entry["n"]] == pytest.approx(
            [column[index] for column in each]
        )


def test_one_of_more_classes_can_be_positive():
    labels, probs, preds = _random(90, 3, seed=1)
    record = measure(labels, probs, preds, positive=2, seed=0)
    assert record["recall"] == pytest.approx(oracle.recall_score(labels == 2, preds == 2))
    assert record["specificity"] == pytest.approx(oracle.recall_score(labels != 2, preds != 2))
    assert record["roc_auc"] == pytest.approx(oracle.roc_auc_score(labels == 2, probs[:, 2]))
    assert record["accuracy"] == pytest.approx((labels == preds).mean())


@pytest.mark.parametrize(("num_classes", "positive"), [(2, 1), (3, None)])
def test_perfect_is_best(num_classes, positive):
    labels = np.arange(30) % num_classes
    record = measure(labels, np.eye(num_classes)[labels], labels, positive=positive, seed=0)
    best = (
        "accuracy",
        "balanced_accuracy",
        "precision",
        "recall",
        "specificity",
        "f1",
        "f1_macro",
        "roc_auc",
        "pr_auc",
    )
    assert [record[name] for name in best] == [1.0] * len(best)
    assert record["log_loss"] == 0.0
    assert record["brier"] == 0.0
    assert "f1" not in record["intervals"]  # thirty right answers do not prove that none can be wrong
    assert record["intervals"]["accuracy"][0] < 0.9


@pytest.mark.parametrize(("num_classes", "positive"), [(2, 0), (3, None)])
def test_order_of_the_photos_changes_no_bit(num_classes, positive):
    labels, probs, preds = _random(50, num_classes, seed=3)
    shuffle = np.random.default_rng(0).permutation(50)
    assert measure(labels, probs, preds, positive=positive, seed=5) == measure(
        labels[shuffle], probs[shuffle], preds[shuffle], positive=positive, seed=5
    )


def test_two_halves_merged_equal_the_whole():
    labels, _, preds = _random(81, 4, seed=2)
    halves = confusion_matrix(labels[:40], preds[:40], 4) + confusion_matrix(labels[40:], preds[40:], 4)
    np.testing.assert_array_equal(halves, confusion_matrix(labels, preds, 4))


def test_every_interval_holds_its_value_and_names_what_it_can():
    labels, probs, preds = _random(80, 2, seed=4)
    record = measure(labels, probs, preds, positive=1, seed=0)
    assert set(record["intervals"]) == {
        *("accuracy", "accuracy_at_half", "balanced_accuracy", "precision", "recall", "specificity"),
        *("f1", "f1_macro", "roc_auc", "pr_auc"),
    }
    for name, (low, high) in record["intervals"].items():
        assert low < record[name] < high, name
    assert record["accuracy_interval"] == record["intervals"]["accuracy"]
    for entry in record["per_class"]:
        assert set(entry["intervals"]) == {"precision", "recall", "specificity", "f1"}


def test_seed_moves_the_bootstrap_only():
    data = _random(80, 2, seed=4)
    one, same, other = (measure(*data, positive=1, seed=seed) for seed in (1, 1, 2))
    assert one == same
    assert one["intervals"]["roc_auc"] != other["intervals"]["roc_auc"]
    assert one["intervals"]["recall"] == other["intervals"]["recall"]
    assert {name: one[name] for name in one if name not in {"intervals", "per_class"}} == {
        name: other[name] for name in other if name not in {"intervals", "per_class"}
    }


def test_without_positives_their_measures_are_none():
    labels, probs, preds = _from_counts(tn=9, fn=0, fp=1, tp=0)
    record = measure(labels, probs, preds, positive=1, seed=0)
    assert [record[name] for name in ("recall", "roc_auc", "pr_auc", "balanced_accuracy")] == [None] * 4
    assert record["specificity"] == pytest.approx(0.9)
    assert record["precision"] == 0.0
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert accuracy_flatters(record) is None


def test_nothing_predicted_positive_has_no_precision():
    record = measure(*_from_counts(tn=9, fn=1, fp=0, tp=0), positive=1, seed=0)
    assert record["precision"] is None
    assert record["recall"] == 0.0
    assert record["f1"] == 0.0
    assert "always naming the largest class would score 90.0 %" in accuracy_flatters(record)


def test_macro_means_are_over_classes_that_have_photos():
    labels, preds = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 2])
    record = measure(labels, np.eye(4)[preds], preds, positive=None, seed=0)
    assert record["recall"] == record["balanced_accuracy"] == pytest.approx(0.75)
    assert record["f1_macro"] == pytest.approx((1 + 2 / 3) / 2)
    assert record["roc_auc"] == pytest.approx((1.0 + 0.75) / 2)
    assert record["per_class"][3] == {
        **{"class_index": 3, "n": 0, "precision": None, "recall": None, "specificity": 1.0, "f1": None},
        "intervals": {"specificity": record["per_class"][3]["intervals"]["specificity"]},
    }


@pytest.mark.parametrize(("num_classes", "positive"), [(2, 1), (3, None)])
def test_no_photos_and_one_class_are_json_without_nan(num_classes, positive):
    empty = np.empty(0, dtype=np.int64)
    record = measure(empty, np.empty((0, num_classes)), empty, positive=positive, seed=0)
    assert record["n"] == 0
    assert record["accuracy"] is record["log_loss"] is record["majority_accuracy"] is None
    json.dumps(record, allow_nan=False)
    assert accuracy_flatters(record) is None
    zeros = np.zeros(4, dtype=np.int64)
    record = measure(zeros, np.full((4, num_classes), 1 / num_classes), zeros, positive=positive, seed=0)
    assert record["accuracy"] == 1.0
    assert record["roc_auc"] is record["balanced_accuracy"] is None
    json.dumps(record, allow_nan=False)
    assert accuracy_flatters(record) is None


def test_a_good_inspector_of_rare_defects_is_not_warned_about():
    assert accuracy_flatters(measure(*_from_counts(tn=960, fn=2, fp=3, tp=35), positive=1, seed=0)) is None


def test_small_precision_of_the_network_is_accepted():
    labels, probs, preds = _random(40, 3, seed=0)
    record = measure(labels.astype(np.int32), probs.astype(np.float32), preds, positive=None, seed=0)
    assert record["log_loss"] == pytest.approx(oracle.log_loss(labels, probs), rel=1e-5)
    assert all(type(record[name]) is float for name in ("accuracy", "roc_auc", "brier", "f1"))


def test_losses_by_hand():
    labels, probs = np.array([0, 1]), np.array([[1.0, 0.0], [0.5, 0.5]])
    assert log_loss(labels, probs) == pytest.approx(np.log(2) / 2)
    assert brier_loss(labels, probs) == pytest.approx(0.125)
    assert log_loss(np.array([1]), np.array([[1.0, 0.0]], dtype=np.float32)) == pytest.approx(15.94, abs=0.01)


def _call(labels=(0, 1), probs=((0.5, 0.5), (0.5, 0.5)), preds=(0, 1), positive=1):
    return measure(np.array(labels), np.array(probs), np.array(preds), positive=positive, seed=0)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"probs": ((0.5, 0.5),)}, r"must have shape \(2, K\) with K at least 2, got \(1, 2\)"),
        ({"probs": ((1.0,), (1.0,))}, r"with K at least 2, got \(2, 1\)"),
        ({"preds": (0, 1, 1)}, r"must have one shape \(N,\), got \(2,\) and \(3,\)"),
        ({"labels": (0, 2)}, r"Labels must be in 0..1, got 0..2"),
        ({"preds": (-1, 0)}, r"Predictions must be in 0..1, got -1..0"),
        ({"probs": ((2.0, -3.0), (0.5, 0.5))}, "must be >= 0 and sum to 1, got 1 that do not. Apply softmax"),
        ({"probs": ((np.nan, 1.0), (0.5, 0.5))}, "got 1 that do not"),
        ({"positive": 2}, r"positive class must be in 0..1, got 2"),
    ],
)
def test_unusable_input_is_named(wrong, text):
    with pytest.raises(UserError, match=text):
        _call(**wrong)
