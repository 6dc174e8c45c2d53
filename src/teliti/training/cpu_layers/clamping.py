"""Clamped activations for training on a CPU: torch's numbers, without the copy that torch keeps for the gradient.

torch's ReLU6 remembers what it was given, and copies it where it works in place. At and beyond a limit the gradient is
0, which the result tells as well: a third of the memory of the maps in a network of convolution, BatchNorm and ReLU6.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def is_clamp(module: nn.Module) -> bool:
    """True for ReLU6 and Hardtanh."""
    return isinstance(module, nn.Hardtanh)


def clamp_lightly(module: Any, x: Tensor) -> Tensor:
    """`module` on x of any shape."""
    if not (x.requires_grad and torch.is_grad_enabled()):
        return type(module).forward(module, x)  # type: ignore[no-any-return]
    clamped: Tensor = _Clamp.apply(x, (module.min_val, module.max_val, module.inplace))
    return clamped


class _Clamp(torch.autograd.Function):
    """min(max(x, low), high), remembered by its result."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, how: tuple[float, float, bool]) -> Tensor:
        """Any shape; the lowest, the highest, and whether x is overwritten."""
        low, high, in_place = how
        clamped = nn.functional.hardtanh(x, low, high, inplace=in_place)
        if in_place:
            ctx.mark_dirty(x)
        ctx.save_for_backward(clamped)
        ctx.limits = low, high
        return clamped

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Gradient of x."""
        (clamped,) = ctx.saved_tensors
        return torch.ops.aten.hardtanh_backward(gradients[0], clamped, *ctx.limits), None
