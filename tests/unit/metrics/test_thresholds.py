"""Four rules for the threshold, each checked against trying every threshold."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import f1_score

from teliti.errors import RecipeError, UserError
from teliti.metrics.thresholds import choose_threshold
from teliti.recipe import Cost, DecideRecipe

SCORED = st.lists(st.tuples(st.booleans(), st.integers(0, 20)), min_size=1, max_size=30).filter(
    lambda pairs: any(flag for flag, _ in pairs)
)
TRIED = np.linspace(0.0, 1.0, 81)  # scores lie on twentieths, so that these contain every way to part them


def _arrays(pairs):
    return np.array([score / 20 for _, score in pairs]), np.array([flag for flag, _ in pairs])


def _errors(scores, positives, value):
    flagged = scores >= value
    return int((positives & ~flagged).sum()), int((~positives & flagged).sum())


def _f1(positives, misses, alarms):
    hits = positives.sum() - misses
    return 2 * hits / (2 * hits + misses + alarms)


@given(SCORED)
def test_best_f1_is_the_best_of_all_thresholds(pairs):
    scores, positives = _arrays(pairs)
    chosen = choose_threshold(scores, positives, DecideRecipe())
    reached = f1_score(positives, scores >= chosen.value)
    assert chosen.rule == "f1"
    assert reached == pytest.approx(max(_f1(positives, *_errors(scores, positives, value)) for value in TRIED))
    assert f"has the best F1, {reached:.3f}." in chosen.sentence
    assert (chosen.misses, chosen.false_alarms) == _errors(scores, positives, chosen.value)


@given(SCORED, st.sampled_from([0.0, 0.05, 0.1, 0.5, 1.0]))
def test_miss_rate_keeps_its_word_and_raises_the_fewest_alarms(pairs, rate):
    scores, positives = _arrays(pairs)
    chosen = choose_threshold(scores, positives, DecideRecipe(max_miss_rate=rate))
    assert chosen.misses / chosen.positives <= rate + 1e-9
    allowed = [_errors(scores, positives, value) for value in TRIED]
    assert chosen.false_alarms == min(alarms for misses, alarms in allowed if misses <= rate * positives.sum() + 1e-9)


@given(SCORED, st.sampled_from([(1.0, 1.0), (50.0, 1.0), (0.0, 1.0), (1.0, 0.0), (0.1, 0.3)]))
def test_cheapest_is_the_cheapest_of_all_thresholds(pairs, costs):
    scores, positives = _arrays(pairs)
    chosen = choose_threshold(scores, positives, DecideRecipe(cost=Cost(miss=costs[0], false_alarm=costs[1])))
    every = [_errors(scores, positives, value) for value in TRIED]
    totals = [costs[0] * misses + costs[1] * alarms for misses, alarms in every]
    assert costs[0] * chosen.misses + costs[1] * chosen.false_alarms == pytest.approx(min(totals))


@given(SCORED)
def test_thresholds_lie_midway_so_that_small_changes_change_no_verdict(pairs):
    scores, positives = _arrays(pairs)
    value = choose_threshold(scores, positives, DecideRecipe()).value
    assert 0.0 <= value <= 1.0
    if value > 0.0:
        for moved in (scores + 0.01, scores - 0.01):
            np.testing.assert_array_equal(moved >= value, scores >= value)


def test_separated_scores_are_parted_in_the_middle_of_the_gap():
    scores, positives = np.array([0.1, 0.2, 0.6, 0.9]), np.array([False, False, True, True])
    for decide in (DecideRecipe(), DecideRecipe(max_miss_rate=0.0), DecideRecipe(cost=Cost(miss=5))):
        assert choose_threshold(scores, positives, decide).value == pytest.approx(0.4)


def test_order_of_the_photos_does_not_matter():
    rng = np.random.default_rng(0)
    scores, positives = rng.random(50).round(2), rng.random(50) < 0.4
    shuffle = rng.permutation(50)
    for decide in (DecideRecipe(), DecideRecipe(max_miss_rate=0.1), DecideRecipe(cost=Cost(miss=3))):
        assert choose_threshold(scores, positives, decide) == choose_threshold(
            scores[shuffle], positives[shuffle], decide
        )


def test_dearer_misses_lower_the_threshold():
    rng = np.random.default_rng(1)
    positives = rng.random(300) < 0.3
    scores = np.clip(0.35 + 0.25 * positives + rng.normal(scale=0.15, size=300), 0, 1)
    values = [
        choose_threshold(scores, positives, DecideRecipe(cost=Cost(miss=miss))).value for miss in (0.1, 1, 10, 100)
    ]
    assert values == sorted(values, reverse=True)
    assert values[0] > values[-1]


def test_sentence_of_the_miss_rate_says_observed_not_proven_with_the_exact_bound():
    positives = np.arange(200) < 60
    scores = np.where(positives, 0.7, 0.2)
    scores[:1] = 0.1  # one defect in sixty looks good
    chosen = choose_threshold(
        scores, positives, DecideRecipe(max_miss_rate=0.02), positive_name="scratch", photos="out-of-fold scores"
    )
    bound = binomtest(1, 60, alternative="less").proportion_ci(0.95, "exact").high
    assert chosen.miss_rate_upper == pytest.approx(bound)
    assert chosen.sentence == (
        "The threshold 0.45 is the highest that misses at most 2 % of the positives. "
        "On the 200 out-of-fold scores it misses 1 of 60 scratch and raises 0 false alarms among 140 others. "
        f"This was observed, not proven: with 95 % confidence the miss rate on such photos is at most "
        f"{100 * bound:.1f} % (Clopper-Pearson), and the threshold was fitted to them; the test part is the check."
    )


def test_a_given_threshold_is_kept_and_judged():
    chosen = choose_threshold(np.array([0.3, 0.5, 0.9]), np.array([True, False, True]), DecideRecipe(threshold=0.5))
    assert (chosen.value, chosen.rule, chosen.misses, chosen.false_alarms) == (0.5, "fixed", 1, 1)
    assert chosen.sentence.startswith(
        "The threshold 0.5 was given. On the 3 validation photos it misses 1 of 2 positive"
    )


def test_the_more_probable_side_is_one_half():
    chosen = choose_threshold(np.array([0.4, 0.6]), np.array([False, True]), DecideRecipe(rule="argmax"))
    assert (chosen.value, chosen.rule, chosen.misses, chosen.false_alarms) == (0.5, "argmax", 0, 0)


def test_given_thresholds_need_no_photos():
    nothing = np.empty(0), np.empty(0, dtype=bool)
    chosen = choose_threshold(*nothing, DecideRecipe(threshold=0.3))
    assert (chosen.value, chosen.positives, chosen.miss_rate_upper) == (0.3, 0, 1.0)


def test_equal_scores_are_all_positive_and_the_sentence_says_so():
    chosen = choose_threshold(np.full(4, 0.6), np.array([True, False, True, True]), DecideRecipe())
    assert chosen.value == pytest.approx(0.3)
    assert (chosen.misses, chosen.false_alarms) == (0, 1)
    assert chosen.sentence.endswith("All scores are the same, so that no threshold parts these photos.")


def test_only_positives_leave_false_alarms_unknown():
    chosen = choose_threshold(np.array([0.4, 0.6]), np.array([True, True]), DecideRecipe())
    assert (chosen.value, chosen.misses, chosen.negatives) == (0.2, 0, 0)
    assert "no photo of any other class" in chosen.sentence


def test_a_good_part_scored_one_cannot_be_passed_by_any_threshold():
    only_alarms_cost = DecideRecipe(cost=Cost(miss=0))
    chosen = choose_threshold(np.array([0.9, 0.5]), np.array([False, True]), only_alarms_cost)
    assert (chosen.value, chosen.misses, chosen.false_alarms) == (pytest.approx(0.95), 1, 0)
    chosen = choose_threshold(np.array([1.0, 0.5]), np.array([False, True]), only_alarms_cost)
    assert (chosen.value, chosen.misses, chosen.false_alarms) == (0.25, 0, 1)


def test_neighbouring_float32_scores_are_parted():
    scores = np.array([0.5, np.nextafter(np.float32(0.5), np.float32(1))], dtype=np.float32)
    chosen = choose_threshold(scores, np.array([False, True]), DecideRecipe())
    assert float(scores[0]) < chosen.value < float(scores[1])


def test_neighbouring_float64_scores_and_zero_are_parted():
    scores = np.array([0.5, np.nextafter(0.5, 1.0)])
    chosen = choose_threshold(scores, np.array([False, True]), DecideRecipe())
    assert ((scores >= chosen.value) == [False, True]).all()
    zero = choose_threshold(np.array([0.0, 0.0]), np.array([True, False]), DecideRecipe())
    assert (zero.value, zero.misses) == (0.0, 0)


def test_record_is_json():
    chosen = choose_threshold(np.array([0.2, 0.6]), np.array([False, True]), DecideRecipe())
    assert json.loads(json.dumps(chosen.to_record(), allow_nan=False)) == chosen.to_record()
    assert chosen.to_record()["value"] == pytest.approx(0.4)


@pytest.mark.parametrize("decide", [DecideRecipe(), DecideRecipe(max_miss_rate=0.1), DecideRecipe(cost=Cost(miss=2))])
def test_rules_need_a_positive_photo(decide):
    with pytest.raises(
        UserError,
        match=r"at least one photo of the positive class, got none among 2 validation photos\. "
        r"Add such photos, or set decide\.threshold\.$",
    ):
        choose_threshold(np.array([0.2, 0.3]), np.array([False, False]), decide)


def test_free_errors_have_no_cheapest_threshold():
    with pytest.raises(
        RecipeError,
        match=r"decide.cost must have a cost above 0, got miss = 0 and false_alarm = 0"
        r"\. Say what a missed part and a false alarm cost, for instance miss = 50 and false_alarm = 1\.$",
    ):
        choose_threshold(np.array([0.2]), np.array([True]), DecideRecipe(cost=Cost(miss=0, false_alarm=0)))


def test_unusable_scores_are_named():
    with pytest.raises(UserError, match=r"with as many labels, got \(1,\) and \(2,\)\. Give one score per label\.$"):
        choose_threshold(np.array([0.2]), np.array([True, False]), DecideRecipe())
    with pytest.raises(
        UserError, match=r"Scores must be in \[0, 1\], got 2 that are not. Turn logits into probabilities first\.$"
    ):
        choose_threshold(np.array([0.2, -3.0, np.nan]), np.array([True, False, True]), DecideRecipe())
