"""Weights of labels in the losses of a network, against torch's own formula and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from teliti.errors import RecipeError
from teliti.recipe.train import TrainRecipe
from teliti.training.losses import balanced_label_weights, binary_cross_entropy, binary_focal_loss, make_objective

TARGETS = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0], [0.0, 0.0]])


def test_both_sides_of_a_label_weigh_the_same() -> None:
    weights = balanced_label_weights(TARGETS)
    assert weights.tolist() == [[4 / 6, 4 / 6], [2.0, 2.0]]
    sums = (weights[0][:, None] * (TARGETS.T == 0)).sum(axis=1), (weights[1][:, None] * TARGETS.T).sum(axis=1)
    np.testing.assert_allclose(*sums)
    assert balanced_label_weights(np.zeros((3, 1)))[1, 0] == 1.0


def test_weights_multiply_each_side_of_the_cross_entropy() -> None:
    logits, targets = torch.randn(4, 2, dtype=torch.float64), torch.tensor(TARGETS)
    weights = torch.tensor(balanced_label_weights(TARGETS))
    factor = targets * weights[1] + (1 - targets) * weights[0]
    oracle = functional.binary_cross_entropy_with_logits(logits, targets, weight=factor, reduction="none").mean(dim=1)
    torch.testing.assert_close(binary_cross_entropy(logits, targets, weights=weights), oracle)
    torch.testing.assert_close(binary_focal_loss(logits, targets, gamma=0.0, weights=weights), oracle)
    ones = torch.ones_like(weights)
    torch.testing.assert_close(
        binary_cross_entropy(logits, targets, label_smoothing=0.1, weights=ones),
        binary_cross_entropy(logits, targets, label_smoothing=0.1),
    )


@pytest.mark.parametrize("loss", [binary_cross_entropy, binary_focal_loss])
def test_gradients_agree_with_finite_differences(loss: object) -> None:
    logits = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    targets, weights = torch.rand(3, 2, dtype=torch.float64), torch.rand(2, 2, dtype=torch.float64) + 0.5
    assert torch.autograd.gradcheck(lambda x: loss(x, targets, weights=weights), (logits,))  # type: ignore[operator]


@pytest.mark.parametrize("loss", ["auto", "focal"])
def test_an_objective_of_labels_has_the_weights_inside(loss: str) -> None:
    weights = balanced_label_weights(TARGETS)
    objective = make_objective(
        TrainRecipe(loss=loss),
        task="multilabel",
        num_outputs=2,
        class_weights=weights,  # type: ignore[arg-type]
    )
    plain = make_objective(TrainRecipe(loss=loss), task="multilabel", num_outputs=2)  # type: ignore[arg-type]
    logits, targets = torch.zeros(4, 2), torch.tensor(TARGETS, dtype=torch.float32)
    assert objective.photo_weights(np.zeros(4)) is None
    assert objective.per_photo(logits, targets)[0] > plain.per_photo(logits, targets)[0]  # a rare label there
    assert objective.per_photo(logits, targets)[1] < plain.per_photo(logits, targets)[1]


def test_losses_that_cannot_weigh_labels_say_so() -> None:
    with pytest.raises(RecipeError, match=r'train\.class_weights must be "none" with loss "mse" and several labels'):
        make_objective(TrainRecipe(loss="mse"), task="multilabel", num_outputs=2, class_weights=np.ones((2, 2)))
