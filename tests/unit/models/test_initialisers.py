"""First values of weights: each initialiser by the formula of its paper, spread and shape, and which one "auto" is."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from teliti.models.layers import build_layers
from teliti.models.shapes import plan_layers
from teliti.recipe import parse_recipe

LAYERS = {  # entry, shape of its input, numbers that one output sees, outputs that see one number
    "conv": ({"kind": "conv", "filters": 64}, (16, 8, 8), 16 * 9, 64 * 9),
    "conv of a window that is no square": (
        {"kind": "conv", "filters": 64, "kernel_size": [2, 5]},
        (16, 8, 8),
        160,
        640,
    ),
    "dense": ({"kind": "dense", "units": 300}, (100,), 100, 300),
}
CONV, DENSE = {"kind": "conv", "filters": 6}, {"kind": "dense", "units": 6}
VARIANCES = {
    "he": lambda fan_in, _: 2 / fan_in,  # He et al., 2015
    "glorot": lambda fan_in, fan_out: 2 / (fan_in + fan_out),  # Glorot and Bengio, 2010
    "lecun": lambda fan_in, _: 1 / fan_in,  # LeCun et al., 1998
}
BEYOND = math.erfc(math.sqrt(1.5))  # the share of a normal distribution beyond sqrt(3) deviations: 0.083


def first(entry: dict, input_shape: tuple[int, ...], *, seed: int = 0) -> nn.Module:
    closing = [{"kind": "flatten"}, {"kind": "dense"}]
    parsed = parse_recipe({"model": {"layers": [entry, *closing]}}).model.layers
    torch.manual_seed(seed)
    return build_layers(plan_layers(parsed, input_shape=input_shape, num_outputs=2))[0]


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("name", ["he_normal", "he_uniform", "glorot_normal", "glorot_uniform", "lecun_normal"])
def test_initialisers_have_the_spread_and_the_shape_of_their_papers(name: str, kind: str) -> None:
    entry, input_shape, fan_in, fan_out = LAYERS[kind]
    layer = first({**entry, "initializer": name}, input_shape)
    family, _, shape = name.partition("_")
    deviation = math.sqrt(VARIANCES[family](fan_in, fan_out))
    assert layer.weight.mean().item() == pytest.approx(0.0, abs=0.05 * deviation)
    assert layer.weight.std().item() == pytest.approx(deviation, rel=0.03)
    edge = math.sqrt(3) * deviation  # where a uniform distribution of this deviation ends
    if shape == "uniform":
        assert 0.99 * edge < layer.weight.abs().max().item() <= edge * (1 + 1e-6)
    else:
        assert (layer.weight.abs() > edge).float().mean().item() == pytest.approx(BEYOND, abs=0.01)
    assert not layer.bias.any()


@pytest.mark.parametrize("kind", LAYERS)
def test_orthogonal_weights_are_at_right_angles_and_of_length_one(kind: str) -> None:
    entry, input_shape, _, _ = LAYERS[kind]
    layer = first({**entry, "initializer": "orthogonal"}, input_shape)
    matrix = layer.weight.detach().flatten(1)
    vectors: Tensor = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T  # the fewer of rows and columns
    torch.testing.assert_close(vectors @ vectors.T, torch.eye(len(vectors)), rtol=0.0, atol=1e-5)
    assert matrix.abs().max() < 0.6  # turned at random, not the axes themselves
    assert not torch.equal(layer.weight, first({**entry, "initializer": "orthogonal"}, input_shape, seed=1).weight)
    assert not layer.bias.any()


def test_zeros_are_zeros() -> None:
    layer = first({"kind": "dense", "units": 3, "initializer": "zeros"}, (5,))
    assert not layer.weight.any()
    assert not layer.bias.any()


@pytest.mark.parametrize("kind", ["conv", "dense"])
@pytest.mark.parametrize(
    ("activation", "named"),
    [
        ("relu", "he_normal"),
        ("leaky_relu", "he_normal"),
        ("elu", "he_normal"),
        ("maxout", "he_normal"),
        ("gelu", "he_normal"),
        ("silu", "he_normal"),
        ("step", "glorot_uniform"),
        ("sigmoid", "glorot_uniform"),
        ("tanh", "glorot_uniform"),
        ("softmax", "glorot_uniform"),
        (None, "glorot_uniform"),
    ],
)
def test_the_automatic_initialiser_is_he_in_front_of_the_relu_family_and_maxout_and_glorot_elsewhere(
    activation: str | None, named: str, kind: str
) -> None:
    entry, input_shape, _, _ = LAYERS[kind]
    entry = entry if activation is None else {**entry, "activation": activation}
    automatic = first(entry, input_shape).weight
    assert torch.equal(automatic, first({**entry, "initializer": "auto"}, input_shape).weight)
    assert torch.equal(automatic, first({**entry, "initializer": named}, input_shape).weight)


BETWEEN: dict[str, list[dict]] = {
    "nothing": [],
    "batch normalisation": [{"kind": "batch_norm"}],
    "dropout": [{"kind": "dropout"}],
    "max pooling": [{"kind": "max_pool"}],
    "average pooling": [{"kind": "avg_pool", "kernel_size": "global"}],
    "flatten": [{"kind": "flatten"}],
    "all of them": [{"kind": "batch_norm"}, {"kind": "max_pool"}, {"kind": "dropout"}, {"kind": "flatten"}],
}
RELU, TANH = {"kind": "activation", "activation": "relu"}, {"kind": "activation", "activation": "tanh"}


def begins_as(*layers: dict) -> str:
    """The initialiser whose weights the first of some layers has, of He's and Glorot's."""
    given = leading(*layers).weight
    (name,) = [one for one in ("he_normal", "glorot_uniform")
               if torch.equal(given, leading({**layers[0], "initializer": one}, *layers[1:]).weight)]  # fmt: skip
    return name


def leading(*layers: dict) -> nn.Module:
    parsed = parse_recipe({"model": {"layers": list(layers)}}).model.layers
    input_shape = (8,) if layers[0]["kind"] == "dense" else (3, 8, 8)
    torch.manual_seed(0)
    return build_layers(plan_layers(parsed, input_shape=input_shape, num_outputs=2))[0]


@pytest.mark.parametrize("between", BETWEEN)
def test_the_automatic_initialiser_sees_the_activation_behind_what_is_none(between: str) -> None:
    assert begins_as(CONV, *BETWEEN[between], RELU) == "he_normal"
    assert begins_as(CONV, *BETWEEN[between], TANH) == "glorot_uniform"
    assert begins_as(CONV, *BETWEEN[between]) == "glorot_uniform"


def test_a_dense_layer_sees_the_activation_behind_its_norm_too() -> None:
    assert begins_as(DENSE, {"kind": "batch_norm"}, {"kind": "dropout"}, RELU) == "he_normal"
    assert begins_as(DENSE, {"kind": "activation", "activation": "maxout"}) == "he_normal"


def test_of_two_activations_the_first_counts() -> None:
    assert begins_as({**CONV, "activation": "tanh"}, {"kind": "batch_norm"}, RELU) == "glorot_uniform"
    assert begins_as(CONV, TANH, RELU) == "glorot_uniform"
    assert begins_as(CONV, RELU, TANH) == "he_normal"


@pytest.mark.parametrize("behind", [[CONV], [{"kind": "flatten"}, DENSE], [{**CONV, "activation": "relu"}]])
def test_an_activation_behind_another_layer_with_weights_belongs_to_that_one(behind: list[dict]) -> None:
    assert begins_as(CONV, {"kind": "batch_norm"}, *behind, RELU) == "glorot_uniform"


def test_an_initialiser_that_is_named_stays_whatever_follows() -> None:
    given = leading({**CONV, "initializer": "zeros"}, {"kind": "batch_norm"}, RELU)
    assert not given.weight.any()


def test_the_added_closing_layer_is_glorots() -> None:
    layers = parse_recipe({"model": {"layers": [{"kind": "flatten"}]}}).model.layers
    closing = build_layers(plan_layers(layers, input_shape=(4, 20, 20), num_outputs=10))[-1]
    edge = math.sqrt(6 / (1600 + 10))
    assert 0.99 * edge < closing.weight.abs().max().item() <= edge * (1 + 1e-6)
    assert not closing.bias.any()
