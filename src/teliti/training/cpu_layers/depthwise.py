"""Gradients of depthwise convolutions on a CPU, by the kernels that are fast there.

oneDNN computes some of them by reference code: that of the weights where a kernel is wider than 3 (ten to a hundred
times slower), and in bf16 with a stride that of the input. On EfficientNet-Lite0 they took a fifth of a step in f32
and four fifths in bf16. Here a wide kernel's gradient is put together from pieces that are 3 wide, and that of a
strided input is a convolution of the gradient with zeros between its numbers. The forward pass is torch's own, bit for
bit.
"""

from __future__ import annotations

from typing import Any

import torch
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.padding import pad_same
from torch import Tensor, nn

_Pair = tuple[int, int]
_Layout = tuple[_Pair, _Pair, _Pair]  # stride, padding, dilation
_QUICK = 3  # the widest kernel whose gradient oneDNN has fast code for; the height does not matter


def is_depthwise(module: nn.Module) -> bool:
    """True for a convolution that has one kernel for each channel."""
    return (
        isinstance(module, nn.Conv2d)
        and module.groups == module.in_channels == module.out_channels > 1
        and module.padding_mode == "zeros"
        and not isinstance(module.padding, str)
    )


def depthwise_kernels(net: nn.Module) -> list[nn.Parameter]:
    """The kernels of the depthwise convolutions of a network."""
    return [module.weight for module in net.modules() if is_depthwise(module)]  # type: ignore[misc]


def convolve_depthwise(module: Any, x: Tensor, *, weight: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
    """`module`, of which `is_depthwise` holds, on (N, C, H, W).

    Args:
        module: The layer.
        x: float32, or any dtype under autocast.
        weight: (C, 1, h, w) in the place of its kernels, for a layer without a bias.
        bias: (C,), beside them.
    """
    if torch.is_autocast_enabled("cpu"):
        x = x.to(torch.get_autocast_dtype("cpu"))
    if weight is None:
        weight, bias = module.weight, module.bias
    if isinstance(module, Conv2dSame):
        x = pad_same(x, list(module.kernel_size), list(module.stride), list(module.dilation))
        padding: _Pair = (0, 0)
    else:
        padding = module.padding
    output: Tensor = _Depthwise.apply(x, weight, bias, (module.stride, padding, module.dilation))
    return output


class _Depthwise(torch.autograd.Function):
    """A depthwise convolution of photos with kernels of the same or a finer dtype."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor | None, layout: _Layout) -> Tensor:  # noqa: PLR0917 - as torch calls it
        """(N, C, H, W), kernels (C, 1, h, w) and (C,) to (N, C, H', W') of the dtype of x."""
        stride, padding, dilation = layout
        own = None if bias is None else bias.to(x.dtype)
        return nn.functional.conv2d(x, weight.to(x.dtype), own, stride, padding, dilation, len(weight))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG004 - torch names it
        """Keep what the gradients need."""
        x, weight, bias, ctx.layout = inputs
        ctx.kind_of_bias = None if bias is None else bias.dtype
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        """Gradients of the input, the kernels and the biases, each of its own dtype."""
        x, weight = ctx.saved_tensors
        wants_input, wants_weight, wants_bias = ctx.needs_input_grad[:3]
        gradient, of_weight, of_bias = gradients[0].to(x.dtype), None, None
        of_input = _of_input(gradient, x, weight.to(x.dtype), layout=ctx.layout) if wants_input else None
        if wants_weight:
            of_weight = _of_weight(gradient, x, weight.to(x.dtype), layout=ctx.layout).to(weight.dtype)
        if wants_bias:
            of_bias = gradient.sum((0, 2, 3)).to(ctx.kind_of_bias)
        return of_input, of_weight, of_bias, None


def _of_input(gradient: Tensor, x: Tensor, weight: Tensor, *, layout: _Layout) -> Tensor:
    """(N, C, H, W): the gradient, its numbers `stride` apart, convolved with the mirrored kernel."""
    stride, padding, dilation = layout
    kernel = tuple(weight.shape[2:])
    is_slow = x.dtype == torch.bfloat16 and max(stride) > 1
    if not is_slow or dilation != (1, 1) or any(own > side - 1 for own, side in zip(padding, kernel, strict=True)):
        kind = torch.float32 if is_slow else x.dtype
        found = _torchs(gradient.to(kind), x.to(kind), weight.to(kind), layout=layout, of_input=True)
        return found.to(x.dtype)
    height, width = (side + own - 1 for side, own in zip(x.shape[2:], kernel, strict=True))
    spread = gradient.new_zeros((len(x), height, width, x.shape[1])).permute(0, 3, 1, 2)
    rows, columns = (
        slice(own - 1 - border, own - border + (count - 1) * step, step)
        for own, border, count, step in zip(kernel, padding, gradient.shape[2:], stride, strict=True)
    )
    spread[:, :, rows, columns] = gradient
    return nn.functional.conv2d(spread, weight.flip(2, 3), None, 1, 0, 1, len(weight))


def _of_weight(gradient: Tensor, x: Tensor, weight: Tensor, *, layout: _Layout) -> Tensor:
    """(C, 1, h, w), a wide kernel's in pieces."""
    stride, padding, dilation = layout
    width, step = weight.shape[3], dilation[1]
    if width <= _QUICK:
        return _torchs(gradient, x, weight, layout=layout, of_input=False)
    if max(padding):  # rows too: on maps as small as the kernel their border makes oneDNN slow again
        x = nn.functional.pad(x, (padding[1], padding[1], padding[0], padding[0]))
    reach = (gradient.shape[3] - 1) * stride[1] + 1  # columns of the photo that one column of the kernel meets
    pieces = []
    for left in range(0, width, _QUICK):
        kernel = weight[..., left : left + _QUICK].contiguous()
        part = x[..., left * step : left * step + reach + (kernel.shape[3] - 1) * step]
        part = part.contiguous(memory_format=torch.channels_last)
        pieces.append(_torchs(gradient, part, kernel, layout=(stride, (0, 0), dilation), of_input=False))
    return torch.cat(pieces, dim=3)


def _torchs(gradient: Tensor, x: Tensor, weight: Tensor, *, layout: _Layout, of_input: bool) -> Tensor:
    """The gradient that torch computes, of the input or else of the kernels."""
    stride, padding, dilation = layout
    found = torch.ops.aten.convolution_backward(
        gradient,
        x,
        weight,
        None,
        stride,
        padding,
        dilation,
        False,
        (0, 0),
        len(weight),
        [of_input, not of_input, False],
    )
    own: Tensor = found[0 if of_input else 1]
    return own
