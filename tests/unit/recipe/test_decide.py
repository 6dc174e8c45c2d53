"""[decide]: which keys go together, and what a new one replaces."""

import pytest

from teliti.errors import RecipeError
from teliti.recipe import DecideRecipe, parse_recipe
from teliti.recipe.reading import override_recipe


def test_a_confidence_alone_means_proven():
    assert DecideRecipe(max_miss_rate=0.02, confidence=0.9).promise == "proven"
    assert DecideRecipe(max_miss_rate=0.02).promise == "observed"
    assert DecideRecipe(max_miss_rate=0.02, guarantee="expected").promise == "expected"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"confidence": 0.95}, "confidence must stand beside max_miss_rate, got it alone"),
        ({"cost": {"miss": 5}, "guarantee": "proven"}, "guarantee must stand beside max_miss_rate"),
        ({"max_miss_rate": 0.1, "guarantee": "expected", "confidence": 0.9}, 'confidence belongs to guarantee = "pro'),
        (
            {"max_miss_rate": 0.1, "max_false_alarm_rate": 0.1, "review_share": 0.1},
            "only one of review_share, max_false_alarm_rate, max_error_rate may size",
        ),
        ({"max_error_rate": 0.1, "max_miss_rate": 0.1}, "promise different things"),
        ({"max_error_rate": 0.1, "guarantee": "expected"}, 'may be "observed" or "proven"'),
        ({"max_error_rate": 0.1, "max_false_alarm_rate": 0.1}, "max_false_alarm_rate must stand beside max_miss_rate"),
        ({"max_error_rate": 0.1, "defect_rate": 0.1}, "holds for the share of defects of these photos"),
        ({"max_error_rate": 0.1, "cost": {"miss": 5, "review": 1}}, "only one of cost.review and max_error_rate"),
        ({"max_error_rate": 0.1, "review_share": 0.1}, "got review_share and max_error_rate"),
        ({"calibration": "beta"}, "decide.calibration"),
    ],
)
def test_keys_that_do_not_go_together(values, sentence):
    with pytest.raises(RecipeError, match=sentence):
        parse_recipe({"decide": values})


def test_another_rule_replaces_the_first_and_its_promise_and_keeps_the_line():
    values = {"max_miss_rate": 0.02, "confidence": 0.9, "defect_rate": 0.01, "novelty_share": 0.0}
    recipe = parse_recipe({"decide": values})
    changed = override_recipe(recipe, {"decide": {"cost": {"miss": 50}}}).decide
    assert (changed.max_miss_rate, changed.confidence, changed.cost.miss) == (None, None, 50.0)
    assert (changed.defect_rate, changed.novelty_share) == (0.01, 0.0)
    kept = override_recipe(recipe, {"decide": {"review_share": 0.05}}).decide
    assert (kept.max_miss_rate, kept.confidence, kept.review_share) == (0.02, 0.9, 0.05)


def test_a_promise_about_automatic_verdicts_outlives_another_threshold():
    recipe = parse_recipe({"decide": {"max_error_rate": 0.02, "confidence": 0.9}})
    assert recipe.decide.promise == "proven"
    assert parse_recipe({"decide": {"max_error_rate": 0.02}}).decide.promise == "observed"
    changed = override_recipe(recipe, {"decide": {"threshold": 0.3}}).decide
    assert (changed.threshold, changed.max_error_rate, changed.confidence) == (0.3, 0.02, 0.9)
