"""Optimisers, the rates of their groups, penalties and the length of gradients and steps."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from teliti.recipe.train import TrainRecipe
from teliti.training import parallel
from teliti.training.checkpoint import optimizer_tensors
from teliti.training.optim import StepLength, make_optimizer, penalty, set_rate, shorten, step_side_by_side
from teliti.training.parallel import Replicas
from teliti.training.unfreeze import stages_of
from unit.training.tiny_networks import conv_net, options, same_state


def line(weight: float = 2.0, bias: float = 1.0) -> nn.Linear:
    """y = weight x + bias."""
    net = nn.Linear(1, 1)
    with torch.no_grad():
        net.weight.fill_(weight)
        net.bias.fill_(bias)
    return net


def take_steps(net: nn.Module, optimizer: torch.optim.Optimizer, lr: float, steps: int = 1) -> None:
    for _ in range(steps):
        net.zero_grad()
        net(torch.ones(1, 1)).square().sum().backward()
        set_rate(optimizer, lr)
        optimizer.step()


@pytest.mark.parametrize(
    ("values", "theirs"),
    [
        ({"optimizer": "sgd", "momentum": 0.9}, lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9)),
        ({"optimizer": "sgd", "momentum": 0.9, "nesterov": True},
         lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, nesterov=True)),
        ({"optimizer": "adam"}, lambda p: torch.optim.Adam(p, lr=0.01)),
        ({"optimizer": "adamw"}, lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.0)),
        ({"optimizer": "rmsprop", "momentum": 0.5}, lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.5)),
    ],
)  # fmt: skip
def test_every_optimiser_moves_as_torchs_of_that_name(values: dict, theirs: object) -> None:
    mine, other = line(), line()
    take_steps(mine, make_optimizer(mine, stages_of(mine), options(**values)), 0.01, steps=5)
    expected = theirs(other.parameters())
    for _ in range(5):
        other.zero_grad()
        other(torch.ones(1, 1)).square().sum().backward()
        expected.step()
    assert mine.weight.item() == pytest.approx(other.weight.item(), rel=1e-6)
    assert mine.bias.item() == pytest.approx(other.bias.item(), rel=1e-6)


def test_sgd_without_momentum_takes_lr_times_the_gradient() -> None:
    net = line()
    take_steps(net, make_optimizer(net, stages_of(net), options(optimizer="sgd", momentum=0.0)), 0.1)
    assert net.weight.item() == pytest.approx(2.0 - 0.1 * 2 * 3)


def test_kernels_decay_and_biases_do_not() -> None:
    net = line()
    optimizer = make_optimizer(net, stages_of(net), options(optimizer="adamw", weight_decay=0.1))
    (net.weight.sum() * 0.0 + net.bias.sum() * 0.0).backward()
    set_rate(optimizer, 0.5)
    optimizer.step()
    assert net.weight.item() == pytest.approx(2.0 * (1 - 0.5 * 0.1))
    assert net.bias.item() == 1.0


def test_every_stage_has_its_share_of_the_rate() -> None:
    net = conv_net()
    optimizer = make_optimizer(net, stages_of(net), options(stage_factor=0.5))
    set_rate(optimizer, 0.8)
    rate_of = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert rate_of[id(net[6].weight)] == rate_of[id(net[6].bias)] == pytest.approx(0.8)
    assert rate_of[id(net[1].weight)] == pytest.approx(0.4)
    assert rate_of[id(net[0].weight)] == pytest.approx(0.2)


def test_the_penalties_are_lambda_sum_abs_and_lambda_sum_of_squares_of_kernels() -> None:
    net = line(weight=-3.0, bias=7.0)
    assert penalty(net, options(l1=0.1)).item() == pytest.approx(0.1 * 3)
    assert penalty(net, options(l2=0.1)).item() == pytest.approx(0.1 * 9)
    assert penalty(net, options(l1=0.1, l2=0.1)).item() == pytest.approx(0.3 + 0.9)
    assert penalty(net, options()) is None
    own = penalty(net, options(l2=0.1), lambda module: 2.0 * module.weight.square().sum())
    assert own.item() == pytest.approx(0.9 + 18)


def test_a_layers_penalty_of_nothing_adds_nothing() -> None:
    assert penalty(line(), options(), lambda _: torch.zeros(())) is None


def test_frozen_kernels_are_not_punished() -> None:
    net = conv_net()
    net[0].requires_grad_(False)
    assert penalty(net, options(l2=1.0)).item() == pytest.approx(net[6].weight.square().sum().item())


def test_l2_is_half_of_torchs_weight_decay_of_sgd() -> None:
    by_loss, by_decay = line(), line()
    (by_loss(torch.ones(1, 1)).sum() + penalty(by_loss, options(l2=0.05))).backward()
    torch.optim.SGD(by_loss.parameters(), lr=0.1).step()
    by_decay(torch.ones(1, 1)).sum().backward()
    sgd = options(optimizer="sgd", momentum=0.0, weight_decay=0.1)
    optimizer = make_optimizer(by_decay, stages_of(by_decay), sgd)
    set_rate(optimizer, 0.1)
    optimizer.step()
    assert by_loss.weight.item() == pytest.approx(by_decay.weight.item())


@pytest.mark.parametrize(("clip_norm", "left"), [(None, 5.0), (0.0, 5.0), (10.0, 5.0), (1.0, 1.0)])
def test_a_long_gradient_is_shortened_and_its_length_told(clip_norm: float | None, left: float) -> None:
    gradients, alone = [torch.tensor([3.0]), torch.tensor([[4.0]])], Replicas(line(), 1)
    assert shorten(gradients, alone, clip_norm=clip_norm) == pytest.approx(5.0)
    assert torch.cat([gradient.ravel() for gradient in gradients]).norm().item() == pytest.approx(left)


def test_lengths_that_threads_measure_side_by_side_have_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_WORTH_SHARING", 1)
    gradients = [torch.randn(size, generator=torch.Generator().manual_seed(size)) for size in (5, 300, 40, 7)]
    alone, together = Replicas(line(), 1), Replicas(line(), 2)
    try:
        assert len(together.shares(gradients)) == 2
        lengths = [shorten(gradients, replicas, clip_norm=None) for replicas in (alone, together)]
    finally:
        together.close()
    assert lengths[0] == lengths[1] > 0
    assert shorten([], alone, clip_norm=1.0) == 0.0


def test_the_length_of_a_step_is_a_share_of_the_kernels_length() -> None:
    net = line(weight=4.0)
    length = StepLength(net)
    with torch.no_grad():
        net.weight.add_(0.1)
        net.bias.add_(50.0)
    assert length.measure() == pytest.approx(0.025)
    net.requires_grad_(False)
    assert StepLength(net).measure() == 0.0
    with torch.no_grad():
        net.requires_grad_().weight.zero_()
    assert StepLength(net).measure() == 0.0


def test_the_gradient_of_the_penalties_against_finite_differences() -> None:
    chosen = options(l1=0.3, l2=0.2)

    def of_weight(weight: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(_Penalised(), {"kernel": weight}, (chosen,))

    weight = torch.tensor([[0.5, -1.5], [2.0, -0.25]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(of_weight, (weight,))


class _Penalised(nn.Module):
    """What one kernel costs."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.zeros(2, 2, dtype=torch.float64))

    def forward(self, chosen: TrainRecipe) -> torch.Tensor:
        return penalty(self, chosen)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop"])
def test_a_step_side_by_side_has_the_same_bits(optimizer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups of several rates and decays, a frozen stage, and a state that begins with the first step."""
    monkeypatch.setattr(parallel, "_WORTH_SHARING", 1)
    asked = options(optimizer=optimizer, stage_factor=0.5, weight_decay=0.1)
    nets = [conv_net(), conv_net()]
    own = [make_optimizer(net, stages_of(net), asked) for net in nets]
    together, threads = Replicas(conv_net(), 2), set[int]()
    run = together.run
    monkeypatch.setattr(together, "run", lambda work, jobs: run(lambda at: (threads.add(at), work(at)), jobs))
    try:
        for number in range(3):
            for net in nets:
                for place, parameter in enumerate(net.parameters()):
                    parameter.grad = None if place == 1 else torch.full_like(parameter, 0.1 * (place + number))
            for one in own:
                set_rate(one, 0.01)
            own[0].step()
            step_side_by_side(own[1], together)
    finally:
        together.close()
    assert threads == {0, 1}
    assert same_state(nets[0].state_dict(), nets[1].state_dict())
    states = [optimizer_tensors(one) for one in own]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_shares_are_about_as_large_and_few_numbers_are_not_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    together = Replicas(conv_net(), 2)
    tensors = [torch.zeros(count) for count in (5, 100, 60, 30, 8)]
    try:
        assert together.shares(tensors) == [[0, 1, 2, 3, 4]]
        assert together.shares([]) == []
        monkeypatch.setattr(parallel, "_WORTH_SHARING", 1)
        assert together.shares(tensors) == [[1], [2, 3, 4, 0]]
        assert together.shares(tensors[:1]) == [[0]]
    finally:
        together.close()
