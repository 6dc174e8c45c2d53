"""Probabilities become scores, classes and verdicts; and the defect is found by its name."""

import json

import numpy as np
import pytest

from teliti.errors import BundleError, RecipeError, RunError, UserError
from teliti.metrics.decision import Decision, pick_positive

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


SAYS_DEFECT = [
    *("defective", "def_front", "Defekt", "bad", "NG", "n.g.", "NOK", "nio", "Fail", "failed", "reject", "rejected"),
    *("crack", "Crack-3", "scratches", "broken_glass", "damaged", "anomaly", "abnormal", "not ok", "notOK", "not_good"),
    *("nonfunctional", "non-functional", "malfunction", "imperfect", "unacceptable", "not free", "ok_with_scratch"),
]
SAYS_GOOD = [
    *("ok", "OK_front", "okay", "good", "Good Parts", "pass", "passed", "normal", "functional", "free", "perfect"),
    *("defect-free", "defectfree", "free of defects", "no defect", "noCrack", "non-defective", "undamaged", "flawless"),
    *("without scratches", "IO"),
]
SAYS_NOTHING = ["cat", "dental", "badge", "important", "noise", "left", "1", "", "不良"]


@pytest.mark.parametrize("name", SAYS_DEFECT)
def test_a_name_that_says_defect_is_positive_though_it_is_common(name):
    positive, sentence = pick_positive(("part", name), (1, 99), None)
    assert positive == name
    assert "because its name says defect" in sentence
    assert "change it with --set data.positive=part." in sentence


@pytest.mark.parametrize("name", SAYS_GOOD)
def test_the_opposite_of_a_name_that_says_good_is_positive(name):
    positive, sentence = pick_positive((name, "part"), (1, 99), None)
    assert positive == "part"
    assert f'because the name of "{name}" says good' in sentence


@pytest.mark.parametrize("name", SAYS_NOTHING)
def test_else_the_rarer_is_positive(name):
    assert pick_positive((name, "part"), (3, 99), None)[0] == name
    positive, sentence = pick_positive((name, "part"), (99, 3), None)
    assert positive == "part"
    assert "because it is the rarer one, 3 photos of 102" in sentence


@pytest.mark.parametrize("bad", SAYS_DEFECT)
@pytest.mark.parametrize("good", ["ok", "defect-free", "no crack", "functional"])
def test_defect_and_good_names_agree(bad, good):
    assert pick_positive((good, bad), (5, 5), None)[0] == bad
    assert pick_positive((bad, good), (5, 5), None)[0] == bad


def test_two_defects_are_told_apart_by_number_and_equal_numbers_by_order():
    assert pick_positive(("crack", "scratch"), (10, 20), None)[0] == "crack"
    positive, sentence = pick_positive(("crack", "scratch"), (10, 10), None)
    assert positive == "scratch"
    assert "both have as many photos" in sentence


def test_the_user_decides_first():
    assert pick_positive(("bad", "good"), (1, 9), "good") == (
        "good",
        '"good" is the positive class, as data.positive says.',
    )
    assert pick_positive(FOUR, (1, 1, 1, 1), "crack")[0] == "crack"


def test_more_classes_have_no_positive_and_the_sentence_says_how_to_name_one():
    positive, sentence = pick_positive(FOUR, (1, 1, 1, 1), None)
    assert positive is None
    assert sentence == (
        "With 4 classes the most probable one is the answer; name the defect with --set data.positive=blowhole, "
        "or the classes that pass with data.pass."
    )


def test_of_two_classes_the_one_that_does_not_pass_is_positive():
    positive, sentence = pick_positive(("left", "right"), (99, 1), None, pass_classes=("right",))
    assert positive == "left"
    assert sentence == '"left" is the positive class, as data.pass leaves it.'


def test_more_classes_of_which_some_pass_are_said_as_they_are():
    assert pick_positive(FOUR, (1, 1, 1, 1), None, pass_classes=("free",)) == (
        None,
        '"free" passes, any other class is a reject.',
    )
    assert '"free", "stain" pass, any' in pick_positive(FOUR, (1,) * 4, None, pass_classes=("free", "stain"))[1]
    assert pick_positive((), (), None) == (None, "")


def test_the_command_in_the_sentence_survives_the_shell_and_toml():
    assert pick_positive(("my 'ok", "bad"), (5, 5), None)[1].endswith(
        """change it with --set 'data.positive="my '"'"'ok"'."""
    )
    assert pick_positive(("1", "bad"), (5, 5), None)[1].endswith("""--set 'data.positive="1"'.""")
    assert pick_positive(("true", "bad"), (5, 5), None)[1].endswith("""--set 'data.positive="true"'.""")


def test_a_wrong_name_is_named_with_the_classes():
    with pytest.raises(
        RecipeError, match=r'data.positive must be one of "ok", "scratch", got "scrath". Did you mean "sc'
    ):
        pick_positive(("ok", "scratch"), (5, 5), "scrath")
    with pytest.raises(RecipeError, match=r'got "xyz". Choose one of them'):
        pick_positive(("ok", "scratch"), (5, 5), "xyz")
