"""The head first, then stage by stage; what is frozen keeps weights and statistics."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from teliti.errors import RecipeError
from teliti.training.loop import fit_network
from teliti.training.unfreeze import lowest_learning, set_learning, stage_factors, stages_of
from unit.training.tiny_networks import conv_net, options, training_data


class WithOwnParameter(nn.Module):
    """A network that holds a parameter beside its layers."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.layer = nn.Linear(2, 2)


def test_children_with_parameters_are_the_stages() -> None:
    assert [stage.name for stage in stages_of(conv_net())] == ["0", "1", "6"]
    assert stages_of(conv_net())[-1].parameters == {"6.weight", "6.bias"}


def test_given_stages_may_group_modules() -> None:
    net = conv_net()
    stages = stages_of(net, [("body", nn.ModuleList([net[0], net[1]])), ("head", net[6])])
    assert [stage.name for stage in stages] == ["body", "head"]
    assert stages[0].parameters == {"0.weight", "0.bias", "1.weight", "1.bias"}


def test_a_network_with_parameters_of_its_own_is_one_stage() -> None:
    assert [stage.name for stage in stages_of(WithOwnParameter())] == ["network"]


def test_a_tied_weight_belongs_to_the_first_stage_that_has_it() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    assert [sorted(stage.parameters) for stage in stages_of(net)] == [["0.bias", "0.weight"], ["1.bias"]]


def test_stages_that_leave_a_parameter_out_are_refused() -> None:
    net = conv_net()
    with pytest.raises(RecipeError, match=r"must stand in a stage, got none for 0\.bias"):
        stages_of(net, [("head", net[6])])


def test_a_network_without_parameters_is_refused() -> None:
    with pytest.raises(RecipeError, match="something to learn, got no parameters"):
        stages_of(nn.Flatten())


@pytest.mark.parametrize(
    ("values", "lowest"),
    [
        ({}, [0, 0, 0, 0, 0, 0]),
        ({"head_epochs": 2}, [3, 3, 0, 0, 0, 0]),
        ({"head_epochs": 1, "unfreeze_epochs": 1}, [3, 2, 1, 0, 0, 0]),
        ({"head_epochs": 1, "unfreeze_epochs": 2}, [3, 2, 2, 1, 1, 0]),
        ({"head_epochs": 1, "unfreeze_epochs": 1, "frozen_stages": 2}, [3, 2, 2, 2, 2, 2]),
        ({"frozen_stages": 3}, [3, 3, 3, 3, 3, 3]),
    ],
)
def test_the_lowest_stage_that_learns_at_each_epoch(values: dict, lowest: list[int]) -> None:
    assert [lowest_learning(options(**values), num_stages=4, epoch=epoch) for epoch in range(6)] == lowest


def test_freezing_every_stage_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"train\.frozen_stages must be below 4, the stages of this network, got 4"):
        lowest_learning(options(frozen_stages=4), num_stages=4, epoch=0)


def test_below_the_first_learning_layer_everything_is_in_evaluation_mode() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5),
        nn.Flatten(), nn.Linear(64, 2),
    )  # fmt: skip
    stages = stages_of(net)
    set_learning(net, stages[2:])
    assert [layer.training for layer in net] == [False, False, False, True, True, True, True, True]
    assert [all(p.requires_grad for p in layer.parameters()) for layer in net if list(layer.parameters())] == [
        False, False, True, True, True,
    ]  # fmt: skip
    set_learning(net, stages)
    assert all(layer.training for layer in net)


def test_a_frozen_batch_norm_with_an_activation_inside_keeps_its_statistics() -> None:
    """As timm's BatchNormAct2d, which is no leaf of the tree of modules."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 2))
    net[1].add_module("act", nn.ReLU())
    set_learning(net, stages_of(net)[2:])
    net(torch.randn(2, 3, 8, 8))
    assert not net[1].training
    assert torch.equal(net[1].running_mean, torch.zeros(4))


def test_rates_shrink_from_the_head_down() -> None:
    assert stage_factors(options(stage_factor=0.5), 3) == (0.25, 0.5, 1.0)


def test_training_leaves_frozen_weights_and_statistics_untouched_to_the_bit() -> None:
    net = conv_net()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    fitted = fit_network(net, training_data(), options(frozen_stages=2), seed=1)
    changed = {name for name, tensor in net.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"6.weight", "6.bias"}
    assert {row["learning"] for row in fitted.history} == {"6"}


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adam"])
@pytest.mark.parametrize("frozen", [0, 1])
def test_stages_that_begin_later_learn_with_every_optimiser(optimizer: str, frozen: int) -> None:
    net = conv_net()
    before = {name: tensor.clone() for name, tensor in net.named_parameters()}
    chosen = options(optimizer=optimizer, head_epochs=1, unfreeze_epochs=1, epochs=4, frozen_stages=frozen)
    fit_network(net, training_data(), chosen, seed=1)
    still = {name for name, tensor in net.named_parameters() if torch.equal(tensor, before[name])}
    assert still == ({"0.weight", "0.bias"} if frozen else set())


def test_staged_unfreezing_reaches_the_first_stage_at_its_epoch() -> None:
    net, first = conv_net(), []
    start = net[0].weight.detach().clone()
    fitted = fit_network(
        net, training_data(), options(head_epochs=1, unfreeze_epochs=1, epochs=4, stage_factor=0.5), seed=1,
        on_epoch=lambda _: first.append(torch.equal(net[0].weight, start)),
    )  # fmt: skip
    assert [row["learning"] for row in fitted.history] == ["6", "1", "0", "0"]
    assert first == [True, True, False, False]


def test_batch_norm_below_the_head_keeps_its_statistics_where_asked() -> None:
    net = nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), nn.Sequential(nn.Conv2d(4, 2, 3), nn.BatchNorm2d(2))
    )
    below, head = net[0][1], net[1][1]
    set_learning(net, stages_of(net), keep_statistics=True)
    assert (below.training, head.training) == (False, True)
    assert all(parameter.requires_grad for parameter in net.parameters())
    before = below.running_mean.clone()
    net(torch.randn(4, 3, 8, 8))
    assert torch.equal(below.running_mean, before)
    set_learning(net, stages_of(net))
    assert (below.training, head.training) == (True, True)


def test_depthwise_kernels_can_stay_as_they_came() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 3, groups=4, bias=False), nn.Flatten(), nn.Linear(4, 2))
    set_learning(net, stages_of(net), keep_depthwise=True)
    assert [name for name, parameter in net.named_parameters() if not parameter.requires_grad] == ["1.weight"]
    set_learning(net, stages_of(net))
    assert all(parameter.requires_grad for parameter in net.parameters())
