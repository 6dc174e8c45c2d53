"""Gradients of depthwise convolutions in bf16 on a CPU, by the kernels that are fast there.

oneDNN computes some bf16 gradients of depthwise convolutions by reference code: that of the weights, and with a stride
that of the input; on EfficientNet-Lite0 they took four fifths of a step, and bf16 was slower than f32. Both are
computed in f32 here, from the same bf16 numbers. The forward pass is torch's own, bit for bit.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.padding import pad_same
from torch import Tensor, nn

_Pair = tuple[int, int]
_Layout = tuple[_Pair, _Pair, _Pair]  # stride, padding, dilation


def is_depthwise(module: nn.Module) -> bool:
    """True for a convolution that has one kernel for each channel and no bias."""
    return (
        isinstance(module, nn.Conv2d)
        and module.groups == module.in_channels == module.out_channels > 1
        and module.bias is None
        and module.padding_mode == "zeros"
        and not isinstance(module.padding, str)
    )


def depthwise_kernels(net: nn.Module) -> list[nn.Parameter]:
    """The kernels of the depthwise convolutions of a network."""
    return [parameter for module in net.modules() if is_depthwise(module) for parameter in module.parameters()]


def give_fast_gradients(net: nn.Module) -> None:
    """Let the depthwise convolutions of a network compute their gradients this way; for bf16 on a CPU.

    Args:
        net: Its parameters and the names of its modules stay as they are.
    """
    for module in net.modules():
        if is_depthwise(module):
            module.__dict__["forward"] = partial(_convolve, module)  # hides the class's for this one layer


def take_fast_gradients(net: nn.Module) -> None:
    """Undo `give_fast_gradients`."""
    for module in net.modules():
        if is_depthwise(module):
            module.__dict__.pop("forward", None)


def _convolve(module: Any, x: Tensor) -> Tensor:
    if torch.is_autocast_enabled("cpu"):
        x = x.to(torch.get_autocast_dtype("cpu"))
    if x.dtype != torch.bfloat16:
        return type(module).forward(module, x)  # type: ignore[no-any-return]
    if isinstance(module, Conv2dSame):
        x = pad_same(x, list(module.kernel_size), list(module.stride), list(module.dilation))
        padding: _Pair = (0, 0)
    else:
        padding = module.padding
    output: Tensor = _Depthwise.apply(x, module.weight, (module.stride, padding, module.dilation))
    return output


class _Depthwise(torch.autograd.Function):
    """A depthwise convolution of bf16 photos with float32 kernels."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor, layout: _Layout) -> Tensor:
        """(N, C, H, W) bfloat16 and kernels (C, 1, h, w) float32 to (N, C, H', W') bfloat16."""
        stride, padding, dilation = layout
        return nn.functional.conv2d(x, weight.to(x.dtype), None, stride, padding, dilation, len(weight))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG004 - torch names it
        """Keep what the gradients need."""
        x, weight, ctx.layout = inputs
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        """Gradients of the input, bfloat16, and of the kernels, float32."""
        x, weight = ctx.saved_tensors
        wants_input, wants_weight = ctx.needs_input_grad[:2]
        gradient = gradients[0]
        own: list[Tensor | None] = [None, None]
        strided = max(ctx.layout[0]) > 1
        if wants_input and not strided:
            own[0] = _gradients(gradient, x, weight.to(x.dtype), layout=ctx.layout, mask=[True, False])[0]
        if wants_weight or (wants_input and strided):
            mask = [wants_input and strided, wants_weight]
            found = _gradients(gradient.float(), x.float(), weight, layout=ctx.layout, mask=mask)
            own = [old if new is None else new for old, new in zip(own, found, strict=True)]
        of_input = None if own[0] is None else own[0].to(x.dtype)
        return of_input, own[1], None


def _gradients(
    gradient: Tensor, x: Tensor, weight: Tensor, *, layout: _Layout, mask: list[bool]
) -> list[Tensor | None]:
    stride, padding, dilation = layout
    found = torch.ops.aten.convolution_backward(
        gradient, x, weight, None, stride, padding, dilation, False, (0, 0), len(weight), [*mask, False]
    )
    return [part if wanted else None for part, wanted in zip(found, mask, strict=False)]
