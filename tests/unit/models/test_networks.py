"""Networks: one contract for layers of one's own, compact ones, timm's, and layers on timm's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from teliti.errors import RecipeError
from teliti.models.networks import (
    PhotoInput,
    build_network,
    head_parameters,
    l2_penalty,
    network_names,
    pool_before_activation,
    stages,
)
from teliti.recipe import parse_recipe

SIDE = (32, 32)
LAYERS = [
    {"kind": "conv", "filters": 4, "padding": "same", "activation": "relu", "l2": 0.5},
    {"kind": "max_pool"},
    {"kind": "flatten"},
    {"kind": "dense", "units": 6, "activation": "tanh"},
]
TOP = [
    {"kind": "conv", "filters": 5, "kernel_size": 1, "activation": "relu"},
    {"kind": "avg_pool", "kernel_size": "global"},
]


def build(num_outputs: int = 3, *, side: tuple[int, int] = SIDE, in_channels: int = 3, seed: int = 0, **model):
    parsed = parse_recipe({"model": {"weights": "random", **model}}).model
    return build_network(parsed, num_outputs=num_outputs, image_size=side, in_channels=in_channels, seed=seed)


def photos(count: int = 2, side: tuple[int, int] = SIDE) -> torch.Tensor:
    return torch.randn(count, 3, *side, generator=torch.Generator().manual_seed(count))


def test_the_same_seed_gives_the_same_weights_and_leaves_the_global_generator_alone() -> None:
    for model in ({"layers": LAYERS}, {"backbone": "resnet18"}, {"backbone": "resnet18", "layers": TOP}):
        torch.manual_seed(3)
        expected = torch.rand(3)
        torch.manual_seed(3)
        first, again, other = (build(seed=seed, **model).eval()(photos()) for seed in (1, 1, 2))
        assert torch.equal(torch.rand(3), expected)
        assert torch.equal(first, again)
        assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("task", "num_outputs"), [("two", 2), ("one sigmoid", 1), ("many", 7), ("labels", 4), ("numbers", 2)]
)
def test_every_task_differs_only_in_outputs_and_loss(task: str, num_outputs: int) -> None:
    targets = {
        "two": torch.tensor([0, 1, 1, 0]),
        "one sigmoid": torch.tensor([[0.0], [1], [1], [0]]),
        "many": torch.tensor([6, 0, 3, 2]),
        "labels": torch.tensor([[1.0, 0, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 0, 0]]),
        "numbers": torch.tensor([[0.5, -1.0], [2.0, 3.0], [0.0, 0.0], [1.0, 1.0]]),
    }
    losses = {
        "two": functional.cross_entropy, "many": functional.cross_entropy, "numbers": functional.mse_loss,
        "one sigmoid": functional.binary_cross_entropy_with_logits,
        "labels": functional.binary_cross_entropy_with_logits,
    }  # fmt: skip
    net = build(num_outputs, layers=LAYERS[:3])
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(200):
        loss = losses[task](net(photos(4)), targets[task])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.02


def test_layers_on_a_backbone_see_its_map() -> None:
    net = build(backbone="resnet18", layers=TOP)
    feature_map = net.backbone(photos())
    assert feature_map.shape == (2, 512, 1, 1)
    torch.testing.assert_close(net(photos()), net.layers(feature_map))
    assert net.layers[0].in_channels == 512


def test_a_backbone_under_layers_has_no_parameter_that_does_not_run() -> None:
    net = build(backbone="mobilenetv3_small_100", layers=[{"kind": "flatten"}])
    net(photos()).sum().backward()
    assert [name for name, parameter in net.named_parameters() if parameter.grad is None] == []


def test_a_backbone_whose_map_lies_in_another_order_is_turned() -> None:
    net = build(side=(64, 64), backbone="swin_tiny_patch4_window7_224", layers=TOP)
    assert net.backbone(photos(1, (64, 64))).shape == (1, 768, 2, 2)


def test_layers_need_a_map() -> None:
    with pytest.raises(RecipeError, match=r"model\.layers cannot stand on vit_tiny_patch16_224, which gives tokens"):
        build(backbone="vit_tiny_patch16_224", layers=TOP)


@pytest.mark.parametrize(
    ("model", "width"),
    [
        ({"layers": LAYERS}, 6),
        ({"backbone": "resnet18"}, 512),
        ({"backbone": "mobilenetv3_small_100", "layers": TOP}, 5),
    ],
)
def test_features_are_what_the_closing_layer_sees(model: dict, width: int) -> None:
    net = build(**model).eval()
    logits, features = net.logits_and_features(photos())
    torch.testing.assert_close(logits, net(photos()))
    assert features.shape == (2, width)
    closing = net.layers[-1] if net.layers is not None else net.backbone.get_classifier()
    torch.testing.assert_close(closing(features), logits)


@pytest.mark.parametrize(
    ("model", "names"),
    [
        ({"layers": LAYERS}, ["1_conv", "4_dense", "head"]),
        ({"backbone": "resnet18"}, [*(f"stage {i}" for i in range(5)), "head"]),
        ({"backbone": "resnet18", "layers": TOP}, [*(f"stage {i}" for i in range(5)), "head"]),
        ({"backbone": "vgg11"}, [*(f"stage {i}" for i in range(5)), "tail", "head"]),
        ({"backbone": "tf_efficientnet_lite0"}, [*(f"stage {i}" for i in range(7)), "tail", "head"]),
        ({"backbone": "vit_tiny_patch16_224"}, [*(f"stage {i}" for i in range(12)), "tail", "head"]),
    ],
)
def test_stages_lead_from_the_photo_to_the_head(model: dict, names: list[str]) -> None:
    with torch.device("meta"):
        net = build(**model)
    groups = stages(net)
    assert [name for name, _ in groups] == names
    listed = [id(parameter) for _, group in groups for parameter in group.parameters()]
    assert len(listed) == len(set(listed))
    assert set(listed) == {id(parameter) for parameter in net.parameters()}
    assert [id(p) for p in head_parameters(net)] == [id(p) for p in groups[-1][1].parameters()]


def test_a_stage_holds_what_runs_before_its_end() -> None:
    groups = dict(stages(build(backbone="resnet18")))
    trunk = build(backbone="resnet18").backbone
    sizes = {name: sum(p.numel() for p in group.parameters()) for name, group in groups.items()}
    assert sizes["stage 0"] == trunk.conv1.weight.numel() + 2 * 64
    assert sizes["stage 4"] == sum(p.numel() for p in trunk.layer4.parameters())
    assert sizes["head"] == 512 * 3 + 3
    assert any(isinstance(module, nn.BatchNorm2d) for module in groups["stage 1"])


def test_dropout_stands_in_front_of_the_closing_layer() -> None:
    own = build(layers=LAYERS, dropout=0.4)
    assert own.layers[-2].p == 0.4
    for model in ({"backbone": "resnet18"}, {"backbone": "mobilenetv3_small_100"}):
        net = build(dropout=0.5, **model)
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        assert not torch.equal(net(photos()), net(photos()))
        assert torch.equal(net.eval()(photos()), net(photos()))


def test_the_penalty_is_lambda_times_the_sum_of_squares() -> None:
    net = build(layers=LAYERS)
    torch.testing.assert_close(l2_penalty(net), 0.5 * net.layers.get_submodule("1_conv").weight.square().sum())
    assert l2_penalty(nn.Sequential(nn.Identity(), net)) == l2_penalty(net)
    assert l2_penalty(build(backbone="resnet18")) == 0.0


def test_pooling_before_relu_is_the_same_function_with_the_same_names_and_gradients() -> None:
    net, moved = build(layers=LAYERS), build(layers=LAYERS)
    assert pool_before_activation(moved) == 1
    assert [name for name, _ in moved.layers.named_children()][:3] == ["1_conv", "2_max_pool", "1_relu"]
    assert list(moved.state_dict()) == list(net.state_dict())
    for one in (net, moved):
        one(photos()).square().sum().backward()
    assert torch.equal(net(photos()), moved(photos()))
    for (name, own), other in zip(net.named_parameters(), moved.parameters(), strict=True):
        assert torch.equal(own.grad, other.grad), name
    assert pool_before_activation(moved) == 0
    assert pool_before_activation(build(backbone="resnet18")) == 0


def test_photos_are_normalised_by_the_networks_own_mean_and_std() -> None:
    net = build(layers=LAYERS)
    assert (net.mean, net.std) == ((0.5,) * 3, (0.5,) * 3)
    image = torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8)
    given = PhotoInput(net.mean, net.std)(image)
    torch.testing.assert_close(given, (image.permute(0, 3, 1, 2) / 255.0 - 0.5) / 0.5)
    assert build(backbone="resnet18").mean == pytest.approx((0.485, 0.456, 0.406))
    assert build(backbone="resnet18", in_channels=1).mean == pytest.approx((1.347 / 3,))
    assert build(backbone="tf_efficientnet_lite0", weights="auto").mean == pytest.approx((0.5, 0.5, 0.5))


def test_weights_of_ones_own_network_come_from_a_file(tmp_path: Path) -> None:
    first = build(layers=LAYERS, seed=1)
    save_file(first.state_dict(), tmp_path / "own.safetensors")
    again = build(layers=LAYERS, seed=2, weights=str(tmp_path / "own.safetensors"))
    assert torch.equal(first(photos()), again(photos()))
    with pytest.raises(
        RecipeError, match=r'"own\.safetensors" does not fit the network: layers.classifier.weight has shape'
    ):
        build(4, layers=LAYERS, weights=str(tmp_path / "own.safetensors"))
    (tmp_path / "bad.safetensors").write_bytes(b"no")
    with pytest.raises(RecipeError, match=r'"bad\.safetensors" could not be read'):
        build(layers=LAYERS, weights=str(tmp_path / "bad.safetensors"))


def test_nobody_has_weights_of_ones_own_network_on_a_hub() -> None:
    with pytest.raises(RecipeError, match=r"there are no weights of 'lenet' on a hub\. Set it to \"random\""):
        build(backbone="lenet", weights="hub")


def test_an_unknown_name_gets_the_nearest_among_compact_and_timm_names() -> None:
    for wrong, near in (("lenett", "lenet"), ("resnet_50", "resnet50")):
        with pytest.raises(
            RecipeError, match=rf"model\.backbone must be one of perceptron, mlp, .*got '{wrong}'"
        ) as caught:
            build(backbone=wrong)
        assert caught.value.hint == f'Did you mean "{near}"?'
    with pytest.raises(RecipeError, match=r"timm\.list_models\(\) lists the others"):
        build(backbone="zzzzzz")


def test_the_names_are_compact_ones_and_timms() -> None:
    names = network_names()
    assert names[:6] == ("perceptron", "mlp", "lenet", "regularised", "tiny_vgg", "small_cnn")
    assert {"vgg16", "resnet50"} <= set(names)


def test_a_photo_too_small_for_a_backbone_is_one_sentence() -> None:
    with pytest.raises(RecipeError, match=r"model\.backbone: vgg11 cannot take photos of 16 x 16: .*\. Choose another"):
        build(side=(16, 16), backbone="vgg11")


def test_the_gradient_of_the_layers_penalty_against_finite_differences() -> None:
    network = build(2, layers=[{"kind": "flatten"}, {"kind": "dense", "l2": 0.3}], side=(2, 2)).double()
    (name,) = network.l2

    def of_weights(weight: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(_Penalised(network), {f"network.layers.{name}.weight": weight}, ())

    assert torch.autograd.gradcheck(of_weights, (network.layers[-1].weight.detach().clone().requires_grad_(),))


class _Penalised(nn.Module):
    """The penalty as the output of a module, so that weights can be put in."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self) -> torch.Tensor:
        return l2_penalty(self.network)
