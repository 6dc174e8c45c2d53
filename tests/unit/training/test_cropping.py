"""What a network never looks at: found for borderless convolutions and pooling, and without it nothing changes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from teliti.training.cpu_layers.cropping import seen_size


class Wrapped(nn.Module):
    """A network that is one sequence, as `models.networks.Network` without a backbone is."""

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits."""
        return self.layers(x)


def keras_like(*more: nn.Module) -> nn.Sequential:
    """Three convolutions with pooling: of 22 pixels, 22 -> 20 -> 10 -> 8 -> 4 -> 2 -> 1."""
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 4, 3, padding="valid"), nn.MaxPool2d(2), *more, nn.Flatten(), nn.LazyLinear(2),
    )  # fmt: skip


@pytest.mark.parametrize(("size", "seen"), [((64, 64), (62, 62)), ((128, 64), (126, 62)), ((22, 29), (22, 22))])
def test_rows_that_pooling_drops_are_found(size: tuple[int, int], seen: tuple[int, int]) -> None:
    net = keras_like()
    x = torch.randn(1, 3, *size)
    net(x)
    assert seen_size(net, x) == seen_size(Wrapped(net), x) == seen


def test_outputs_and_gradients_stay() -> None:
    net = keras_like()
    x = torch.randn(5, 3, 29, 25)
    net(x)
    height, width = seen_size(net, x[:1])
    assert (height, width) == (22, 22)
    found = []
    for photos in (x, x[:, :, :height, :width]):
        net.zero_grad()
        logits = net(photos)
        logits.square().sum().backward()
        found.append([logits.detach(), *(parameter.grad.clone() for parameter in net.parameters())])
    for whole, cropped in zip(*found, strict=True):
        torch.testing.assert_close(cropped, whole)


@pytest.mark.parametrize(
    "net",
    [
        nn.Sequential(nn.Conv2d(3, 2, 3, padding=1), nn.MaxPool2d(2), nn.Flatten(), nn.LazyLinear(1)),
        nn.Sequential(nn.MaxPool2d(2, ceil_mode=True), nn.Flatten(), nn.LazyLinear(1)),
        nn.Sequential(nn.BatchNorm2d(3), nn.MaxPool2d(2), nn.Flatten(), nn.LazyLinear(1)),  # its mean is of the whole
        nn.Sequential(nn.Flatten(), nn.LazyLinear(1)),
    ],
)
def test_a_border_or_a_mean_looks_at_everything(net: nn.Sequential) -> None:
    x = torch.randn(2, 3, 9, 9)
    net(x)
    assert seen_size(net, x[:1]) == (9, 9)


class Looking(Wrapped):
    """It has one sequence, and looks at the photo beside it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits."""
        return self.layers(x) + x.mean()


def test_a_network_that_looks_elsewhere_is_noticed() -> None:
    net = Looking(keras_like())
    x = torch.randn(1, 3, 29, 29)
    net(x)
    assert seen_size(net, x) == (29, 29)
