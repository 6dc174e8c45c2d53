"""How right a path is, and what speaks against eight bits."""

from __future__ import annotations

import pytest

from teliti.data.origins import FileOrigin
from teliti.export.bounds import int8_objections, measure_path
from teliti.export.certificate import PathAnswers
from teliti.predictor import Prediction
from teliti.types import Sample

SAMPLES = [Sample(f"{n}.png", FileOrigin(f"/{n}.png"), "bad" if n < 4 else "good") for n in range(10)]
SAME = {"changed_verdicts": 0, "photos": 100}


def path(scores: list[float]) -> PathAnswers:
    """A path that rejects from 0.5 on."""
    said = {True: ("reject", "bad"), False: ("pass", "good")}
    predictions = {at: Prediction(*said[score >= 0.5], {}, score) for at, score in enumerate(scores)}
    return PathAnswers("a", predictions, {})


TRUTH = [0.9, 0.9, 0.9, 0.9, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]


def test_measures_of_a_path() -> None:
    measures = measure_path(path([0.1, *TRUTH[1:9], 0.7]), SAMPLES, defects=["bad"])
    assert measures["accuracy"] == pytest.approx(0.8)
    assert measures["recall"] == {"bad": 0.75, "good": pytest.approx(5 / 6)}
    assert measures["defect_recall"] == 0.75


def test_a_path_that_never_rejects_catches_no_defect() -> None:
    """R24: what a defect is does not depend on what the path says."""
    assert measure_path(path([0.1] * 10), SAMPLES, defects=["bad"])["defect_recall"] == 0.0
    assert measure_path(path(TRUTH), SAMPLES)["defect_recall"] is None


def test_a_defect_that_is_taken_for_another_defect_or_shown_to_a_person_is_caught() -> None:
    samples = [Sample(name, FileOrigin(f"/{name}"), "dent") for name in "abcd"]
    said = [("reject", "dent"), ("reject", "scratch"), ("review", "good"), ("pass", "good")]
    answers = PathAnswers("a", {at: Prediction(*one, {}, 0.5) for at, one in enumerate(said)}, {})
    assert measure_path(answers, samples, defects=["dent", "scratch"])["defect_recall"] == 0.75
    named = PathAnswers("a", {at: Prediction(label, label, {}, 0.5) for at, (_, label) in enumerate(said)}, {})
    assert measure_path(named, samples, defects=["dent"])["defect_recall"] == 0.25


def test_measures_of_numbers() -> None:
    samples = [Sample("a", FileOrigin("/a"), 1.0), Sample("b", FileOrigin("/b"), 3.0)]
    answers = PathAnswers("a", {n: Prediction(None, None, {}, 2.0) for n in range(2)}, {})
    assert measure_path(answers, samples) == {"photos": 2, "mae": 1.0}


BEFORE = {"accuracy": 0.9, "recall": {"bad": 0.8, "good": 0.95}, "defect_recall": 0.8}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"accuracy": 0.890}, "The accuracy is 0.8900, below 99% of 0.9000."),
        (
            {"recall": {"bad": 0.77, "good": 0.95}},
            'The recall of "bad" falls from 0.800 to 0.770, by more than 2 points',
        ),
        ({"defect_recall": 0.74}, "0.740 of the defects are caught, 0.750 must be."),
    ],
)
def test_what_speaks_against_eight_bits(change: dict, sentence: str) -> None:
    """R24: accuracy, recall of a class, the floor of the defect class."""
    objections = int8_objections(BEFORE, BEFORE | change, comparison=SAME, least_defect_recall=0.75)
    assert len(objections) == 1
    assert sentence in objections[0]


def test_what_is_just_allowed() -> None:
    after = {"accuracy": 0.891, "recall": {"bad": 0.78, "good": 0.93}, "defect_recall": 0.75}
    comparison = {"changed_verdicts": 3, "photos": 100}
    assert int8_objections(BEFORE, after, comparison=comparison, least_defect_recall=0.75) == []
    assert int8_objections(BEFORE, after, comparison=comparison, least_defect_recall=None) == []


def test_a_floor_that_no_photo_can_show_is_not_held() -> None:
    """R24: photos without a defect say nothing of defects."""
    after = BEFORE | {"defect_recall": None}
    objections = int8_objections(BEFORE, after, comparison=SAME, least_defect_recall=0.75)
    assert objections == ["No photo is a defect, so it cannot be shown that 0.750 are caught."]
    assert int8_objections(BEFORE, after, comparison=SAME, least_defect_recall=None) == []


def test_many_changed_verdicts_speak_against_it_whatever_the_accuracy() -> None:
    comparison = {"changed_verdicts": 4, "photos": 100}
    objections = int8_objections(BEFORE, BEFORE, comparison=comparison, least_defect_recall=None)
    assert objections == ["4 of 100 verdicts changed, over 3%."]


def test_numbers_may_err_five_percent_more() -> None:
    assert int8_objections({"mae": 1.0}, {"mae": 1.05}, comparison=SAME, least_defect_recall=None) == []
    worse = int8_objections({"mae": 1.0}, {"mae": 1.06}, comparison=SAME, least_defect_recall=None)
    assert worse == ["The mean error is 1.06, over 1.05."]


MARKED = [Sample(name, FileOrigin(f"/{name}"), label) for name, label in
          (("a", ("bar", "blob")), ("b", ("bar",)), ("c", ()), ("d", ("blob",)))]  # fmt: skip


def labels_path(*found: tuple[str, ...]) -> PathAnswers:
    """A path that finds these labels, and rejects for a bar."""
    said = [Prediction("reject" if "bar" in own else "pass", None, {}, 0.5, labels=own) for own in found]
    return PathAnswers("a", dict(enumerate(said)), {})


def test_measures_of_labels() -> None:
    measures = measure_path(labels_path(("bar",), ("bar",), ("blob",), ("blob",)), MARKED, defects=["bar"])
    assert measures == {"photos": 4, "accuracy": 0.5, "recall": {"bar": 1.0, "blob": 0.5}, "defect_recall": 1.0}
    missed = measure_path(labels_path((), ("bar",), (), ("blob",)), MARKED, defects=["bar"])
    assert (missed["recall"]["bar"], missed["defect_recall"]) == (0.5, 0.5)


def test_a_label_that_is_found_less_often_speaks_against_eight_bits() -> None:
    """R24: every label by its own recall."""
    before = measure_path(labels_path(("bar", "blob"), ("bar",), (), ("blob",)), MARKED, defects=["bar"])
    after = measure_path(labels_path(("bar",), ("bar",), (), ("blob",)), MARKED, defects=["bar"])
    objections = int8_objections(before, after, comparison=SAME, least_defect_recall=1.0)
    assert len(objections) == 2
    assert objections[1] == 'The recall of "blob" falls from 1.000 to 0.500, by more than 2 points.'


def test_several_numbers_are_held_one_by_one() -> None:
    """R24: a number whose error grows cannot hide behind one whose error shrinks."""
    samples = [Sample("a", FileOrigin("/a"), (1.0, 100.0)), Sample("b", FileOrigin("/b"), (3.0, 200.0))]
    said = Prediction(None, None, {}, None, values={"x": 2.0, "y": 150.0})
    before = measure_path(PathAnswers("a", {0: said, 1: said}, {}), samples)
    assert before == {"photos": 2, "mae": {"x": 1.0, "y": 50.0}}
    after = {"photos": 2, "mae": {"x": 1.1, "y": 10.0}}
    assert int8_objections(before, after, comparison=SAME, least_defect_recall=None) == [
        "The mean error of x is 1.1, over 1.05."
    ]
