"""The part of a photo that a network looks at: rows and columns that its own arithmetic drops need not be computed.

A 2x2 pooling of 29 rows leaves the last one out, and with it all that only led there. Three convolutions without a
border and with pooling never see the last two rows and columns of 64 x 64 pixels, which are 6 % of their work.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from timm.layers.helpers import to_2tuple
from torch import Tensor, nn

Size = tuple[int, int]
_POINTWISE = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SiLU, nn.GELU, nn.Sigmoid, nn.Tanh, nn.Identity)


def seen_size(net: nn.Module, x: Tensor) -> Size:
    """(height, width) of the upper left part of a photo that decides the network's output, gradients included.

    Args:
        net: Left as it is; a copy is tried in evaluation mode, and what would change an output is not left out.
        x: (1, C, H, W) float32.
    """
    whole = int(x.shape[2]), int(x.shape[3])
    windows = list(_windows(net))
    seen = _needed(whole[0], [own[0] for own in windows]), _needed(whole[1], [own[1] for own in windows])
    if seen == whole:
        return whole
    probe = copy.deepcopy(net).eval()
    with torch.inference_mode():
        is_same = torch.allclose(probe(x), probe(x[:, :, : seen[0], : seen[1]]), rtol=1e-3, atol=1e-5)
    return seen if is_same else whole


def _needed(side: int, windows: list[Size]) -> int:
    """Numbers of a row that all windows, one layer's after the other's, look at."""
    sides = [side]
    for window, stride in windows:
        sides.append((sides[-1] - window) // stride + 1)
    needed = sides[-1]
    for window, stride in reversed(windows):
        needed = (needed - 1) * stride + window
    return needed


def _windows(net: nn.Module) -> Iterator[tuple[Size, Size]]:
    """Width of the window and stride, down and across, of the first layers, as long as they have no border."""
    for layer in _first_layers(net):
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d) and _has_no_border(layer):
            sides, strides, steps = (to_2tuple(value) for value in _window_of(layer))
            yield tuple(
                ((side - 1) * step + 1, stride) for side, stride, step in zip(sides, strides, steps, strict=True)
            )  # type: ignore[misc]
        elif not isinstance(layer, _POINTWISE):
            return


def _first_layers(net: nn.Module) -> list[nn.Module]:
    """The layers of a network that is one sequence, or has nothing but one."""
    inside = list(net.children())
    if not isinstance(net, nn.Sequential) and len(inside) == 1:
        return _first_layers(inside[0])
    return inside if isinstance(net, nn.Sequential) else []


def _window_of(layer: Any) -> tuple[Any, Any, Any]:
    return layer.kernel_size, layer.stride, getattr(layer, "dilation", 1)


def _has_no_border(layer: Any) -> bool:
    border = 0 if layer.padding == "valid" else layer.padding
    return border in {0, (0, 0)} and not getattr(layer, "ceil_mode", False)
