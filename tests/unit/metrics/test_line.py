"""Costs on the line, against sums by hand."""

import numpy as np
import pytest

from teliti.metrics.line import PASSED, REJECTED, REVIEWED, Line, carry_over, cost_rows, line_weights
from teliti.recipe import Cost, DecideRecipe

COST = Cost(miss=50, false_alarm=1, review=2)
BAD = np.arange(100) < 20


def test_costs_a_day_by_hand():
    outcomes = np.full(100, PASSED)
    outcomes[2:20] = REJECTED  # 2 of 20 defects pass
    outcomes[20:28] = REJECTED  # 8 of 80 good parts are rejected
    outcomes[28:36] = REVIEWED
    line = Line(COST, defect_rate=0.01, parts=20_000, per_day=True)
    own, half, passing, rejecting = cost_rows(outcomes, outcomes == REJECTED, BAD, line=line, seed=7)
    assert own["cost"] == pytest.approx(20_000 * (0.01 * 0.1 * 50 + 0.99 * 0.1 * 1 + 0.99 * 0.1 * 2))
    assert own["interval"][0] < own["cost"] < own["interval"][1]
    assert (own["misses"], own["false_alarms"], own["looks"]) == pytest.approx((20.0, 1980.0, 1980.0))
    assert half["cost"] == pytest.approx(20_000 * (0.01 * 0.1 * 50 + 0.99 * 0.1))
    assert (passing["cost"], passing["interval"]) == (pytest.approx(10_000), None)
    assert (rejecting["cost"], rejecting["interval"]) == (pytest.approx(19_800), None)


def test_no_miss_among_few_photos_does_not_make_misses_impossible():
    outcomes = np.where(BAD, REJECTED, PASSED)
    own = cost_rows(outcomes, outcomes == REJECTED, BAD, line=Line(COST), seed=7)[0]
    assert own["cost"] == 0.0
    assert own["interval"][1] > 100.0  # up to a few per cent of a fifth of 1,000 parts at 50 each


def test_with_one_kind_of_photo_nothing_is_known_of_costs():
    assert cost_rows(np.zeros(3, np.int64), np.zeros(3, bool), np.ones(3, bool), line=Line(COST), seed=7) == []


def test_a_look_without_a_price_costs_a_false_alarm():
    assert Line(Cost(miss=9, false_alarm=3)).prices().tolist() == [[0, 3, 3], [9, 3, 0]]


def test_weights_give_defects_their_share_on_the_line():
    weights = line_weights(BAD, 0.01)
    assert weights.sum() == pytest.approx(1.0)
    assert weights[BAD].sum() == pytest.approx(0.01)
    assert line_weights(BAD, None).tolist() == [0.01] * 100


def test_a_probability_is_carried_over_by_bayes():
    likelihood_ratio = 3.0
    measured, line = (likelihood_ratio * odds / (1 + likelihood_ratio * odds) for odds in (0.3 / 0.7, 0.01 / 0.99))
    assert carry_over(measured, measured=0.3, line=0.01) == pytest.approx(line)


def test_a_line_survives_being_written():
    line = Line.of(DecideRecipe(cost=COST, defect_rate=0.01, per_day=500))
    assert Line.from_record(line.to_record()) == line
    assert (line.unit, Line(COST).unit) == ("a day", "per 1,000 parts")
    assert Line.of(DecideRecipe()) is None
