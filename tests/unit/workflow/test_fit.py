"""Fitting and deciding: nothing is chosen on sealed photos, no photo chooses its own threshold, the budget holds."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from teliti.errors import RecipeError
from teliti.recipe import Recipe, parse_recipe
from teliti.training.features.extraction import Features
from teliti.types import Catalog, SilentReporter
from teliti.workflow.learning.deciding import decide, decide_by_fold
from teliti.workflow.learning.fit import (
    Candidate,
    fit_best_within_budget,
    fit_inspector,
    outputs_of,
    why_chosen,
)
from teliti.workflow.shared.plan import plan_split

GOOD_OR_NG = Catalog("made", (), (), "classification", ("good", "ng"))
LOGISTIC = {"model": {"head": "logistic", "c": 1.0}}


def two_columns(bad: np.ndarray | list[float]) -> np.ndarray:
    bad = np.asarray(bad, dtype=np.float32)
    return np.stack([1 - bad, bad], axis=1)


@pytest.fixture
def photos(make_photos):
    return make_photos(["good"] * 40 + ["ng"] * 40)


@pytest.fixture
def features(photos) -> np.ndarray:
    """(80, 6) float32; the first number tells the classes apart."""
    matrix = np.random.default_rng(0).normal(size=(80, 6)).astype(np.float32)
    matrix[:, 0] += 4.0 * photos.targets
    return matrix


def as_rows(features: np.ndarray) -> Features:
    """One picture a photo, no augmented views."""
    return Features(features, np.arange(len(features)), len(features), 0)


def fit(features: np.ndarray | Features, photos, *, combine: str = "mean", **values: object):
    recipe = parse_recipe({**LOGISTIC, **values})
    plan = plan_split(photos, recipe)
    rows = features if isinstance(features, Features) else as_rows(features)
    return fit_inspector(rows, photos, plan, recipe=recipe, combine=combine, reporter=SilentReporter()), plan


def test_a_hold_out_fit_chooses_on_the_val_part(features: np.ndarray, photos) -> None:
    fitted, plan = fit(features, photos, data={"folds": 0})
    assert fitted.chooser.tolist() == plan.indices("val").tolist()
    assert (fitted.chooser_name, fitted.fold_outputs) == ("validation photos", None)
    np.testing.assert_array_equal(fitted.chooser_outputs, outputs_of(fitted.head, features[plan.indices("val")]))
    correct = fitted.chooser_outputs.argmax(axis=1) == photos.targets[fitted.chooser]
    assert correct.mean() > 0.9


def test_only_the_training_part_is_learnt_from(features: np.ndarray, photos) -> None:
    fitted, plan = fit(features, photos, data={"folds": 0})
    changed = features.copy()
    changed[plan.indices("test")] = 1e3
    changed[plan.indices("val")] *= -1
    again, _ = fit(changed, photos, data={"folds": 0})
    np.testing.assert_array_equal(again.head.weight, fitted.head.weight)
    np.testing.assert_array_equal(again.head.bias, fitted.head.bias)


def test_without_a_val_part_the_chooser_is_the_training_part_out_of_fold(features: np.ndarray, photos) -> None:
    split = {"train": 0.8, "val": 0.0, "test": 0.2}
    fitted, plan = fit(features, photos, data={"folds": 0, "split": split})
    assert fitted.chooser.tolist() == plan.indices("train").tolist()
    assert fitted.chooser_name == "out-of-fold photos"
    assert not np.array_equal(fitted.chooser_outputs, outputs_of(fitted.head, features[fitted.chooser]))
    np.testing.assert_allclose(fitted.chooser_outputs.sum(axis=1), 1.0, rtol=1e-5)


def test_with_folds_no_photo_is_scored_by_a_head_that_saw_it(features: np.ndarray, photos) -> None:
    fitted, plan = fit(features, photos, data={"folds": 4})
    assert fitted.chooser.tolist() == list(range(80))
    inside = plan.folds == 2
    changed = features.copy()
    changed[inside, 0] += np.random.default_rng(1).normal(size=inside.sum()).astype(np.float32)
    again, _ = fit(changed, photos, data={"folds": 4})
    assert not np.array_equal(again.head.weight, fitted.head.weight)  # the shipped head is fitted on all photos
    unseen = fitted.fold_outputs[inside]
    alone = fit_inspector(
        as_rows(features), photos, SimpleNamespace(folds=None, groups=plan.groups, indices=lambda part: np.flatnonzero(
            ~inside if part == "train" else inside if part == "val" else np.zeros(80, bool))),
        recipe=parse_recipe(LOGISTIC), combine="mean", reporter=SilentReporter(),
    )  # fmt: skip
    np.testing.assert_array_equal(alone.chooser_outputs, unseen)


def test_augmented_views_are_learnt_from_and_never_asked(features: np.ndarray, photos) -> None:
    plain, plan = fit(features, photos, data={"folds": 0})
    train = plan.indices("train")
    views = features[train] + 0.5
    rows = Features(np.concatenate([features, views]), np.concatenate([np.arange(80), train]), 80, 0)
    fitted, _ = fit(rows, photos, data={"folds": 0})
    assert fitted.history["photos"] == 2 * plain.history["photos"] == 2 * len(train)
    assert not np.array_equal(fitted.head.weight, plain.head.weight)
    np.testing.assert_array_equal(fitted.chooser_outputs, outputs_of(fitted.head, features[plan.indices("val")]))
    split = {"train": 0.8, "val": 0.0, "test": 0.2}
    own, own_plan = fit(rows, photos, data={"folds": 0, "split": split})
    assert len(own.chooser_outputs) == len(own_plan.indices("train"))  # views choose no threshold


def test_tiles_of_a_photo_become_one_answer(photos) -> None:
    draw = np.random.default_rng(0)
    tiles = draw.normal(size=(80, 3, 6)).astype(np.float32)
    tiles[:, 1, 0] += 6.0 * photos.targets  # the defect is in the middle tile
    rows = Features(tiles.reshape(240, 6), np.repeat(np.arange(80), 3), 240, 0)
    values = {"data": {"folds": 0, "positive": "ng"}}
    for combine, pick in (("max", lambda probs: probs[np.argmax(probs[:, 1])]), ("mean", lambda probs: probs.mean(0))):
        fitted, plan = fit(rows, photos, combine=combine, **values)
        assert fitted.history["photos"] == 3 * len(plan.indices("train"))
        for answer, photo in zip(fitted.chooser_outputs, plan.indices("val"), strict=True):
            np.testing.assert_allclose(answer, pick(outputs_of(fitted.head, tiles[photo])), rtol=1e-6)


def test_the_worst_tile_needs_a_class_to_reject(make_photos) -> None:
    photos = make_photos(["a"] * 40 + ["b"] * 40 + ["c"] * 40)
    rows = Features(np.zeros((240, 6), np.float32), np.repeat(np.arange(120), 2), 240, 0)
    with pytest.raises(RecipeError, match=r'combine = "max", which takes the tile most likely rejected') as caught:
        fit(rows, photos, combine="max")
    assert caught.value.hint == 'Set data.positive or data.pass, or combine = "mean".'


def test_a_regression_gives_numbers(make_photos) -> None:
    photos = make_photos([float(number) for number in range(60)])
    features = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    features[:, 1] = photos.targets
    fitted, plan = fit(features, photos, model={"head": "ridge"})
    assert fitted.chooser_outputs.shape == (len(plan.indices("val")), 1)
    assert np.abs(fitted.chooser_outputs[:, 0] - photos.targets[fitted.chooser]).mean() < 5.0


SCORES, TARGETS = two_columns([0.1, 0.2, 0.3, 0.6, 0.7, 0.9]), np.array([0, 0, 1, 0, 1, 1])


def decided(**values: object):
    recipe = parse_recipe({"data": {"positive": "ng"}, **values})
    return decide(SCORES, TARGETS, classes=("good", "ng"), recipe=recipe, photos="validation photos")


def test_by_default_the_threshold_has_the_best_f1_and_names_its_photos() -> None:
    decision = decided()
    assert decision.rule == "f1"
    assert 0.2 < decision.threshold < 0.3
    assert "validation photos" in decision.sentence


@pytest.mark.parametrize(
    ("rule", "name", "low", "high"),
    [
        ({"threshold": 0.42}, "fixed", 0.42, 0.42),
        ({"max_miss_rate": 0.0}, "max_miss_rate", 0.2, 0.3),
        ({"max_miss_rate": 0.4}, "max_miss_rate", 0.6, 0.7),
        ({"cost": {"miss": 1.0, "false_alarm": 9.0}}, "cost", 0.6, 0.7),
    ],
)
def test_the_rule_of_the_recipe_is_taken(rule: dict, name: str, low: float, high: float) -> None:
    decision = decided(decide=rule)
    assert decision.rule == name
    assert low <= decision.threshold <= high


def test_argmax_needs_no_threshold() -> None:
    decision = decided(decide={"rule": "argmax"})
    assert (decision.threshold, decision.rule) == (None, "argmax")
    assert decision.sentence == "The most probable class is the verdict."


def test_more_classes_take_the_most_probable_unless_asked_otherwise() -> None:
    probs = np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
    targets = np.array([0, 1, 2, 0])
    for values, threshold in (({}, None), ({"data": {"pass": ["a"]}, "decide": {"threshold": 0.2}}, 0.2)):
        decision = decide(probs, targets, classes=("a", "b", "c"), recipe=parse_recipe(values), photos="photos")
        assert decision.threshold == threshold


def test_no_photo_chooses_its_own_threshold() -> None:
    """In fold 1 all scores are shifted up, so that a threshold that saw them would move."""
    bad = np.array([0.1, 0.2, 0.8, 0.9] * 2)
    targets, folds = np.array([0, 0, 1, 1] * 2), np.repeat([0, 1], 4)
    recipe = parse_recipe({"data": {"positive": "ng"}})
    preds = decide_by_fold(two_columns(bad), targets, folds, catalog=GOOD_OR_NG, recipe=recipe)
    assert preds.tolist() == targets.tolist()
    bad[4:] = [0.92, 0.94, 0.96, 0.98]
    preds = decide_by_fold(two_columns(bad), targets, folds, catalog=GOOD_OR_NG, recipe=recipe)
    assert preds[4:].tolist() == [1, 1, 1, 1]  # the threshold of fold 0, about 0.5, is held against them
    assert preds[:4].tolist() == [0, 0, 0, 0]  # the threshold of fold 1, about 0.95, against these


@pytest.fixture
def resolved() -> Recipe:
    return parse_recipe({"data": {"image_size": [300, 300]}, "train": {"mode": "auto", "budget": "60s"}})


def trial_of(losses: list[float], seconds: list[float]):
    tried: list[Recipe] = []

    def trial(recipe: Recipe) -> Candidate:
        tried.append(recipe)
        number = len(tried) - 1
        return Candidate(SimpleNamespace(recipe=recipe), None, losses[number], 0, seconds[number])

    return trial, tried


def test_auto_tries_from_cheap_to_dear_and_keeps_the_best(resolved: Recipe) -> None:
    trial, tried = trial_of([0.5, 0.2, 0.3, 0.4], [1.0] * 4)
    best, rows = fit_best_within_budget(resolved, trial, task="classification")
    assert best.loss == 0.2
    assert [row["loss"] for row in rows] == [0.5, 0.2, 0.3, 0.4]
    assert [recipe.data.image_size for recipe in tried] == [(224, 224)] * 3 + [(300, 300)]
    assert tried[0].model.head == "logistic"
    assert {recipe.model.head for recipe in tried[1:]} == {"rbf_svm"}
    assert rows[0]["setup"] == "logistic, 224x224 px, stages head, avg"


def test_auto_leaves_out_what_would_not_fit_the_budget_and_says_so(resolved: Recipe) -> None:
    trial, tried = trial_of([0.5, 0.2], [1.0, 500.0])
    best, rows = fit_best_within_budget(resolved, trial, task="classification")
    assert (best.loss, len(tried)) == (0.2, 2)
    assert [row["loss"] for row in rows] == [0.5, 0.2, None, None]
    assert rows[3]["note"].startswith("left out: would take about ")
    assert rows[3]["note"].endswith("60 s were left")


def test_auto_on_numbers_uses_heads_for_numbers(resolved: Recipe) -> None:
    trial, tried = trial_of([0.5] * 4, [1.0] * 4)
    fit_best_within_budget(resolved, trial, task="regression")
    assert {recipe.model.head for recipe in tried} == {"ridge", "svr"}


def test_auto_does_not_try_one_setup_twice() -> None:
    small = parse_recipe({"data": {"image_size": [224, 224]}, "train": {"mode": "auto"}})
    trial, tried = trial_of([0.5] * 4, [1.0] * 4)
    _, rows = fit_best_within_budget(small, trial, task="classification")
    assert len(tried) == len(rows) == len({row["setup"] for row in rows}) == 3


def test_auto_says_why() -> None:
    rows = [
        {"setup": "logistic", "loss": 0.4, "seconds": 1.0, "note": ""},
        {"setup": "kernel", "loss": 0.3, "seconds": 2.0, "note": ""},
        {"setup": "large", "loss": None, "seconds": None, "note": "left out"},
    ]
    assert why_chosen(rows) == (
        "Chosen: kernel, whose validation loss is 0.3000; 0.4000 for logistic. 1 more did not fit the budget."
    )
    assert why_chosen(rows[:1]) == "Chosen: logistic, whose validation loss is 0.4000."
