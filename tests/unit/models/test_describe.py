"""The layer table: published counts of known networks, and a hand count of a small one."""

from __future__ import annotations

import json

import pytest
import torch

from teliti.models.describe import describe_network
from teliti.models.networks import build_network
from teliti.recipe import parse_recipe

LAYERS = [
    {"kind": "conv", "filters": 4, "kernel_size": 3, "stride": 2, "padding": "same", "activation": "relu"},
    {"kind": "batch_norm"},
    {"kind": "avg_pool", "kernel_size": [2, 4], "padding": "same"},
    {"kind": "flatten"},
]


def on_paper(side: tuple[int, int], num_outputs: int = 2, in_channels: int = 3, **model):
    parsed = parse_recipe({"model": {"weights": "random", **model}}).model
    with torch.device("meta"):
        return build_network(parsed, num_outputs=num_outputs, image_size=side, in_channels=in_channels, seed=0)


def test_every_row_of_a_small_network_by_hand() -> None:
    record = describe_network(on_paper((8, 12), layers=LAYERS))
    keys = (
        "layer",
        "kind",
        "setting",
        "output",
        "parameters",
        "parameters_without_bias",
        "statistics",
        "multiply_adds",
    )
    assert [tuple(row[key] for key in keys) for row in record["layers"]] == [
        ("1_pad", "SamePad2d", "same", [3, 9, 13], 0, 0, 0, 0),
        ("1_conv", "Conv2d", "3 x 3, stride 2", [4, 4, 6], 112, 108, 0, 4 * 6 * 108),
        ("1_relu", "ReLU", "", [4, 4, 6], 0, 0, 0, 0),
        ("2_batch_norm", "BatchNorm2d", "", [4, 4, 6], 8, 4, 8, 0),
        ("3_avg_pool", "SameAvgPool2d", "2 x 4, stride 2 x 4", [4, 2, 2], 0, 0, 0, 0),
        ("4_flatten", "Flatten", "", [16], 0, 0, 0, 0),
        ("classifier", "Linear", "", [2], 34, 32, 0, 32),
    ]  # fmt: skip
    totals = record["totals"]
    assert (totals["parameters"], totals["statistics"], totals["head_parameters"]) == (154, 8, 34)
    assert totals["parameter_bytes"] == 4 * 162
    assert totals["activation_bytes"] == 4 * (3 * 9 * 13 + 3 * 96 + 16 + 16 + 2)
    assert (record["input"], record["outputs"]) == ([3, 8, 12], 2)
    assert json.loads(json.dumps(record)) == record


@pytest.mark.parametrize(
    ("name", "classes", "parameters", "multiply_adds"),
    [  # published: torchvision's tables (VGG16, ResNet50, both at 224), Touvron et al. 2021 (DeiT-Ti, 1.3 G)
        ("vgg16", 1000, 138_357_544, 15.47e9),
        ("resnet50", 1000, 25_557_032, 4.09e9),
        ("vit_tiny_patch16_224", 1000, 5_717_416, 1.25e9),
    ],
)
def test_known_networks_have_their_published_counts(
    name: str, classes: int, parameters: int, multiply_adds: float
) -> None:
    totals = describe_network(on_paper((224, 224), classes, backbone=name))["totals"]
    assert totals["parameters"] == parameters
    assert totals["multiply_adds"] == pytest.approx(multiply_adds, rel=0.005)


@pytest.mark.parametrize("model", [{"backbone": "vgg11", "layers": LAYERS}, {"backbone": "vit_tiny_patch16_224"}])
def test_rows_add_up_to_the_whole(model: dict) -> None:
    net = on_paper((64, 64), **model)
    record = describe_network(net)
    assert sum(row["parameters"] for row in record["layers"]) == sum(p.numel() for p in net.parameters())
    modules = dict(net.named_modules())
    assert all(row["module"] in modules for row in record["layers"])


def test_the_products_of_attention_are_counted_though_no_layer_makes_them() -> None:
    rows = describe_network(on_paper((224, 224), backbone="vit_tiny_patch16_224"))["layers"]
    attention = [row["multiply_adds"] for row in rows if row["kind"] == "Attention"]
    assert attention == [2 * 197 * 197 * 192] * 12


def test_multiply_adds_of_a_convolution_on_a_map_are_not_counted_twice() -> None:
    plain = describe_network(on_paper((64, 64), backbone="vgg11", layers=[{"kind": "flatten"}]))
    assert (
        plain["totals"]["multiply_adds"]
        == sum(
            row["parameters_without_bias"] * row["output"][1] * row["output"][2]
            for row in plain["layers"]
            if row["kind"] == "Conv2d"
        )
        + 2 * 512 * 2 * 2
    )


def test_a_network_is_left_as_it_was() -> None:
    parsed = parse_recipe({"model": {"layers": LAYERS}}).model
    net = build_network(parsed, num_outputs=2, image_size=(8, 8), seed=0)
    net.layers[3].eval()
    modes = [module.training for module in net.modules()]
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    assert describe_network(net) == describe_network(net)
    assert [module.training for module in net.modules()] == modes
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert not any(module._forward_hooks for module in net.modules())
