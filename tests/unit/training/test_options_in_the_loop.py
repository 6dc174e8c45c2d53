"""Each option of [train] reaches the steps: what a run with it does that one without it does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own habit

from notes import Notes
from teliti.training.loop import Fitted, fit_network
from unit.training.tiny_networks import conv_net, options, training_data

ONE_STEP: dict[str, Any] = {
    "optimizer": "sgd", "momentum": 0.0, "schedule": "constant", "lr": 0.5, "batch_size": 32, "epochs": 1,
}  # fmt: skip
"""All 32 photos in the only step of the only epoch."""


def dense() -> nn.Sequential:
    """One dense layer from given random numbers: a run's one step is its gradient times the rate."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return nn.Sequential(nn.Flatten(), nn.Linear(192, 2))


def one_step(**values: Any) -> tuple[Fitted, Tensor, Tensor]:
    """The run, and what its step added to the kernel and to the bias."""
    net, before = dense(), dense()
    fitted = fit_network(net, training_data(), options(**{**ONE_STEP, **values}), seed=1)
    with torch.no_grad():
        return fitted, net[1].weight - before[1].weight, net[1].bias - before[1].bias


def logits_before() -> tuple[Tensor, Tensor]:
    """Of the 32 photos that are learnt from, by `dense` as it begins, with their labels."""
    data = training_data()
    x = (torch.from_numpy(data.images[data.train]).permute(0, 3, 1, 2) / 255.0 - 0.5) / 0.25
    return dense()(x).detach(), torch.from_numpy(np.asarray(data.targets[data.train]))


@pytest.mark.parametrize(
    ("values", "rates"),
    [
        ({"schedule": "constant"}, [0.1, 0.1, 0.1]),
        ({"schedule": "step", "step_epochs": 1, "step_factor": 0.1}, [0.1, 0.01, 0.001]),
        ({"schedule": "constant", "warmup_epochs": 3}, [0.025, 0.05, 0.075]),
    ],
)
def test_the_rate_follows_its_schedule(values: dict, rates: list[float]) -> None:
    chosen = options(**{**ONE_STEP, "lr": 0.1, "epochs": 3, **values})
    fitted = fit_network(dense(), training_data(), chosen, seed=1)
    assert [row["lr"] for row in fitted.history] == pytest.approx(rates)


def test_the_rate_of_the_schedule_is_the_one_that_moves_the_weights() -> None:
    seen: list[Tensor] = []
    net = dense()
    chosen = options(**{**ONE_STEP, "epochs": 2, "schedule": "step", "step_epochs": 1, "step_factor": 1e-9})
    fit_network(net, training_data(), chosen, seed=1, on_epoch=lambda _: seen.append(net[1].weight.detach().clone()))
    assert (seen[0] - dense()[1].weight).abs().max() > 1e-3
    assert (seen[1] - seen[0]).abs().max() < 1e-6


@pytest.mark.parametrize("clip_norm", [None, 0.0, 100.0])
def test_a_gradient_that_is_not_too_long_is_taken_as_it_is(clip_norm: float | None) -> None:
    fitted, kernel, bias = one_step(clip_norm=clip_norm)
    (row,) = fitted.history
    assert row["clipped"] == 0.0
    assert float(torch.cat([kernel.flatten(), bias]).norm()) == pytest.approx(0.5 * row["gradient_norm"], rel=1e-4)


def test_a_gradient_that_is_too_long_is_shortened_and_counted() -> None:
    fitted, kernel, bias = one_step(clip_norm=0.01)
    (row,) = fitted.history
    assert row["gradient_norm"] > 0.1
    assert row["clipped"] == 1.0
    assert float(torch.cat([kernel.flatten(), bias]).norm()) == pytest.approx(0.5 * 0.01, rel=1e-4)


@pytest.mark.parametrize(("values", "pull"), [({"l1": 0.01}, (0.01, 0.0)), ({"l2": 0.02}, (0.0, 0.02))])
def test_penalties_pull_at_kernels_and_leave_biases(values: dict, pull: tuple[float, float]) -> None:
    """l1 SUM |w| + l2 SUM w^2 has the slope l1 sign(w) + 2 l2 w."""
    _, plain, plain_bias = one_step()
    _, kernel, bias = one_step(**values)
    began = dense()[1].weight.detach()
    torch.testing.assert_close(kernel - plain, -0.5 * (pull[0] * began.sign() + 2 * pull[1] * began), atol=1e-5, rtol=0)
    torch.testing.assert_close(bias, plain_bias, atol=1e-6, rtol=0)


def test_smoothed_labels_are_those_of_torch() -> None:
    logits, labels = logits_before()
    fitted, *_ = one_step(label_smoothing=0.2)
    expected = float(F.cross_entropy(logits, labels, label_smoothing=0.2))
    assert fitted.history[0]["train_loss"] == pytest.approx(expected, rel=1e-4)
    assert expected != pytest.approx(float(F.cross_entropy(logits, labels)), rel=1e-2)


@pytest.mark.parametrize("gamma", [0.5, 5.0])
def test_the_focus_is_the_one_that_was_asked_for(gamma: float) -> None:
    """Lin et al. 2017: (1 - p)^gamma times the cross-entropy."""
    logits, labels = logits_before()
    fitted, *_ = one_step(loss="focal", focal_gamma=gamma)
    right = logits.softmax(dim=1).gather(1, labels[:, None])[:, 0]
    assert fitted.history[0]["train_loss"] == pytest.approx(
        float(((1 - right) ** gamma * -right.log()).mean()), rel=1e-4
    )


def test_a_batch_is_computed_in_as_many_parts_as_asked_and_gives_the_same_step() -> None:
    sizes: list[int] = []
    whole, parts = dense(), dense()
    parts.register_forward_hook(lambda _net, inputs, _out: sizes.append(len(inputs[0])) if parts.training else None)
    fit_network(whole, training_data(), options(**ONE_STEP), seed=1)
    fit_network(parts, training_data(), options(**ONE_STEP, accumulate=4), seed=1)
    assert sizes[-4:] == [8, 8, 8, 8]
    torch.testing.assert_close(parts[1].weight, whole[1].weight, rtol=1e-4, atol=1e-6)


def test_bf16_rounds() -> None:
    exact, *_ = one_step()
    rounded, *_ = one_step(precision="bf16")
    assert rounded.history[0]["train_loss"] == pytest.approx(exact.history[0]["train_loss"], rel=0.05)
    assert rounded.history[0]["train_loss"] != exact.history[0]["train_loss"]


@pytest.mark.parametrize("kept", [True, False])
def test_statistics_of_given_weights_are_kept_or_follow_the_batches(kept: bool) -> None:
    net = conv_net()
    fit_network(net, training_data(), options(batch_norm="keep" if kept else "learn"), seed=1)
    assert bool((net[1].running_mean == 0.0).all() and (net[1].running_var == 1.0).all()) is kept
    assert not torch.equal(net[1].weight, conv_net()[1].weight)  # scale and shift learn in both


@pytest.mark.parametrize("frozen", [True, False])
def test_depthwise_kernels_stay_where_that_is_asked(frozen: bool) -> None:
    def build() -> nn.Sequential:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return nn.Sequential(
                nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 3, groups=4), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
                nn.Linear(16, 2),
            )  # fmt: skip

    net, before = build(), build()
    fit_network(net, training_data(), options(frozen_depthwise=frozen), seed=1)
    assert torch.equal(net[1].weight, before[1].weight) is frozen
    assert not torch.equal(net[0].weight, before[0].weight)


def test_kernels_lie_channels_last_while_they_learn() -> None:
    net, layouts = conv_net(), list[bool]()
    assert not net[0].weight.is_contiguous(memory_format=torch.channels_last)
    fit_network(
        net, training_data(), options(epochs=1), seed=1,
        on_epoch=lambda _: layouts.append(net[0].weight.is_contiguous(memory_format=torch.channels_last)),
    )  # fmt: skip
    assert layouts == [True]


def test_what_was_chosen_is_said() -> None:
    told = Notes()
    chosen = options(replicas=2, threads=2, accumulate=2, batch_size=16, epochs=1, lr="find")
    fitted = fit_network(conv_net(), training_data(), chosen, seed=1, reporter=told)
    assert told.notes == [
        "Training on cpu in f32, 2 threads with a part of each batch, channels last, "
        "batches of 16 in 2 parts, 1 epoch.",
        f"The learning-rate finder chose train.lr = {fitted.options.lr:g}.",
    ]


def test_a_run_that_goes_on_says_so(tmp_path) -> None:
    class CutError(Exception):
        """Stops a run from outside."""

    def cut(_row: dict) -> None:
        raise CutError

    with pytest.raises(CutError):
        fit_network(conv_net(), training_data(), options(), seed=1, folder=tmp_path, on_epoch=cut)
    told = Notes()
    fit_network(conv_net(), training_data(), options(), seed=1, folder=tmp_path, reporter=told)
    assert told.notes[-1] == "Going on after step 4 of an interrupted run."
