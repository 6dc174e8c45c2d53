"""Training a network, from photos to the weights of the best epoch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from teliti.errors import RecipeError, RunError
from teliti.training.loop import fit_network
from unit.training.tiny_networks import conv_net, options, same_state, striped_photos, training_data


def shift(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Roll rows and columns: a stripe stays a stripe."""
    return np.roll(image, tuple(rng.integers(0, 8, 2)), axis=(0, 1))


def test_a_network_learns_rows_from_columns_and_leaves_with_its_best_weights() -> None:
    net, data = conv_net(), training_data(160, held_out=64)
    fitted = fit_network(net, data, options(epochs=12, lr=0.03), seed=1)
    best = fitted.history[fitted.best_epoch]
    assert best["val_accuracy"] >= 0.95
    assert best["val_loss"] == min(row["val_loss"] for row in fitted.history) == fitted.watch.best_value
    assert fitted.activation == "softmax"
    assert not net.training
    assert same_state(net.state_dict(), fitted.state)
    x = (torch.from_numpy(data.images[data.val]).permute(0, 3, 1, 2) / 255.0 - 0.5) / 0.25
    accuracy = (net(x).argmax(dim=1).numpy() == data.targets[data.val]).mean()
    assert accuracy == pytest.approx(best["val_accuracy"])


@pytest.mark.parametrize(
    ("values", "outputs"),
    [
        ({"loss": "sum_of_squares"}, 2), ({"loss": "focal"}, 2), ({"loss": "focal"}, 1), ({"loss": "mae"}, 2),
        ({"loss": "half_squared_error", "optimizer": "sgd"}, 1), ({"label_smoothing": 0.1}, 2), ({}, 1),
        ({"optimizer": "rmsprop", "lr": 0.003}, 2), ({"optimizer": "sgd", "nesterov": True, "lr": 0.05}, 2),
        ({"ema": 0.8, "clip_norm": 1.0, "accumulate": 2, "warmup_epochs": 1}, 2), ({"precision": "bf16"}, 2),
        ({"class_weights": "balanced", "l1": 1e-4, "l2": 1e-4}, 2), ({"schedule": "one_cycle"}, 2),
        ({"replicas": 2, "batch_size": 16}, 2),
    ],
)  # fmt: skip
def test_every_way_of_training_learns(values: dict, outputs: int) -> None:
    chosen = options(**({"epochs": 16, "lr": 0.03} | values))
    fitted = fit_network(conv_net(outputs), training_data(160, held_out=64), chosen, seed=1)
    assert max(row["val_accuracy"] for row in fitted.history) >= 0.9
    assert fitted.history[-1]["train_loss"] < 0.7 * fitted.history[0]["train_loss"]


def test_numbers_are_learnt_in_their_own_unit() -> None:
    photos, _ = striped_photos(160)
    brightness = photos.mean(axis=(1, 2, 3))
    targets = (brightness - brightness.mean()) / brightness.std()
    data = training_data(160, held_out=64, targets=targets, task="regression", num_classes=1, class_names=())
    net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 1))
    fitted = fit_network(net, data, options(epochs=60, lr=1.0, monitor="val_mae"), seed=1)
    assert fitted.activation == "identity"
    assert fitted.history[-1]["val_mae"] < 0.25
    assert fitted.history[-1]["val_accuracy"] is None


def test_several_labels_a_photo_are_learnt_at_once() -> None:
    photos, labels = striped_photos(160)
    photos[::3] = photos[::3] // 2
    targets = np.stack([labels, np.arange(160) % 3 == 0], axis=1).astype(np.float32)
    data = training_data(160, held_out=64, images=photos, targets=targets, task="multilabel", num_classes=2)
    fitted = fit_network(conv_net(2), data, options(epochs=20, lr=0.03, monitor="val_auc"), seed=1)
    assert fitted.activation == "sigmoid"
    assert fitted.history[-1]["val_accuracy"] > 0.9


def test_the_perceptron_learns_separable_photos_by_its_rule_and_then_stands_still() -> None:
    """One unit, one photo a step: w changes by lr (target - output) x, and by nothing once all are right."""
    rng = np.random.default_rng(0)
    photos = rng.integers(0, 256, (40, 8, 8, 1)).astype(np.uint8)
    planted = rng.normal(size=64)
    sums = ((photos.reshape(40, 64) / 255.0 - 0.5) / 0.25) @ planted
    data = training_data(40, held_out=0, images=photos, targets=(sums > 0).astype(np.int64), mean=(0.5,), std=(0.25,))
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 1))
    nn.init.zeros_(net[1].weight)
    nn.init.zeros_(net[1].bias)
    rule = options(
        loss="perceptron", optimizer="sgd", momentum=0.0, schedule="constant", lr=0.1, batch_size=1, epochs=40
    )
    weights: list[torch.Tensor] = []
    fitted = fit_network(net, data, rule, seed=1, on_epoch=lambda _: weights.append(net[1].weight.detach().clone()))
    assert fitted.history[-1]["train_accuracy"] == 1.0
    assert fitted.history[-1]["train_loss"] == 0.0
    assert torch.equal(weights[-1], weights[-2])

    from teliti.training.batches import epoch_batches

    x = torch.tensor((photos.reshape(40, 64) / 255.0 - 0.5) / 0.25, dtype=torch.float32)
    w, b = torch.zeros(64), torch.zeros(1)
    for (index,) in epoch_batches(data.train, batch_size=1, seed=1, epoch=0):
        error = float(data.targets[index]) - float(x[index] @ w + b > 0)
        w, b = w + 0.1 * error * x[index], b + 0.1 * error
    torch.testing.assert_close(weights[0][0], w, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("workers", [1, 4])
def test_any_number_of_loader_threads_gives_the_same_bits(workers: int) -> None:
    data = training_data(augment=shift)
    alone = fit_network(conv_net(dropout=0.3), data, options(num_workers=0), seed=1)
    threads = fit_network(conv_net(dropout=0.3), data, options(num_workers=workers), seed=1)
    assert same_state(alone.state, threads.state)
    assert alone.history == threads.history


def test_the_seed_decides_everything_and_torchs_own_random_state_nothing() -> None:
    data = training_data(augment=shift)

    def train(seed: int, noise: int) -> object:
        torch.manual_seed(noise)
        return fit_network(conv_net(dropout=0.3), data, options(), seed=seed)

    assert train(1, 7).history == train(1, 8).history
    assert train(1, 7).history != train(2, 7).history
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    fit_network(conv_net(dropout=0.3), data, options(epochs=1), seed=1)
    assert torch.equal(torch.rand(1), expected)


class BreaksAtBright(nn.Module):
    """Logits that are infinite for a photo whose first pixel is white."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(192, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bright = x[:, 0, 0, 0] > 1.9
        return self.layer(x.flatten(1)) + torch.where(bright, torch.inf, 0.0)[:, None]


def test_a_loss_that_is_not_finite_stops_before_the_weights_are_touched_and_names_the_photos() -> None:
    photos, _ = striped_photos(48)
    photos[:, 0, 0, 0] = 0
    photos[[5, 11], 0, 0, 0] = 255
    data, net, steps = (
        training_data(images=photos, train=np.array([5, 11, 1, 2]), val=np.array([3, 4])),
        BreaksAtBright(),
        [],
    )
    before = net.layer.weight.detach().clone()
    with pytest.raises(RunError) as caught:
        fit_network(net, data, options(batch_size=4), seed=1, on_epoch=steps.append)
    message = str(caught.value)
    assert "The loss is not finite at epoch 1, batch 1 of 1 (step 1): " in message
    assert {"photo-5.png", "photo-11.png"} == set(message.partition("): ")[2].partition(". ")[0].split(", "))
    assert "Lower train.lr" in message
    assert torch.equal(net.layer.weight, before)
    assert steps == []


def test_of_many_photos_without_a_finite_loss_the_first_are_named() -> None:
    photos = np.full((48, 8, 8, 3), 255, np.uint8)
    with pytest.raises(RunError, match=r"photo-\d+\.png and 3 more\. Lower"):
        fit_network(BreaksAtBright(), training_data(images=photos), options(batch_size=8), seed=1)


def test_a_gradient_that_is_not_finite_stops_too() -> None:
    class Root(nn.Module):
        """A finite loss whose slope at 0 is infinite."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1, 2))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.weight.sqrt().expand(len(x), 2)

    with pytest.raises(
        RunError, match=r"The gradient is not finite at epoch 1, batch 1 of 4 \(step 1\): one of 8 photos"
    ):
        fit_network(Root(), training_data(), options(), seed=1)


def test_a_rate_that_explodes_is_stopped_in_the_step_where_it_happens() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 1), nn.Linear(1, 1))
    photos, labels = striped_photos(48)
    data = training_data(images=photos, targets=labels * 1.0, task="regression", num_classes=1)
    with pytest.raises(RunError, match="not finite"):
        fit_network(net, data, options(lr=1e4, optimizer="sgd", epochs=50), seed=1)
    assert all(torch.isfinite(parameter).all() for parameter in net.parameters())


@pytest.mark.parametrize(
    ("lr", "said"),
    [
        (1e30, r"The step length is not finite in epoch 1\."),
        (1e14, r"The training has no best epoch: val_loss was finite in none of 1\."),
    ],
)
def test_a_rate_that_explodes_in_the_only_step_of_an_epoch_is_one_sentence(
    lr: float, said: str, tmp_path: Path
) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.Linear(8, 8), nn.Linear(8, 2))
    chosen = options(lr=lr, optimizer="sgd", batch_size=64, epochs=1)
    with pytest.raises(RunError, match=said):
        fit_network(net, training_data(), chosen, seed=1, folder=tmp_path)


def test_validation_photos_are_never_augmented_and_never_learnt_from() -> None:
    seen: set[bytes] = set()

    def note(image: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
        seen.add(image.tobytes())
        return image

    data = training_data(augment=note)
    fit_network(conv_net(), data, options(epochs=1), seed=1)
    assert seen == {data.images[index].tobytes() for index in data.train}


def test_class_weights_of_the_data_and_balanced_ones_count() -> None:
    labels = (np.arange(48) % 4 == 0).astype(np.int64)
    plain = fit_network(conv_net(), training_data(targets=labels), options(epochs=1), seed=1)
    balanced = fit_network(
        conv_net(), training_data(targets=labels), options(epochs=1, class_weights="balanced"), seed=1
    )
    given = training_data(targets=labels, class_weights=np.array([32 / 48, 2.0]))
    assert fit_network(conv_net(), given, options(epochs=1), seed=1).history == balanced.history
    assert plain.history != balanced.history


def test_a_layers_own_penalty_reaches_its_weights() -> None:
    def head_only(net: nn.Module) -> torch.Tensor:
        return 5.0 * net[6].weight.square().sum()

    plain, punished = conv_net(), conv_net()
    fit_network(plain, training_data(), options(epochs=4), seed=1)
    fit_network(punished, training_data(), options(epochs=4), seed=1, layer_penalty=head_only)
    assert punished[6].weight.norm() < 0.7 * plain[6].weight.norm()


def test_a_grey_network_takes_grey_photos() -> None:
    photos, _ = striped_photos(48)
    data = training_data(images=photos[:, :, :, :1].copy(), mean=(0.5,), std=(0.25,))
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
    assert len(fit_network(net, data, options(), seed=1).history) == 3


def test_rows_are_handed_over_as_they_come_and_the_record_is_json_ready() -> None:
    import json

    rows: list[dict] = []
    fitted = fit_network(conv_net(), training_data(), options(), seed=1, on_epoch=rows.append)
    own = zip(fitted.history, fitted.seconds, strict=True)
    assert rows == [{**row, "seconds": seconds} for row, seconds in own]
    record = json.loads(json.dumps(fitted.to_record(), allow_nan=False))
    assert record["rows"] == list(fitted.history)
    assert record["best_epoch"] == fitted.best_epoch
    assert record["ended"] == "epochs"
    assert len(record["seconds"]) == 3


def test_without_validation_photos_the_training_loss_chooses() -> None:
    fitted = fit_network(conv_net(), training_data(held_out=0), options(), seed=1)
    assert fitted.watch.monitor == "train_loss"
    assert fitted.history[-1]["val_loss"] is None


def test_a_loss_that_does_not_fit_is_refused_before_anything_is_computed() -> None:
    data = training_data(targets=np.zeros(48), task="regression", num_classes=1)
    with pytest.raises(RecipeError, match=r"train\.loss must be a loss of numbers"):
        fit_network(conv_net(1), data, options(loss="focal"), seed=1)
