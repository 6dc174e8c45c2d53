"""Numbers as words: one way to print each kind, and a dash for what is not known."""

import pytest

from teliti.report import wording


@pytest.mark.parametrize(
    ("function", "value", "printed"),
    [
        (wording.percent, 0.8839, "88.4 %"),
        (wording.percent, None, wording.MISSING),
        (wording.percent, float("nan"), wording.MISSING),
        (wording.number, 2624, "2,624"),
        (wording.number, 71.42, "71.4"),
        (wording.number, 0.9361, "0.936"),
        (wording.number, 3.1e-7, "3.10e-07"),
        (wording.number, 12345.6, "12,346"),
        (wording.number, float("inf"), "inf"),
        (wording.number, None, wording.MISSING),
        (wording.percent_interval, [0.851, 0.904], "85.1 to 90.4 %"),
        (wording.percent_interval, [None, 0.904], wording.MISSING),
        (wording.number_interval, [0.91, 0.95], "0.910 to 0.950"),
        (wording.number_interval, None, wording.MISSING),
        (wording.seconds, 0.354, "0.35 s"),
        (wording.seconds, 12.44, "12.4 s"),
        (wording.seconds, 78.9, "1 min 19 s"),
        (wording.seconds, "soon", wording.MISSING),
        (wording.per_hundred, 0.0, "none"),
        (wording.per_hundred, 0.004, "fewer than 1"),
        (wording.per_hundred, 0.123, "about 12"),
        (wording.per_hundred, 0.998, "more than 99"),
        (wording.per_hundred, 1.0, "all"),
    ],
)
def test_numbers_are_printed(function, value, printed):
    assert function(value) == printed


def test_amounts_take_their_noun():
    assert [wording.count(n, "photo") for n in (0, 1, 2624)] == ["0 photos", "1 photo", "2,624 photos"]
    assert wording.count(2, "class") == "2 classes"


def test_names_are_listed():
    assert wording.listed(["a"]) == "a"
    assert wording.listed(["a", "b", "c"]) == "a, b and c"
    assert wording.listed(list("abcdefgh"), limit=3) == "a, b, c and 5 more"
    assert wording.listed([]) == ""


def test_a_boolean_is_no_number():
    assert not wording.is_number(True)
