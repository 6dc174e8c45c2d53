"""Dead units and saturated outputs, counted on networks that were made so by hand."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from teliti.training.activity import measure_activity, overall_share


def measure(net: nn.Module, x: torch.Tensor) -> list:
    return measure_activity(net.eval(), [x], net)


def test_a_relu_unit_that_never_fires_is_dead() -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 1), nn.ReLU())
    with torch.no_grad():
        net[0].weight.fill_(1.0)
        net[0].bias.copy_(torch.tensor([0.0, -5.0, -5.0, -0.5]))  # the last fires where a pixel is above 0.5
    (layer,) = measure(net, torch.rand(3, 1, 4, 4) + 0.1)
    assert (layer.name, layer.kind, layer.units, layer.share) == ("1", "dead", 4, 0.5)


@pytest.mark.parametrize(("act", "limit"), [(nn.Sigmoid(), 4.6), (nn.Tanh(), 2.3)])
def test_outputs_at_a_limit_are_saturated(act: nn.Module, limit: float) -> None:
    x = torch.tensor([[0.0, limit + 0.1, -limit - 0.1, limit - 0.2]])
    (layer,) = measure(nn.Sequential(act), x)
    assert (layer.kind, layer.share) == ("saturated", 0.5)


def test_leaky_units_are_not_called_dead() -> None:
    assert measure(nn.Sequential(nn.LeakyReLU(), nn.ELU()), -torch.ones(1, 2)) == []


def test_the_overall_share_counts_units() -> None:
    net = nn.Sequential(nn.ReLU(), nn.Linear(2, 6), nn.ReLU())
    with torch.no_grad():
        net[1].weight.zero_()
        net[1].bias.fill_(-1.0)
    layers = measure(net, torch.ones(2, 2))
    assert overall_share(layers, "dead") == pytest.approx(6 / 8)
    assert overall_share(layers, "saturated") is None
    assert layers[1].to_record() == {"name": "2", "kind": "dead", "share": 1.0, "units": 6}


def test_the_network_is_left_without_hooks() -> None:
    net = nn.Sequential(nn.ReLU())
    measure(net, torch.ones(1, 2))
    assert not net[0]._forward_hooks


def test_parts_side_by_side_are_one_look() -> None:
    """A unit that fires in one part alone is alive; outputs count alike in a large and a small part."""
    net = nn.Sequential(nn.ReLU(), nn.Sigmoid())
    x = torch.tensor([[1.0, -1.0, -1.0], [-1.0, -1.0, 9.0], [-1.0, -1.0, 9.0]])
    with ThreadPoolExecutor(2) as pool:
        found = measure_activity(
            net, x.tensor_split(2), net, side_by_side=lambda work, jobs: [*pool.map(work, range(jobs))]
        )
    assert found == measure(net, x)
    assert [layer.share for layer in found] == pytest.approx([1 / 3, 2 / 9])


@pytest.mark.parametrize("shape", [(5, 3, 7, 9), (2, 3), (300, 2)])
def test_in_bf16_the_same_units_are_dead(shape: tuple[int, ...]) -> None:
    """The one value above 0 lies at the end, where halves of an odd number overlap."""
    x = -torch.rand(shape).bfloat16()
    x[(-1, -1, *(-1 for _ in shape[2:]))] = 0.5
    (layer,) = measure(nn.Sequential(nn.ReLU()), x)
    assert layer.share == pytest.approx(1 - 1 / shape[1])
