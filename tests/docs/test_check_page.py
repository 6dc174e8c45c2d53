"""The manual lists every kind of finding, and the limits that the code has."""

import re
from pathlib import Path

import pytest

from teliti.data import oddities, set_findings, small_defects
from teliti.data.findings import KINDS
from teliti.metrics.label_errors import MOST_DEMANDED
from teliti.workflow.checks import features as check_features

PAGE = (Path(__file__).parents[2] / "docs" / "check.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `(\w+)` \|(.+)\|$", PAGE, re.MULTILINE))


def test_every_kind_stands_on_the_page_and_nothing_else():
    assert list(ROWS) == list(KINDS)


@pytest.mark.parametrize(
    ("kind", "limit"),
    [
        ("uniform", f"{oddities.UNIFORM_SHARE:.0%}".replace("%", " %")),
        ("uniform", f"at most {oddities.UNIFORM_SPREAD:.0f} levels"),
        ("dark", f"below level {oddities.DARK_HIGH:.0f}"),
        ("bright", f"above level {oddities.BRIGHT_LOW:.0f}"),
        ("low_contrast", f"below {oddities.LOW_SPREAD:.0f} levels"),
        ("blurred", f"above {oddities.BLURRED:g}"),
        ("odd_size", f"below {oddities.SMALLEST_SIDE} pixels"),
        ("odd_shape", f"more than {oddities.LONGEST_ASPECT:.0f} times"),
        ("odd_mode", f"at most {100 * oddities.RARE_MODE:.0f} %"),
        ("small_defect", f"below {small_defects.FEWEST_PIXELS:.0f} pixels"),
        ("few_photos", f"below {set_findings.VERY_FEW_PHOTOS}, below {set_findings.FEW_PHOTOS}"),
        ("imbalance", f"{set_findings.UNEVEN:.0f} to 1"),
        ("overlap", f"above {100 * check_features.OVERLAPPING:.0f} %"),
    ],
)
def test_the_limits_are_those_of_the_code(kind, limit):
    assert limit in ROWS[kind]


def test_the_general_limits_are_those_of_the_code():
    assert f"more than {oddities.FAR:.0f} robust deviations" in PAGE
    assert f"at most {check_features.MOST_BY_DEFAULT:,} photos" in PAGE
    assert f"at most {MOST_DEMANDED:g} is demanded" in PAGE
