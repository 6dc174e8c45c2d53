"""Losses against worked numbers, other libraries and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import check_grad
from torch.nn import functional
from torchvision.ops import sigmoid_focal_loss

from teliti.errors import RecipeError
from teliti.training.losses import (
    balanced_weights,
    binary_cross_entropy,
    binary_focal_loss,
    cross_entropy,
    focal_loss,
    half_squared_error,
    make_objective,
    mean_absolute_error,
    mean_squared_error,
    perceptron_loss,
    sum_of_squares,
)
from unit.training.tiny_networks import options

POOR = [0.43, 0.28, 0.19, 0.88, 0.72, 0.01, 0.64, 0.86, 0.99, 0.63]
GOOD = [0.02, 0.03, 0.06, 0.97, 0.07, 0.02, 0.05, 0.06, 0.08, 0.04]
LABELS = torch.tensor([2, 0, 1, 2])
LOGITS = torch.tensor([[0.3, -1.2, 2.0], [4.0, 0.1, -3.0], [0.0, 0.0, 0.0], [-2.5, 1.0, -0.5]], dtype=torch.float64)
NUMBERS = torch.tensor([[0.5, 2.0, -1.0], [0.0, 1.0, 1.0], [3.0, -2.0, 0.1], [0.2, 0.2, 0.9]], dtype=torch.float64)
ONE_HOT = functional.one_hot(LABELS, 3).double()
SHARES = torch.tensor([[0.75, 0.0, 0.25], [1.0, 0.0, 0.0], [0.125, 0.5, 0.375], [0.0, 0.0, 1.0]], dtype=torch.float64)
"""Of classes, of four mixed photos: of two, one, three and one."""

OF_LABELS = {
    "cross_entropy": lambda x: cross_entropy(x, LABELS),
    "smoothed": lambda x: cross_entropy(x, LABELS, label_smoothing=0.1),
    "focal": lambda x: focal_loss(x, LABELS, gamma=2.0),
    "focal_0.5": lambda x: focal_loss(x, LABELS, gamma=0.5),
    "binary": lambda x: binary_cross_entropy(x, ONE_HOT),
    "binary_smoothed": lambda x: binary_cross_entropy(x, ONE_HOT, label_smoothing=0.2),
    "binary_focal": lambda x: binary_focal_loss(x, ONE_HOT, gamma=2.0),
    "binary_focal_of_shares": lambda x: binary_focal_loss(x, SHARES, gamma=2.0),
    "half_squared_error": lambda x: half_squared_error(x, NUMBERS),
    "sum_of_squares": lambda x: sum_of_squares(x.sigmoid(), ONE_HOT),
    "mse": lambda x: mean_squared_error(x, NUMBERS),
    "mae": lambda x: mean_absolute_error(x, NUMBERS),
    "perceptron": lambda x: perceptron_loss(x + 0.05, ONE_HOT),
}


@pytest.mark.parametrize(("outputs", "cost"), [(POOR, 3.3585), (GOOD, 0.0252)])
def test_the_cost_of_ten_outputs_for_the_digit_three(outputs: list[float], cost: float) -> None:
    target = functional.one_hot(torch.tensor([3]), 10).double()
    assert sum_of_squares(torch.tensor([outputs], dtype=torch.float64), target).item() == pytest.approx(cost, abs=5e-5)


def test_half_the_squared_error_of_one_number() -> None:
    found = half_squared_error(torch.tensor([[-0.986]], dtype=torch.float64), torch.tensor([[61.5]]).double())
    assert found.item() == pytest.approx(1952.25, abs=5e-3)


def test_binary_cross_entropy_has_its_minus_before_both_terms() -> None:
    p, t = 0.7, np.array([1.0, 0.0, 0.25])
    logits = torch.full((3, 1), np.log(p / (1 - p)), dtype=torch.float64)
    expected = -(t * np.log(p) + (1 - t) * np.log(1 - p))
    np.testing.assert_allclose(binary_cross_entropy(logits, torch.tensor(t)[:, None]).numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("name", OF_LABELS)
def test_every_gradient_agrees_with_finite_differences(name: str) -> None:
    """Central differences by torch, forward differences by SciPy."""
    loss = OF_LABELS[name]
    assert torch.autograd.gradcheck(lambda x: loss(x).sum(), LOGITS.clone().requires_grad_())

    def value(flat: np.ndarray) -> float:
        return float(loss(torch.from_numpy(flat).view(4, 3)).sum())

    def gradient(flat: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(flat.copy()).view(4, 3).requires_grad_()
        loss(x).sum().backward()
        return x.grad.numpy().ravel()

    assert check_grad(value, gradient, LOGITS.numpy().ravel().copy()) < 1e-5


@pytest.mark.parametrize("name", OF_LABELS)
def test_every_loss_is_one_number_a_photo(name: str) -> None:
    found = OF_LABELS[name](LOGITS)
    assert found.shape == (4,)
    alone = torch.stack([OF_LABELS[name](LOGITS)[place] for place in range(4)])
    assert torch.equal(found, alone)


def test_focal_loss_without_focus_is_cross_entropy_and_with_it_torchvisions() -> None:
    assert torch.allclose(focal_loss(LOGITS, LABELS, gamma=0.0), cross_entropy(LOGITS, LABELS))
    theirs = sigmoid_focal_loss(LOGITS, ONE_HOT, alpha=-1, gamma=2.0).mean(dim=1)
    assert torch.allclose(binary_focal_loss(LOGITS, ONE_HOT, gamma=2.0), theirs)


def test_focal_loss_of_a_certain_photo_has_a_finite_gradient() -> None:
    certain = torch.tensor([[200.0, -200.0]], requires_grad=True)
    focal_loss(certain, torch.tensor([0]), gamma=0.5).sum().backward()
    assert torch.isfinite(certain.grad).all()


def test_one_step_down_the_perceptron_loss_is_rosenblatts_rule() -> None:
    w, x, target = torch.tensor([0.2, -0.5, 0.1], dtype=torch.float64), torch.tensor([1.0, 2.0, -1.0]).double(), 1.0
    unit = w.clone().requires_grad_()
    perceptron_loss((unit @ x).view(1, 1), torch.tensor([[target]]).double()).sum().backward()
    fired = float(w @ x > 0)
    assert torch.allclose(w - 0.3 * unit.grad, w + 0.3 * (target - fired) * x)
    assert perceptron_loss(torch.tensor([[2.0]]), torch.tensor([[1.0]])).item() == 0.0


@pytest.mark.parametrize(
    ("task", "num_outputs", "loss", "resolved", "activation"),
    [
        ("classification", 3, "auto", "cross_entropy", "softmax"),
        ("classification", 1, "auto", "binary_cross_entropy", "sigmoid"),
        ("classification", 10, "sum_of_squares", "sum_of_squares", "sigmoid"),
        ("classification", 3, "focal", "focal", "softmax"),
        ("classification", 1, "focal", "focal", "sigmoid"),
        ("multilabel", 4, "auto", "binary_cross_entropy", "sigmoid"),
        ("regression", 2, "auto", "mse", "identity"),
        ("regression", 1, "half_squared_error", "half_squared_error", "identity"),
    ],
)
def test_a_loss_follows_from_the_task_and_says_what_outputs_mean(
    task: str, num_outputs: int, loss: str, resolved: str, activation: str
) -> None:
    objective = make_objective(options(loss=loss), task=task, num_outputs=num_outputs)
    assert (objective.loss, objective.activation) == (resolved, activation)
    targets = np.array([0, 0]) if task == "classification" else np.zeros((2, num_outputs))
    losses = objective.per_photo(torch.zeros(2, num_outputs), objective.targets_for(targets, task))
    assert losses.shape == (2,)


def test_one_output_and_two_outputs_for_two_classes_agree() -> None:
    """Binary cross-entropy of z is cross-entropy of (0, z)."""
    z = torch.tensor([[0.4], [-2.0]])
    one = make_objective(options(), task="classification", num_outputs=1)
    two = make_objective(options(), task="classification", num_outputs=2)
    labels = np.array([1, 0])
    first = one.per_photo(z, one.targets_for(labels, "classification"))
    second = two.per_photo(torch.cat([torch.zeros(2, 1), z], dim=1), two.targets_for(labels, "classification"))
    assert torch.allclose(first, second)
    for name in ("cross_entropy", "focal"):
        objective = make_objective(options(loss=name), task="classification", num_outputs=1)
        assert objective.per_photo(z, objective.targets_for(labels, "classification")).shape == (2,)


def test_balanced_weights_are_scikit_learns() -> None:
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.array([0] * 7 + [1] * 2 + [2] * 3)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    np.testing.assert_allclose(balanced_weights(labels, 3), expected)
    assert balanced_weights(np.array([0, 0, 2]), 3).tolist() == [0.75, 1.0, 1.5]


def test_class_weights_multiply_a_photos_loss() -> None:
    objective = make_objective(options(), task="classification", num_outputs=2, class_weights=np.array([1.0, 3.0]))
    assert objective.photo_weights(np.array([0, 1, 1])).tolist() == [1.0, 3.0, 3.0]
    assert make_objective(options(), task="classification", num_outputs=2).photo_weights(np.array([0])) is None


def mixed_losses(num_outputs: int, shares: torch.Tensor, logits: torch.Tensor, **values: object) -> torch.Tensor:
    weights = values.pop("class_weights", None)
    objective = make_objective(options(**values), task="classification", num_outputs=num_outputs, class_weights=weights)
    return objective.mixed_losses(logits, shares.numpy(), "classification")


@pytest.mark.parametrize("loss", ["cross_entropy", "focal", "half_squared_error", "sum_of_squares"])
def test_the_gradients_of_mixed_photos_agree_with_finite_differences(loss: str) -> None:
    x = LOGITS.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda logits: mixed_losses(3, SHARES, logits, loss=loss).sum(), x)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_the_cross_entropy_of_a_mixed_photo_is_torchs_of_its_shares(label_smoothing: float) -> None:
    expected = functional.cross_entropy(LOGITS, SHARES, reduction="none", label_smoothing=label_smoothing)
    assert torch.allclose(mixed_losses(3, SHARES, LOGITS, label_smoothing=label_smoothing), expected)


def test_each_share_of_a_mixed_photo_weighs_as_its_class() -> None:
    class_weights = np.array([0.5, 1.0, 3.0])
    expected = functional.cross_entropy(LOGITS, SHARES, weight=torch.from_numpy(class_weights), reduction="none")
    assert torch.allclose(mixed_losses(3, SHARES, LOGITS, class_weights=class_weights), expected)


def test_one_output_learns_the_share_of_the_second_class() -> None:
    share, logits = torch.tensor([0.0, 0.3, 1.0, 0.5]).double(), LOGITS[:, :1]
    shares = torch.stack([1.0 - share, share], dim=1)
    expected = functional.binary_cross_entropy_with_logits(logits[:, 0], share, reduction="none")
    assert torch.allclose(mixed_losses(1, shares, logits), expected)
    expected = binary_focal_loss(logits, share[:, None])
    assert torch.allclose(mixed_losses(1, shares, logits, loss="focal"), expected)


def test_the_focal_loss_of_a_mixed_photo_by_hand() -> None:
    p = torch.tensor([0.5, 0.3, 0.2]).double()
    expected = 0.75 * -(0.5**2) * np.log(0.5) + 0.25 * -(0.8**2) * np.log(0.2)
    assert mixed_losses(3, SHARES[:1], p.log()[None], loss="focal").item() == pytest.approx(expected)


@pytest.mark.parametrize("loss", ["sum_of_squares", "half_squared_error", "mse"])
def test_squares_of_mixed_photos_pull_towards_the_shares(loss: str) -> None:
    """The gradient is that of the squared distance from the shares; the loss itself has their spread on top."""
    first, second = LOGITS.clone().requires_grad_(), LOGITS.clone().requires_grad_()
    found = mixed_losses(3, SHARES, first, loss=loss)
    factor = {"sum_of_squares": 1.0, "half_squared_error": 0.5, "mse": 1 / 3}[loss]
    distance = factor * sum_of_squares(second.sigmoid(), SHARES)
    found.sum().backward()
    distance.sum().backward()
    assert torch.allclose(first.grad, second.grad)
    assert torch.allclose(found - distance, factor * (1.0 - SHARES.square().sum(dim=1)))


def test_mixed_numbers_are_compared_as_they_are() -> None:
    objective = make_objective(options(loss="mae"), task="regression", num_outputs=3)
    expected = mean_absolute_error(LOGITS.float(), NUMBERS.float())
    assert torch.equal(objective.mixed_losses(LOGITS.float(), NUMBERS.numpy(), "regression"), expected)


@pytest.mark.parametrize(
    ("values", "task", "weighted", "said"),
    [
        ({"loss": "cross_entropy"}, "regression", False, 'train.loss must be a loss of numbers, got "cross_entropy"'),
        ({"loss": "cross_entropy"}, "multilabel", False, "train.loss must allow several labels a photo"),
        ({"loss": "mae", "label_smoothing": 0.1}, "classification", False, "train.label_smoothing must be 0 with loss"),
        ({}, "regression", True, 'train.class_weights must be "none" where a photo has no one class'),
    ],
)
def test_a_loss_that_does_not_fit_is_refused(values: dict, task: str, weighted: bool, said: str) -> None:
    weights = np.ones(2) if weighted else None
    with pytest.raises(RecipeError, match=said):
        make_objective(options(**values), task=task, num_outputs=2, class_weights=weights)
