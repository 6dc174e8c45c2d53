"""Losses, each as one number a photo; what a batch minimises is their weighted mean over its photos.

The weights of classes multiply a photo's loss and the sum is divided by the number of photos (as Keras does; torch
divides by the sum of the weights), so that a batch may be cut into parts that add up to the whole.
Squared losses of classes are taken between the sigmoid of each output and the one-hot target: "sum_of_squares" is the
cost of Nielsen, "Neural Networks and Deep Learning" (2015), chapter 1, without his 1/2. Focal: T.-Y. Lin et al. (2017).
Perceptron: F. Rosenblatt (1958); its gradient with respect to a weight is -(target - output) x, so that plain SGD is
the perceptron's learning rule.
A mixed photo's loss is the mean of its losses with each of its classes, by their shares, as in the code of H. Zhang et
al., "mixup" (2018). For cross-entropies, smoothed or not, that is the loss with the mixed target; for squares it is
larger by what does not depend on the network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from teliti.errors import RecipeError
from teliti.recipe.train import Loss, TrainRecipe
from teliti.training.batches import NetworkTask
from teliti.types import FloatArray, IntArray

Activation = Literal["softmax", "sigmoid", "identity"]
_OF_CLASSES = {"cross_entropy", "binary_cross_entropy", "focal", "perceptron"}
_WEIGHED_LABELS = {"binary_cross_entropy", "focal"}
_SMOOTHED = {"cross_entropy", "binary_cross_entropy"}


def cross_entropy(logits: Tensor, labels: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    """-SUM target log softmax(logits), per photo.

    Args:
        logits: (N, K).
        labels: (N,) int64 class index.
        label_smoothing: Share of the target spread evenly over all K classes.

    Returns:
        (N,).
    """
    return functional.cross_entropy(logits, labels, reduction="none", label_smoothing=label_smoothing)


def binary_cross_entropy(
    logits: Tensor, targets: Tensor, *, label_smoothing: float = 0.0, weights: Tensor | None = None
) -> Tensor:
    """-[t log p + (1 - t) log(1 - p)] with p = sigmoid(logits), the mean over the outputs, per photo.

    Args:
        logits: (N, K).
        targets: (N, K) in [0, 1].
        label_smoothing: Share of the target moved to 1/2.
        weights: (2, K) of each label where it is missing and where it is there; None: all 1.

    Returns:
        (N,).
    """
    smoothed = targets * (1.0 - label_smoothing) + 0.5 * label_smoothing
    if weights is None:
        return functional.binary_cross_entropy_with_logits(logits, smoothed, reduction="none").mean(dim=1)
    missing, there = weights.to(logits.device)
    log_p, log_q = functional.logsigmoid(logits), functional.logsigmoid(-logits)
    losses: Tensor = -(there * smoothed * log_p + missing * (1.0 - smoothed) * log_q).mean(dim=1)
    return losses


def focal_loss(logits: Tensor, labels: Tensor, *, gamma: float = 2.0) -> Tensor:
    """-(1 - p)^gamma log p of the true class's softmax probability p, per photo.

    Args:
        logits: (N, K).
        labels: (N,) int64 class index.
        gamma: 0 is cross-entropy.

    Returns:
        (N,).
    """
    return _focal(functional.log_softmax(logits, dim=1).gather(1, labels[:, None])[:, 0], gamma)


def binary_focal_loss(logits: Tensor, targets: Tensor, *, gamma: float = 2.0, weights: Tensor | None = None) -> Tensor:
    """The focal loss of one or more sigmoid outputs, the mean over them, per photo.

    Args:
        logits: (N, K).
        targets: (N, K) in [0, 1]: the share of the label; the rest is the share of its absence.
        gamma: 0 is binary cross-entropy.
        weights: (2, K) of each label where it is missing and where it is there; None: all 1.

    Returns:
        (N,).
    """
    present, absent = _focal(functional.logsigmoid(logits), gamma), _focal(functional.logsigmoid(-logits), gamma)
    if weights is not None:
        missing, there = weights.to(logits.device)
        present, absent = there * present, missing * absent
    return (targets * present + (1.0 - targets) * absent).mean(dim=1)


def half_squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """1/2 SUM (target - output)^2 over the outputs, per photo: (N, K) and (N, K) to (N,)."""
    return 0.5 * sum_of_squares(outputs, targets)


def sum_of_squares(outputs: Tensor, targets: Tensor) -> Tensor:
    """SUM (target - output)^2 over the outputs, per photo: (N, K) and (N, K) to (N,)."""
    return (targets - outputs).square().sum(dim=1)


def mean_squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """The mean of (target - output)^2 over the outputs, per photo: (N, K) and (N, K) to (N,)."""
    return (targets - outputs).square().mean(dim=1)


def mean_absolute_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """The mean of |target - output| over the outputs, per photo: (N, K) and (N, K) to (N,)."""
    return (targets - outputs).abs().mean(dim=1)


def perceptron_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """-SUM (target - step(s)) s over the outputs s, per photo: 0 where every unit is right.

    Args:
        logits: (N, K), each unit's sum before its step.
        targets: (N, K) of 0 and 1.

    Returns:
        (N,).
    """
    fired = (logits.detach() > 0.0).to(logits.dtype)
    return ((fired - targets) * logits).sum(dim=1)


def _focal(log_p: Tensor, gamma: float) -> Tensor:
    return -((-torch.expm1(log_p)).clamp_min(torch.finfo(log_p.dtype).tiny) ** gamma) * log_p


_ON_OUTPUTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "half_squared_error": half_squared_error,
    "sum_of_squares": sum_of_squares,
    "mse": mean_squared_error,
    "mae": mean_absolute_error,
}


@dataclass(frozen=True, eq=False)
class Objective:
    """The loss of a job, and what the network's outputs mean under it.

    Attributes:
        loss: Never "auto".
        activation: What turns logits into outputs: probabilities, or numbers.
        per_photo: Logits (N, K) and targets as `targets_for` gives them to (N,) losses without class weights.
        wants_labels: Targets are (N,) class indices; otherwise (N, K) numbers.
        num_outputs: K.
        class_weights: (classes,) float32, or None.
    """

    loss: Loss
    activation: Activation
    per_photo: Callable[[Tensor, Tensor], Tensor]
    wants_labels: bool
    num_outputs: int
    class_weights: Tensor | None = None

    def outputs(self, logits: Tensor) -> Tensor:
        """Probabilities or numbers (N, K) of logits (N, K)."""
        if self.activation == "softmax":
            return logits.softmax(dim=1)
        return logits.sigmoid() if self.activation == "sigmoid" else logits

    def targets_for(self, targets: np.ndarray, task: NetworkTask) -> Tensor:
        """All targets in the form that `per_photo` takes: (M,) int64 or (M, K) float32.

        Args:
            targets: (M,) class indices, or (M,) or (M, K) numbers.
            task: What they are.
        """
        given = torch.from_numpy(np.ascontiguousarray(targets))
        if task != "classification":
            return given.to(torch.float32).view(len(given), -1)
        if self.wants_labels:
            return given.to(torch.int64)
        if self.num_outputs == 1:
            return given.to(torch.float32)[:, None]
        return functional.one_hot(given.to(torch.int64), self.num_outputs).to(torch.float32)

    def photo_weights(self, targets: np.ndarray) -> Tensor | None:
        """(M,) float32 weight of each photo by its class; None: all 1.

        Args:
            targets: (M,) class indices.
        """
        return None if self.class_weights is None else self.class_weights[torch.from_numpy(targets.astype(np.int64))]

    def mixed_losses(self, logits: Tensor, mixed: FloatArray, task: NetworkTask) -> Tensor:
        """SUM share x class weight x loss with that class over the classes of each mixed photo.

        Args:
            logits: (N, K).
            mixed: (N, classes) shares; for other tasks the mixed (N, K) labels or numbers, whose loss it is.
            task: What they are.

        Returns:
            (N,) losses, class weights included.
        """
        if task != "classification":
            return self.per_photo(logits, self.targets_for(mixed, task).to(logits.device))
        classes = np.argsort(-mixed, axis=1, kind="stable")[:, : np.count_nonzero(mixed, axis=1).max()]  # two, mostly
        losses = torch.zeros(len(logits), device=logits.device)
        for labels, shares in zip(classes.T, np.take_along_axis(mixed, classes, axis=1).T, strict=True):
            weights, own = torch.from_numpy(shares), self.photo_weights(labels)
            weights = weights if own is None else weights * own
            targets = self.targets_for(labels, task).to(logits.device)
            losses = losses + self.per_photo(logits, targets) * weights.to(logits.device)
        return losses


def make_objective(
    options: TrainRecipe, *, task: NetworkTask, num_outputs: int, class_weights: FloatArray | None = None
) -> Objective:
    """The objective that a recipe asks for.

    Args:
        options: With loss, label smoothing and gamma.
        task: What the targets are.
        num_outputs: Outputs of the network; 1 for two classes is the probability of the second.
        class_weights: (classes,); of labels (2, K), where each is missing and where it is there; None: all 1.

    Raises:
        RecipeError: the loss does not fit the task, or class weights or label smoothing do not fit the loss.
    """
    loss = _resolve(options.loss, task, num_outputs)
    _refuse_misfits(loss, options, task=task, weighted=class_weights is not None)
    softmax = task == "classification" and num_outputs > 1 and loss in {"cross_entropy", "focal"}
    activation: Activation = "identity" if task == "regression" else "softmax" if softmax else "sigmoid"
    weights = None if class_weights is None else torch.tensor(np.asarray(class_weights), dtype=torch.float32)
    of_labels = weights if task == "multilabel" else None  # a photo has no one class to be weighed by
    per_photo = _per_photo(loss, activation, options, weights=of_labels)
    return Objective(loss, activation, per_photo, softmax, num_outputs, None if of_labels is not None else weights)


def balanced_weights(labels: IntArray, num_classes: int) -> FloatArray:
    """(K,) float64: photos / (K x photos of the class), so that each class weighs the same; 1 for absent classes."""
    counts = np.bincount(labels, minlength=num_classes)
    present = counts > 0
    weights = np.ones(num_classes)
    weights[present] = len(labels) / (present.sum() * counts[present])
    return weights


def balanced_label_weights(targets: FloatArray) -> FloatArray:
    """(2, K) float64 from targets (N, K) of 0 and 1: photos / (2 x photos without, and with, the label), 1 for none."""
    counts = np.stack([(targets <= 0.5).sum(axis=0), (targets > 0.5).sum(axis=0)])
    return np.where(counts > 0, len(targets) / (2.0 * np.maximum(counts, 1)), 1.0)


def _resolve(loss: Loss, task: NetworkTask, num_outputs: int) -> Loss:
    if loss != "auto":
        return loss
    if task == "regression":
        return "mse"
    return "cross_entropy" if task == "classification" and num_outputs > 1 else "binary_cross_entropy"


def _refuse_misfits(loss: Loss, options: TrainRecipe, *, task: NetworkTask, weighted: bool) -> None:
    if task == "regression" and loss in _OF_CLASSES:
        raise RecipeError(
            f'train.loss must be a loss of numbers, got "{loss}".', hint="Use mse, mae or half_squared_error."
        )
    if task == "multilabel" and loss == "cross_entropy":
        raise RecipeError(
            'train.loss must allow several labels a photo, got "cross_entropy".', hint="Use binary_cross_entropy."
        )
    if options.label_smoothing and loss not in _SMOOTHED:
        raise RecipeError(
            f'train.label_smoothing must be 0 with loss "{loss}", got {options.label_smoothing:g}.',
            hint="Use cross_entropy or binary_cross_entropy, or take label_smoothing out.",
        )
    if weighted and task == "regression":
        raise RecipeError(
            f'train.class_weights must be "none" where a photo has no one class, got weights for {task}.',
            hint="Take class_weights out.",
        )
    if weighted and task == "multilabel" and loss not in _WEIGHED_LABELS:
        raise RecipeError(
            f'train.class_weights must be "none" with loss "{loss}" and several labels a photo.',
            hint="Use binary_cross_entropy or focal, or take class_weights out.",
        )


def _per_photo(
    loss: Loss, activation: Activation, options: TrainRecipe, *, weights: Tensor | None
) -> Callable[[Tensor, Tensor], Tensor]:
    softmax = activation == "softmax"
    if weights is not None and loss == "focal":
        return partial(binary_focal_loss, gamma=options.focal_gamma, weights=weights)
    if weights is not None:
        return partial(binary_cross_entropy, label_smoothing=options.label_smoothing, weights=weights)
    on_logits: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        # one output for two classes is binary, whatever it is called
        "cross_entropy": partial(
            cross_entropy if softmax else binary_cross_entropy, label_smoothing=options.label_smoothing
        ),
        "binary_cross_entropy": partial(binary_cross_entropy, label_smoothing=options.label_smoothing),
        "focal": partial(focal_loss if softmax else binary_focal_loss, gamma=options.focal_gamma),
        "perceptron": perceptron_loss,
    }
    if loss in on_logits:
        return on_logits[loss]
    on_outputs = _ON_OUTPUTS[loss]
    if activation == "identity":
        return on_outputs
    return lambda logits, targets: on_outputs(logits.sigmoid(), targets)
