"""Which answers stand wherever their last digits fall."""

from __future__ import annotations

import numpy as np
import pytest

from teliti.metrics.clearness import CLOSE, are_clear
from teliti.metrics.decision import Decision
from teliti.metrics.label_decision import LabelsDecision
from teliti.metrics.number_rule import NumberRule
from teliti.metrics.review import Review

TWO = Decision(("good", "bad"), "bad", threshold=0.3)


def rows(*scores: float) -> np.ndarray:
    return np.array([[1.0 - score, score] for score in scores], np.float32)


def test_a_score_near_the_threshold_is_not_clear() -> None:
    assert are_clear(TWO, rows(0.1, 0.2999, 0.3001, 0.9)) == [True, False, False, True]


def test_a_photo_is_judged_alike_alone_and_among_others() -> None:
    outputs = rows(*np.linspace(0.29, 0.31, 41))
    alone = [are_clear(TWO, outputs[at : at + 1])[0] for at in range(len(outputs))]
    assert are_clear(TWO, outputs) == alone
    assert alone.count(False) == pytest.approx(2 * CLOSE / 0.0005, abs=1)


def test_two_classes_of_nearly_one_probability_are_not_clear() -> None:
    three = Decision(("a", "b", "c"))
    outputs = np.array([[0.4995, 0.5, 0.0005], [0.2, 0.5, 0.3]], np.float32)
    assert are_clear(three, outputs) == [False, True]


def test_which_of_two_rejected_classes_is_named_is_part_of_the_answer() -> None:
    defects = Decision(("good", "crack", "dent"), pass_classes=("good",))
    outputs = np.array([[0.1, 0.4502, 0.4498], [0.1, 0.5, 0.4]], np.float32)
    assert {one.verdict for one in defects.judge(outputs)} == {"reject"}
    assert are_clear(defects, outputs) == [False, True]


def test_every_limit_counts() -> None:
    grey = Decision(("good", "bad"), "bad", threshold=0.3, review=Review(0.2, 0.4, sentence="By hand."))
    assert are_clear(grey, rows(0.1, 0.2, 0.35, 0.4)) == [True, False, True, False]
    new = Decision(("good", "bad"), "bad", threshold=0.3, review=Review(novelty=2.0))
    assert are_clear(new, rows(0.1, 0.1, 0.1), np.array([1.0, 1.9995, 2.5], np.float32)) == [True, False, True]
    labels = LabelsDecision(("crack", "dent"), (0.3, 0.6))
    outputs = np.array([[0.3002, 0.9], [0.1, 0.5998], [0.1, 0.9]], np.float32)
    assert are_clear(labels, outputs) == [False, False, True]


def test_numbers_are_clear_and_what_is_no_number_never_is() -> None:
    assert are_clear(NumberRule(), np.array([[1.0], [np.nan]], np.float32)) == [True, False]
    assert are_clear(TWO, np.array([[np.nan, np.nan], [0.9, 0.1]], np.float32)) == [False, True]
    assert are_clear(TWO, rows(0.1), np.array([np.inf], np.float32)) == [False]
