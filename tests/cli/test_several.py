"""Several labels and several numbers in the terminal and in CSV."""

from __future__ import annotations

import csv
import io

import pytest
from rich.console import Console

from teliti.cli.result import print_result
from teliti.cli.several import labels_in_words
from teliti.cli.verdicts import print_verdicts, write_verdicts

LABELLED = {
    "results": [
        {"path": "a.png", "verdict": "reject", "label": None, "labels": ["scratch", "dent"], "score": 0.9,
         "probs": {"scratch": 0.9, "dent": 0.7}, "reasons": ["scratch 0.900 is at or above its threshold 0.500"]},
        {"path": "b.png", "verdict": "pass", "label": None, "labels": [], "score": 0.1,
         "probs": {"scratch": 0.1, "dent": 0.05}, "reasons": []},
    ],
    "refused": [{"path": "c.png", "reason": "empty file"}],
}  # fmt: skip
NUMBERED = {
    "results": [{"path": "a.png", "verdict": None, "label": None, "score": None, "probs": {}, "reasons": [],
                 "values": {"x": 1.5, "y": -20.0}}],
    "refused": [],
}  # fmt: skip


def drawn(draw: object, record: dict) -> str:
    page = io.StringIO()
    draw(Console(file=page, width=160, no_color=True), record)  # type: ignore[operator]
    return page.getvalue()


def test_the_table_names_labels_beside_the_verdict() -> None:
    table = drawn(print_verdicts, LABELLED)
    head, row = table.splitlines()[1], next(line for line in table.splitlines() if "a.png" in line)
    assert head.split() == ["photo", "verdict", "labels", "score", "reasons"]
    assert row.split()[:4] == ["a.png", "reject", "scratch;dent", "0.900"]
    assert next(line for line in table.splitlines() if "b.png" in line).split() == ["b.png", "pass", "none", "0.100"]


def test_without_rejected_labels_the_verdict_is_the_list() -> None:
    plain = {**LABELLED, "results": [{**LABELLED["results"][0], "verdict": "scratch;dent", "reasons": []}]}
    assert drawn(print_verdicts, plain).splitlines()[1].split() == ["photo", "verdict", "score"]


def test_the_table_has_a_column_for_each_number() -> None:
    lines = drawn(print_verdicts, NUMBERED).splitlines()
    assert lines[1].split() == ["photo", "x", "y"]
    assert next(line for line in lines if "a.png" in line).split() == ["a.png", "1.500", "-20.000"]


@pytest.mark.parametrize(
    ("record", "rows"),
    [
        (LABELLED, [
            ["path", "verdict", "label", "score", "probability", "reasons", "probability of scratch",
             "probability of dent"],
            ["a.png", "reject", "scratch;dent", "0.9", "", "scratch 0.900 is at or above its threshold 0.500", "0.9",
             "0.7"],
            ["b.png", "pass", "none", "0.1", "", "", "0.1", "0.05"],
            ["c.png", "refused", "", "", "", "empty file", "", ""],
        ]),
        (NUMBERED, [
            ["path", "verdict", "label", "score", "probability", "reasons", "x", "y"],
            ["a.png", "", "", "", "", "", "1.5", "-20.0"],
        ]),
    ],
)  # fmt: skip
def test_csv_has_every_label_and_number(record: dict, rows: list[list[str]]) -> None:
    assert list(csv.reader(io.StringIO(write_verdicts(record)))) == rows


def test_measures_of_labels_and_numbers_have_their_tables() -> None:
    labels = {
        "task": "multilabel",
        "test": {
            "n": 9, "subset_accuracy": 0.8, "hamming_loss": 0.1, "majority_subset_accuracy": 0.3, "intervals": {},
            "per_label": [{"label": "scratch", "n": 4, "recall": 0.75, "precision": 1.0, "f1": 0.857, "roc_auc": 0.9,
                           "pr_auc": 0.8}],
            "verdicts": {"bad": 4, "missed": 1, "good": 5, "false_alarms": 2, "missed_interval": [0.05, 0.7],
                         "alarm_interval": None},
        },
        "threshold": {"value": None, "per_label": [{"label": "scratch", "value": 0.4}]},
    }  # fmt: skip
    page = drawn(print_result, labels)
    assert "always the commonest" in page
    assert next(line for line in page.splitlines() if "scratch" in line).split()[:4] == [
        "scratch",
        "4",
        "0.400",
        "0.750",
    ]
    assert "Of 4 photos with a rejected label 1 passed (missed), 95 % interval of the share 5.0 to 70.0 %." in page
    assert "Of 5 photos without one 2 were rejected by mistake (false alarms)." in page
    numbers = {
        "task": "regression",
        "test": {"n": 9, "mae": 1.0, "intervals": {}, "per_number": [{"name": "x", "mae": 1.0, "baseline_mae": 2.0,
                                                                      "rmse": 1.5, "r2": 0.5}]},
    }  # fmt: skip
    row = next(line for line in drawn(print_result, numbers).splitlines() if line.strip().startswith("x "))
    assert row.split() == ["x", "1.000", "2.000", "1.500", "0.500"]


def test_a_class_has_no_list_of_labels() -> None:
    assert labels_in_words({"label": "good"}) is None
