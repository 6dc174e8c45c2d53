"""The decision on the page: headings, tables and figures say what the record says, and are silent without it."""

import numpy as np
import pytest

from teliti.evaluation import decision_record, threshold_record
from teliti.metrics.decision import Decision
from teliti.metrics.explorer import MOST_ROWS
from teliti.metrics.line import Line
from teliti.metrics.review import Review
from teliti.recipe import Cost
from teliti.report.consequences import explorer_note
from teliti.report.deciding import SHOWN_ROWS, deciding

LABELS = (np.arange(60) >= 20).astype(int)
SCORES = np.where(LABELS == 0, 0.2, 0.05) + np.linspace(0.0, 0.6, 60)


def record_of(**choices):
    decision = Decision(("bad", "good"), positive="bad", threshold=0.4321, **choices)
    probs = np.stack([SCORES, 1 - SCORES], axis=1)
    return {
        "threshold": threshold_record(decision),
        "decision": decision_record(LABELS, probs, novelty=None, decision=decision, seed=7),
    }


@pytest.fixture(scope="module")
def costed():
    line = Line(Cost(miss=50, false_alarm=1, review=0.5), defect_rate=0.01, parts=20_000, per_day=True)
    return record_of(review=Review(low=0.3, high=0.6), evidence={"line": line.to_record()})


def test_everything_has_its_heading(costed):
    page = deciding(costed)
    for words in (
        "Expected cost a day, by the test part", "What other thresholds would do on the test part", "Every threshold",
        "Recall, precision and specificity over the threshold; the chosen threshold is 0.432",
        "Do probabilities mean what they say?", "Observed share", "0.432 (chosen)", "always reject", "certain",
        "Defects passed", "Good parts rejected", "Shown to a person", "Defects found", "20 of 20",
        "Good ones rejected", "40 of 40",
    ):  # fmt: skip
        assert words in page, words


def test_the_note_counts_the_thresholds_and_says_what_a_look_counts(costed):
    rows = costed["decision"]["explorer"]["rows"]
    note = explorer_note(costed, shown=SHOWN_ROWS)
    assert note.startswith(
        f"15 of {len(rows) - 1} thresholds; metrics.json holds all of them. Counts and shares of found"
    )
    assert note.endswith(
        "stretched to a threshold outside it, and the photos that look new; looks are part of the cost."
    )
    assert "15 of 61 thresholds" in deciding(costed)
    many = {"decision": {"explorer": {"thresholds": 9000, "rows": [{}] * MOST_ROWS}}}
    assert explorer_note(many, shown=15) == "15 of 9,000 thresholds; metrics.json holds 2,000 of them."


def test_without_costs_and_band_there_are_no_columns_for_them():
    page = deciding(record_of())
    assert "Expected cost" not in page
    assert "Shown to a person" not in page
    assert deciding({}) == ""
