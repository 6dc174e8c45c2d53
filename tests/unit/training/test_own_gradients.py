"""Every gradient that we compute ourselves, against finite differences in float64; torch's own need no test here."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck
from torch.func import functional_call

import teliti
from teliti.training.cpu_layers import im2col
from teliti.training.cpu_layers.swapping import give_fast_layers

CHECKED = {"_Clamp", "_Convolution", "_Depthwise"}
ONLY_IN_BF16 = {"_RectifiedPool"}  # too coarse for differences: `test_pooling` holds it to torch's, bit for bit
_FUNCTION = re.compile(r"class (\w+)\([\w.]*\bFunction\):")
DEPTHWISE = {
    "3 x 3": {"kernel_size": 3, "padding": 1},
    "wide, in pieces": {"kernel_size": 5, "padding": 2},
    "with a step": {"kernel_size": 3, "padding": 1, "stride": 2},
    "wide, with a step, no border": {"kernel_size": (3, 7), "stride": (2, 1)},
    "with gaps": {"kernel_size": 3, "padding": 2, "dilation": 2},
}

CONVOLUTIONS = {
    "1 x 1": {"kernel_size": 1},
    "1 x 1 with a step": {"kernel_size": 1, "stride": 2},
    "3 x 3": {"kernel_size": 3, "padding": 1, "bias": False},
    "3 x 3 with a step": {"kernel_size": 3, "padding": 1, "stride": 2},
    "of two sides": {"kernel_size": (2, 5), "padding": (0, 2), "stride": (3, 1)},
}


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def of_all(net: nn.Module) -> tuple[Callable[..., Tensor], list[Tensor]]:
    """The network as a function of its parameters, and these."""
    given = dict(net.named_parameters())

    def call(x: Tensor, *parameters: Tensor) -> Tensor:
        return functional_call(net, dict(zip(given, parameters, strict=True)), (x,))

    return call, [parameter.detach().clone().requires_grad_() for parameter in given.values()]


@pytest.mark.parametrize("layout", DEPTHWISE)
def test_depthwise_convolutions(layout: str) -> None:
    torch.manual_seed(1)
    net = nn.Sequential(nn.Conv2d(2, 2, groups=2, **DEPTHWISE[layout]).double())
    give_fast_layers(net)
    call, parameters = of_all(net)
    assert gradcheck(call, (random(2, 2, 7, 8).requires_grad_(), *parameters))


@pytest.mark.parametrize("layout", CONVOLUTIONS)
def test_convolutions_by_matrix_products(layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("_FEWEST_WEIGHTS", 0), ("_MANY_WEIGHTS", 0), ("_BYTES_AT_ONCE", 5000)):
        monkeypatch.setattr(im2col, name, value)  # so small that photos come in parts
    monkeypatch.setattr(im2col, "_has_slow_kernel_gradients", lambda: True)
    torch.manual_seed(1)
    net = nn.Sequential(nn.Conv2d(2, 3, **CONVOLUTIONS[layout]).double())
    give_fast_layers(net)
    call, parameters = of_all(net)
    x = random(3, 2, 7, 8).requires_grad_()
    assert "_Convolution" in type(call(x, *parameters).grad_fn).__name__
    assert gradcheck(call, (x, *parameters))


@pytest.mark.parametrize("groups", [1, 3])
def test_convolutions_with_batch_norm_folded_in(groups: int) -> None:
    torch.manual_seed(2)
    net = nn.Sequential(nn.Conv2d(3, 3, 3, groups=groups, bias=False), nn.BatchNorm2d(3), nn.Tanh()).double().eval()
    net[1].running_mean.copy_(random(3, seed=3))
    net[1].running_var.copy_(random(3, seed=4).square() + 0.5)
    whole = net(random(2, 3, 5, 4))
    give_fast_layers(net, [("0", "1")])
    torch.testing.assert_close(net(random(2, 3, 5, 4)), whole)
    call, parameters = of_all(net)
    assert len(parameters) == 3
    assert gradcheck(call, (random(2, 3, 5, 4).requires_grad_(), *parameters))


@pytest.mark.parametrize("layer", [nn.ReLU6(), nn.Hardtanh(-0.5, 2.0)])
def test_clamped_activations_off_their_corners(layer: nn.Module) -> None:
    give_fast_layers(layer)
    x = 4.0 * random(40, seed=5)
    corners = torch.tensor([-0.5, 0.0, 2.0, 6.0], dtype=torch.float64)
    x = x[(x[:, None] - corners).abs().amin(dim=1) > 1e-3]
    assert ((x < 0.0).any(), (x > 6.0).any()) == (True, True)
    assert gradcheck(layer, (x.requires_grad_(),))


def test_no_gradient_of_ours_is_left_out() -> None:
    files = Path(teliti.__file__).parent.rglob("*.py")
    found = [name for path in files for name in _FUNCTION.findall(path.read_text(encoding="utf-8"))]
    assert set(found) == CHECKED | ONLY_IN_BF16
