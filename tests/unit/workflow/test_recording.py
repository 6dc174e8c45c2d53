"""The record of a run: what the JSON contract promises, numbers that belong together, warnings about the data."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from teliti.workflow.learning.recording import _data_warnings

CONTRACT = {"schema", "run", "bundle", "task", "classes", "positive", "val", "test", "threshold", "refused", "parity",
            "seconds"}  # fmt: skip
MEASURES = {"n", "accuracy", "accuracy_at_half", "accuracy_interval", "balanced_accuracy", "precision", "recall",
            "specificity", "f1_macro", "roc_auc", "pr_auc", "log_loss", "brier", "majority_accuracy",
            "confusion_matrix"}  # fmt: skip


def test_the_contract_is_kept(trained_record: dict) -> None:
    assert set(trained_record) >= CONTRACT
    assert trained_record["schema"] == 1
    for part in ("val", "test"):
        assert set(trained_record[part]) >= MEASURES
    assert set(trained_record["threshold"]) >= {"value", "rule"}
    assert set(trained_record["parity"]) >= {"max_abs_difference", "changed_verdicts"}


def test_it_is_plain_json(trained_record: dict) -> None:
    assert json.loads(json.dumps(trained_record, allow_nan=False)) == trained_record


def test_the_numbers_belong_together(trained_record: dict) -> None:
    data, test = trained_record["data"], trained_record["test"]
    assert data["photos"] == 48
    counts = data["counts"]
    for name in trained_record["classes"]:
        assert sum(counts[part][name] for part in ("train", "val", "test")) == 24
    assert [sum(row) for row in test["confusion_matrix"]] == list(counts["test"].values())
    assert test["n"] == trained_record["parity"]["photos"] == sum(counts["test"].values())
    assert trained_record["val"]["n"] == sum(counts["val"].values())
    hits = sum(row[index] for index, row in enumerate(test["confusion_matrix"]))
    assert test["accuracy"] == pytest.approx(hits / test["n"])
    assert len(trained_record["mistakes"]) == test["n"] - hits
    assert [row["class"] for row in test["per_class"]] == trained_record["classes"]


def test_it_says_what_was_used(trained_record: dict) -> None:
    assert trained_record["positive"] == "scratch"
    assert trained_record["model"]["backbone"] == "tf_efficientnet_lite0"
    assert trained_record["model"]["head"] == "logistic"
    assert (trained_record["engine"]["name"], trained_record["engine"]["threads"]) == ("onnxruntime", 1)
    assert trained_record["data"]["split"]["origin"] == "ours"
    assert trained_record["data"]["image_size"] == [64, 64]
    assert {"read", "split", "features", "fit", "export", "parity", "report", "total"} <= set(trained_record["seconds"])


def plan_with(*, crossing: int = 0, conflicts: int = 0) -> SimpleNamespace:
    pairs = [{"first": f"a{number}", "second": f"b{number}"} for number in range(max(crossing, conflicts))]
    return SimpleNamespace(duplicates={"crossing": pairs[:crossing], "label_conflicts": pairs[:conflicts]})


def test_clean_data_has_no_warnings() -> None:
    assert _data_warnings(plan_with()) == []


def test_copies_across_a_given_split_are_a_warning() -> None:
    assert _data_warnings(plan_with(crossing=2)) == [
        "2 pairs of near-duplicate photos cross the given split, so its test part is not unseen: the measures flatter. "
        "The report lists them."
    ]
    assert _data_warnings(plan_with(crossing=1))[0].startswith(
        "1 pair of near-duplicate photos crosses the given split"
    )


def test_copies_under_different_labels_are_named_the_first_three() -> None:
    warnings = _data_warnings(plan_with(conflicts=2))
    assert warnings[1] == '"a1" and "b1" show the same thing under different labels.'
    warnings = _data_warnings(plan_with(conflicts=5))
    assert len(warnings) == 4
    assert warnings[3] == "Near-duplicates with different labels, further pairs: 2."
