"""Ranges of parameters: what a number means, what a pair means, and what is refused."""

from __future__ import annotations

from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from teliti.transforms.operations import Range, around, between, whole_seed


class Ranges(BaseModel):
    both: Annotated[Range, around(1.0, lowest=0.5, highest=2.0)] = (1.0, 1.0)
    up: Annotated[Range, around(0.0, lowest=0.0, highest=5.0, one_sided=True)] = (0.0, 0.0)


def test_a_number_goes_to_both_sides_of_nothing() -> None:
    assert Ranges(both=0.25).both == (0.75, 1.25)
    assert Ranges(both=-0.25).both == (0.75, 1.25)


def test_a_number_goes_up_where_there_is_no_below() -> None:
    assert Ranges(up=3).up == (0.0, 3.0)


@pytest.mark.parametrize("pair", [(0.5, 2.0), [0.5, 2.0], [2, 2]])
def test_a_pair_is_itself(pair) -> None:
    assert Ranges(both=pair).both == (float(pair[0]), float(pair[1]))


@pytest.mark.parametrize("wrong", [0.6, (0.4, 1.0), (1.0, 2.1), (1.5, 0.7), (1.0,), (1, 1, 1), "1", True, None,
                                   float("nan"), (float("nan"), 1.0), ("a", "b")])  # fmt: skip
def test_anything_else_is_refused(wrong) -> None:
    with pytest.raises(ValidationError, match=r"must be a number or a pair \(low, high\) that stays within 0.5 to 2"):
        Ranges(both=wrong)


@given(st.floats(0.0, 1.0, exclude_max=True))
def test_values_lie_between_the_ends(unit: float) -> None:
    assert -3.0 <= between((-3.0, 4.0), unit) <= 4.0
    assert between((2.0, 2.0), unit) == 2.0
    assert 0 <= whole_seed(unit) < 2**53
