"""Gradients of kernels as matrix products (im2col), for processors where oneDNN's own are the slow part of a step.

With AVX2 alone oneDNN reaches 30 to 60 % of the processor's arithmetic in the gradient of a kernel, 90 % in the forward
pass and the gradient of the photos. Written as the product of the gradient with the windows that the kernel saw (K.
Chellapilla, S. Puri, P. Simard: High performance convolutional neural networks for document processing, 2006) it is 1.1
to 3 times as fast, except where the copies of the windows outweigh the product. With AVX-512 oneDNN is the faster one.
The forward pass and the gradient of the input are torch's own, bit for bit.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

_Pair = tuple[int, int]
_FEWEST_WEIGHTS, _MANY_WEIGHTS = 2**15, 2**17
_MANY_POSITIONS = 2**13  # of the kernels on the photos of a step
_BYTES_AT_ONCE = 2**21  # of copied windows: what the cores' caches hold


def gains_from_im2col(module: nn.Module) -> bool:
    """True for a convolution on this processor whose kernels' gradient is a product that pays."""
    return (
        type(module) is nn.Conv2d
        and module.groups == 1
        and module.dilation == (1, 1)
        and module.padding_mode == "zeros"
        and not isinstance(module.padding, str)
        and module.weight.numel() >= _FEWEST_WEIGHTS
        and _has_slow_kernel_gradients()
    )


def _has_slow_kernel_gradients() -> bool:
    return torch.backends.cpu.get_cpu_capability() == "AVX2"


def convolve_with_im2col(module: Any, x: Tensor, *, weight: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
    """`module`, of which `gains_from_im2col` holds, on (N, C, H, W).

    Args:
        module: The layer.
        x: float32 or float64, or any dtype under autocast, where all is torch's.
        weight: (C', C, h, w) in the place of its kernels, for a layer without a bias.
        bias: (C',), beside them.
    """
    if weight is None:
        weight, bias = module.weight, module.bias
    learns = weight.requires_grad and torch.is_grad_enabled()
    if not learns or torch.is_autocast_enabled("cpu"):
        own: Tensor = type(module)._conv_forward(module, x, weight, bias)
        return own
    output: Tensor = _Convolution.apply(x, weight, bias, (module.stride, module.padding))
    return output


class _Convolution(torch.autograd.Function):
    """A convolution without groups and gaps."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor | None, layout: tuple[_Pair, _Pair]) -> Tensor:  # noqa: PLR0917 - as torch calls it
        """(N, C, H, W), kernels (C', C, h, w) and (C',) to (N, C', H', W')."""
        return nn.functional.conv2d(x, weight, bias, *layout)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG004 - torch names it
        """Keep what the gradients need."""
        x, weight, _, ctx.layout = inputs
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        """Gradients of the input, the kernels and the biases."""
        x, weight = ctx.saved_tensors
        stride, padding = ctx.layout
        wants_input, wants_weight, wants_bias = ctx.needs_input_grad[:3]
        by_product = wants_weight and _pays(gradients[0], weight)
        of_input, of_weight, _ = torch.ops.aten.convolution_backward(
            gradients[0], x, weight, None, stride, padding, (1, 1), False, (0, 0), 1,
            [wants_input, wants_weight and not by_product, False],
        )  # fmt: skip
        if by_product:
            of_weight = _of_weight(gradients[0], x, tuple(weight.shape[2:]), stride=stride, padding=padding)
        of_bias = gradients[0].sum((0, 2, 3)) if wants_bias else None  # torch would compute the kernels' with it
        return of_input, of_weight, of_bias, None


def _pays(gradient: Tensor, weight: Tensor) -> bool:
    """Whether copying the windows costs less than the product saves; nothing is copied for kernels of 1 x 1."""
    positions = gradient.numel() // len(weight)
    if not positions:
        return False
    return weight[0, 0].numel() == 1 or weight.numel() >= _MANY_WEIGHTS or positions >= _MANY_POSITIONS


def _of_weight(gradient: Tensor, x: Tensor, kernel: _Pair, *, stride: _Pair, padding: _Pair) -> Tensor:
    """(C', C, h, w): the sum over photos and positions of gradient x window, as many photos at once as caches hold."""
    photos, channels, height, width = len(x), x.shape[1], *gradient.shape[2:]
    window = kernel[0] * kernel[1] * channels
    is_copied = window > channels
    at_once = max(1, _BYTES_AT_ONCE // (height * width * window * x.element_size())) if is_copied else photos
    total = x.new_empty((gradient.shape[1], window))
    for first in range(0, photos, at_once):
        part = x[first : first + at_once].permute(0, 2, 3, 1)
        if max(padding):
            part = nn.functional.pad(part, (0, 0, padding[1], padding[1], padding[0], padding[0]))
        windows = part.unfold(1, kernel[0], stride[0]).unfold(2, kernel[1], stride[1])
        windows = windows.permute(0, 1, 2, 4, 5, 3).reshape(-1, window)
        own = gradient[first : first + at_once].permute(0, 2, 3, 1).reshape(len(windows), -1).t()
        total.addmm_(own, windows, beta=int(first > 0))  # the first one overwrites
    return total.view(-1, *kernel, channels).permute(0, 3, 1, 2)
