"""Of each verdict the surest photos are left to the machine, as many as keep their share of errors below a rate."""

import numpy as np
import pytest

from teliti.errors import RecipeError
from teliti.evaluation import decision_record, threshold_record
from teliti.metrics.decision import Decision
from teliti.metrics.guaranteed import LADDER, NEVER, automatic_part
from teliti.metrics.intervals import clopper_pearson_upper
from teliti.recipe import DecideRecipe, parse_recipe
from teliti.report.consequences import decision_sentences
from teliti.workflow.learning.deciding import decide

PROVEN = DecideRecipe(max_error_rate=0.05, confidence=0.9)


def world(n, seed=0):
    """Sureness in [0.5, 1], and wrong as often as honest probabilities say."""
    rng = np.random.default_rng(seed)
    sureness = 1.0 - 0.5 * rng.beta(1, 5, n)
    return sureness, rng.random(n) > sureness


def true_error(limit):
    fine, _ = world(200_000, seed=99)
    return (1.0 - fine[fine > limit]).mean()


def test_the_part_is_the_surest_and_its_errors_prove_the_rate():
    sureness, wrong = world(2000)
    part = automatic_part(sureness, wrong, PROVEN, least=-np.inf)
    inside = sureness > part.limit
    assert (inside.sum(), wrong[inside].sum()) == (part.photos, part.promise.allowed)
    bound = clopper_pearson_upper(part.promise.allowed, part.photos, confidence=1 - 0.1 / LADDER)
    assert bound == part.promise.bound <= 0.05
    assert 0.1 < inside.mean() < 1.0


@pytest.mark.parametrize(("draws", "photos"), [(150, 400), pytest.param(1000, 1500, marks=pytest.mark.slow)])
def test_a_proof_is_wrong_no_more_often_than_it_says(draws, photos):
    broken = 0
    for seed in range(draws):
        part = automatic_part(*world(photos, seed=seed), PROVEN, least=-np.inf)
        broken += part.limit is not None and true_error(part.limit) > 0.05
    assert broken / draws <= 0.1 + 2 * np.sqrt(0.1 * 0.9 / draws)


def test_what_was_only_observed_is_broken_often():
    observed = DecideRecipe(max_error_rate=0.05)
    limits = [automatic_part(*world(400, seed=seed), observed, least=-np.inf).limit for seed in range(40)]
    assert sum(true_error(limit) > 0.05 for limit in limits) > 8


def test_too_few_photos_prove_nothing():
    part = automatic_part(np.linspace(0.5, 1.0, 50), np.zeros(50, bool), PROVEN, least=-np.inf)
    assert (part.limit, part.photos, part.promise.held) == (None, 0, False)
    assert part.promise.needed == 90  # log(0.01) / log(0.95), without an error
    assert part.promise.more == 40


def made(targets, probs, classes, **values):
    data = {"positive": "bad"} if "bad" in classes else {}
    recipe = parse_recipe({"data": data, "decide": {"novelty_share": 0.0, **values}})
    return decide(probs, targets, classes=classes, recipe=recipe, photos="validation photos")


def two_classes(n, seed=0):
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, 2, n)  # 0 is bad
    scores = np.where(targets == 0, rng.beta(5, 2, n), rng.beta(2, 5, n))
    return targets, np.stack([scores, 1 - scores], axis=1)


def test_two_classes_get_a_band_with_few_errors_on_either_side():
    targets, probs = two_classes(3000)
    decision = made(targets, probs, ["bad", "good"], max_error_rate=0.05, confidence=0.95)
    review, scores = decision.review, probs[:, 0]
    assert 0.0 < review.low < decision.threshold < review.high < 1.0
    assert (targets[scores < review.low] == 0).mean() < 0.05
    assert (targets[scores >= review.high] == 1).mean() < 0.05
    record = threshold_record(decision)
    assert record["proven"] is True
    assert [promise["of"] for promise in record["promises"]] == ["pass", "are rejected"]
    assert review.sentence.startswith(
        "Proven with 95 % confidence: at most 5 % errors among the surest photos that pass"
    )
    assert review.sentence.endswith("The others are shown to a person.")
    fresh = decision_record(*two_classes(3000, seed=5), novelty=None, decision=decision, seed=1)["three_verdicts"]
    assert fresh["accuracy"] > 0.95
    assert "verdicts that nobody checks" in " ".join(decision_sentences({"decision": {"three_verdicts": fresh}}))


def test_a_side_that_cannot_be_proven_is_shown_to_a_person_whole():
    targets, probs = two_classes(150)
    decision = made(targets, probs, ["bad", "good"], max_error_rate=0.01, confidence=0.95)
    assert (decision.review.low, decision.review.high) == (0.0, NEVER)
    assert set(decision.verdicts(np.array([[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]]))) == {"review"}
    assert (
        "None of the photos that pass is left to the machine: that takes 528 of them without an error, and there "
        in decision.review.sentence
    )
    assert threshold_record(decision)["proven"] is False
    back = Decision.from_record(decision.to_record())
    assert back.review == decision.review


def three_classes(n, seed=0):
    """The third class is seldom told rightly."""
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet([0.1, 0.1, 0.1], n)
    targets = np.array([rng.choice(3, p=row) for row in probs])
    return np.where((probs.argmax(axis=1) == 2) & (rng.random(n) < 0.3), 0, targets), probs


def test_more_classes_get_a_limit_and_a_promise_each():
    targets, probs = three_classes(4000)
    decision = made(targets, probs, ["a", "b", "c"], max_error_rate=0.04, guarantee="proven")
    least = decision.review.least_probs
    labels = probs.argmax(axis=1)
    for label in (0, 1):
        taken = (labels == label) & (probs[:, label] >= least[label])
        assert taken.any()
        assert (targets[taken] != label).mean() < 0.04
    assert least[2] == NEVER
    assert [promise["held"] for promise in decision.evidence["promises"]] == [True, True, False]
    assert 'None of the photos called "c" is left to the machine: too many of the surest' in decision.review.sentence
    reviewed = decision.is_reviewed(probs)
    assert reviewed[labels == 2].all()
    observed = made(targets, probs, ["a", "b", "c"], max_error_rate=0.04)
    assert observed.review.sentence.startswith(
        "Observed, not proven: at most 4 % errors among the surest photos called"
    )
    assert observed.is_reviewed(probs).mean() < reviewed.mean()


def test_perfect_classes_need_no_look():
    targets = np.arange(900) % 3
    probs = np.full((900, 3), 0.05)
    probs[np.arange(900), targets] = 0.9
    decision = made(targets, probs, ["a", "b", "c"], max_error_rate=0.05, confidence=0.95)
    assert decision.review.least_probs == (0.0, 0.0, 0.0)
    assert not decision.is_reviewed(probs).any()


def test_a_proof_by_class_refuses_a_threshold_that_its_own_photos_chose():
    targets, probs = three_classes(300)
    with pytest.raises(RecipeError, match="must stand beside a given threshold or the most probable class"):
        made(targets, probs, ["a", "b", "bad"], max_error_rate=0.04, rule="f1")
