"""From validation scores to a decision: every kind of [decide], and what the bundle then says."""

import json

import numpy as np
import pytest

from teliti.errors import RecipeError
from teliti.evaluation import decision_record, threshold_record
from teliti.metrics.decision import Decision
from teliti.recipe import parse_recipe
from teliti.report.consequences import decision_sentences, preset_sentences
from teliti.report.deciding import deciding
from teliti.workflow.learning.deciding import decide

CLASSES = ["bad", "good"]
RNG = np.random.default_rng(7)
TARGETS = (np.arange(600) >= 200).astype(np.int64)  # 200 bad, 400 good
SCORES = np.where(TARGETS == 0, RNG.beta(6, 2, 600), RNG.beta(2, 6, 600))
PROBS = np.stack([SCORES, 1 - SCORES], axis=1)
NOVELTY = np.exp(RNG.normal(0, 0.2, 600))


def made(**values: object) -> Decision:
    recipe = parse_recipe({"data": {"positive": "bad"}, "decide": values})
    return decide(PROBS, TARGETS, classes=CLASSES, recipe=recipe, photos="validation photos", novelty=NOVELTY)


def test_by_itself_only_strangers_are_reviewed():
    decision = made()
    assert (decision.rule, decision.review.low) == ("f1", None)
    assert 0.01 < decision.is_reviewed(PROBS, novelty=NOVELTY).mean() <= 0.02
    assert made(novelty_share=0.0).review.novelty is None


def test_a_proof_is_in_the_bundle_with_its_words():
    decision = made(max_miss_rate=0.05, confidence=0.95)
    record = threshold_record(Decision.from_record(json.loads(json.dumps(decision.to_record()))))
    assert record["proven"] is True
    assert record["sentence"].startswith("Proven: with 95 % confidence at most 5 % of bad pass at the threshold")
    missed = int((SCORES[TARGETS == 0] < decision.threshold).sum())
    assert missed == record["promises"][0]["allowed"] == 4  # scipy.stats.binom.cdf(4, 200, 0.05) = 0.026, of 5 0.062


def test_what_cannot_be_proven_is_said_with_what_would_help():
    record = threshold_record(made(max_miss_rate=0.01, confidence=0.95))
    assert record["proven"] is False
    assert "that takes 299 photos of bad without a miss, and there are 200, so 99 more are needed" in record["sentence"]
    assert "proves with 95 % confidence only that at most 1.49 % pass" in record["sentence"]


def test_two_promised_rates_leave_a_band_between_them():
    decision = made(max_miss_rate=0.05, max_false_alarm_rate=0.02, guarantee="proven")
    assert decision.threshold == decision.review.low < decision.review.high
    assert threshold_record(decision)["proven"] is True
    good = SCORES[TARGETS == 1]
    assert (good >= decision.review.high).mean() <= 0.02


def test_costs_are_told_beside_simple_policies():
    decision = made(
        cost={"miss": 50, "false_alarm": 1, "review": 0.1}, per_day=20000, defect_rate=0.01, review_share=0.1
    )
    record = {
        "threshold": threshold_record(decision),
        "decision": decision_record(TARGETS, PROBS, novelty=NOVELTY, decision=decision, seed=7),
    }
    rows = {row["policy"]: row for row in record["decision"]["economy"]["rows"]}
    assert rows["always pass"]["cost"] == pytest.approx(10_000)
    assert rows["this inspector"]["cost"] < min(rows[name]["cost"] for name in ("always pass", "threshold 0.5"))
    words = " ".join(decision_sentences(record))
    assert "Expected cost a day, with 1.0 % defects:" in words
    assert "would be shown to a person" in words
    assert "verdicts that nobody checks" in words
    assert len(preset_sentences(record)) == 2
    page = str(deciding(record))
    assert page.count("<svg") == 2
    for caption in ("Expected cost a day, by the test part", "What other thresholds would do on the test part"):
        assert caption in page
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_more_classes_get_a_least_probability_each():
    probs = RNG.dirichlet([1, 1, 1], 300)
    recipe = parse_recipe({"decide": {"review_share": 0.1, "novelty_share": 0.0}})
    decision = decide(probs, probs.argmax(axis=1), classes=["a", "b", "c"], recipe=recipe, photos="photos")
    assert decision.rule == "argmax"
    assert decision.is_reviewed(probs).mean() == pytest.approx(0.1, abs=0.01)


def three(**values: object) -> Decision:
    probs = RNG.dirichlet([1, 1, 1], 600)
    targets = np.array([RNG.choice(3, p=row) for row in probs])
    recipe = parse_recipe({"data": {"positive": "a"}, "decide": {"novelty_share": 0.0, **values}})
    return decide(probs, targets, classes=["a", "b", "c"], recipe=recipe, photos="photos")


def test_a_rate_of_false_alarms_is_not_promised_where_verdicts_are_class_names():
    with pytest.raises(RecipeError, match="must have photos that pass or are rejected, got class names as verdicts"):
        three(max_miss_rate=0.1, max_false_alarm_rate=0.02, guarantee="proven")


def test_a_price_for_a_look_that_leads_to_no_band_is_said():
    cost = {"miss": 50, "false_alarm": 1, "review": 0.1}
    assert three(cost=cost).review.sentence.startswith("No score is shown to a person: with class names as verdicts")
    assert three(cost=cost, review_share=0.1).review.sentence.startswith("Of each class the least certain 10 %")
    assert three(cost=cost | {"review": 90}).review.sentence == ""


def test_a_record_without_a_decision_says_nothing():
    assert decision_sentences({"threshold": {"value": 0.5}}) == []
    assert str(deciding({})) == ""
