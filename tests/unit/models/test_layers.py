"""Layers as torch modules: activations by their formulas, TensorFlow's "same", initialisers, gradients."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import torch
from timm.layers import Conv2dSame, create_pool2d
from torch import nn

from teliti.models.layers import Maxout, SameAvgPool2d, SamePad2d, Step, build_layers
from teliti.models.shapes import plan_layers
from teliti.recipe import parse_recipe

POINTS = torch.tensor([[-2.0, -0.5, 0.0, 0.5, 3.0]])


def build(*layers: dict, input_shape: tuple[int, ...] = (3, 8, 8), num_outputs: int = 2) -> nn.Sequential:
    parsed = parse_recipe({"model": {"layers": list(layers)}}).model.layers
    return build_layers(plan_layers(parsed, input_shape=input_shape, num_outputs=num_outputs))


def activation(name: str, **parameters: float) -> nn.Module:
    entry = {"kind": "activation", "activation": name, **parameters}
    return build(entry, {"kind": "dense"}, input_shape=(5,) if name != "maxout" else (6,))[0]


@pytest.mark.parametrize(
    ("name", "parameters", "formula"),
    [
        ("step", {}, lambda x: float(x >= 0)),
        ("sigmoid", {}, lambda x: 1 / (1 + math.exp(-x))),
        ("tanh", {}, math.tanh),
        ("relu", {}, lambda x: max(0.0, x)),
        ("leaky_relu", {}, lambda x: max(0.01 * x, x)),
        ("leaky_relu", {"slope": 0.1}, lambda x: max(0.1 * x, x)),
        ("leaky_relu", {"slope": 0.0}, lambda x: max(0.0, x)),
        ("elu", {}, lambda x: x if x > 0 else math.exp(x) - 1),
        ("elu", {"alpha": 0.5}, lambda x: x if x > 0 else 0.5 * (math.exp(x) - 1)),
        ("gelu", {}, lambda x: x * 0.5 * (1 + math.erf(x / math.sqrt(2)))),
        ("silu", {}, lambda x: x / (1 + math.exp(-x))),
    ],
)
def test_activations_by_their_formulas(name: str, parameters: dict, formula) -> None:
    given = activation(name, **parameters)(POINTS)[0]
    assert given.tolist() == pytest.approx([formula(x) for x in POINTS[0].tolist()], abs=1e-6)


def test_softmax_sums_to_one_over_the_channels() -> None:
    probs = activation("softmax")(POINTS)
    assert probs.sum(dim=1).item() == pytest.approx(1.0)
    assert probs.argmax().item() == 4


def test_maxout_is_the_largest_affine_map() -> None:
    net = build({"kind": "dense", "units": 3, "activation": "maxout", "pieces": 2}, input_shape=(4,))
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    weight, bias = net[0].weight, net[0].bias  # (6, 4), (6,)
    first, second = (x @ weight[piece::2].T + bias[piece::2] for piece in (0, 1))
    torch.testing.assert_close(net[:2](x), torch.maximum(first, second))
    conv = build({"kind": "conv", "filters": 5, "activation": "maxout", "pieces": 3})
    assert conv[0].out_channels == 15
    assert conv[:2](torch.zeros(2, 3, 8, 8)).shape == (2, 5, 6, 6)


@pytest.mark.parametrize("shape", [(3, 6), (2, 4, 3, 3)])
def test_the_gradient_of_maxout_against_finite_differences(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    assert torch.autograd.gradcheck(Maxout(2), (x,))


@pytest.mark.parametrize("layer", [SamePad2d((3, 2), (2, 2)), SamePad2d((3, 3), (2, 1), dilation=(2, 1)),
                                   SameAvgPool2d((3, 3), (2, 2)), SameAvgPool2d((2, 3), (2, 1))])  # fmt: skip
def test_the_gradient_of_a_border_of_our_own_against_finite_differences(layer: nn.Module) -> None:
    shape = (2, 3, 5, 4)
    x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3), requires_grad=True)
    assert torch.autograd.gradcheck(layer, (x,))


def test_the_step_has_the_gradient_zero_and_does_not_break_the_chain() -> None:
    x = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2), requires_grad=True)
    assert torch.autograd.gradcheck(Step(), (x,))
    layer = nn.Linear(3, 2).double()
    Step()(layer(x)).sum().backward()
    assert layer.weight.grad is not None
    assert not layer.weight.grad.any()


def test_a_step_unit_learns_by_the_perceptron_rule_on_separable_data() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(200, 2))
    points = points[np.abs(points @ [2.0, -1.0] + 0.3) > 0.3]
    target = torch.from_numpy(points @ [2.0, -1.0] + 0.3 > 0).float()
    x = torch.from_numpy(points).float()
    net = build({"kind": "dense", "initializer": "zeros"}, input_shape=(2,), num_outputs=1)
    unit, step = net[0], Step()
    for _ in range(50):
        with torch.no_grad():
            for photo, wanted in zip(x, target, strict=True):
                error = wanted - step(unit(photo[None]))[0, 0]
                unit.weight += 0.1 * error * photo
                unit.bias += 0.1 * error
    assert torch.equal(step(unit(x))[:, 0], target)


WINDOWS = list(product((1, 2, 3, 5), (1, 2, 3), (7, 8)))


@pytest.mark.parametrize(("kernel", "stride", "side"), WINDOWS)
def test_same_convolution_and_max_pooling_are_tensorflows(kernel: int, stride: int, side: int) -> None:
    x = torch.randn(2, 3, side, side + 3, generator=torch.Generator().manual_seed(kernel))
    entry = {"kind": "conv", "filters": 4, "kernel_size": kernel, "stride": stride, "padding": "same"}
    net = build(entry, input_shape=(3, side, side + 3))
    conv = dict(net.named_children())["1_conv"]
    oracle = Conv2dSame(3, 4, kernel, stride)
    oracle.load_state_dict(conv.state_dict())
    end = list(dict(net.named_children())).index("1_conv") + 1
    torch.testing.assert_close(net[:end](x), oracle(x))
    pool = {"kind": "max_pool", "kernel_size": kernel, "stride": stride, "padding": "same"}
    net = build(pool, input_shape=(3, side, side + 3))
    end = list(dict(net.named_children())).index("1_max_pool") + 1
    torch.testing.assert_close(net[:end](x - 10.0), create_pool2d("max", kernel, stride, padding="same")(x - 10.0))


BORDERED = [(*window, padding) for window, padding in product(WINDOWS, ("same", "valid", 1)) if window[0] > 1]


@pytest.mark.parametrize(("kernel", "stride", "side", "padding"), BORDERED)
def test_average_pooling_counts_only_what_lies_on_the_map(kernel: int, stride: int, side: int, padding) -> None:
    net = build(
        {"kind": "avg_pool", "kernel_size": kernel, "stride": stride, "padding": padding}, input_shape=(1, side, side)
    )
    image = np.random.default_rng(kernel).normal(size=(side, side))
    given = net[0](torch.from_numpy(image)[None, None])[0, 0].numpy()
    total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    before = {"same": total // 2, "valid": 0, 1: 1}[padding]
    for row, column in np.ndindex(given.shape):
        top, left = (max(place * stride - before, 0) for place in (row, column))
        bottom, right = (place * stride - before + kernel for place in (row, column))
        assert given[row, column] == pytest.approx(image[top:bottom, left:right].mean())


def test_the_pooling_of_the_course() -> None:
    image = torch.tensor([[4.0, 9, 2, 5], [5, 6, 2, 4], [2, 4, 5, 4], [5, 6, 8, 4]])[None, None]
    largest = build({"kind": "max_pool"}, input_shape=(1, 4, 4))[0](image)
    average = build({"kind": "avg_pool"}, input_shape=(1, 4, 4))[0](image)
    assert largest.flatten().tolist() == [9, 5, 6, 8]
    assert average.flatten().tolist() == [6.0, 3.25, 4.25, 5.25]


@pytest.mark.parametrize("kind", ["max_pool", "avg_pool"])
def test_global_pooling_gives_one_number_a_channel(kind: str) -> None:
    net = build({"kind": kind, "kernel_size": "global"}, input_shape=(3, 5, 7))
    x = torch.randn(2, 3, 5, 7)
    expected = x.amax((2, 3)) if kind == "max_pool" else x.mean((2, 3))
    torch.testing.assert_close(net[0](x)[..., 0, 0], expected)


def test_batch_norm_takes_its_parameters_on_maps_and_on_vectors() -> None:
    entry = {"kind": "batch_norm", "momentum": 0.01, "eps": 1e-3}
    net = build(entry, {"kind": "flatten"}, entry)
    assert isinstance(net[0], nn.BatchNorm2d)
    assert isinstance(net[2], nn.BatchNorm1d)
    assert (net[2].momentum, net[2].eps) == (0.01, 1e-3)


def test_dropout_acts_in_training_only_and_is_redrawn() -> None:
    drop = build({"kind": "dropout", "rate": 0.25}, input_shape=(1, 50, 50))[0]
    x = torch.ones(1, 1, 50, 50)
    first, second = drop(x), drop(x)
    assert (first == 0).float().mean().item() == pytest.approx(0.25, abs=0.05)
    assert not torch.equal(first, second)
    assert torch.equal(drop.eval()(x), x)


def test_a_layer_without_bias_has_none() -> None:
    net = build({"kind": "conv", "filters": 4, "bias": False}, {"kind": "flatten"}, {"kind": "dense", "bias": False})
    assert net[0].bias is None
    assert net[-1].bias is None


def test_names_bear_the_number_of_the_entry() -> None:
    net = build(
        {"kind": "conv", "filters": 2, "stride": 2, "padding": "same", "activation": "relu"}, {"kind": "max_pool"}
    )
    assert [name for name, _ in net.named_children()] == [
        "1_pad", "1_conv", "1_relu", "2_max_pool", "flatten", "classifier"
    ]  # fmt: skip
    assert "kernel_size=(3, 3)" in repr(net[0])


def test_modules_of_our_own_say_what_they_are() -> None:
    assert repr(Maxout(3)) == "Maxout(pieces=3)"
    pool = build({"kind": "avg_pool", "kernel_size": 3, "stride": 2, "padding": "same"})[0]
    assert repr(pool) == "SameAvgPool2d(kernel_size=(3, 3), stride=(2, 2))"
