"""The defect is found by its name, else it is the rarer class."""

import pytest

from teliti.errors import RecipeError
from teliti.metrics.defect_names import pick_positive

FOUR = ("blowhole", "crack", "free", "stain")
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
