"""Heads learn what can be learnt, know how sure they are, keep groups together, and repeat to the last bit."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC

from teliti.data.split import fold_samples
from teliti.errors import MissingExtraError, RecipeError, SplitError, UserError
from teliti.models.heads import HeadWeights, head_module
from teliti.recipe import ModelRecipe
from teliti.training.heads import linear
from teliti.training.heads.linear import FittedHead, fit_head
from teliti.types import SilentReporter

Blobs = tuple[np.ndarray, np.ndarray]


def blobs(count: int = 120, *, classes: int = 2, dims: int = 6, distance: float = 1.2, seed: int = 0) -> Blobs:
    """Overlapping clouds, one per class, in features of very different sizes; one feature never varies."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    centers = np.random.default_rng(99).normal(size=(classes, dims)) * distance
    features = (centers[labels] + rng.normal(size=(count, dims))) * np.logspace(-2, 2, dims) + 7.0
    features[:, 0] = 3.0
    return features.astype(np.float32), labels


def rings(count: int = 160, seed: int = 0) -> Blobs:
    """A class around another: no line divides them."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    angles, radius = rng.uniform(0, 2 * np.pi, count), 1.0 + 1.5 * labels + 0.3 * rng.normal(size=count)
    return np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1).astype(np.float32), labels


def waves(count: int = 150, seed: int = 0) -> Blobs:
    """A number that depends on two of four features, one of them not linearly."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, 4)).astype(np.float32)
    return features, 50.0 + 8.0 * features[:, 1] + 5.0 * np.sin(2 * features[:, 2]) + 0.3 * rng.normal(size=count)


def fit(
    data: Blobs, *, head: str = "auto", groups: np.ndarray | None = None, seed: int = 7, **more: float
) -> FittedHead:
    features, targets = data
    is_numbers = targets.dtype.kind == "f"
    return fit_head(
        features,
        targets,
        np.arange(len(targets)) if groups is None else groups,
        model=ModelRecipe(head=head, **more),
        task="regression" if is_numbers else "classification",
        num_classes=0 if is_numbers else int(targets.max()) + 1,
        seed=seed,
        reporter=SilentReporter(),
    )


def standard(features: np.ndarray) -> np.ndarray:
    return np.clip(StandardScaler().fit_transform(features.astype(np.float64)), -5, 5)


def accuracy(head: HeadWeights, data: Blobs) -> float:
    return float((head.probs(data[0]).argmax(axis=1) == data[1]).mean())


@pytest.mark.parametrize("head", ["logistic", "softmax", "linear_svm", "rbf_svm"])
@pytest.mark.parametrize("classes", [2, 3])
def test_each_head_separates_clouds(head: str, classes: int) -> None:
    fitted = fit(blobs(classes=classes), head=head)
    assert fitted.weights.num_outputs == classes
    assert fitted.oof_logits.shape == (120, classes)
    assert fitted.oof_logits.dtype == np.float32
    assert accuracy(fitted.weights, blobs(400, classes=classes, seed=1)) > 0.85


def test_only_the_kernel_head_separates_rings() -> None:
    assert accuracy(fit(rings(), head="rbf_svm").weights, rings(400, seed=1)) > 0.95
    assert accuracy(fit(rings(), head="logistic").weights, rings(400, seed=1)) < 0.7


@pytest.mark.parametrize(("head", "least"), [("logistic", 0.96), ("softmax", 0.96), ("rbf_svm", 0.97)])
def test_digits_from_raw_pixels(head: str, least: float) -> None:
    digits = load_digits()
    features, labels = digits.data.astype(np.float32), digits.target
    test = np.arange(len(labels)) % 4 == 0
    fitted = fit((features[~test], labels[~test]), head=head, c=0.1 if head != "rbf_svm" else 8.0, gamma=1.0)
    assert accuracy(fitted.weights, (features[test], labels[test])) >= least


def test_logistic_is_scikit_learns() -> None:
    features, labels = blobs()
    fitted = fit((features, labels), head="logistic", c=0.3)
    oracle = LogisticRegression(C=0.3, class_weight="balanced", tol=1e-8).fit(standard(features), labels)
    scores = fitted.weights.logits(features)[:, 1].astype(np.float64)
    expected = oracle.decision_function(standard(features))
    slope, intercept = np.polyfit(expected, scores, 1)  # calibration is the only difference
    assert slope > 0
    np.testing.assert_allclose(scores, slope * expected + intercept, atol=5e-3)


def test_linear_svm_is_scikit_learns() -> None:
    features, labels = blobs()
    fitted = fit((features, labels), head="linear_svm", c=0.05)
    oracle = LinearSVC(C=0.05, class_weight="balanced", dual=False, tol=1e-8, intercept_scaling=100)
    expected = oracle.fit(standard(features), labels).decision_function(standard(features))
    slope, intercept = np.polyfit(expected, fitted.weights.logits(features)[:, 1], 1)
    np.testing.assert_allclose(fitted.weights.logits(features)[:, 1], slope * expected + intercept, atol=1e-2)


def test_rbf_svm_is_scikit_learns_with_gamma_counted_in_varying_features() -> None:
    features, labels = blobs()
    fitted = fit((features, labels), head="rbf_svm", c=2.0, gamma=1.5)
    oracle = SVC(C=2.0, gamma=1.5 / 5, class_weight="balanced").fit(standard(features), labels)  # 5 of 6 vary
    expected = oracle.decision_function(standard(features))
    slope, intercept = np.polyfit(expected, fitted.weights.logits(features)[:, 1], 1)
    np.testing.assert_allclose(fitted.weights.logits(features)[:, 1], slope * expected + intercept, atol=1e-3)
    assert fitted.history["supports"] == oracle.n_support_.sum()


@pytest.mark.parametrize("count", [150, 3])  # solved over features, then over photos
def test_ridge_is_scikit_learns(count: int) -> None:
    features, numbers = waves(count)
    fitted = fit((features, numbers), head="ridge", c=0.2)
    expected = Ridge(alpha=5.0).fit(standard(features), numbers).predict(standard(features))
    assert fitted.weights.is_regression
    np.testing.assert_allclose(fitted.weights.logits(features)[:, 0], expected, rtol=1e-4)


def test_svr_is_scikit_learns_on_standardised_numbers() -> None:
    features, numbers = waves()
    fitted = fit((features, numbers), head="svr", c=3.0, gamma=0.8)
    center, spread = numbers.mean(), numbers.std()
    oracle = SVR(C=3.0, gamma=0.8 / 4, epsilon=0.1).fit(standard(features), (numbers - center) / spread)
    expected = oracle.predict(standard(features)) * spread + center
    np.testing.assert_allclose(fitted.weights.logits(features)[:, 0], expected, atol=0.05)


def test_svr_finds_the_wave_that_ridge_cannot() -> None:
    features, numbers = waves(400, seed=1)
    errors = {head: fit(waves(), head=head).weights.logits(features)[:, 0] - numbers for head in ("ridge", "svr")}
    r2 = {head: 1 - (error**2).mean() / numbers.var() for head, error in errors.items()}
    assert r2["svr"] > r2["ridge"] + 0.05
    assert r2["ridge"] > 0.7


def test_rare_class_keeps_its_true_probability() -> None:
    features, labels = blobs(2000, distance=0.6)
    keep = (labels == 0) | (np.arange(2000) % 20 == 1)  # about 1 in 11 is of class 1
    test, truth = blobs(4000, distance=0.6, seed=5)
    keep_test = (truth == 0) | (np.arange(4000) % 20 == 1)
    for head in ("logistic", "rbf_svm"):
        more = {"c": 0.05} if head == "logistic" else {"c": 1.0, "gamma": 1.0}
        fitted = fit((features[keep][:700], labels[keep][:700]), head=head, **more)
        probs = fitted.weights.probs(test[keep_test])[:, 1]
        assert abs(probs.mean() - truth[keep_test].mean()) < 0.02
        assert roc_auc_score(truth[keep_test], probs) > 0.75


def test_out_of_fold_logits_tell_the_accuracy_on_new_photos() -> None:
    features, labels = blobs(dims=60, distance=0.0)  # nothing to learn
    fitted = fit((features, labels), head="rbf_svm")
    own = accuracy(fitted.weights, (features, labels))
    out_of_fold = float((fitted.oof_logits.argmax(axis=1) == labels).mean())
    assert own > 0.9  # the support vectors know themselves
    assert out_of_fold < 0.65


def test_groups_are_never_divided() -> None:
    """Copies of a photo in one group: an honest out-of-fold score cannot profit from them."""
    features, labels = blobs(40, dims=60, distance=0.0)
    copies, doubled = np.repeat(features, 4, axis=0), np.repeat(labels, 4)
    grouped = fit((copies, doubled), head="rbf_svm", groups=np.repeat(np.arange(40), 4))
    loose = fit((copies, doubled), head="rbf_svm")
    assert (loose.oof_logits.argmax(axis=1) == doubled).mean() > 0.95
    assert (grouped.oof_logits.argmax(axis=1) == doubled).mean() < 0.7


@pytest.mark.parametrize("head", ["logistic", "softmax", "linear_svm", "rbf_svm"])
def test_same_input_same_bits_with_any_number_of_threads(head: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data, found = blobs(classes=3), []
    for threads in ("1", "1", "3"):
        monkeypatch.setenv("TELITI_THREADS", threads)
        found.append(fit(data, head=head))
    for other in found[1:]:
        assert other.oof_logits.tobytes() == found[0].oof_logits.tobytes()
        for name, array in found[0].weights.to_arrays().items():
            assert other.weights.to_arrays()[name].tobytes() == array.tobytes()


def test_history_records_every_setting_and_the_best_is_chosen() -> None:
    history = json.loads(json.dumps(fit(rings(), head="rbf_svm").history, allow_nan=False))
    tried = history["tried"]
    assert len(tried) == 9
    best = min(tried, key=lambda row: row["loss"])
    assert history["chosen"] == {"c": best["c"], "gamma": best["gamma"]}
    assert history["head"] == "rbf_svm"
    assert history["method"] == "exact kernel"
    assert (history["folds"], history["photos"], history["features"]) == (5, 160, 2)
    assert history["converged"]
    assert 0 < history["loss"] < 0.3


def test_settings_of_the_recipe_are_not_searched() -> None:
    history = fit(rings(), head="rbf_svm", c=2.0, gamma=0.7).history
    assert history["chosen"] == {"c": 2.0, "gamma": 0.7}
    assert len(history["tried"]) == 1
    assert [row["gamma"] for row in fit(rings(), head="rbf_svm", c=2.0).history["tried"]] == [0.5, 1.0, 2.0]


def test_auto_is_a_kernel_for_classes_and_for_numbers() -> None:
    assert fit(blobs(40)).history["head"] == "rbf_svm"
    assert fit(waves(40)).history["head"] == "svr"


@pytest.mark.parametrize(
    ("head", "make", "least"),
    [("rbf_svm", rings, 0.95), ("rbf_svm", lambda *a, **k: blobs(*a, classes=3, **k), 0.85), ("svr", waves, 0.85)],
)
def test_beyond_the_exact_limit_landmarks_take_over(
    head: str, make: Callable[..., Blobs], least: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear, "EXACT_LIMIT", 200)
    monkeypatch.setattr(linear, "SEARCH_PHOTOS", 180)
    monkeypatch.setattr("teliti.training.heads.kernel._MAX_LANDMARKS", 60)
    fitted = fit(make(300), head=head)
    assert fitted.history["method"] == "landmarks"
    assert fitted.history["supports"] == 60
    assert fitted.history["search_photos"] < 300
    assert len(fitted.oof_logits) == 300
    features, targets = make(400, seed=1)
    if fitted.weights.is_regression:
        r2 = 1 - ((fitted.weights.logits(features)[:, 0] - targets) ** 2).mean() / targets.var()
        assert r2 > least
    else:
        assert accuracy(fitted.weights, (features, targets)) > least


def test_search_photos_are_whole_groups_of_every_class(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "SEARCH_PHOTOS", 60)
    features, labels = blobs(400)
    labels = np.where(np.arange(400) < 8, 2, labels)  # a rare third class
    groups = np.arange(400) // 4
    fitted = fit((features, labels), head="logistic", groups=groups)
    assert 60 < fitted.history["search_photos"] < 300
    assert fitted.history["folds"] == 2  # the rare class has two groups
    assert np.isfinite(fitted.oof_logits).all()


def test_head_and_out_of_fold_scores_survive_the_way_to_torch() -> None:
    features, labels = blobs(classes=3)
    fitted = fit((features, labels), head="rbf_svm")
    with torch.inference_mode():
        logits, _ = head_module(fitted.weights)(torch.from_numpy(features))
    np.testing.assert_allclose(logits.numpy(), fitted.weights.logits(features), atol=1e-5)


def test_progress_ends_where_it_said() -> None:
    class Counting(SilentReporter):
        total, done = 0, 0

        def task(self, title: str, total: int | None) -> AbstractContextManager[Callable[[int], None]]:
            assert title == "Fitting the head"
            self.total = total or 0
            return nullcontext(self.advance)

        def advance(self, steps: int) -> None:
            self.done += steps

    reporter, (features, labels) = Counting(), blobs(40)
    fit_head(
        features,
        labels,
        np.arange(40),
        model=ModelRecipe(),
        task="classification",
        num_classes=2,
        seed=0,
        reporter=reporter,
    )
    assert reporter.done == reporter.total > 0


@pytest.mark.parametrize(("head", "data"), [("ridge", blobs(20)), ("rbf_svm", waves(20))])
def test_a_head_of_the_other_task_is_refused(head: str, data: Blobs) -> None:
    with pytest.raises(RecipeError, match=rf"model\.head must be one of .*, got '{head}'\. Leave it at \"auto\""):
        fit(data, head=head)


def test_features_that_are_not_finite_are_refused() -> None:
    features, labels = blobs(20)
    features[3, 1], features[4, 2] = np.nan, np.inf
    with pytest.raises(UserError, match="must be finite, got 2 of 20 photos with a number that is not"):
        fit((features, labels))


def test_shapes_that_do_not_match_are_refused() -> None:
    features, labels = blobs(20)
    with pytest.raises(UserError, match=r"got \(20, 6\), 19 targets and 20 groups"):
        fit((features, labels[1:]), groups=np.arange(20))


def test_one_class_is_refused() -> None:
    with pytest.raises(UserError, match="must be of at least two classes, got 1"):
        fit((blobs(20)[0], np.zeros(20, np.int64)))


def test_a_class_without_photos_is_refused() -> None:
    with pytest.raises(SplitError, match=r"at least 2 separate photos .* got 0 of class 1"):
        fit((blobs(20)[0], np.arange(20) % 2 * 2))


def test_a_class_of_one_group_is_refused() -> None:
    features, labels = blobs(20)
    with pytest.raises(SplitError, match=r"at least 2 separate photos .* got 1 of class 1"):
        fit((features, labels), groups=np.where(labels == 1, 0, np.arange(20)))


def test_numbers_of_one_group_are_refused() -> None:
    with pytest.raises(SplitError, match="got 1 of a range of numbers"):
        fit(waves(20), groups=np.zeros(20, np.int64))


def test_a_class_that_groups_hold_in_one_fold_is_refused() -> None:
    labels = np.array([0, 0, 1, 1, 1, 0, 0, 0, 1, 1])
    groups = np.array([1, 1, 0, 1, 0, 2, 2, 2, 0, 0])
    assert len(np.unique(fold_samples(labels, groups, folds=2, seed=0)[labels == 1])) == 1
    with pytest.raises(SplitError, match=r"must be in at least 2 folds .* got class 1 in one"):
        fit((blobs(10)[0], labels), groups=groups, seed=0)


def test_without_scikit_learn_the_sentence_has_the_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("teliti.runtime.is_installed", lambda library: library != "sklearn")
    with pytest.raises(MissingExtraError, match=r'pip install "teliti\[train\]"'):
        fit(blobs(20))
