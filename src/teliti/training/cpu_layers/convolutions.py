"""Which convolutions compute their gradients our way while a network trains on a CPU."""

from __future__ import annotations

from typing import Any

from timm.layers.conv2d_same import Conv2dSame, conv2d_same
from torch import Tensor, nn

from teliti.training.cpu_layers.depthwise import convolve_depthwise, is_depthwise
from teliti.training.cpu_layers.im2col import convolve_with_im2col, gains_from_im2col


def has_own_gradients(module: nn.Module) -> bool:
    """True for a convolution that `convolve` does not leave to torch."""
    return is_depthwise(module) or gains_from_im2col(module)


def convolve(module: Any, x: Tensor, *, weight: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
    """A convolution on (N, C, H, W), its gradients by the kernels that are fast on a CPU.

    Args:
        module: `nn.Conv2d` or timm's `Conv2dSame`.
        x: float32 or float64, or any dtype under autocast.
        weight: (C', C / groups, h, w) in the place of its kernels, for a layer without a bias.
        bias: (C',), beside them.
    """
    if is_depthwise(module):
        return convolve_depthwise(module, x, weight=weight, bias=bias)
    if gains_from_im2col(module):
        return convolve_with_im2col(module, x, weight=weight, bias=bias)
    if weight is None:
        weight, bias = module.weight, module.bias
    if isinstance(module, Conv2dSame):
        like: Any = module  # whose pairs torch types as tuples of any length
        same: Tensor = conv2d_same(x, weight, bias, like.stride, like.padding, like.dilation, like.groups)
        return same
    own: Tensor = module._conv_forward(x, weight, bias)
    return own
