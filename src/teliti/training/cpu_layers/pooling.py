"""ReLU and 2x2 max pooling of bf16 maps on a CPU, as one layer that counts in whole numbers.

Numbers of bfloat16 that are not negative are ordered like the 16-bit whole numbers with the same bits, and torch
compares those ten times faster. Masks of ones tell where a window's largest number was: the map itself is not kept,
and on the way back nothing is written number by number. What comes out is torch's, bit for bit. Where several numbers
of a window are the largest, the gradient goes to the upper one, and of a row to the left one; torch takes the first in
reading order, which is another one where the largest stand across.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.helpers import to_2tuple
from torch import Tensor, nn

_GIVING = {nn.Conv2d, Conv2dSame, nn.BatchNorm2d}  # none needs its own result on the way back
_WORTH = 1 << 20  # numbers of a map: below, the calls cost more than they save
_SIGN = 15  # places from the lowest bit: shifted by them, a negative number is all ones and any other all zeros


def rectified_pools(net: nn.Module) -> Iterator[tuple[nn.Module, nn.Module]]:
    """The neighbours in a network's sequences that are one layer here, in their order: 2x2 max pooling and ReLU.

    They follow a layer whose result may be overwritten.
    """
    for sequence in net.modules():
        if not isinstance(sequence, nn.Sequential):
            continue
        layers = list(sequence)
        for before, first, second in zip(layers, layers[1:], layers[2:], strict=False):
            kinds = {type(first), type(second)}
            if type(before) in _GIVING and kinds == {nn.ReLU, nn.MaxPool2d}:
                pool = first if isinstance(first, nn.MaxPool2d) else second
                if _is_two_by_two(pool):
                    yield first, second


def pool_rectified(module: Any, x: Tensor) -> Tensor:
    """The first of two neighbours on (N, C, H, W): the work of both, where `pass_on` will find it done."""
    learns = x.requires_grad and torch.is_grad_enabled()
    is_large = x.dtype == torch.bfloat16 and x.numel() >= _WORTH and min(x.shape[2:]) > 1
    fits = learns and is_large and x.is_contiguous(memory_format=torch.channels_last)
    if not fits or not math.isfinite(float(x.detach().sum())):  # no whole number tells what is not a number
        return type(module).forward(module, x)  # type: ignore[no-any-return]
    pooled: Tensor = _RectifiedPool.apply(x)
    return pooled


def pass_on(module: Any, x: Tensor) -> Tensor:
    """The second of two neighbours."""
    if isinstance(x.grad_fn, _RectifiedPool._backward_cls):
        return x
    return type(module).forward(module, x)  # type: ignore[no-any-return]


class _RectifiedPool(torch.autograd.Function):
    """max(0, the largest of each 2x2 window); a last odd row or column is left out, as torch does."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """(N, C, H, W) bfloat16, channels last in memory, overwritten, to (N, C, H // 2, W // 2)."""
        numbers = x.view(torch.int16).permute(0, 2, 3, 1).clamp_min_(0)  # differences are in range from here on
        height, width = (side // 2 * 2 for side in x.shape[2:])
        upper, lower = numbers[:, 0:height:2], numbers[:, 1:height:2]  # (N, H', W, C)
        lowers = torch.sub(upper, lower).bitwise_right_shift_(_SIGN)
        rows = torch.maximum(upper, lower)
        left, right = rows[:, :, 0:width:2], rows[:, :, 1:width:2]  # (N, H', W', C)
        rights = torch.sub(left, right).bitwise_right_shift_(_SIGN)
        pooled = torch.maximum(left, right)
        ctx.save_for_backward(pooled, lowers, rights)
        ctx.size = numbers.shape
        return pooled.permute(0, 3, 1, 2).view(torch.bfloat16)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """(N, C, H, W): each window's gradient where its largest number was, where that is above 0."""
        pooled, lowers, rights = ctx.saved_tensors
        given = gradients[0].view(torch.int16).permute(0, 2, 3, 1)
        risen = torch.neg(pooled).bitwise_right_shift_(_SIGN).bitwise_and_(given)
        rows, whole = torch.empty_like(lowers), pooled.new_empty(ctx.size)
        height, width = (side // 2 * 2 for side in ctx.size[1:3])
        rows[:, :, width:].zero_()
        _divide(risen, rights, first=rows[:, :, 0:width:2], second=rows[:, :, 1:width:2])
        whole[:, height:].zero_()
        _divide(rows, lowers, first=whole[:, 0:height:2], second=whole[:, 1:height:2])
        found: Tensor = whole.permute(0, 3, 1, 2).view(torch.bfloat16)
        return found


def _divide(values: Tensor, seconds: Tensor, *, first: Tensor, second: Tensor) -> None:
    """Each value into the second of two neighbours where `seconds` is set, else into the first; 0 into the other."""
    torch.bitwise_and(values, seconds, out=second)
    torch.bitwise_xor(values, second, out=first)


def _is_two_by_two(pool: Any) -> bool:
    sides = {*to_2tuple(pool.kernel_size), *to_2tuple(pool.stride)}
    plain = {*to_2tuple(pool.padding)} == {0} and {*to_2tuple(pool.dilation)} == {1}
    return sides == {2} and plain and not pool.ceil_mode and not pool.return_indices
