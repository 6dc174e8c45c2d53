"""ReLU and 2x2 max pooling in one: torch's numbers, and its gradients where no two numbers of a window are equal."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn

from teliti.training.cpu_layers import pooling
from teliti.training.cpu_layers.pooling import rectified_pools
from teliti.training.cpu_layers.swapping import give_fast_layers, take_fast_layers
from teliti.training.loop import Fitted, fit_network
from unit.training.tiny_networks import options, same_state, training_data

POOL_FIRST = (nn.MaxPool2d(2), nn.ReLU())
RELU_FIRST = (nn.ReLU(inplace=True), nn.MaxPool2d(2, 2))


@pytest.fixture(autouse=True)
def even_small_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooling, "_WORTH", 1)


def net_of(layers: tuple[nn.Module, ...]) -> nn.Sequential:
    """1x1 convolution that changes nothing, and the layers, in bf16, channels last."""
    same = nn.Conv2d(3, 3, 1, bias=False)
    with torch.no_grad():
        same.weight.copy_(torch.eye(3).view(3, 3, 1, 1))
    return nn.Sequential(same, *copy.deepcopy(layers)).bfloat16().to(memory_format=torch.channels_last)


def answers(net: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Output, and the gradient of what went in."""
    x = x.clone(memory_format=torch.channels_last).requires_grad_()
    output = net(x)
    (output * torch.randn(output.shape, generator=torch.Generator().manual_seed(1)).bfloat16()).sum().backward()
    return output.detach(), x.grad


@pytest.mark.parametrize("layers", [POOL_FIRST, RELU_FIRST])
@pytest.mark.parametrize("size", [(8, 8), (7, 10), (5, 3)])
def test_numbers_and_gradients_are_torchs(layers: tuple[nn.Module, ...], size: tuple[int, int]) -> None:
    count = 4 * 3 * size[0] * size[1]  # all different in bf16: 256 steps of each power of two
    ladder = torch.cat([torch.arange(128, 256) * sign * 2.0**power for power in range(-8, 1) for sign in (1, -1)])
    order = torch.randperm(len(ladder), generator=torch.Generator().manual_seed(2))
    x = ladder[order][:count].view(4, 3, *size).bfloat16()
    plain = net_of(layers)
    fast = copy.deepcopy(plain)
    give_fast_layers(fast)
    for found, expected in zip(answers(fast, x), answers(plain, x), strict=True):
        assert torch.equal(found, expected)
    assert "RectifiedPool" in type(fast(x.requires_grad_()).grad_fn).__name__


def test_of_equal_numbers_one_takes_the_gradient() -> None:
    net = net_of(POOL_FIRST)
    give_fast_layers(net)
    x = torch.tensor([[0.0, 2.0], [2.0, 0.0]]).expand(1, 3, 2, 2).bfloat16()
    _, gradient = answers(net, x)
    assert torch.count_nonzero(gradient) == 3
    assert gradient[:, :, 1, 0].all()  # the lower left, where torch takes the upper right


def test_nothing_flows_where_nothing_is_positive() -> None:
    net = net_of(POOL_FIRST)
    give_fast_layers(net)
    output, gradient = answers(net, -torch.rand(2, 3, 4, 4).bfloat16())
    assert not output.any()
    assert not gradient.any()


@pytest.mark.parametrize("value", [float("nan"), -float("nan"), float("inf"), -float("inf")])
def test_what_is_not_a_finite_number_stays_that(value: float) -> None:
    plain = net_of(POOL_FIRST)
    fast = copy.deepcopy(plain)
    give_fast_layers(fast)
    x = torch.ones(1, 3, 4, 4).bfloat16().to(memory_format=torch.channels_last)
    x[0, 1, 1, 1] = value  # times 0 it is no number in the two other channels
    found, expected = (net(x.clone().requires_grad_()) for net in (fast, plain))
    assert expected.isnan().any()
    torch.testing.assert_close(found, expected, equal_nan=True, rtol=0, atol=0)


@pytest.mark.parametrize("is_open", [True, False])
def test_f32_photos_and_calls_that_learn_nothing_are_torchs(is_open: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_x: Tensor) -> Tensor:
        raise AssertionError("pooled in whole numbers")

    plain, kind = net_of(POOL_FIRST), torch.float32 if is_open else torch.bfloat16
    plain, fast = plain.to(kind), copy.deepcopy(plain).to(kind)
    give_fast_layers(fast)
    monkeypatch.setattr(pooling._RectifiedPool, "apply", refuse)
    x = torch.randn(1, 3, 4, 4).to(kind).to(memory_format=torch.channels_last)
    with torch.set_grad_enabled(is_open):
        assert torch.equal(fast(x), plain(x))


@pytest.mark.parametrize(
    "layers",
    [
        (nn.MaxPool2d(3, 2), nn.ReLU()),
        (nn.MaxPool2d(2, padding=1), nn.ReLU()),
        (nn.MaxPool2d(2, ceil_mode=True), nn.ReLU()),
        (nn.MaxPool2d(2), nn.LeakyReLU()),
        (nn.Tanh(), nn.MaxPool2d(2), nn.ReLU()),
        (BatchNormAct2d(3), nn.MaxPool2d(2), nn.ReLU()),
    ],
)
def test_other_neighbours_are_left_to_torch(layers: tuple[nn.Module, ...]) -> None:
    assert not list(rectified_pools(net_of(layers)))


def test_both_are_taken_out_again() -> None:
    net = net_of(POOL_FIRST)
    give_fast_layers(net)
    assert all("forward" in layer.__dict__ for layer in net[1:])
    take_fast_layers(net)
    assert not any("forward" in layer.__dict__ for layer in net)


@pytest.mark.parametrize("replicas", [1, 2])
def test_a_run_that_stops_or_has_more_loader_threads_ends_with_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replicas: int
) -> None:
    """Both the pooling of whole numbers and the unseen last rows take part: 8 px are 7 to the network."""
    data, pooled = training_data(), []
    real = pooling._RectifiedPool.apply
    monkeypatch.setattr(pooling._RectifiedPool, "apply", lambda x: pooled.append(tuple(x.shape[2:])) or real(x))
    asked = {"precision": "bf16", "replicas": replicas, "threads": replicas, "lr": 0.02}

    def learn(*, workers: int = 0, **more: object) -> Fitted:
        return fit_network(pooling_net(), data, options(**asked, num_workers=workers), seed=1, **more)

    whole = learn()
    assert set(pooled) == {(4, 4)}
    for workers in (1, 4):
        assert same_state(learn(workers=workers).state, whole.state)
    with pytest.raises(KeyboardInterrupt):
        learn(folder=tmp_path, on_epoch=interrupt_second)
    again = learn(folder=tmp_path)
    assert same_state(again.state, whole.state)
    assert again.history == whole.history


def pooling_net() -> nn.Module:
    """A convolution of which 2x2 pooling leaves the last row out, pooling, ReLU and a dense layer."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 8, 4), *copy.deepcopy(POOL_FIRST), nn.Flatten(), nn.Linear(32, 2))


def interrupt_second(row: dict) -> None:
    """Ctrl-C after the second epoch."""
    if row["epoch"] == 1:
        raise KeyboardInterrupt
