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
            "only one of review_share and",
        ),
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
