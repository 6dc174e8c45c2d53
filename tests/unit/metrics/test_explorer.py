"""Every threshold's consequences, against scikit-learn; reliability; three verdicts."""

import json

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_score, recall_score

from teliti.evaluation import decision_record
from teliti.metrics.automatic import economy, three_verdicts
from teliti.metrics.decision import Decision
from teliti.metrics.explorer import MOST_ROWS, explore
from teliti.metrics.line import Line
from teliti.metrics.novelty import novelty_limit
from teliti.metrics.reliability import reliability
from teliti.metrics.review import Review
from teliti.recipe import Cost

RNG = np.random.default_rng(7)
BAD = np.arange(900) < 300
SCORES = np.where(BAD, RNG.beta(5, 2, 900), RNG.beta(2, 5, 900))
LINE = Line(Cost(miss=50, false_alarm=1), defect_rate=0.01, parts=1000)


def test_rows_agree_with_scikit_learn():
    record = explore(SCORES, BAD, chosen=0.4321, line=LINE)
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    chosen = next(row for row in record["rows"] if row["threshold"] == 0.4321)
    flagged = SCORES >= 0.4321
    assert [
        [chosen["true_negatives"], chosen["false_positives"]], [chosen["false_negatives"], chosen["true_positives"]]
    ] == confusion_matrix(BAD, flagged).tolist()  # fmt: skip
    assert chosen["recall"] == pytest.approx(recall_score(BAD, flagged))
    assert chosen["precision"] == pytest.approx(precision_score(BAD, flagged))
    misses, alarms = 0.01 * (1 - chosen["recall"]), 0.99 * (1 - chosen["specificity"])
    assert chosen["cost"] == pytest.approx(1000 * (50 * misses + alarms))
    assert chosen["precision_on_line"] == pytest.approx(0.01 * chosen["recall"] / (0.01 * chosen["recall"] + alarms))
    assert chosen["reviewed"] == 0.0


def test_every_threshold_that_parts_the_photos_differently_has_a_row():
    scores = SCORES.round(2)
    record = explore(scores, BAD, chosen=None)
    assert record["thresholds"] == len(record["rows"]) == len(np.unique(scores)) + 1
    flagged = {int((scores >= row["threshold"]).sum()) for row in record["rows"]}
    assert flagged == {int((scores >= cut).sum()) for cut in (*np.unique(scores), 2.0)}


def test_many_thresholds_are_thinned_and_counted():
    scores = np.linspace(0.001, 0.999, 2 * MOST_ROWS)
    record = explore(scores, scores > 0.5, chosen=0.12345)
    assert record["thresholds"] == 2 * MOST_ROWS + 1
    assert len(record["rows"]) == MOST_ROWS + 1
    assert any(row["threshold"] == 0.12345 for row in record["rows"])


@pytest.mark.parametrize("threshold", [0.2, 0.4, 0.9])
def test_looks_cost_what_a_look_costs_in_a_band_that_reaches_to_the_threshold(threshold):
    line = Line(Cost(miss=50, false_alarm=1, review=0.5), defect_rate=0.01, parts=1000)
    new = RNG.random(900) < 0.1
    record = explore(SCORES, BAD, chosen=threshold, review=Review(low=0.3, high=0.6), is_new=new, line=line)
    row = next(row for row in record["rows"] if row["threshold"] == threshold)
    low, high = sorted([0.3, 0.6, threshold])[0], sorted([0.3, 0.6, threshold])[-1]
    rejected = threshold <= SCORES
    looks = new | ((low <= SCORES) & (high > SCORES))
    weights = np.where(BAD, 0.01 / 300, 0.99 / 600)
    assert row["reviewed"] == pytest.approx(weights[looks].sum())
    misses = weights[BAD & ~looks & ~rejected].sum()
    alarms = weights[~BAD & ~looks & rejected].sum()
    assert row["cost"] == pytest.approx(1000 * (50 * misses + alarms + 0.5 * weights[looks].sum()))


def test_the_chosen_row_costs_what_the_inspector_costs():
    line = Line(Cost(miss=10, false_alarm=1, review=0.5))
    review, novelty = Review(low=0.3, high=0.6, novelty=2.0), RNG.gamma(2.0, 0.5, 900)
    decision = Decision(
        ("bad", "good"), positive="bad", threshold=0.5, review=review, evidence={"line": line.to_record()}
    )
    probs, labels = np.stack([SCORES, 1 - SCORES], axis=1), np.where(BAD, 0, 1)
    record = decision_record(labels, probs, novelty=novelty, decision=decision, seed=7)
    row = next(row for row in record["explorer"]["rows"] if row["threshold"] == 0.5)
    assert row["cost"] == pytest.approx(record["economy"]["rows"][0]["cost"])
    assert row["reviewed"] == pytest.approx(record["economy"]["review_share"])


def test_presets_are_told_by_their_consequence():
    recall_first, precision_first = explore(SCORES, BAD, chosen=None)["presets"]
    assert recall_first["recall"] >= 0.99
    assert precision_first["precision"] >= 0.99
    assert recall_first["sentence"].startswith("Recall first, threshold 0.")
    assert "of 100 defective parts" in precision_first["sentence"]


def test_the_consequence_of_a_preset_is_a_whole_sentence():
    scores, bad = np.array([0.1, 0.2, 0.6, 0.8]), np.array([False, False, False, True])
    recall_first, precision_first = explore(scores, bad, chosen=None)["presets"]
    assert recall_first["sentence"] == (
        "Recall first, threshold 0.7: of 100 defective parts 0 would pass, of 100 good ones 0 would be rejected; "
        "of 100 rejects 100 would be defective."
    )
    assert precision_first["sentence"].startswith("Precision first, threshold 0.7: ")
    (strict,) = [one for one in explore(scores, ~bad, chosen=None)["presets"] if one["name"] == "precision first"]
    assert "of 100 good ones 100 would be rejected; of 100 rejects 75 would be defective." in strict["sentence"]


def test_one_kind_of_photo_has_no_rows():
    assert explore(SCORES[:5], BAD[:5], chosen=None)["rows"] == []


def test_right_probabilities_are_reliable_and_wrong_ones_are_not():
    rng = np.random.default_rng(1)
    stated = rng.random(4000)
    right = reliability(stated, rng.random(4000) < stated, seed=7)
    assert right["error"] < 2 * right["expected"]
    wrong = reliability(stated, rng.random(4000) < stated**2, seed=7)
    assert wrong["interval"][0] > 5 * right["expected"]
    assert sum(row["photos"] for row in wrong["bins"]) == 4000
    assert reliability(np.empty(0), np.empty(0, bool), seed=7)["error"] is None


def test_three_verdicts_are_counted():
    decision = Decision(
        ("bad", "good"), positive="bad", threshold=0.5, review=Review(low=0.3, high=0.6, novelty=2.0),
        evidence={"line": Line(Cost(miss=10, false_alarm=1, review=0.5)).to_record()},
    )  # fmt: skip
    scores = np.array([0.1, 0.4, 0.9, 0.1, 0.7, 0.2])
    probs, labels = np.stack([scores, 1 - scores], axis=1), np.array([0, 0, 0, 1, 1, 1])
    novelty = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 3.0])
    found = three_verdicts(labels, probs, novelty=novelty, decision=decision)
    assert (found["reviewed"], found["as_new"], found["automatic"], found["right"]) == (2, 1, 4, 2)
    assert (found["bad"], found["missed"], found["caught"], found["false_alarms"]) == (3, 1, 1, 1)
    costs = economy(labels, probs, novelty=novelty, decision=decision, seed=7)
    assert costs["rows"][0]["cost"] == pytest.approx(1000 * (10 + 2 * 0.5 + 1) / 6)
    assert costs["review_share"] == pytest.approx(2 / 6)


def test_who_reviews_nothing_has_no_three_verdicts():
    decision = Decision(("bad", "good"), positive="bad", threshold=0.5)
    probs = np.array([[0.4, 0.6]])
    assert three_verdicts(np.array([0]), probs, novelty=None, decision=decision) is None
    assert economy(np.array([0]), probs, novelty=None, decision=decision, seed=7) is None


def test_the_limit_of_novelty_is_passed_as_often_as_asked():
    rng = np.random.default_rng(3)
    for count in (20, 200):
        passed = [
            (np.exp(rng.normal(0, 0.2, 500)) > novelty_limit(np.exp(rng.normal(0, 0.2, count)), share=0.05)).mean()
            for _ in range(200)
        ]
        assert 0.02 < np.mean(passed) <= 0.055
    assert novelty_limit(np.ones(4), share=0.05) is None
