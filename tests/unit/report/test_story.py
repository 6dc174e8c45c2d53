"""How a network's training went, in sentences: each from the record's own values."""

import pytest

from teliti.report import render_card, statements
from teliti.report.story import (
    ending_sentences,
    finding_rows,
    head_words,
    is_network,
    learning_sentences,
    loss_words,
    stage_sentence,
)
from unit.report.learning_records import network_record, number_network_record
from unit.report.report_records import inspection_record


def test_all_epochs_and_the_one_that_was_kept():
    assert ending_sentences(network_record()) == [
        "It ran all its 6 epochs in 15.0 s.",
        "The weights of epoch 4 were kept: its loss on the 525 validation photos was the lowest (0.300).",
    ]


def test_early_stopping_is_said_with_its_patience():
    record = network_record(ended="early_stopping")
    record["history"]["options"] |= {"epochs": 40, "early_stopping": 2}
    assert ending_sentences(record)[0] == (
        "It ran 6 of 40 epochs in 15.0 s; early stopping ended it after 2 epochs that were no better."
    )


@pytest.mark.parametrize(("budget", "words"), [("10m", " of 10m"), (90.0, " of 1 min 30 s"), (0.001, "")])
def test_a_spent_budget_is_said(budget, words):
    record = network_record(ended="budget")
    record["history"]["options"] |= {"epochs": 40, "budget": budget}
    assert ending_sentences(record)[0] == f"It ran 6 of 40 epochs in 15.0 s; the time budget{words} ended it."


def test_one_epoch():
    assert ending_sentences(network_record(epochs=1, best=0))[0] == "It ran its one epoch in 2.5 s."


@pytest.mark.parametrize(
    ("monitor", "words"),
    [
        ("val_accuracy", "its accuracy on the 525 validation photos was the highest"),
        ("val_auc", "its ROC AUC on the 525 validation photos was the highest"),
        ("train_loss", "its training loss was the lowest"),
    ],
)
def test_the_measure_that_chose_is_named(monitor, words):
    record = network_record()
    record["history"]["monitor"] = monitor
    assert words in ending_sentences(record)[1]


def test_a_run_in_which_no_epoch_was_best_claims_none():
    record = network_record()
    record["history"]["best_epoch"] = -1
    assert len(ending_sentences(record)) == 1


def test_who_learnt_from_what():
    assert learning_sentences(network_record())[0] == (
        "The network began with efficientnet-lite0-57934424.pth and learnt from 1,575 photos, changed at random in "
        "each epoch (flip and rotate)."
    )
    assert learning_sentences(number_network_record())[0] == (
        "The network began with random weights and learnt from 46 photos, each as it is, without random changes."
    )


def test_stages_are_named_in_their_turn():
    record = network_record()
    assert stage_sentence(record) == "What learnt: from epoch 1 on the head alone, from epoch 2 on the whole network."
    record["network"]["learnt_parameters"] = 2562
    assert stage_sentence(record).endswith("from epoch 2 on everything from “stage 0” up.")
    assert stage_sentence(number_network_record()) == ""


@pytest.mark.parametrize(
    ("calibration", "words"),
    [
        ("platt", "calibrated by Platt scaling"),
        ("temperature", "calibrated by temperature scaling"),
        ("isotonic", "calibrated by isotonic regression"),
        (None, "not calibrated"),
    ],
)
def test_the_head_is_the_closing_layer(calibration, words):
    record = network_record()
    record["history"]["calibration"] = calibration
    assert head_words(record) == f"its own closing layer, {words}"
    assert head_words(number_network_record()) == "its own closing layer"


def test_platt_of_more_classes_is_called_what_it_is():
    record = network_record() | {"classes": ["a", "b", "c"]}
    assert head_words(record) == "its own closing layer, calibrated by temperature scaling with biases"
    assert head_words(record | {"task": "multilabel"}).endswith("calibrated by Platt scaling")


@pytest.mark.parametrize(
    ("loss", "outputs", "words"),
    [
        ("auto", 2, "cross-entropy"),
        ("auto", 1, "binary cross-entropy"),
        ("sum_of_squares", 2, "sum of squares"),
        (None, 2, None),
    ],
)
def test_the_loss_that_auto_means_is_named(loss, outputs, words):
    record = network_record()
    record["history"]["options"]["loss"], record["network"]["outputs"] = loss, outputs
    assert loss_words(record) == words
    assert loss_words(number_network_record()) == "mean squared error"


def test_findings_have_a_title_each():
    assert finding_rows(network_record()) == [
        {
            "title": "Over-fitting",
            "measure": "Accuracy 0.990 against 0.880.",
            "advice": "Add photos or augmentation.",
        }
    ]


def test_a_head_on_a_frozen_backbone_has_no_story():
    record = inspection_record()
    assert not is_network(record)
    assert (ending_sentences(record), learning_sentences(record), stage_sentence(record)) == ([], [], "")


def test_statements_say_who_learnt_and_who_chose():
    found = " ".join(statements(network_record()))
    assert "on 1,575 training photos, changed at random each time they were shown (flip and rotate)." in found
    assert (
        "The epoch and its calibration were chosen on the 525 validation photos, so numbers on those flatter" in found
    )
    assert "The threshold 0.41 was chosen on the 525 validation photos" in found
    assert "out-of-fold" not in found
    found = " ".join(statements(number_network_record()))
    assert "The epoch was chosen on the 10 training photos that no step learnt from" in found
    assert "shown without random changes" in found


def test_without_a_val_part_the_threshold_came_from_held_out_photos():
    record = network_record()
    record["history"]["photos"] |= {"chosen_on": 40, "chooser": "held-out training photos"}
    del record["data"]["counts"]["val"]
    (said,) = [sentence for sentence in statements(record) if sentence.startswith("The threshold")]
    assert "chosen on the 40 training photos that no step learnt from" in said


def test_the_statements_of_the_features_mode_are_unchanged():
    found = " ".join(statements(inspection_record()))
    assert "itself learnt" not in found
    assert "chosen on the validation photos" in found


def test_card_of_a_network_claims_no_other_head_or_engine():
    card = render_card(network_record())
    assert "- Head: its own closing layer, calibrated by Platt scaling" in card
    assert "- Trained by, predicts by: torch bf16, ONNX Runtime f32" in card
    assert "- Training: It ran all its 6 epochs" in card
    assert "## Licence of the weights that it began with\n\nApache-2.0." in card
    assert "svm" not in card
    assert "Licence" not in render_card(number_network_record())
