"""The moving average of the weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from teliti.training.ema import start_ema, warm_decay
from teliti.training.loop import fit_network
from unit.training.tiny_networks import conv_net, options, training_data


def test_the_decay_grows_up_to_its_value() -> None:
    assert [warm_decay(0.9, steps) for steps in (0, 1, 8, 80, 1000)] == pytest.approx([0.1, 2 / 11, 0.5, 0.9, 0.9])


def test_the_average_follows_the_weights_step_by_step() -> None:
    net = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        net.weight.fill_(1.0)
    average, expected = start_ema(net, 0.9), None
    for steps, value in enumerate([1.0, 3.0, -2.0, 5.0]):
        with torch.no_grad():
            net.weight.fill_(value)
        average.update_parameters(net)
        decay = warm_decay(0.9, steps)
        expected = value if expected is None else decay * expected + (1 - decay) * value
    assert average.module.weight.item() == pytest.approx(expected)


def test_what_is_measured_and_kept_is_the_average() -> None:
    net, plain = conv_net(), conv_net()
    fitted = fit_network(net, training_data(), options(ema=0.99, epochs=2), seed=1)
    other = fit_network(plain, training_data(), options(epochs=2), seed=1)
    assert [row["train_loss"] for row in fitted.history] == [row["train_loss"] for row in other.history]
    assert [row["val_loss"] for row in fitted.history] != [row["val_loss"] for row in other.history]
    assert not torch.equal(fitted.state["6.weight"], other.state["6.weight"])
    assert torch.equal(net[6].weight, fitted.state["6.weight"])
