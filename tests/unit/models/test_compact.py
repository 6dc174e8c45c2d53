"""Compact networks and the course's recipes: the same layers, output sizes and parameter counts as in Keras."""

from __future__ import annotations

import pytest
import torch

from teliti.errors import RecipeError
from teliti.models.compact import COMPACT, compact_layers, plan_network
from teliti.models.describe import describe_network
from teliti.models.networks import Network, build_network, head_parameters, l2_penalty, stages
from teliti.recipe import load_recipe, parse_recipe
from teliti.recipe.layers import Dense, Dropout, Flatten
from teliti.recipe.shipped import shipped_recipe, shipped_recipes
from teliti.recipe.train import TrainRecipe
from teliti.training.unfreeze import lowest_learning, stage_factors


def planned(name: str, side: int, num_outputs: int, channels: int = 3):
    model = parse_recipe({"model": {"backbone": name}}).model
    return plan_network(model, num_outputs=num_outputs, image_size=(side, side), in_channels=channels)


def outputs(name: str, side: int, num_outputs: int, channels: int = 3) -> list[tuple[int, ...]]:
    return [layer.output_shape for layer in planned(name, side, num_outputs, channels)]


def on_paper(name: str, side: int, num_outputs: int, channels: int = 3) -> Network:
    recipe = load_recipe(shipped_recipe(name), overrides=["model.weights=random"])  # of given ones paper has none
    with torch.device("meta"):
        return build_network(
            recipe.model, num_outputs=num_outputs, image_size=(side, side), in_channels=channels, seed=0
        )


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_regularised_stack_has_the_sizes_and_counts_that_keras_prints() -> None:
    net = on_paper("regularised", 32, 10)
    assert outputs("regularised", 32, 10) == [
        (64, 32, 32), (64, 32, 32), (64, 16, 16), (64, 16, 16), (64, 16, 16),
        (128, 16, 16), (128, 16, 16), (128, 8, 8), (128, 8, 8), (128, 8, 8), (8192,), (10,),
    ]  # fmt: skip
    keras = 1_792 + 256 + 36_928 + 256 + 73_856 + 512 + 147_584 + 512 + 81_930
    statistics = sum(buffer.numel() for name, buffer in net.named_buffers() if "running" in name)
    assert statistics == 768  # Keras calls them non-trainable parameters
    assert count(net) + statistics == keras == 343_626


def test_the_regularised_stack_is_conv_relu_norm_conv_relu_norm_dropout_twice() -> None:
    kinds = [type(module).__name__ for module in on_paper("regularised", 32, 10).layers]
    half = ["Conv2d", "ReLU", "BatchNorm2d", "SamePad2d", "Conv2d", "ReLU", "BatchNorm2d", "Dropout"]
    assert kinds == [*half, *half, "Flatten", "Linear"]
    drops = [layer.rate for layer in compact_layers("regularised") if layer.kind == "dropout"]
    assert drops == [0.25, 0.25]


def test_every_convolution_of_the_regularised_stack_has_its_l2() -> None:
    net = build_network(compact("regularised"), num_outputs=2, image_size=(8, 8), seed=0)
    convolutions = [module for module in net.modules() if isinstance(module, torch.nn.Conv2d)]
    expected = sum(1e-4 * conv.weight.square().sum() for conv in convolutions)
    torch.testing.assert_close(l2_penalty(net), expected)
    l2_penalty(net).backward()
    torch.testing.assert_close(convolutions[0].weight.grad, 2e-4 * convolutions[0].weight)
    assert convolutions[0].bias.grad is None


def compact(name: str):
    return parse_recipe({"model": {"backbone": name}}).model


def test_the_frozen_vgg16_of_the_course_has_its_parameters() -> None:
    net = on_paper("frozen_vgg16", 224, 1)
    assert count(net) == 40_406_849
    assert sum(parameter.numel() for parameter in head_parameters(net)) == 25_692_161
    names = [type(module).__name__ for module in net.layers]
    assert names == ["Flatten", "Linear", "ReLU", "Dropout", "Linear"]
    assert net.layers[1].in_features == 7 * 7 * 512
    assert net(torch.empty(2, 3, 224, 224, device="meta")).shape == (2, 1)


def test_the_resnet50_has_the_sizes_and_counts_that_keras_prints() -> None:
    net = on_paper("staged_resnet50", 224, 1000)
    rows = {row["layer"]: row["output"] for row in describe_network(net)["layers"]}
    assert [rows[name] for name in ("conv1", "maxpool", "layer1.2.act3", "layer2.3.act3", "layer3.5.act3")] == [
        [64, 112, 112], [64, 56, 56], [256, 56, 56], [512, 28, 28], [1024, 14, 14],
    ]  # fmt: skip
    assert rows["layer4.2.act3"] == [2048, 7, 7]
    statistics = sum(buffer.numel() for name, buffer in net.named_buffers() if "running" in name)
    biases = sum(module.out_channels for module in net.modules() if isinstance(module, torch.nn.Conv2d))
    assert (statistics, biases) == (53_120, 26_560)  # Keras counts the first as not trainable; the second it has, too
    assert count(net) + biases + statistics == 25_636_712
    assert count(net) + biases == 25_583_592
    assert sum(parameter.numel() for parameter in head_parameters(net)) == 2_049_000


def test_the_resnet50_learns_from_its_head_down() -> None:
    recipe = load_recipe(shipped_recipe("staged_resnet50"))
    names = [name for name, _ in stages(on_paper("staged_resnet50", 64, 2))]
    assert names == ["stage 0", "stage 1", "stage 2", "stage 3", "stage 4", "head"]
    lowest = [lowest_learning(recipe.train, num_stages=6, epoch=epoch) for epoch in range(8)]
    assert lowest == [5, 4, 3, 2, 1, 0, 0, 0]


def test_the_frozen_vgg16_freezes_its_convolutions() -> None:
    recipe = load_recipe(shipped_recipe("frozen_vgg16"))
    assert recipe.train.frozen_stages == len(stages(on_paper("frozen_vgg16", 64, 1))) - 1


STAGED = {"mode": "finetune", "epochs": 12, "unfreeze_epochs": 1, "stage_factor": 0.5, "frozen_stages": 0}
TRAINED = {
    "added_layers": {**STAGED, "head_epochs": 2},
    "frozen_vgg16": {
        "mode": "finetune", "loss": "binary_cross_entropy", "optimizer": "sgd", "lr": 0.001, "momentum": 0.9,
        "nesterov": False, "schedule": "constant", "warmup_epochs": 0.0, "clip_norm": 0.0, "soft_targets": 0.0,
        "label_smoothing": 0.0, "weight_decay": 0.0, "l1": 0.0, "l2": 0.0, "frozen_stages": 5, "head_epochs": 0,
        "unfreeze_epochs": 0, "stage_factor": 1.0,
    },
    "staged_resnet50": {**STAGED, "batch_size": 32, "head_epochs": 1},
}  # fmt: skip
"""Of each that is not trained from scratch with the mode's own values."""


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_shipped_recipe_is_trained_with_these_values_and_else_with_those_of_its_mode(name: str) -> None:
    given = load_recipe(shipped_recipe(name)).train
    expected = TRAINED.get(name, {"mode": "scratch"})
    assert {key: getattr(given, key) for key in expected} == expected
    assert given == TrainRecipe.model_validate(expected)


FLIPS = (("flip", {"horizontal": 0.5, "vertical": 0.5}),)
BEGUN = {  # side of the photos, backbone, its weights, augmentation
    "perceptron": (28, "none", "auto", ()),
    "mlp": (28, "none", "auto", ()),
    "lenet": (32, "none", "auto", ()),
    "regularised": (64, "none", "auto", ()),
    "tiny_vgg": (64, "none", "auto", ()),
    "small_cnn": (64, "none", "auto", ()),
    "frozen_vgg16": (224, "vgg16", "random", ()),
    "staged_resnet50": (224, "resnet50", "random", FLIPS),
    "added_layers": (224, "tf_efficientnet_lite0", "auto", FLIPS),
}


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_shipped_recipe_begins_with_these_photos_and_this_backbone(name: str) -> None:
    recipe = load_recipe(shipped_recipe(name))
    steps = tuple((entry.step, entry.model_dump(exclude={"step"})) for entry in recipe.augment)
    assert (recipe.data.image_size, recipe.model.backbone, recipe.model.weights, steps) == BEGUN[name]
    assert recipe.model.dropout == 0.0  # those that drop have it as a layer


def test_the_new_top_of_the_frozen_vgg16_is_the_courses() -> None:
    assert load_recipe(shipped_recipe("frozen_vgg16")).model.layers == (
        Flatten(), Dense(units=1024, activation="relu"), Dropout(rate=0.5)
    )  # fmt: skip


def test_added_layers_have_their_sizes_and_counts_on_the_map_of_the_pretrained_part() -> None:
    net = on_paper("added_layers", 224, 3)
    rows = {row["layer"]: (row["output"], row["parameters"]) for row in describe_network(net)["layers"]}
    map_name, *added = list(rows)[-9:]
    assert rows[map_name][0] == [1280, 7, 7]  # 224 / 32 places of EfficientNet-Lite0's last convolution
    convolution, hidden, closing = 9 * 1280 * 256 + 256, 256 * 128 + 128, 128 * 3 + 3
    assert {name: rows[name] for name in added} == {
        "1_conv": ([256, 7, 7], convolution), "1_relu": ([256, 7, 7], 0), "2_avg_pool": ([256, 1, 1], 0),
        "3_flatten": ([256], 0), "4_dense": ([128], hidden), "4_relu": ([128], 0), "5_dropout": ([128], 0),
        "classifier": ([3], closing),
    }  # fmt: skip
    assert net.layers.get_submodule("5_dropout").p == 0.5
    new = sum(parameter.numel() for parameter in head_parameters(net))
    assert new == convolution + hidden + closing == 2_982_659
    assert count(net) - new == 4_652_008 - 1000 * 1281  # as published, less its classifier


def test_added_layers_learn_before_the_pretrained_part_and_each_stage_below_at_half_the_rate() -> None:
    train = load_recipe(shipped_recipe("added_layers")).train
    names = [name for name, _ in stages(on_paper("added_layers", 64, 2))]
    assert names == [*(f"stage {number}" for number in range(7)), "tail", "head"]
    lowest = [lowest_learning(train, num_stages=9, epoch=epoch) for epoch in range(train.epochs)]
    assert lowest == [8, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0]
    assert stage_factors(train, 9) == tuple(0.5**below for below in (8, 7, 6, 5, 4, 3, 2, 1, 0))


@pytest.mark.parametrize(
    ("name", "side", "channels", "num_outputs", "parameters"),
    [
        ("perceptron", 28, 1, 10, 784 * 10 + 10),
        ("perceptron", 28, 1, 1, 785),
        ("mlp", 28, 1, 10, 784 * 128 + 128 + 128 * 64 + 64 + 650),
        # LeNet-5 on its 32 x 32: with padded convolutions 16 maps of 8 x 8 come to the dense layers
        ("lenet", 32, 1, 10, (25 + 1) * 6 + (25 * 6 + 1) * 16 + (1024 + 1) * 120 + 121 * 84 + 85 * 10),
        # the CNN Explainer's network: 64 x 64 RGB, ten classes, 13 x 13 x 10 values before its dense layer
        # kernels without a bias, two numbers of batch normalisation for each filter, 128 averages to ten classes
        ("small_cnn", 28, 1, 10, 9 * (32 + 32 * 32 + 32 * 64 + 64 * 64 + 64 * 128 + 128 * 128) + 2 * 448 + 1290),
        ("tiny_vgg", 64, 3, 10, (27 + 1) * 10 + 3 * (90 + 1) * 10 + (1690 + 1) * 10),
    ],
)
def test_compact_networks_have_the_counts_of_their_papers_arithmetic(
    name: str, side: int, channels: int, num_outputs: int, parameters: int
) -> None:
    assert count(on_paper(name, side, num_outputs, channels)) == parameters


def test_tiny_vgg_has_the_maps_of_the_cnn_explainer() -> None:
    assert outputs("tiny_vgg", 64, 10) == [
        (10, 62, 62), (10, 60, 60), (10, 30, 30), (10, 28, 28), (10, 26, 26), (10, 13, 13), (1690,), (10,)
    ]  # fmt: skip


def test_lenet_has_its_maps() -> None:
    assert outputs("lenet", 28, 10, 1) == [
        (6, 28, 28), (6, 14, 14), (16, 14, 14), (16, 7, 7), (784,), (120,), (84,), (10,)
    ]  # fmt: skip


@pytest.mark.parametrize("name", COMPACT)
def test_every_compact_network_is_a_recipe_to_train_from_scratch(name: str) -> None:
    recipe = load_recipe(shipped_recipe(name))
    assert recipe.train.mode == "scratch"
    assert recipe.model.layers == compact_layers(name)
    assert recipe.model.backbone == "none"


def test_a_backbone_has_no_plan() -> None:
    assert planned("vgg16", 64, 2) is None


def test_layers_on_a_compact_network_are_refused() -> None:
    model = parse_recipe({"model": {"backbone": "lenet", "layers": [{"kind": "flatten"}]}}).model
    with pytest.raises(
        RecipeError, match=r'model\.layers cannot stand on the compact network "lenet"\. Set model\.back'
    ):
        plan_network(model, num_outputs=2, image_size=(32, 32))
