"""Trials on made-up features whose answers are known: nothing changes, noise harms, the missing direction helps."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score

from teliti.errors import SplitError
from teliti.recipe import ModelRecipe
from teliti.workflow.policies.measures import Ground, ViewTrial, choose_setting, gain_of, make_folds

LOGISTIC = ModelRecipe(head="logistic", c=0.05)
HEADS = [
    ("logistic", {"c": 0.05}),
    ("softmax", {"c": 0.05}),
    ("linear_svm", {"c": 0.05}),
    ("rbf_svm", {"c": 1.0, "gamma": 0.5}),
]


def make_ground(
    *,
    count: int = 60,
    classes: int = 2,
    model: ModelRecipe = LOGISTIC,
    setting: dict | None = None,
    spread: float = 1.0,
) -> Ground:
    """Classes along the first features, everything else noise."""
    random = np.random.default_rng(4)
    targets = np.arange(count) % max(classes, 1)
    features = random.normal(0.0, spread, (count, 8)).astype(np.float32)
    if classes:
        features[:, :classes] += 2.0 * np.eye(classes, dtype=np.float32)[targets]
        return Ground(features, targets, np.arange(count), classes, model, setting or {"c": 0.05})
    numbers = features[:, 0] * 3.0 + 7.0 + random.normal(0.0, 0.3, count)
    return Ground(features, numbers, np.arange(count), 0, model, setting or {"c": 1.0})


def copies(ground: Ground, views: int = 1) -> np.ndarray:
    return np.repeat(ground.features[:, None], views, axis=1)


@pytest.mark.parametrize(("head", "setting"), HEADS)
@pytest.mark.parametrize("classes", [2, 3])
def test_views_that_change_nothing_are_near_and_no_harder(head: str, setting: dict, classes: int) -> None:
    ground = make_ground(classes=classes, model=ModelRecipe(head=head), setting=setting)
    for count in (1, 3):
        trial = ViewTrial(ground, copies(ground, count), folds=make_folds(ground, seed=1))
        assert trial.affinity() == 1.0
        assert trial.diversity() == pytest.approx(1.0, abs=5e-3)
        assert np.abs(trial.pairs().losses).max() < 5e-3


def test_affinity_is_the_ratio_of_two_accuracies() -> None:
    """An oracle: scikit-learn on the same folds."""
    ground = make_ground()
    random = np.random.default_rng(0)
    views = (ground.features[:, None] + random.normal(0.0, 1.5, (60, 2, 8))).astype(np.float32)
    folds = make_folds(ground, seed=3)
    scaled = (ground.features - ground.features.mean(axis=0)) / ground.features.std(axis=0)
    scaled_views = (views - ground.features.mean(axis=0)) / ground.features.std(axis=0)
    clean, moved = np.zeros(60), np.zeros((60, 2))
    for fold in range(5):
        model = LogisticRegression(C=0.05, class_weight="balanced").fit(
            scaled[folds != fold], ground.targets[folds != fold]
        )
        clean[folds == fold] = model.predict(scaled[folds == fold])
        for view in range(2):
            moved[folds == fold, view] = model.predict(scaled_views[folds == fold, view])
    expected = accuracy_score(np.repeat(ground.targets, 2), moved.ravel()) / accuracy_score(ground.targets, clean)
    trial = ViewTrial(ground, views, folds=folds)
    assert trial.affinity() == pytest.approx(expected)
    assert expected < 1.0


def test_noise_is_far_and_hard() -> None:
    ground = make_ground()
    views = np.random.default_rng(0).normal(0.0, 3.0, (60, 1, 8)).astype(np.float32)
    trial = ViewTrial(ground, views, folds=make_folds(ground, seed=1))
    assert trial.affinity() < 0.8
    assert trial.diversity() > 1.5


def test_views_that_show_what_the_photos_lack_are_shown_to_help() -> None:
    """Few photos, whose other features happen to tell the class as well; the views shake these."""
    random = np.random.default_rng(8)
    targets = np.arange(120) % 2
    features = random.normal(0.0, 1.0, (120, 80)).astype(np.float32)
    features[:, 0] += 2.0 * targets
    ground = Ground(features, targets, np.arange(120), 2, LOGISTIC, {"c": 1.0})
    views = np.repeat(features[:, None], 8, axis=1)
    views[:, :, 1:] = random.normal(0.0, 1.0, (120, 8, 79))
    pairs = [ViewTrial(ground, views, folds=make_folds(ground, seed=seed)).pairs() for seed in range(3)]
    gain = gain_of(pairs)
    assert gain.loss.interval[0] > 0.0
    assert gain.accuracy > 0.0
    assert (gain.repeats, gain.photos) == (15, 120)


def test_shuffled_views_harm() -> None:
    ground = make_ground()
    views = ground.features[::-1][:, None].copy()  # photo k gets the view of the other class
    gain = gain_of([ViewTrial(ground, views, folds=make_folds(ground, seed=seed)).pairs() for seed in range(2)])
    assert gain.loss.mean < 0.0
    assert gain.accuracy < 0.0


def test_numbers_have_a_gain_and_a_diversity_but_no_accuracy() -> None:
    ground = make_ground(classes=0, model=ModelRecipe(head="ridge"))
    trial = ViewTrial(ground, copies(ground), folds=make_folds(ground, seed=1))
    pairs = trial.pairs()
    assert trial.affinity() is None
    assert trial.diversity() == pytest.approx(1.0, abs=1e-3)
    assert pairs.accuracies is None
    assert gain_of([pairs]).accuracy is None
    assert abs(gain_of([pairs]).loss.mean) < 0.01


def test_only_measured_photos_count_and_the_others_are_learnt_from() -> None:
    ground = make_ground()
    measured = np.arange(20, 60)
    folds = make_folds(ground, seed=1, measured=measured)
    assert (folds[:20] == -1).all()
    assert sorted(np.bincount(folds[20:])) == [8, 8, 8, 8, 8]
    pairs = ViewTrial(ground, copies(ground), folds=folds).pairs()
    assert pairs.photos == 40
    assert pairs.test_to_train == 8 / 52
    assert len(pairs.losses) == 5


def test_groups_stay_in_one_fold() -> None:
    ground = make_ground()
    grouped = Ground(ground.features, ground.targets, np.arange(60) // 4, 2, LOGISTIC, {"c": 0.05})
    folds = make_folds(grouped, seed=2)
    assert all(len(set(folds[grouped.groups == group])) == 1 for group in range(15))


def test_views_of_a_held_out_photo_are_never_learnt() -> None:
    """Views that give the class away: only those of photos that are learnt from may do so."""
    random = np.random.default_rng(3)
    targets = np.arange(40) % 2
    features = random.normal(0.0, 1.0, (40, 6)).astype(np.float32)  # the photos themselves know nothing
    views = random.normal(0.0, 1.0, (40, 1, 6)).astype(np.float32)
    ground = Ground(features, targets, np.arange(40), 2, LOGISTIC, {"c": 1.0})
    trial = ViewTrial(ground, views + 5.0 * np.eye(40, 6, dtype=np.float32)[:, None], folds=make_folds(ground, seed=1))
    hits = trial.pairs()
    assert abs(hits.accuracies.mean()) < 0.25


def test_the_setting_is_the_one_that_suits_the_photos() -> None:
    ground = make_ground(model=ModelRecipe(head="logistic"))
    chosen = choose_setting(ground, seed=1)
    assert set(chosen) == {"c"}
    assert choose_setting(make_ground(model=ModelRecipe(head="rbf_svm", c=2.0, gamma=0.5)), seed=1) == {
        "c": 2.0,
        "gamma": 0.5,
    }


def test_a_class_of_one_photo_cannot_be_tried() -> None:
    ground = make_ground(count=9)
    lonely = Ground(ground.features, np.array([0] * 8 + [1]), ground.groups, 2, LOGISTIC, {"c": 1.0})
    with pytest.raises(SplitError, match="2 folds"):
        make_folds(lonely, seed=1)


def test_a_head_that_knows_everything_leaves_no_ratio() -> None:
    ground = make_ground(spread=1e-4, setting={"c": 1e6})
    trial = ViewTrial(ground, copies(ground), folds=make_folds(ground, seed=1))
    assert trial.affinity() == 1.0
    assert trial.diversity() is None or trial.diversity() == pytest.approx(1.0, abs=0.05)
