"""Mixup and cutmix in training: photos and targets of a step, what it learns from them, and that runs repeat."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from teliti.errors import RecipeError, UserError
from teliti.training.batches import _MIXING, Batch, BatchLoader, epoch_batches
from teliti.training.loop import fit_network
from teliti.training.losses import make_objective
from teliti.training.parallel import Processes
from teliti.training.steps import Stepper, StepResult
from teliti.transforms.augment import build_augment, photo_rng
from teliti.types import SilentReporter
from unit.training.tiny_networks import conv_net, options, same_state, striped_photos, training_data

FLIP = {"step": "flip", "horizontal": 0.5, "vertical": 0.5}
MIXUP = {"step": "mixup", "alpha": 1.0}
CUTMIX = {"step": "cutmix", "alpha": 1.0}
BOTH = [FLIP, {**MIXUP, "p": 0.7}, CUTMIX]


def first_batch(data: Any, indices: np.ndarray, **place: int) -> Batch:
    return next(BatchLoader(data, seed=3, workers=0).batches([indices], epoch=4, **place))


def test_photos_are_augmented_one_by_one_and_then_mixed_with_their_targets() -> None:
    """Mixup by hand: a permutation, a share for each photo, and sums."""
    chain, indices = build_augment([FLIP, MIXUP]), np.array([7, 2, 11, 4, 0])
    data = training_data(12, held_out=0, classes=3, augment=chain)
    batch = first_batch(data, indices)

    flipped = [chain(data.images[index], photo_rng(3, data.names[index], 4)).astype(float) for index in indices]
    rng = np.random.default_rng((_MIXING, 3, 4, 0))
    rng.random()  # whether this step is mixed at all
    partner, share = rng.permutation(5), rng.beta(1.0, 1.0, size=5)
    for place in range(5):
        other = partner[place]
        expected = share[place] * flipped[place] + (1.0 - share[place]) * flipped[other]
        assert np.abs(batch.images[place].numpy() - expected).max() <= 0.5 + 1e-9
        target = np.zeros(3)
        target[data.targets[indices[place]]] += share[place]
        target[data.targets[indices[other]]] += 1.0 - share[place]
        np.testing.assert_allclose(batch.mixed[place], target, atol=1e-6)


def test_cutmix_targets_are_the_area_that_is_seen() -> None:
    """Photos of one grey level each: the pixels themselves say whose they are."""
    levels = np.arange(6, dtype=np.uint8) * 40
    photos = np.broadcast_to(levels[:, None, None, None], (6, 8, 8, 3))
    data = training_data(6, held_out=0, images=photos, targets=np.arange(6), num_classes=6, class_names=(),
                         augment=build_augment([CUTMIX]))  # fmt: skip
    batch = first_batch(data, np.arange(6))
    for photo, target in zip(batch.images.numpy(), batch.mixed, strict=True):
        seen = [(photo[..., 0] == level).mean() for level in levels]
        np.testing.assert_allclose(target, seen, atol=1e-6)
    assert ((batch.mixed > 0).sum(axis=1) == 2).any()


def test_numbers_and_several_labels_are_mixed_likewise() -> None:
    numbers = np.linspace(-2.0, 3.0, 12)
    shares = first_batch(
        training_data(12, held_out=0, targets=np.arange(12), num_classes=12, class_names=(),
                      augment=build_augment([MIXUP])), np.arange(12),
    ).mixed  # fmt: skip
    for targets, task in ((numbers, "regression"), (np.eye(2)[np.arange(12) % 2], "multilabel")):
        data = training_data(12, held_out=0, targets=targets, task=task, num_classes=targets.reshape(12, -1).shape[1],
                             augment=build_augment([MIXUP]))  # fmt: skip
        mixed = first_batch(data, np.arange(12)).mixed
        np.testing.assert_allclose(mixed, shares @ targets.reshape(12, -1), atol=1e-6)


@pytest.mark.parametrize("world", [2, 3, 8])
def test_processes_share_the_mixed_batch_of_one(world: int) -> None:
    data = training_data(12, held_out=0, augment=build_augment(BOTH))
    whole = first_batch(data, np.arange(5))
    parts = [first_batch(data, np.arange(5), rank=rank, world=world) for rank in range(world)]
    assert np.array_equal(np.concatenate([part.images for part in parts]), whole.images)
    assert np.array_equal(np.concatenate([part.mixed for part in parts]), whole.mixed)
    assert [index for part in parts for index in part.indices] == list(range(5))
    assert {part.total for part in parts} == {5}


def test_each_step_and_epoch_and_seed_is_mixed_anew() -> None:
    data = training_data(12, held_out=0, augment=build_augment([MIXUP]))

    def shares(*, seed: int, epoch: int) -> list[bytes]:
        plan = [np.arange(6), np.arange(6)]
        return [batch.mixed.tobytes() for batch in BatchLoader(data, seed=seed, workers=0).batches(plan, epoch=epoch)]

    found = [*shares(seed=0, epoch=0), *shares(seed=0, epoch=1), *shares(seed=1, epoch=0)]
    assert len(set(found)) == 6
    assert shares(seed=0, epoch=1) == found[2:4]


def test_without_mixing_a_batch_has_the_targets_of_the_data() -> None:
    assert first_batch(training_data(12, held_out=0, augment=build_augment([FLIP])), np.arange(5)).mixed is None


def step_of(data: Any, batch: Batch, *, outputs: int = 2, **values: Any) -> tuple[StepResult, dict[str, torch.Tensor]]:
    """Result and gradients of one batch, without BatchNorm, whose statistics would depend on the parts."""
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, outputs))
    torch.nn.init.normal_(net[1].weight, generator=torch.Generator().manual_seed(1))
    torch.nn.init.zeros_(net[1].bias)
    chosen = options(**values)
    objective = make_objective(chosen, task=data.task, num_outputs=outputs)
    stepper = Stepper(net, data, objective, options=chosen, seed=1, processes=Processes())
    try:
        result = stepper.gradients(batch, epoch=0)
    finally:
        stepper.close()
    return result, {name: parameter.grad.clone() for name, parameter in net.named_parameters()}


@pytest.mark.parametrize("values", [{"replicas": 2}, {"accumulate": 3}, {"replicas": 2, "accumulate": 2}])
def test_parts_of_a_mixed_batch_add_up_to_its_gradient(values: dict) -> None:
    data = training_data(augment=build_augment(BOTH))
    batch = first_batch(data, np.arange(10))
    whole, expected = step_of(data, batch)
    parts, found = step_of(data, batch, **values)
    np.testing.assert_allclose(parts.own_losses, whole.own_losses, rtol=1e-5)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-5, atol=1e-6)


def test_the_loss_of_a_step_is_torchs_with_the_mixed_target() -> None:
    data = training_data(augment=build_augment([MIXUP]))
    batch = first_batch(data, np.arange(10))
    result, gradients = step_of(data, batch)
    x = ((batch.images / 255.0 - 0.5) / 0.25).permute(0, 3, 1, 2).flatten(1)
    weight = torch.empty(2, 192)
    torch.nn.init.normal_(weight, generator=torch.Generator().manual_seed(1)).requires_grad_()
    logits = x @ weight.T
    torch.nn.functional.cross_entropy(logits, torch.from_numpy(batch.mixed)).backward()
    torch.testing.assert_close(gradients["1.weight"], weight.grad, rtol=1e-4, atol=1e-5)
    right = (logits.argmax(dim=1).numpy() == batch.mixed.argmax(axis=1)).sum()
    assert result.right == right
    assert right != (logits.argmax(dim=1).numpy() == data.targets[:10]).sum()


def test_a_label_is_right_by_more_than_its_half_and_a_number_by_the_mixed_number() -> None:
    labels = np.stack([np.arange(48) % 2, np.arange(48) % 3 == 0], axis=1).astype(np.float32)
    numbers = np.linspace(0.0, 1.0, 48)
    for targets, task in ((labels, "multilabel"), (numbers, "regression")):
        data = training_data(targets=targets, task=task, num_classes=targets.reshape(48, -1).shape[1],
                             class_names=(), augment=build_augment([MIXUP]))  # fmt: skip
        batch = first_batch(data, np.arange(10))
        outputs = batch.mixed.shape[1]
        net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, outputs))
        torch.nn.init.zeros_(net[1].weight)
        torch.nn.init.constant_(net[1].bias, 1.0)  # sigmoid 0.73: every label is predicted
        objective = make_objective(options(), task=task, num_outputs=outputs)
        stepper = Stepper(net, data, objective, options=options(), seed=1, processes=Processes())
        result = stepper.gradients(batch, epoch=0)
        stepper.close()
        if task == "multilabel":
            assert result.right == pytest.approx((batch.mixed > 0.5).mean(axis=1).sum())
        else:
            assert result.distance == pytest.approx(np.abs(1.0 - batch.mixed).sum())


@pytest.mark.parametrize("steps", [[{"step": "mixup", "alpha": 0.0}], [{"step": "cutmix", "alpha": 0.0}],
                                   [{"step": "mixup", "alpha": 1.0, "p": 0.0}]])  # fmt: skip
@pytest.mark.parametrize(
    ("values", "outputs"),
    [
        ({}, 2), ({}, 1), ({"label_smoothing": 0.1, "class_weights": "balanced"}, 2), ({"loss": "focal"}, 2),
        ({"loss": "sum_of_squares"}, 2), ({"replicas": 2, "num_workers": 2}, 2),
    ],
)  # fmt: skip
def test_mixing_without_strength_is_training_without_it(steps: list, values: dict, outputs: int) -> None:
    plain = fit_network(conv_net(outputs), training_data(), options(epochs=2, **values), seed=1)
    data = training_data(augment=build_augment(steps))
    mixed = fit_network(conv_net(outputs), data, options(epochs=2, **values), seed=1)
    assert same_state(plain.state, mixed.state)
    assert plain.history == mixed.history


def test_numbers_mixed_without_strength_are_the_numbers() -> None:
    numbers = striped_photos(48)[0].mean(axis=(1, 2, 3)) / 100.0
    facts: dict[str, Any] = {"targets": numbers, "task": "regression", "num_classes": 1, "class_names": ()}
    plain = fit_network(conv_net(1), training_data(**facts), options(monitor="val_mae"), seed=1)
    still = training_data(**facts, augment=build_augment([{"step": "mixup", "alpha": 0.0}]))
    assert fit_network(conv_net(1), still, options(monitor="val_mae"), seed=1).history == plain.history
    moved = training_data(**facts, augment=build_augment([MIXUP]))
    assert fit_network(conv_net(1), moved, options(monitor="val_mae"), seed=1).history != plain.history


@pytest.mark.parametrize("workers", [1, 4])
def test_any_number_of_loader_threads_gives_the_same_bits(workers: int) -> None:
    data = training_data(augment=build_augment(BOTH))
    alone = fit_network(conv_net(dropout=0.3), data, options(), seed=1)
    threads = fit_network(conv_net(dropout=0.3), data, options(num_workers=workers), seed=1)
    assert same_state(alone.state, threads.state)
    assert alone.history == threads.history
    unmixed = fit_network(conv_net(dropout=0.3), training_data(augment=build_augment([FLIP])), options(), seed=1)
    assert unmixed.history != alone.history


@pytest.mark.parametrize("steps", [[MIXUP], [CUTMIX]])
def test_a_network_learns_from_mixed_photos(steps: list) -> None:
    data = training_data(160, held_out=64, augment=build_augment(steps))
    fitted = fit_network(conv_net(), data, options(epochs=20, lr=0.03), seed=1)
    assert max(row["val_accuracy"] for row in fitted.history) >= 0.9


class KilledAfter(SilentReporter):
    """Ctrl-C in the middle of an epoch."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def task(self, *_: object) -> Any:
        return self

    def __enter__(self) -> Any:
        return self.advance

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""

    def advance(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise KeyboardInterrupt


def test_a_run_that_goes_on_mixes_as_the_one_that_was_not_interrupted(tmp_path: Path) -> None:
    data, values = training_data(augment=build_augment(BOTH)), {"checkpoint_s": 1e-6, "lr": 0.02}
    whole = fit_network(conv_net(dropout=0.3), data, options(**values), seed=1)
    assert len(epoch_batches(data.train, batch_size=8, seed=1, epoch=0)) == 4
    with pytest.raises(KeyboardInterrupt):
        fit_network(conv_net(dropout=0.3), data, options(**values), seed=1, folder=tmp_path, reporter=KilledAfter(6))
    again = fit_network(conv_net(dropout=0.3), data, options(num_workers=2, **values), seed=1, folder=tmp_path)
    assert again.history == whole.history
    assert same_state(again.state, whole.state)


def test_a_folder_of_a_run_that_mixed_otherwise_is_refused(tmp_path: Path) -> None:
    chosen = options(epochs=1)
    fit_network(conv_net(), training_data(augment=build_augment([MIXUP])), chosen, seed=1, folder=tmp_path)
    for data in (training_data(), training_data(augment=build_augment([{**MIXUP, "alpha": 0.2}]))):
        with pytest.raises(UserError, match=r"must be of this run, got another run's"):
            fit_network(conv_net(), data, chosen, seed=1, folder=tmp_path)


def test_the_perceptron_refuses_mixed_photos() -> None:
    data = training_data(augment=build_augment([MIXUP]))
    with pytest.raises(RecipeError, match=r'train\.loss must know shares of classes .*, got "perceptron"') as caught:
        fit_network(conv_net(1), data, options(loss="perceptron"), seed=1)
    assert caught.value.hint == "Take mixup and cutmix out of augment, or use binary_cross_entropy."
