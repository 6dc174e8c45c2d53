"""BatchNorm with kept statistics inside the convolution before it: the same numbers, the same gradients."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn

from teliti.training.cpu_layers.folding import find_pairs
from teliti.training.cpu_layers.swapping import give_fast_layers, take_fast_layers
from unit.training.tiny_networks import same_state

PHOTO = torch.linspace(-1.0, 1.0, 3 * 11 * 11).view(1, 3, 11, 11)


class Reuses(nn.Module):
    """A convolution whose result is added to what BatchNorm makes of it, or is changed on the way to it."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.conv, self.norm, self.how = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), how

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        if self.how == "relu":
            y = nn.functional.relu_(y)
        z = self.norm(y)
        return (self.norm(z) if self.how == "twice" else z + y if self.how == "added" else z).flatten(1)


@pytest.fixture
def net() -> nn.Module:
    """Plain, depthwise and strided convolutions, with and without biases; statistics that are not 0 and 1."""
    torch.manual_seed(5)
    layers = [
        nn.Conv2d(3, 6, 3, bias=False), BatchNormAct2d(6, act_layer=nn.ReLU6),
        Conv2dSame(6, 6, 5, stride=2, groups=6, bias=False), BatchNormAct2d(6, apply_act=False),
        nn.Conv2d(6, 4, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(100, 2),
    ]  # fmt: skip
    whole = nn.Sequential(*layers)
    for norm in norms_of(whole):
        for values in (norm.weight, norm.bias, norm.running_mean):
            values.data.normal_()
        norm.running_var.uniform_(0.2, 3.0)
    return whole


def norms_of(net: nn.Module) -> Iterator[nn.BatchNorm2d]:
    return (module for module in net.modules() if isinstance(module, nn.BatchNorm2d))


def keep_statistics(net: nn.Module) -> nn.Module:
    net.train()
    for norm in norms_of(net):
        norm.training = False
    return net


def gradients(net: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Of every parameter, and the logits."""
    net.zero_grad()
    logits = net(x)
    logits.square().sum().backward()
    return {"logits": logits.detach(), **{name: parameter.grad for name, parameter in net.named_parameters()}}


def test_logits_and_all_gradients_are_the_unfolded_ones(net: nn.Module) -> None:
    net = keep_statistics(net.double())
    folded = copy.deepcopy(net)
    pairs = find_pairs(folded, PHOTO.double(), photos=99)
    assert pairs == (("0", "1"), ("2", "3"), ("4", "5"))
    give_fast_layers(folded, pairs)
    x = torch.randn(3, 3, 11, 11, dtype=torch.float64)
    torch.testing.assert_close(gradients(folded, x), gradients(net, x), rtol=1e-9, atol=1e-9)
    assert same_state(folded.state_dict(), net.state_dict())


def test_no_batch_norm_kernel_runs_while_statistics_are_kept(net: nn.Module) -> None:
    give_fast_layers(keep_statistics(net), find_pairs(net, PHOTO, photos=99))
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as seen:
        gradients(net, PHOTO)
    assert not [event.name for event in seen.events() if "batch_norm" in event.name]


def test_statistics_of_the_batch_are_torchs_and_move(net: nn.Module) -> None:
    folded = copy.deepcopy(net)
    give_fast_layers(folded, find_pairs(folded, PHOTO, photos=99))
    x = torch.randn(3, 3, 11, 11)
    torch.testing.assert_close(gradients(folded.train(), x), gradients(net.train(), x))
    assert same_state(folded.state_dict(), net.state_dict())


def test_afterwards_the_layers_are_their_own(net: nn.Module) -> None:
    give_fast_layers(net, find_pairs(net, PHOTO, photos=99))
    take_fast_layers(net)
    assert not [module for module in net.modules() if "forward" in vars(module)]


def test_a_forward_of_somebody_elses_stays(net: nn.Module) -> None:
    net[7].__dict__["forward"] = net[7].forward
    give_fast_layers(net)
    take_fast_layers(net)
    assert "forward" in vars(net[7])


@pytest.mark.parametrize("how", ["added", "relu", "twice"])
def test_a_result_that_others_see_is_not_folded(how: str) -> None:
    assert find_pairs(Reuses("alone"), PHOTO, photos=99) == (("conv", "norm"),)
    assert find_pairs(Reuses(how), PHOTO, photos=99) == ()


def test_large_kernels_on_small_maps_are_not_worth_it() -> None:
    """4 x 9 x 9 numbers a photo against 108 weights."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    assert find_pairs(net, PHOTO, photos=1) == (("0", "1"),)
    net = nn.Sequential(nn.Conv2d(3, 4, 9), nn.BatchNorm2d(4))  # 36 numbers a photo, 972 weights
    assert find_pairs(net, PHOTO, photos=8) == ()
    assert find_pairs(net, PHOTO, photos=60) == (("0", "1"),)


def test_the_network_is_left_as_it_was(net: nn.Module) -> None:
    before = copy.deepcopy(net.train().state_dict())
    state = torch.get_rng_state()
    find_pairs(net, PHOTO, photos=8)
    assert net.training
    assert same_state(net.state_dict(), before)
    assert torch.equal(torch.get_rng_state(), state)
    assert not net[0]._forward_hooks
