"""ReLU6 and Hardtanh: torch's numbers and gradients, also in place, without the copy."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from teliti.training.cpu_layers.swapping import give_fast_layers


def answers(layer: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Output, and the gradient of what went in; a layer in front lets it work in place."""
    x = x.clone().requires_grad_()
    output = layer(x * 1.0)
    (output * torch.arange(output.numel()).view(output.shape)).sum().backward()
    return output.detach(), x.grad


@pytest.mark.parametrize("layer", [nn.ReLU6(), nn.ReLU6(inplace=True), nn.Hardtanh(-0.5, 2.0, inplace=True)])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_numbers_and_gradients_are_torchs(layer: nn.Module, kind: torch.dtype) -> None:
    x = torch.tensor([[-3.0, -0.5, -0.1, 0.0, 0.1], [1.9, 2.0, 5.9, 6.0, 7.0]], dtype=kind)
    fast = copy.deepcopy(layer)
    give_fast_layers(fast)
    for found, expected in zip(answers(fast, x), answers(layer, x), strict=True):
        assert torch.equal(found, expected)


def test_in_place_keeps_the_result_and_no_copy() -> None:
    layer, kept = nn.ReLU6(inplace=True), []
    give_fast_layers(layer)
    x = torch.randn(50, requires_grad=True) * 3.0
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor.data_ptr()), lambda _: None):
        output = layer(x)
    assert kept == [output.data_ptr()] == [x.data_ptr()]


def test_what_is_not_a_number_stays_none() -> None:
    layer = nn.ReLU6()
    give_fast_layers(layer)
    assert layer(torch.tensor([float("nan")], requires_grad=True)).isnan().all()
