"""Kernels' gradients as matrix products: torch's own within rounding, where they pay, everything else torch's."""

from __future__ import annotations

import copy

import pytest
import torch
from timm.layers.conv2d_same import Conv2dSame
from torch import Tensor, nn

from teliti.training.cpu_layers import im2col
from teliti.training.cpu_layers.convolutions import has_own_gradients
from teliti.training.cpu_layers.im2col import gains_from_im2col
from teliti.training.cpu_layers.swapping import give_fast_layers, take_fast_layers


@pytest.fixture(autouse=True)
def on_avx2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")


def wide(**layout: object) -> nn.Conv2d:
    torch.manual_seed(4)
    return nn.Conv2d(128, 256, **{"kernel_size": 3, "padding": 1, "bias": False, **layout}).to(
        memory_format=torch.channels_last
    )


def answers(layer: nn.Module, x: Tensor, *, learns_input: bool = True) -> dict[str, Tensor | None]:
    x = x.clone().requires_grad_(learns_input)
    output = layer(x)
    (output.float() * torch.linspace(-1.0, 1.0, output.numel()).view(output.shape)).sum().backward()
    return {"output": output.detach(), "x": x.grad, **{name: own.grad for name, own in layer.named_parameters()}}


def products(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shapes of the photos that a product was made for, from now on."""
    met, own = [], im2col._of_weight
    monkeypatch.setattr(im2col, "_of_weight", lambda *given, **how: met.append(given[1].shape) or own(*given, **how))
    return met


@pytest.mark.parametrize(
    "layout",
    [{}, {"stride": 2}, {"bias": True}, {"kernel_size": 1, "padding": 0}, {"kernel_size": 1, "padding": 0, "stride": 2},
     {"kernel_size": (3, 2), "padding": (1, 0)}, {"kernel_size": 5, "padding": 0, "stride": (2, 1)}],
)  # fmt: skip
@pytest.mark.parametrize("at_once", [1, 2**21, 2**30])
@pytest.mark.parametrize("memory", [torch.channels_last, torch.contiguous_format])
def test_only_the_kernels_gradient_differs_and_by_rounding_alone(
    layout: dict, at_once: int, memory: torch.memory_format, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(im2col, "_BYTES_AT_ONCE", at_once)
    met, layer = products(monkeypatch), wide(**layout)
    x = torch.randn(5, 128, 11, 10).to(memory_format=memory)
    theirs = answers(copy.deepcopy(layer), x)
    exact = answers(copy.deepcopy(layer).double(), x.double())["weight"]
    give_fast_layers(layer)
    ours = answers(layer, x)
    assert met == [x.shape]
    assert all(torch.equal(ours[name], theirs[name]) for name in ("output", "x"))
    if "bias" in theirs:
        torch.testing.assert_close(ours["bias"], theirs["bias"], rtol=1e-5, atol=1e-3)
    largest = float(exact.abs().max())
    torch.testing.assert_close(ours["weight"].double(), exact, rtol=0, atol=1e-5 * largest)


def test_a_gradient_of_the_kernels_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    met, layer, x = products(monkeypatch), wide(), torch.randn(2, 128, 6, 6)
    theirs = answers(copy.deepcopy(layer), x, learns_input=False)
    give_fast_layers(layer)
    ours = answers(layer, x, learns_input=False)
    assert (len(met), ours["x"]) == (1, None)
    torch.testing.assert_close(ours["weight"], theirs["weight"], rtol=1e-4, atol=1e-3)


def test_what_does_not_learn_is_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    met, layer, x = products(monkeypatch), wide(), torch.randn(2, 128, 6, 6)
    give_fast_layers(layer)
    with torch.no_grad():
        assert layer(x).grad_fn is None
    layer.weight.requires_grad_(requires_grad=False)
    assert answers(layer, x)["x"].abs().sum() > 0
    assert met == []


def test_under_autocast_all_is_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    met, layer, x = products(monkeypatch), wide(), torch.randn(2, 128, 6, 6)
    plain = copy.deepcopy(layer)
    give_fast_layers(layer)
    with torch.autocast("cpu", torch.bfloat16):
        ours, theirs = answers(layer, x), answers(plain, x)
    assert met == []
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_no_photos_at_all() -> None:
    layer = wide()
    give_fast_layers(layer)
    layer(torch.zeros(0, 128, 6, 6)).sum().backward()
    assert float(layer.weight.grad.abs().sum()) == 0.0


def test_windows_of_a_small_kernel_are_copied_for_large_maps_only(monkeypatch: pytest.MonkeyPatch) -> None:
    met, layer = products(monkeypatch), nn.Conv2d(64, 64, 3, padding=1)
    give_fast_layers(layer)
    for side in (16, 32):
        answers(layer, torch.randn(8, 64, side, side))
    assert [tuple(shape) for shape in met] == [(8, 64, 32, 32)]


@pytest.mark.parametrize(
    "layer",
    [nn.Conv2d(32, 64, 3), nn.Conv2d(96, 96, 1), nn.Conv2d(256, 256, 3, groups=2), nn.Conv2d(128, 128, 3, dilation=2),
     nn.Conv2d(128, 128, 3, padding="same"), nn.Conv2d(128, 128, 3, padding=1, padding_mode="reflect"),
     Conv2dSame(128, 128, 3), nn.ConvTranspose2d(128, 128, 3)],
)  # fmt: skip
def test_other_layers_are_left_alone(layer: nn.Module) -> None:
    assert not has_own_gradients(layer)
    give_fast_layers(layer)
    assert "forward" not in vars(layer)


@pytest.mark.parametrize("processor", ["AVX512", "DEFAULT", "SVE256", "NO AVX"])
def test_other_processors_are_left_alone(processor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert gains_from_im2col(wide())
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: processor)
    assert not gains_from_im2col(wide())


def test_afterwards_it_is_the_layer_itself() -> None:
    layer = wide()
    give_fast_layers(layer)
    assert "forward" in vars(layer)
    take_fast_layers(layer)
    assert "forward" not in vars(layer)


def test_with_a_batch_norm_folded_in(monkeypatch: pytest.MonkeyPatch) -> None:
    met, x = products(monkeypatch), torch.randn(3, 128, 8, 8)
    net = nn.Sequential(wide(), nn.BatchNorm2d(256)).eval()
    net[1].running_var.uniform_(0.5, 2.0)
    theirs = answers(copy.deepcopy(net), x)
    give_fast_layers(net, [("0", "1")])
    ours = answers(net, x)
    assert len(met) == 1
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=2e-3)
