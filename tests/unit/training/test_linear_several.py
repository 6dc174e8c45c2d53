"""Heads of several labels and numbers: each as good as its own problem, one file, one formula."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.preprocessing import StandardScaler

from teliti.errors import RecipeError, SplitError
from teliti.models.heads import HeadWeights, head_module, sigmoid
from teliti.recipe import ModelRecipe
from teliti.training.heads import kernel, linear
from teliti.training.heads.linear import FittedHead, fit_head
from teliti.types import SilentReporter


def draw_labels(photos: int = 240, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features (N, 6) and two labels that overlap."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(photos, 6)).astype(np.float32)
    noise = rng.normal(size=(photos, 2))
    return x, (np.stack([x[:, 0] - x[:, 1], x[:, 2] - 1.0], axis=1) + 0.7 * noise > 0).astype(np.int64)


def fit(x: np.ndarray, y: np.ndarray, *, task: str, **model: object) -> FittedHead:
    return fit_head(
        x, y, np.arange(len(x)), model=ModelRecipe(**model), task=task, num_classes=0 if task == "regression" else 2,
        seed=7, reporter=SilentReporter(),
    )  # type: ignore[arg-type]  # fmt: skip


@pytest.mark.parametrize("head", ["logistic", "linear_svm", "rbf_svm"])
def test_every_label_is_found_and_honest(head: str) -> None:
    (x, y), (new, truth) = draw_labels(), draw_labels(2000, seed=1)
    fitted = fit(x, y, task="multilabel", head=head)
    probs = fitted.weights.probs(new)
    assert (fitted.weights.is_multilabel, fitted.weights.num_outputs, probs.shape) == (True, 2, (2000, 2))
    for k in range(2):
        assert roc_auc_score(truth[:, k], probs[:, k]) > 0.9
        assert abs(probs[:, k].mean() - truth[:, k].mean()) < 0.06  # the rare label's probability is honest too
        out_of_fold = sigmoid(fitted.oof_logits[:, k].astype(np.float64))
        assert log_loss(y[:, k], out_of_fold) < log_loss(y[:, k], np.full(240, y[:, k].mean()))
    assert fitted.history["loss"] == pytest.approx(
        np.mean([log_loss(y[:, k], sigmoid(fitted.oof_logits[:, k].astype(float))) for k in range(2)]), rel=1e-3
    )


def test_a_label_ranks_as_its_own_logistic_regression() -> None:
    x, y = draw_labels()
    fitted = fit(x, y, task="multilabel", head="logistic", c=0.5)
    z = StandardScaler().fit_transform(x)
    for k in range(2):
        oracle = LogisticRegression(C=0.5, class_weight="balanced", tol=1e-8).fit(z, y[:, k]).coef_[0]
        own = fitted.weights.weight[:, k]
        assert own / np.linalg.norm(own) == pytest.approx(oracle / np.linalg.norm(oracle), abs=1e-3)


def test_landmarks_serve_labels_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "EXACT_LIMIT", 50)
    monkeypatch.setattr(kernel, "_MAX_LANDMARKS", 40)
    (x, y), (new, truth) = draw_labels(), draw_labels(seed=1)
    fitted = fit(x, y, task="multilabel", head="rbf_svm")
    assert fitted.history["method"] == "landmarks"
    assert roc_auc_score(truth, fitted.weights.probs(new)) > 0.9


def test_settings_are_compared_on_some_photos_of_every_label(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "SEARCH_PHOTOS", 120)
    monkeypatch.setattr(linear, "_MIN_SEARCH_PHOTOS_OF_CLASS", 10)
    x, y = draw_labels()
    assert 80 <= fit(x, y, task="multilabel", head="logistic").history["search_photos"] < 240


@pytest.mark.parametrize("head", ["ridge", "svr"])
def test_several_numbers_are_learnt_each_in_its_unit(head: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 5)).astype(np.float32)
    y = np.stack([x[:, 0] + 100.0, 1000.0 * x[:, 1]], axis=1)
    fitted = fit(x, y, task="regression", head=head)
    found = fitted.weights.logits(x)
    assert (fitted.weights.is_regression, found.shape, fitted.oof_logits.shape) == (True, (200, 2), (200, 2))
    assert (np.abs(found - y).mean(axis=0) < 0.2 * y.std(axis=0)).all()


def test_ridge_of_several_numbers_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(80, 4)).astype(np.float32), rng.normal(size=(80, 2)) * [1.0, 30.0] + [5.0, 0.0]
    fitted = fit(x, y, task="regression", head="ridge", c=2.0)
    z = StandardScaler().fit_transform(x)
    oracle = Ridge(alpha=0.5).fit(z, (y - y.mean(axis=0)) / y.std(axis=0)).predict(z) * y.std(axis=0) + y.mean(axis=0)
    np.testing.assert_allclose(fitted.weights.logits(x), oracle, rtol=1e-3, atol=1e-3)


def test_the_torch_module_and_the_kept_arrays_give_the_same() -> None:
    x, y = draw_labels()
    weights = fit(x, y, task="multilabel", head="rbf_svm", c=1.0, gamma=1.0).weights
    logits, probs = head_module(weights)(torch.from_numpy(x))
    np.testing.assert_allclose(logits.numpy(), weights.logits(x), atol=1e-5)
    np.testing.assert_allclose(probs.numpy(), weights.probs(x), atol=1e-6)
    back = HeadWeights.from_arrays(weights.to_arrays())
    assert back.is_multilabel
    np.testing.assert_array_equal(back.probs(x), weights.probs(x))


def test_what_labels_cannot_be_fitted_with_is_refused() -> None:
    x, y = draw_labels(20)
    with pytest.raises(RecipeError, match=r"model\.head must be one of logistic, linear_svm, rbf_svm for multilabel"):
        fit(x, y, task="multilabel", head="softmax")
    y[:, 0] = np.arange(20) == 0
    with pytest.raises(SplitError, match=r"on at least 2 separate photos \(groups\) of the training part"):
        fit(x, y, task="multilabel", head="logistic")


def test_a_sigmoid_does_not_overflow() -> None:
    assert sigmoid(np.array([-1000.0, 0.0, 1000.0])).tolist() == [0.0, 0.5, 1.0]
