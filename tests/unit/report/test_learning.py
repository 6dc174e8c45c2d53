"""The report of a trained network: curves, the epoch that was kept, diagnosis, layers; and any name is only text."""

import html
import re

import pytest

from teliti.report import ReportPictures, render_report
from teliti.report.learning_figures import loss_figure, rate_figure, score_figure, search_figure
from teliti.report.markup import visible
from unit.report.learning_records import hostile_network_record, network_record, number_network_record
from unit.report.report_records import PAYLOADS, inspection_record
from unit.report.test_page import section, sections, words


def shown(record, key):
    """The text of one section of the record's report."""
    return words(section(render_report(record, ReportPictures()), key))


def test_a_network_has_two_sections_more():
    plain, trained = (
        sections(render_report(record(), ReportPictures())) for record in (inspection_record, network_record)
    )
    assert trained == [*plain[: plain.index("training")], "learning", "layers", *plain[plain.index("training") :]]


def test_learning_says_how_it_ended_and_what_is_wrong():
    found = shown(network_record(), "learning")
    assert "It ran all its 6 epochs" in found
    assert "Over-fitting. Accuracy 0.990 against 0.880." in found
    assert "To try: Add photos or augmentation." in found
    assert "1 ✓" not in found
    assert "4 ✓ kept" in found
    assert "with the random changes" in found


@pytest.mark.parametrize(
    ("kept", "mistakes", "expected"),
    [
        (True, 9, "yes, each verdict is the mean of both (log loss 0.240 together and 0.260 alone, on 328 photos)"),
        (False, 0, "no: alone it is right on all 328 photos, and together is twice the work"),
        (False, 9, "no: together it is worse (log loss 0.240 together and 0.260 alone, on 328 photos)"),
    ],
)
def test_an_ensemble_says_by_which_losses_it_was_judged(kept, mistakes, expected):
    record = network_record()
    assert "Ensemble" not in shown(record, "training")
    told = {"kept": kept, "log_loss": 0.24, "log_loss_alone": 0.26, "photos": 328, "mistakes_alone": mistakes}
    record["history"]["ensemble"] = told
    assert expected in shown(record, "training")


def test_curves_have_both_parts_and_mark_the_kept_epoch():
    markup = section(render_report(network_record(), ReportPictures()), "learning")
    titles = re.findall(r"<figcaption>([^<]+)</figcaption>", markup)
    assert titles == ["Loss", "Accuracy", "Learning rate"]
    assert markup.count("kept: epoch 4") == 2
    assert markup.count('class="curve s1"') == 2
    assert "Validation" in markup


def test_numbers_have_an_error_and_held_out_photos():
    record = number_network_record()
    markup = section(render_report(record, ReportPictures()), "learning")
    assert re.findall(r"<figcaption>([^<]+)</figcaption>", markup) == ["Loss", "Mean absolute error", "Learning rate"]
    assert "Held-out training photos" in markup
    assert "errors are in the unit of the labels" in markup
    assert "Nothing stands out" in markup
    assert "Held-out training photos" in shown(record, "numbers")


def test_one_epoch_is_a_dot_and_no_judgement():
    record = network_record(epochs=1, best=0)
    record["history"]["diagnosis"] = []
    markup = section(render_report(record, ReportPictures()), "learning")
    assert "1 epoch cannot tell much" in markup
    assert "kept: epoch" not in markup
    assert markup.count("<circle") == 5  # two losses, two accuracies, one rate


def test_a_loss_over_decades_is_logarithmic():
    rows = [{"epoch": at, "train_loss": 10.0**-at, "val_loss": None} for at in range(5)]
    drawn = loss_figure(rows, best=5, chooser="Validation")
    assert "Loss, logarithmic scale" in drawn
    assert re.findall(r'class="tick end">([^<]+)<', drawn) == ["0.0001", "0.001", "0.01", "0.1", "1"]
    assert "Validation" not in drawn
    flat = loss_figure([{"epoch": 0, "train_loss": 0.0}, {"epoch": 1, "train_loss": 0.0}], best=1, chooser="Validation")
    assert "logarithmic" not in flat


def test_an_accuracy_stays_within_one():
    drawn = score_figure([{"epoch": 0, "val_accuracy": 1.0}, {"epoch": 1, "val_accuracy": 1.0}], best=1, chooser="Val")
    assert max(map(float, re.findall(r'class="tick end">([^<]+)<', drawn))) == 1.0


def test_epochs_are_whole_on_the_axis():
    drawn = rate_figure([{"epoch": at, "lr": 0.1} for at in range(3)])
    assert re.findall(r'class="tick middle">([^<]+)<', drawn) == ["1", "2", "3"]


def test_nothing_to_draw_draws_nothing():
    assert loss_figure([{"epoch": 0}], best=None, chooser="Validation") == ""
    assert score_figure([{"epoch": 0}], best=None, chooser="Validation") == ""
    assert rate_figure([{"epoch": 0}]) == ""
    assert search_figure({}) == ""
    assert search_figure({"lr": 1e-6, "curve": [[1e-6, 0.1]]}) == ""


def test_the_search_of_the_rate_is_drawn_with_its_choice():
    record = network_record()
    record["history"]["rate_search"] = {"lr": 0.001, "curve": [[10.0**power, 1.0 + power**2] for power in range(-6, 0)]}
    markup = section(render_report(record, ReportPictures()), "learning")
    assert "Search of the learning rate" in markup
    assert "chosen: 0.001" in markup
    assert "1e-6" in markup


def test_idle_units_are_listed_where_they_are_many():
    found = shown(network_record(), "learning")
    assert "Units that do nothing (1 of 2 layers)" in found
    assert "backbone.bn2.act" in found
    assert "dead: 0 for every photo25.0 %1,280" in found
    assert "backbone.bn1.act" not in found
    record = network_record()
    record["history"]["activity"] = record["history"]["activity"][:1]
    assert "1 activation layer looked at" in shown(record, "learning")
    assert "none has 10.0 % or more of its units dead or saturated" in shown(record, "learning")


def test_the_table_of_epochs_names_who_was_measured():
    markup = section(render_report(network_record(), ReportPictures()), "learning")
    assert "Loss, validation" in markup
    assert "8.3e-05" in markup
    assert "Error, held out" in section(render_report(number_network_record(), ReportPictures()), "learning")


def test_layers_have_shape_parameters_and_multiply_adds():
    markup = section(render_report(network_record(), ReportPictures()), "layers")
    row = re.search(r"<tr><th[^>]*><code>conv_stem</code></th>(.*?)</tr>", markup)[1]
    assert re.findall(r"<td[^>]*>([^<]*)<", row) == ["Conv2dSame", "3 x 3, stride 2", "32 x 32 x 32", "864", "884,736"]
    assert "<details>" not in markup
    assert "Of them learnt here" in markup


def test_many_layers_are_folded():
    record = network_record()
    record["network"]["layers"] *= 20
    assert "All 40 layers" in section(render_report(record, ReportPictures()), "layers")


def test_training_is_that_of_the_network():
    found = shown(network_record(), "training")
    assert "its own closing layer, calibrated by Platt scaling" in found
    assert "PyTorch 2.15.0" in found
    assert "ONNX Runtime, in f32" in found
    assert "cross-entropy" in found
    assert "61.0" in found
    assert found.count("✓ chosen") == 1
    for claim in ("rbf_svm", "Feature engine", "Cross-validation", "Pooling"):
        assert claim not in found


def test_a_trial_of_compiled_kernels_stands_among_what_was_timed():
    record = network_record()
    assert "Kernels by torch.compile" not in shown(record, "training")
    tried = {"precision": "bf16", "replicas": 1, "compiled": True, "chosen": False}
    record["history"]["probe"] += [{**tried, "compile_s": 31.5, "photos_per_s": 64.0}, tried]
    found = html.unescape(shown(record, "training"))
    assert "64.0by torch.compile, 31.5 s until they were there" in found
    assert "by torch.compile: could not be made here" in found
    assert found.count("✓ chosen") == 1
    record["history"]["probe"] = [{**tried, "photos_per_s": 64.0}]
    asked_for = html.unescape(shown(record, "training"))
    assert "64.0by torch.compile" in asked_for
    assert "until they were there" not in asked_for
    assert "could not be made" not in asked_for
    record["history"]["options"]["compile"] = True
    assert "Kernels by torch.compileyes" in shown(record, "training")


def test_the_two_places_of_augmentation_stand_beside_each_other_where_they_were_timed():
    record = network_record()
    assert "Photos augmented by" not in shown(record, "training")
    record["history"]["probe"] += [{"augment_on": "device", "photos_per_s": 912.0, "chosen": True},
                                   {"augment_on": "cpu", "photos_per_s": 315.0, "chosen": False}]  # fmt: skip
    found = shown(record, "training")
    assert "The network's device912.0✓ chosenThreads of the processor315.0" in html.unescape(found)
    assert found.count("✓ chosen") == 2


@pytest.mark.parametrize("change", [{"rows": []}, {"rows": "none"}, {"rows": [{"epoch": None}]}])
def test_a_record_without_epochs_has_no_curves(change):
    record = network_record()
    record["history"] = change
    assert "learning" not in sections(render_report(record, ReportPictures()))


def test_missing_keys_leave_things_out():
    record = {"history": {"rows": [{"epoch": 0, "train_loss": 0.5}]}}
    assert sections(render_report(record, ReportPictures()))[:1] == ["learning"]


def test_every_name_is_only_text():
    page = render_report(hostile_network_record(), ReportPictures())
    assert not re.search(r"<(script|iframe|a href=java)", page)
    for key in ("learning", "layers"):
        plain = html.unescape(words(section(page, key)))
        assert all(re.sub(r"\s+", " ", visible(payload)).strip() in plain for payload in PAYLOADS)
    page.encode("utf-8")
