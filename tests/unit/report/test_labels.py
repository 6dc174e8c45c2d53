"""Every label and every sentence of a run's report, in the words that a reader sees, made from the record."""

from __future__ import annotations

import html
from functools import cache

import numpy as np
import pytest

from teliti.metrics.multilabel import measure_labels
from teliti.metrics.regression import measure_several
from teliti.report import ReportPictures, render_card, render_report, statements
from teliti.report.check_page import render_check
from unit.report.learning_records import network_record, number_network_record
from unit.report.report_records import inspection_record, regression_record, steel_record
from unit.report.test_page import words

NAMES = ("dent", "rust")


def page(record: dict) -> str:
    return html.unescape(words(render_report(record, ReportPictures())))


def missing(found: str, *sentences: str) -> list[str]:
    return [sentence for sentence in sentences if sentence not in found]


@cache
def labels_record() -> dict:
    """A run whose photos may have several labels."""
    draw = np.random.default_rng(4)
    targets = draw.integers(0, 2, (80, 2))
    probs = np.clip(0.25 + 0.5 * targets + draw.normal(0, 0.2, targets.shape), 0, 1)
    found = measure_labels(targets, probs, (probs >= 0.5).astype(int), names=NAMES, seed=7)
    threshold = {"rule": "f1", "sentence": "Each label has its own threshold.", "per_label": [{"label": "dent"}]}
    return {"task": "multilabel", "classes": list(NAMES), "test": found, "threshold": threshold}


def numbers_record() -> dict:
    """A run that predicts two numbers."""
    draw = np.random.default_rng(5)
    targets = draw.normal(10, 3, (60, 2))
    measures = measure_several(targets, targets + draw.normal(0, 1, targets.shape), names=NAMES, seed=7)
    return number_network_record() | {"numbers": list(NAMES), "test": measures, "scatter": None}


def test_the_measures_of_several_labels_say_what_they_count() -> None:
    assert missing(
        page(labels_record()),
        "photos without any wrong label", "labels that are wrong, of all photos' labels",
        "labels found that are there, mean of the labels", "labels there that are found, mean of the labels",
        "every label of every photo counts the same", "ranking, mean of the labels; 0.5 is guessing",
        "ranking where a label is rare, mean of the labels", "probabilities; 0 is best", "ROC AUC, mean of labels",
        "F1, mean of labels", "; always naming the commonest labels would get ",
    ) == []  # fmt: skip


def test_the_statements_about_several_labels() -> None:
    said = statements(labels_record())
    assert any(one.startswith("The share of photos with every label right of ") for one in said)
    assert (
        "Each label has its own threshold. Where that was on measured photos, numbers at the thresholds flatter."
        in said
    )


def test_several_numbers_are_said_with_what_they_explain_together() -> None:
    record = numbers_record()
    found = page(record)
    assert f"The mean R² of the numbers is {record['test']['r2']:.3f}." in found
    assert "Losses are of the numbers brought to mean 0 and deviation 1; errors too." in found


def test_one_number_is_said_with_its_distance_and_what_it_explains() -> None:
    found = page(regression_record())
    error = regression_record()["test"]["mae"]
    assert missing(
        found,
        f"On average a prediction is {error:.3f} away from the true value (95 % interval 0.110 to 0.140); always "
        "predicting the mean would be 0.333 away.",
        "The predictions explain 87.1 % of the variance (R²).",
        "Teliti made the split. Seed 7.",
    ) == []  # fmt: skip
    drawn = render_report(regression_record(), ReportPictures())
    assert missing(
        drawn, "Predicted against true value of 300 photos; the dashed line is exact prediction",
        "Error of 300 predictions over the true value; the dashed line is no error",
    ) == []  # fmt: skip
    useless = regression_record()
    useless["test"]["r2"] = -0.2
    assert "That is no better than always predicting the mean (R² -0.200)." in page(useless)


def test_without_a_validation_part_the_numbers_beside_are_out_of_fold() -> None:
    record = inspection_record()
    record["data"]["counts"] = {"train": {"defective": 3}, "test": {"defective": 3}}
    assert "Out of fold, training part" in page(record)


def test_the_figures_say_what_their_axes_share() -> None:
    found = render_report(inspection_record(), ReportPictures()).replace("&nbsp;", " ")
    assert missing(
        found, "ROC curve: share of positives found against share of others that raise an alarm",
        "Precision-recall curve: share of alarms that are right against share of positives found",
    ) == []  # fmt: skip


def test_the_export_is_judged_in_words() -> None:
    record = inspection_record()
    assert missing(
        page(record), "The exported network gives the same verdict as the trained one on 525 photos.",
        "Largest difference of a probability", "Largest difference of a logit", "This command makes the run again:",
    ) == []  # fmt: skip
    record["parity"]["changed_verdicts"] = 3
    assert "The exported network changes the verdict of 3 of 525 photos." in page(record)


def test_the_card_says_what_it_is_for_and_where_it_comes_from() -> None:
    card = render_card(inspection_record())
    assert missing(
        card, "Tells photos of parts apart: “defective” and “functional”.",
        "Photos are brought to 300 by 300 pixels, height by width (fit: letterbox).",
        "Use it on photos taken like those it was tested on; check it on photos of your own line before relying on it.",
        "Changed verdicts after export: 0", "Largest difference of a probability after export: 3.1e-07",
        "SHA-256 of the weights: 5793",
    ) == []  # fmt: skip
    assert "SHA-256 of these weights: 5793" in render_card(network_record())


def test_the_training_of_a_network_is_labelled() -> None:
    record = network_record()
    record["history"]["options"]["replicas"] = 2
    record["history"]["probe"] += [
        {"augment_on": "cpu", "photos_per_s": 40.0, "chosen": True},
        {"augment_on": "device", "photos_per_s": 30.0, "chosen": False},
    ]
    record["history"]["activity"] += [{"name": "head.act", "kind": "saturated", "share": 0.5, "units": 64}]
    told = {"kept": False, "log_loss": 0.3, "log_loss_alone": 0.2, "photos": 9, "mistakes_alone": 1}
    record["history"]["ensemble"] = told
    assert missing(
        page(record), "Threads with a part of a batch each", "Threads of the processor", "The network's device",
        "Augmentation, timed with the network's steps", "Values in front of the closing layer",
        "Ensemble with the frozen network", "saturated: at its limit", "dead: 0 for every photo",
        "Training numbers are taken while the weights move, with the random changes; the others at the epoch's end.",
    ) == []  # fmt: skip


def test_curves_without_troubles_and_curves_too_short_say_so() -> None:
    record = network_record()
    record["history"]["diagnosis"] = []
    assert "Nothing stands out: the curves show none of the troubles that are looked for." in page(record)
    short = network_record(epochs=2, best=1)
    short["history"]["diagnosis"] = []
    assert "2 epochs cannot tell much: curves begin to speak at three." in page(short)


@pytest.mark.parametrize(
    ("kind", "title"),
    [
        ("rate_too_large", "Learning rate too large"), ("rate_too_small", "Learning rate too small"),
        ("class_never_predicted", "A class is never predicted"),
    ],
)  # fmt: skip
def test_a_diagnosis_has_its_title(kind: str, title: str) -> None:
    record = network_record()
    record["history"]["diagnosis"] = [{"kind": kind, "measure": "It was measured.", "advice": "Do this."}]
    assert f"{title}. It was measured." in page(record)


def test_statements_stand_word_for_word() -> None:
    record = inspection_record()
    assert missing(
        " ".join(statements(record)),
        "Where they are rarer, recall and specificity stay, but a larger share of the alarms is false: precision, F1 "
        "and accuracy do not carry over.",
        "The threshold 0.41 was chosen on the validation photos; the test photos had no say in it.",
    ) == []  # fmt: skip
    record["data"]["split"] = {"origin": "folds", "folds": 5}
    assert missing(
        " ".join(statements(record)),
        "The threshold 0.41 was chosen on the same out-of-fold scores that were measured, so the numbers at this "
        "threshold flatter a little; those without a threshold (ROC AUC, PR AUC) do not.",
    ) == []  # fmt: skip
    assert missing(
        " ".join(statements(steel_record())),
        "1 pair of near-duplicate photos crosses the given split, so part of the test was seen in training: the "
        "numbers are too good by an unknown amount.",
        "The split came with the data; Teliti cannot know whether photos of one part are on both sides.",
    ) == []  # fmt: skip
    assert (
        "The network itself learnt, from efficientnet-lite0-57934424.pth, on 1,575 training photos, changed at random "
        "each time they were shown (flip and rotate). The epoch and its calibration were chosen on the 525 validation "
        "photos, so numbers on those flatter; the test photos had no say."
    ) in statements(network_record())


def test_nothing_good_in_the_test_part_is_said() -> None:
    record = {"classes": ["bad", "ok"], "positive": "bad", "test": {"n": 9, "confusion_matrix": [[8, 1], [0, 0]]}}
    assert "No good part was in the test part, so nothing is known about false alarms." in page(record)


def test_a_check_without_features_says_what_is_left_out() -> None:
    record = {
        "source": "s",
        "photos": 1,
        "refused": 0,
        "summary": [],
        "findings": [],
        "features": {"reason": "too few"},
    }
    assert "Label errors, outliers, the map and the learning curve were left out: too few." in words(
        render_check(record, {})
    )


def test_lists_that_are_cut_say_where_the_rest_is() -> None:
    record = inspection_record()
    record["mistakes"] *= 40
    record["data"]["duplicates"]["pairs"] *= 600
    found = page(record)
    assert " more mistakes stand in the run's record." in found
    assert " more pairs stand in the run's record." in found
    long = network_record(epochs=501)
    assert "1 more epochs stand in history.csv of the run." in page(long)
