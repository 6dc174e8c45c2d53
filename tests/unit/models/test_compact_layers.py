"""Compact networks layer by layer: in training and behind it they give what the network written out in torch gives."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from teliti.models.compact import COMPACT, compact_layers
from teliti.models.networks import Network, build_network
from teliti.recipe import parse_recipe

OUTPUTS = 3


def course_half(channels: int, filters: int) -> list[nn.Module]:
    """Convolution, ReLU, BatchNorm, the second time with stride 2 and TensorFlow's border of even sizes, dropout."""
    return [
        nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(filters, eps=1e-3, momentum=0.01),
        nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(filters, filters, 3, stride=2), nn.ReLU(),
        nn.BatchNorm2d(filters, eps=1e-3, momentum=0.01), nn.Dropout(0.25),
    ]  # fmt: skip


def norm_before_relu(channels: int, filters: int) -> list[nn.Module]:
    return [nn.Conv2d(channels, filters, 3, padding=1, bias=False), nn.BatchNorm2d(filters), nn.ReLU()]


WRITTEN_OUT = {  # the photo, and the network up to its closing layer
    "perceptron": ((1, 5, 7), lambda: [nn.Flatten()]),
    "mlp": ((3, 4, 5), lambda: [nn.Flatten(), nn.Linear(60, 128), nn.ReLU(), nn.Dropout(0.25), nn.Linear(128, 64),
                                nn.ReLU()]),
    "lenet": ((1, 12, 16), lambda: [
        nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(16 * 3 * 4, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(),
    ]),
    "regularised": ((3, 8, 12), lambda: [*course_half(3, 64), *course_half(64, 128), nn.Flatten()]),
    "tiny_vgg": ((3, 16, 20), lambda: [
        nn.Conv2d(3, 10, 3), nn.ReLU(), nn.Conv2d(10, 10, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(10, 10, 3), nn.ReLU(), nn.Conv2d(10, 10, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
    ]),
    "small_cnn": ((3, 9, 12), lambda: [
        *norm_before_relu(3, 32), *norm_before_relu(32, 32), nn.MaxPool2d(2),
        *norm_before_relu(32, 64), *norm_before_relu(64, 64), nn.MaxPool2d(2),
        *norm_before_relu(64, 128), *norm_before_relu(128, 128), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    ]),
}  # fmt: skip


def build(name: str, shape: tuple[int, int, int]) -> Network:
    model = parse_recipe({"model": {"backbone": name}}).model
    return build_network(model, num_outputs=OUTPUTS, image_size=shape[1:], in_channels=shape[0], seed=0)


@pytest.mark.parametrize("name", COMPACT)
def test_a_compact_network_is_the_one_that_is_written_out(name: str) -> None:
    shape, layers = WRITTEN_OUT[name]
    net = build(name, shape)
    oracle = nn.Sequential(*layers(), nn.Linear(net.layers[-1].in_features, OUTPUTS))
    oracle.load_state_dict(dict(zip(oracle.state_dict(), net.state_dict().values(), strict=True)))
    photos = 2.0 * torch.randn(4, *shape, generator=torch.Generator().manual_seed(1)) + 0.5
    for is_training in (True, True, False):  # the same dropout, then the statistics that both have learnt
        both = []
        for network in (net, oracle):
            torch.manual_seed(2)
            both.append(network.train(is_training)(photos))
        torch.testing.assert_close(*both)
    for given, expected in zip(net.buffers(), oracle.buffers(), strict=True):
        torch.testing.assert_close(given, expected)


@pytest.mark.parametrize(("name", "count"), [("regularised", 4), ("small_cnn", 6)])
def test_convolutions_in_front_of_a_batch_norm_begin_as_he_and_others_say(name: str, count: int) -> None:
    named = [layer.initializer for layer in compact_layers(name) if layer.kind == "conv"]
    assert named == ["he_normal"] * count
    convolutions = [module for module in build(name, (3, 8, 8)).layers if isinstance(module, nn.Conv2d)]
    assert len(convolutions) == count
    for conv in convolutions:
        deviation = math.sqrt(2 / (9 * conv.in_channels))  # Glorot's and Bengio's is at least 1.4 times smaller
        assert conv.weight.std().item() == pytest.approx(deviation, rel=0.1)
        assert conv.weight.abs().max().item() > 2.5 * deviation  # a normal distribution: a uniform one ends at 1.7
