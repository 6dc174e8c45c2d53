"""Probabilities become scores, classes and verdicts: pass, reject, or look at it."""

import json

import numpy as np
import pytest

from teliti.errors import BundleError, RecipeError, RunError, UserError
from teliti.metrics.decision import Decision
from teliti.metrics.review import Review

TWO = Decision(classes=("def_front", "ok_front"), positive="def_front", threshold=0.3, rule="f1", sentence="why")
FOUR = ("blowhole", "crack", "free", "stain")


def test_two_classes_pass_or_are_rejected_at_the_threshold():
    probs = np.array([[0.29, 0.71], [0.3, 0.7], [0.31, 0.69]])
    assert TWO.score(probs).tolist() == [0.29, 0.3, 0.31]
    assert TWO.labels(probs).tolist() == [1, 0, 0]
    assert TWO.verdicts(probs) == ["pass", "reject", "reject"]


def test_without_a_threshold_the_most_probable_class_wins():
    decision = Decision(classes=("bad", "good"), positive="bad")
    probs = np.array([[0.4, 0.6], [0.6, 0.4]])
    assert decision.labels(probs).tolist() == [1, 0]
    assert decision.verdicts(probs) == ["pass", "reject"]


def test_more_classes_with_some_that_pass():
    decision = Decision(classes=FOUR, pass_classes=("free",), threshold=0.5)
    probs = np.array([[0.2, 0.25, 0.4, 0.15], [0.1, 0.2, 0.6, 0.1], [0.0, 0.9, 0.05, 0.05]])
    np.testing.assert_allclose(decision.score(probs), [0.6, 0.4, 0.95])
    assert decision.labels(probs).tolist() == [1, 2, 1]  # the first: together the defects are more probable than "free"
    assert decision.verdicts(probs) == ["reject", "pass", "reject"]


def test_more_classes_that_pass_without_a_threshold():
    decision = Decision(classes=FOUR, pass_classes=("free", "stain"))
    probs = np.array([[0.2, 0.25, 0.4, 0.15], [0.1, 0.2, 0.1, 0.6], [0.0, 0.9, 0.05, 0.05]])
    assert decision.verdicts(probs) == ["pass", "pass", "reject"]
    np.testing.assert_allclose(decision.score(probs), [0.45, 0.3, 0.9])


def test_more_classes_with_one_positive_answer_by_name():
    decision = Decision(classes=("a", "b", "c"), positive="b", threshold=0.2)
    probs = np.array([[0.5, 0.25, 0.25], [0.5, 0.1, 0.4]])
    assert decision.score(probs).tolist() == [0.25, 0.1]
    assert decision.labels(probs).tolist() == [1, 0]
    assert decision.verdicts(probs) == ["b", "a"]


def test_more_classes_alone_answer_by_name_and_score_their_confidence():
    decision = Decision(classes=("a", "b", "c"))
    probs = np.array([[0.2, 0.5, 0.3]])
    assert decision.score(probs).tolist() == [0.5]
    assert decision.verdicts(probs) == ["b"]


def test_one_class_of_two_that_passes_makes_the_other_the_defect():
    decision = Decision(classes=("left", "right"), pass_classes=("left",), threshold=0.9)
    assert decision.verdicts(np.array([[0.2, 0.8], [0.05, 0.95]])) == ["pass", "reject"]


def test_float32_scores_meet_the_threshold_exactly_as_float64_does():
    threshold = float(np.float32(0.3))
    at, below = (
        Decision(("x", "y"), positive="y", threshold=threshold),
        Decision(("x", "y"), positive="y", threshold=0.3),
    )
    probs = np.array([[0.7, 0.3]], dtype=np.float32)  # 0.3 in float32 is 0.30000001192...
    assert at.score(probs).dtype == np.float64
    assert at.verdicts(probs) == ["reject"]
    assert below.verdicts(probs) == ["reject"]
    assert Decision(("x", "y"), positive="y", threshold=0.30000001193).verdicts(probs) == ["pass"]


def test_a_softmax_that_rounds_above_one_is_a_score_of_one():
    probs = np.array([[np.nextafter(np.float32(1), np.float32(2)), 0.0]], dtype=np.float32)
    assert TWO.score(probs).tolist() == [1.0]
    assert Decision(classes=("a", "b")).score(probs).tolist() == [1.0]


@pytest.mark.parametrize("method", ["score", "labels", "verdicts"])
def test_a_broken_probability_never_passes(method):
    with pytest.raises(RunError, match=r"must be finite, got 1 photos of 2 where they are not.*teliti info"):
        getattr(TWO, method)(np.array([[np.nan, np.nan], [0.1, 0.9]]))


def test_no_photos_have_no_verdicts():
    assert TWO.verdicts(np.empty((0, 2))) == []
    assert Decision(classes=FOUR).score(np.empty((0, 4))).shape == (0,)


@pytest.mark.parametrize(
    "decision", [TWO, Decision(classes=FOUR, pass_classes=("free",), threshold=0.5), Decision(classes=("ä", "<b>", ""))]
)
def test_record_round_trip(decision):
    assert Decision.from_record(json.loads(json.dumps(decision.to_record(), allow_nan=False))) == decision


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"classes": None}, "decision in the bundle could not be read"),
        ({"positive": "scratch"}, 'data.positive must be one of "def_front", "ok_front"'),
        ({"threshold": "high"}, "could not convert"),
    ],
)
def test_damaged_record_is_refused(change, text):
    with pytest.raises(BundleError, match=text):
        Decision.from_record({**TWO.to_record(), **change})


def test_record_without_a_key_is_refused():
    with pytest.raises(BundleError, match=r"could not be read: 'rule'. Train or copy the bundle again"):
        Decision.from_record({key: value for key, value in TWO.to_record().items() if key != "rule"})


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"positive": "crak"}, 'data.positive must be one of .*, got "crak". Did you mean "crack"'),
        ({"pass_classes": ("good",)}, 'data.pass must be one of "blowhole", "crack", "free", "stain", got "good"'),
        ({"pass_classes": FOUR}, "data.pass must leave at least one class to reject"),
        ({"pass_classes": ("free",), "positive": "free"}, 'must not be in data.pass, got "free" in both'),
        ({"threshold": 0.5}, "A threshold must have a class to apply to, got 0.5 without one"),
        ({"threshold": 1.5, "positive": "crack"}, r"threshold must be in \[0, 1\], got 1.5"),
        ({"threshold": float("nan"), "positive": "crack"}, r"threshold must be in \[0, 1\], got nan"),
    ],
)
def test_contradictions_are_named(arguments, text):
    with pytest.raises(RecipeError, match=text):
        Decision(classes=FOUR, **arguments)


@pytest.mark.parametrize("method", ["score", "labels", "verdicts"])
def test_wrong_number_of_columns_is_named(method):
    with pytest.raises(UserError, match=r'shape \(N, 2\), got \(1, 3\). Give one column for each of "def_front"'):
        getattr(TWO, method)(np.zeros((1, 3)))


GREY = Decision(("bad", "good"), positive="bad", threshold=0.5, review=Review(low=0.2, high=0.6, novelty=1.5))


def test_a_score_in_the_grey_band_is_shown_to_a_person_with_the_reason():
    probs = np.array([[0.19, 0.81], [0.2, 0.8], [0.599, 0.401], [0.6, 0.4]])
    judged = GREY.judge(probs)
    assert [one.verdict for one in judged] == ["pass", "review", "review", "reject"]
    assert [one.label for one in judged] == ["good", "good", "bad", "bad"]  # what it would have been
    assert judged[1].reasons == ("score 0.200 is between 0.200, below which photos pass, and 0.600",)
    assert judged[0].reasons == judged[3].reasons == ()
    assert GREY.is_reviewed(probs).tolist() == [False, True, True, False]


def test_a_photo_unlike_the_training_photos_is_shown_however_sure_the_network_is():
    probs = np.array([[0.0, 1.0]] * 4)
    novelty = np.array([1.0, 1.5, 1.51, np.nan], dtype=np.float32)
    assert GREY.verdicts(probs, novelty=novelty) == ["pass", "pass", "review", "review"]
    assert GREY.judge(probs, novelty=novelty)[2].reasons == (
        "it looks unlike the training photos: novelty 1.51, limit 1.50",
    )
    assert GREY.verdicts(probs) == ["pass"] * 4  # a network that does not tell its novelty


def test_without_a_limit_novelty_changes_nothing():
    assert TWO.verdicts(np.array([[0.1, 0.9]]), novelty=np.array([1e9])) == ["pass"]


def test_each_of_more_classes_has_its_own_least_probability():
    decision = Decision(("a", "b", "c"), review=Review(least_probs=(0.4, 0.6, 0.0)))
    probs = np.array([[0.45, 0.35, 0.2], [0.35, 0.33, 0.32], [0.2, 0.55, 0.25], [0.3, 0.3, 0.4]])
    judged = decision.judge(probs)
    assert [one.verdict for one in judged] == ["a", "review", "review", "c"]
    assert judged[2].reasons == ('"b" has probability 0.550, and needs 0.600',)


def test_a_decision_with_its_review_survives_being_written():
    decision = Decision(
        ("a", "b", "c"), review=Review(least_probs=(0.4, 0.6, 0.1), novelty=1.7, sentence="why"), evidence={"n": 1}
    )
    for one in (decision, GREY):
        assert Decision.from_record(json.loads(json.dumps(one.to_record()))) == one


@pytest.mark.parametrize("ends", [(0.5, 0.4), (None, 0.4), (0.4, None), (-0.1, 0.5), (0.2, 1.1)])
def test_a_band_must_rise(ends):
    with pytest.raises(RecipeError, match=r"The grey band must be two rising scores in \[0, 1\], got"):
        Review(low=ends[0], high=ends[1])


def test_least_probabilities_must_fit_the_classes():
    with pytest.raises(RecipeError, match=r"must be one for each of 2 classes, got 1. Train the bundle again"):
        Decision(("a", "b"), review=Review(least_probs=(0.5,)))


def test_a_damaged_review_is_refused():
    record = GREY.to_record() | {"review": {"low": 0.1}}
    with pytest.raises(BundleError, match="decision in the bundle could not be read"):
        Decision.from_record(record)
