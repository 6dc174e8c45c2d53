"""Several numbers a photo: their answers, and their measures against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from teliti.errors import RecipeError, UserError
from teliti.metrics.number_rule import NumberRule, check_number_rule, deviations
from teliti.metrics.regression import measure_several
from teliti.recipe import DecideRecipe


def test_one_number_is_the_score_and_several_have_names() -> None:
    (one,) = NumberRule().judge(np.array([[2.5]]))
    assert (one.score, one.values, one.verdict) == (2.5, {}, None)
    (several,) = NumberRule(("x", "y")).judge(np.array([[2.5, 3.0]]))
    assert (several.score, several.values) == (None, {"x": 2.5, "y": 3.0})
    assert several.to_record()["values"] == {"x": 2.5, "y": 3.0}
    assert "values" not in one.to_record()


def test_numbers_have_no_verdict_that_a_person_could_give() -> None:
    check_number_rule(DecideRecipe(envelope="off", novelty_share=0.0))
    for asked in ({"review_share": 0.1}, {"max_error_rate": 0.1}, {"novelty_share": 0.1}):
        with pytest.raises(
            RecipeError, match=rf"decide\.{next(iter(asked))} must not stand where numbers are predicted"
        ):
            check_number_rule(DecideRecipe(**asked))
    with pytest.raises(RecipeError, match=r'decide\.envelope must be "warn" or "off" .* got "review"') as caught:
        check_number_rule(DecideRecipe(envelope="review"))
    assert caught.value.hint.startswith("A number is no verdict that a person could give instead.")


def test_labels_keep_the_shape_of_the_targets() -> None:
    outputs = np.array([[1.0], [2.0]])
    assert NumberRule().labels(outputs).shape == (2,)
    assert NumberRule(("x",)).labels(outputs).shape == (2, 1)


def test_measures_of_several_numbers_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    targets = rng.normal(size=(60, 2)) * [1.0, 50.0]
    preds = targets + rng.normal(size=(60, 2)) * [0.2, 20.0]
    record = measure_several(targets, preds, names=("x", "y"), seed=7)
    assert record["mae"] == pytest.approx(metrics.mean_absolute_error(targets, preds))
    assert record["rmse"] == pytest.approx(metrics.root_mean_squared_error(targets, preds))
    assert record["r2"] == pytest.approx(metrics.r2_score(targets, preds))
    for k, row in enumerate(record["per_number"]):
        assert row["name"] == "xy"[k]
        assert row["mae"] == pytest.approx(metrics.mean_absolute_error(targets[:, k], preds[:, k]))
        assert row["intervals"]["mae"][0] < row["mae"] < row["intervals"]["mae"][1]


def test_a_mean_with_an_undefined_part_is_undefined() -> None:
    targets = np.array([[1.0, 5.0], [2.0, 5.0]])
    record = measure_several(targets, targets, names=("x", "y"), seed=7, baseline=np.array([1.0, 5.0]))
    assert record["per_number"][1]["r2"] is None
    assert record["r2"] is None
    assert record["baseline_mae"] == 0.25


def test_shapes_must_match() -> None:
    with pytest.raises(UserError, match=r"must have one shape \(N, 2\), got \(3, 2\) and \(3, 1\)"):
        measure_several(np.zeros((3, 2)), np.zeros((3, 1)), names=("x", "y"), seed=7)


def test_a_number_that_does_not_vary_divides_by_one() -> None:
    assert deviations(np.array([[1.0, 4.0], [3.0, 4.0]])).tolist() == [1.0, 1.0]
