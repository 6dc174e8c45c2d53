"""Depthwise gradients: torch's own in f32, and in bf16 within its precision; the forward pass torch's, bit for bit."""

from __future__ import annotations

import copy

import pytest
import torch
from timm.layers.conv2d_same import Conv2dSame
from torch import Tensor, nn

from teliti.training.cpu_layers.depthwise import is_depthwise
from teliti.training.cpu_layers.swapping import give_fast_layers, take_fast_layers


def depthwise(kind: type[nn.Conv2d], *, kernel_size: int, stride: int, dilation: int = 1) -> nn.Conv2d:
    torch.manual_seed(3)
    padding = 0 if kind is Conv2dSame else kernel_size // 2
    return kind(6, 6, kernel_size, stride=stride, padding=padding, dilation=dilation, groups=6, bias=False)


def answers(layer: nn.Module, x: Tensor, *, bf16: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Output, and the gradients of input and kernels."""
    x = x.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        output = layer(x)
    weights = torch.linspace(-1.0, 1.0, output.numel()).view(output.shape)
    (output.float() * weights).sum().backward()
    kernels = next(layer.parameters())
    return output.detach(), x.grad, kernels.grad


@pytest.mark.parametrize("kind", [nn.Conv2d, Conv2dSame])
@pytest.mark.parametrize(
    ("kernel_size", "stride", "dilation"),
    [(3, 1, 1), (3, 2, 1), (5, 1, 1), (5, 2, 1), (3, 1, 2), (5, 1, 2), (5, 2, 2), (7, 3, 1)],
)
@pytest.mark.parametrize("side", [9, 12])  # an odd and an even number of rows left over by the stride
def test_gradients_are_those_of_f32_and_the_output_is_torchs(
    kind: type[nn.Conv2d], kernel_size: int, stride: int, dilation: int, side: int
) -> None:
    layer = depthwise(kind, kernel_size=kernel_size, stride=stride, dilation=dilation)
    x = torch.randn(4, 6, side, side).to(torch.bfloat16).float()  # f32 sees the very numbers that bf16 sees
    layer.weight.data = layer.weight.data.to(torch.bfloat16).float()
    _, input_f32, kernels_f32 = answers(copy.deepcopy(layer), x, bf16=False)
    plain, _, _ = answers(copy.deepcopy(layer), x, bf16=True)
    fast = copy.deepcopy(layer)
    give_fast_layers(fast)
    output, of_input, of_kernels = answers(fast, x, bf16=True)
    assert torch.equal(output, plain)
    torch.testing.assert_close(of_input, input_f32, rtol=0.02, atol=0.02 * float(input_f32.abs().max()))
    torch.testing.assert_close(of_kernels, kernels_f32, rtol=0.02, atol=0.02 * float(kernels_f32.abs().max()))


def test_a_frozen_kernel_passes_the_gradient_on_and_has_none() -> None:
    layer = depthwise(nn.Conv2d, kernel_size=3, stride=2)
    layer.weight.requires_grad_(requires_grad=False)
    give_fast_layers(layer)
    _, of_input, of_kernels = answers(layer, torch.randn(2, 6, 8, 8), bf16=True)
    assert of_input.abs().sum() > 0
    assert of_kernels is None


@pytest.mark.parametrize("kind", [nn.Conv2d, Conv2dSame])
@pytest.mark.parametrize(("kernel_size", "stride", "dilation"), [(3, 2, 1), (5, 1, 1), (5, 2, 1), (7, 1, 2), (4, 1, 1)])
def test_in_float64_the_gradients_are_torchs(
    kind: type[nn.Conv2d], kernel_size: int, stride: int, dilation: int
) -> None:
    layer = depthwise(kind, kernel_size=kernel_size, stride=stride, dilation=dilation).double()
    layer.bias = nn.Parameter(torch.randn(6, dtype=torch.float64))
    x = torch.randn(3, 6, 19, 20, dtype=torch.float64)
    output, of_input, of_kernels = answers(copy.deepcopy(layer), x, bf16=False)
    fast = copy.deepcopy(layer)
    give_fast_layers(fast)
    found = answers(fast, x, bf16=False)
    assert torch.equal(found[0], output)
    torch.testing.assert_close(found[1:], (of_input, of_kernels), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(
        fast.bias.grad, torch.linspace(-1.0, 1.0, output.numel()).view(output.shape).double().sum((0, 2, 3))
    )


def test_afterwards_it_is_the_layer_itself() -> None:
    layer = depthwise(Conv2dSame, kernel_size=5, stride=2)
    give_fast_layers(layer)
    assert "forward" in vars(layer)
    take_fast_layers(layer)
    assert "forward" not in vars(layer)


@pytest.mark.parametrize(
    "layer",
    [nn.Conv2d(4, 4, 3, groups=2), nn.Conv2d(4, 8, 3, groups=4), nn.Linear(4, 4)],
)
def test_other_layers_are_left_alone(layer: nn.Module) -> None:
    assert not is_depthwise(layer)
    give_fast_layers(layer)
    assert "forward" not in vars(layer)
