"""Figures: what is in the record is drawn, described in words, and coloured by the style sheet alone."""

import re
from xml.etree import ElementTree

from teliti.report.figures import (
    MOST_DOTS,
    SERIES,
    histogram_figure,
    interval_bar,
    pr_figure,
    residual_figure,
    roc_figure,
    scatter_figure,
)
from unit.report.report_records import inspection_record, regression_record, steel_record


def drawings(figure):
    """Every SVG of a figure, parsed."""
    return [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", figure, re.DOTALL)]


def test_roc_says_the_chosen_point_in_words():
    curves = {"roc": {"fpr": [0, 0.1, 1], "tpr": [0, 0.9, 1], "at_threshold": [0.1, 0.9]}}
    (svg,) = drawings(roc_figure(curves))
    assert svg.get("role") == "img"
    assert svg.get("aria-label").endswith("false alarm rate 10.0 %, recall 90.0 %")
    assert sum(node.get("class") == "chosen-dot" for node in svg.iter("circle")) == 1


def test_every_point_of_a_curve_is_on_its_path():
    recall, precision = [0.0, 0.5, 1.0], [1.0, 0.8, 0.4]
    (svg,) = drawings(pr_figure({"pr": {"recall": recall, "precision": precision}}))
    (path,) = [node.get("d") for node in svg.iter("path")]
    assert len(re.findall(r"[ML]", path)) == 3


def test_one_curve_and_one_key_per_class():
    figure = roc_figure(steel_record()["curves"])
    (svg,) = drawings(figure)
    assert sum("curve" in (node.get("class") or "") for node in svg.iter("path")) == 6
    assert re.findall(r"<bdi>(.*?)</bdi>", figure) == steel_record()["classes"]


def test_classes_beyond_the_colours_share_one_key():
    curves = {"roc_per_class": {f"class {at}": {"fpr": [0, 1], "tpr": [0, 1]} for at in range(SERIES + 3)}}
    assert "3 more classes" in roc_figure(curves)


def test_histogram_has_a_panel_per_class_and_the_threshold_in_each():
    curves = inspection_record()["curves"]
    figure = histogram_figure(curves, threshold=0.41)
    labels = [svg.get("aria-label") for svg in drawings(figure)]
    assert labels[0] == "Scores of 165 photos of class defective, with the threshold at 0.41"
    assert figure.count(">threshold 0.41<") == len(labels) == 2


def test_histogram_without_threshold_draws_no_line():
    assert "chosen" not in histogram_figure(inspection_record()["curves"], threshold=None)


def test_scatter_and_residuals_have_a_dot_per_photo():
    scatter = regression_record()["scatter"]
    for figure in (scatter_figure(scatter), residual_figure(scatter)):
        (svg,) = drawings(figure)
        assert len(list(svg.iter("circle"))) == 300


def test_huge_scatters_are_bounded():
    many = {"target": [0.5] * (MOST_DOTS + 500), "pred": [0.5] * (MOST_DOTS + 500)}
    assert scatter_figure(many).count("<circle") == MOST_DOTS


def test_interval_bar_shows_value_interval_and_baseline():
    (svg,) = drawings(interval_bar(0.5, [0.25, 0.75], baseline=0.5))
    (dot,) = svg.iter("circle")
    band = next(node for node in svg.iter("line") if node.get("class") == "band")
    assert (dot.get("cx"), band.get("x1"), band.get("x2")) == ("66", "36", "96")
    assert interval_bar(None, None) == ""


def test_nothing_to_draw_gives_nothing():
    for figure in (roc_figure({}), pr_figure({}), scatter_figure({}), residual_figure({})):
        assert figure == ""
    assert histogram_figure({"histogram": {"edges": [0, 1], "counts": {"a": None}}}, threshold=0.5) == ""


def test_figures_name_no_colour():
    curves = inspection_record()["curves"]
    drawn = roc_figure(curves) + pr_figure(curves) + histogram_figure(curves, threshold=0.4)
    assert not re.search(r'(fill|stroke|style|color)="', drawn)
