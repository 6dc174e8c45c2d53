"""Successive halving on made-up trials whose scores and times are known."""

from __future__ import annotations

import math
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teliti.errors import UserError
from teliti.tuning.halving import halve


class Clock:
    """A clock that a trial moves on: one second for each unit of resource."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def halve_numbers(candidates, *, budget_s=1e9, resources=(1, 2, 4), clock=None, **choices):
    """Candidates are their own scores."""
    clock = clock or Clock()

    def trial(candidate: float, resource: int) -> float:
        clock.now += resource
        return candidate

    return halve(candidates, trial, resources=resources, budget_s=budget_s, clock=clock, **choices)


def test_the_better_half_goes_on() -> None:
    found = halve_numbers([3.0, 9.0, 1.0, 7.0, 5.0, 2.0, 8.0, 4.0])
    assert found.rungs == (8, 4, 2)
    assert found.complete
    assert found.seconds == 8 * 1 + 4 * 2 + 2 * 4
    assert [one.candidate for one in found.standings] == [9.0, 8.0, 7.0, 5.0, 4.0, 3.0, 2.0, 1.0]
    assert [one.resource for one in found.standings] == [4, 4, 2, 2, 1, 1, 1, 1]
    assert found.standings[0].scores == (9.0, 9.0, 9.0)


def test_a_late_bloomer_is_ranked_by_its_last_score() -> None:
    table = {("a", 1): 2.0, ("b", 1): 1.0, ("c", 1): 0.0, ("a", 10): 0.0, ("b", 10): 5.0}
    found = halve(["a", "b", "c"], lambda name, resource: table[name, resource], resources=[1, 10], budget_s=60.0)
    assert [one.candidate for one in found.standings] == ["b", "a", "c"]


def test_trials_are_begun_only_while_their_time_is_left() -> None:
    found = halve_numbers([5.0, 6.0, 7.0, 8.0], budget_s=7.0)
    assert found.rungs == (4, 1)  # 4 s and 2 s; the second trial of that round would end at 8 s
    assert not found.complete
    assert found.standings[0].candidate == 8.0
    assert found.seconds == 6.0


def test_the_smallest_budget_still_answers() -> None:
    found = halve_numbers([5.0, 6.0], budget_s=1e-6)
    assert found.rungs == (1,)
    assert found.survivors(3) == (5.0,)
    assert found.standings[1].scores == ()


def test_keep_holds_a_round_at_a_number() -> None:
    assert halve_numbers([1.0, 2.0, 3.0, 4.0, 5.0], keep=4).rungs == (5, 4, 4)


def test_a_score_that_is_no_number_loses() -> None:
    found = halve_numbers([math.nan, -1e9, math.nan], resources=(1,))
    assert found.standings[0].candidate == -1e9


def test_equal_scores_keep_the_given_order() -> None:
    found = halve(["first", "second"], lambda name, resource: 0.0, resources=[1, 2], budget_s=9.0)  # noqa: ARG005
    assert found.survivors(1) == ("first",)


def test_interruption_passes_through() -> None:
    def trial(candidate: int, resource: int) -> float:  # noqa: ARG001
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        halve([1], trial, resources=[1], budget_s=1.0)


def test_every_trial_is_told() -> None:
    told = []

    class Listener:
        @contextmanager
        def task(self, title, total):
            yield lambda amount: told.append((title, total, amount))

        def note(self, message) -> None: ...

    halve_numbers([1.0, 2.0], resources=(1, 2), reporter=Listener(), title="Trying")
    assert told == [("Trying, round 1 of 2", 2, 1)] * 2 + [("Trying, round 2 of 2", 1, 1)]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40, unique=True), st.floats(1.1, 5.0))
def test_with_true_scores_and_time_the_best_wins(scores: list[float], reduction: float) -> None:
    found = halve_numbers(scores, reduction=reduction)
    assert found.standings[0].candidate == max(scores)
    assert len(found.standings) == len(scores)
    assert list(found.rungs) == sorted(found.rungs, reverse=True)


@pytest.mark.parametrize(
    ("candidates", "choices", "message"),
    [
        ([], {}, "A search must have candidates, got none"),
        ([1.0], {"resources": ()}, r"resources must rise from at least 1, got \[\]"),
        ([1.0], {"resources": (2, 2)}, r"resources must rise from at least 1, got \[2, 2\]"),
        ([1.0], {"resources": (0, 2)}, r"resources must rise from at least 1, got \[0, 2\]"),
        ([1.0], {"budget_s": 0.0}, "The budget must be above 0 seconds, got 0"),
        ([1.0], {"budget_s": math.nan}, "The budget must be above 0 seconds, got nan"),
        ([1.0], {"reduction": 1.0}, "reduction must be above 1, got 1"),
    ],
)
def test_impossible_searches_are_refused(candidates, choices, message) -> None:
    with pytest.raises(UserError, match=message):
        halve_numbers(candidates, **choices)
