"""One menu over every registered network: shapes, channels, sizes, batch of one, gradients, state, export.

Shapes are tried on torch's meta device, where nothing is computed, so that VGG16 costs no more than a perceptron.
"""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from teliti.errors import RecipeError
from teliti.models.compact import COMPACT
from teliti.models.networks import Network, PhotoInput, build_network, head_parameters, stages
from teliti.models.onnx_graph import export_module
from teliti.recipe import load_recipe, parse_recipe
from teliti.recipe.shipped import shipped_recipe, shipped_recipes

SMALLEST = {"perceptron": 1, "mlp": 1, "lenet": 4, "regularised": 1, "tiny_vgg": 16, "small_cnn": 4, "vgg16": 32,
            "frozen_vgg16": 32, "resnet50": 1, "tf_efficientnet_lite0": 1, "added_layers": 1,
            "staged_resnet50": 1}  # fmt: skip
"""Every registered network with its smallest side in pixels; a new one must be added here."""

BACKBONES = ("vgg16", "resnet50", "tf_efficientnet_lite0")
SLOW = {"vgg16", "frozen_vgg16", "resnet50", "staged_resnet50", "tf_efficientnet_lite0", "added_layers"}


def every(slow: set[str]) -> list:
    """All networks, the named ones left to the slow tests."""
    return [pytest.param(name, marks=pytest.mark.slow if name in slow else ()) for name in sorted(SMALLEST)]


def build(name: str, side: tuple[int, int] = (64, 64), *, in_channels: int = 3, seed: int = 0) -> Network:
    values = {"backbone": name} if name in (*BACKBONES, *COMPACT) else recipe_layers(name)
    model = parse_recipe({"model": {**values, "weights": "random"}}).model
    return build_network(model, num_outputs=3, image_size=side, in_channels=in_channels, seed=seed)


def recipe_layers(name: str) -> dict:
    model = load_recipe(shipped_recipe(name)).model
    return {"backbone": model.backbone, "layers": model.layers}


def on_paper(name: str, side: tuple[int, int], *, count: int = 2, in_channels: int = 3) -> tuple[int, ...]:
    with torch.device("meta"):
        net = build(name, side, in_channels=in_channels).eval()
        return tuple(net(torch.empty(count, in_channels, *side)).shape)


@pytest.fixture(scope="module", params=every({"vgg16", "frozen_vgg16", "staged_resnet50", "tf_efficientnet_lite0"}))
def net(request: pytest.FixtureRequest) -> Network:
    """A network at 64 px that can compute; the 138 million weights of VGG16 are left to the slow tests."""
    return build(request.param)


def photos(count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, 64, 64, generator=torch.Generator().manual_seed(count))


def test_no_network_is_left_out() -> None:
    assert set(SMALLEST) == {*COMPACT, *BACKBONES, *shipped_recipes()}


@pytest.mark.parametrize("name", sorted(SMALLEST))
@pytest.mark.parametrize("in_channels", [1, 3])
def test_one_and_three_channels_give_logits(name: str, in_channels: int) -> None:
    assert on_paper(name, (64, 64), in_channels=in_channels) == (2, 3)


@pytest.mark.parametrize("name", sorted(SMALLEST))
def test_the_smallest_and_an_odd_size_and_a_batch_of_one(name: str) -> None:
    side = SMALLEST[name]
    assert on_paper(name, (side, side), count=1) == (1, 3)
    assert on_paper(name, (max(side, 33), max(side, 47)), count=1) == (1, 3)


@pytest.mark.parametrize("name", sorted(name for name, side in SMALLEST.items() if side > 1))
def test_below_the_smallest_size_it_says_so(name: str) -> None:
    side = SMALLEST[name] - 1
    with pytest.raises(RecipeError, match=r"nothing is left of its input|cannot take photos of"):
        on_paper(name, (side, side))


def test_logits_are_finite_float32_and_the_photos_of_a_batch_do_not_mix(net: Network) -> None:
    net.eval()
    with torch.no_grad():
        logits = net(photos())
        assert logits.dtype == torch.float32
        assert torch.isfinite(logits).all()
        torch.testing.assert_close(net(photos()[:1]), logits[:1], rtol=1e-4, atol=1e-5)


def test_the_gradient_reaches_the_photo_and_every_parameter(net: Network) -> None:
    net.train()
    x = photos(4).requires_grad_(True)
    nn.functional.cross_entropy(net(x), torch.tensor([0, 1, 2, 1])).backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0
    assert [name for name, parameter in net.named_parameters() if parameter.grad is None] == []
    net.zero_grad(set_to_none=True)


def test_every_parameter_stands_in_one_stage_and_the_last_is_the_head(net: Network) -> None:
    listed = [parameter for _, group in stages(net) for parameter in group.parameters()]
    assert len(listed) == len({id(parameter) for parameter in listed}) == len(list(net.parameters()))
    assert head_parameters(net)
    assert stages(net)[-1][0] == "head"


def test_channels_last_is_the_same_function(net: Network) -> None:
    net.eval()
    with torch.no_grad():
        given = net(photos().contiguous(memory_format=torch.channels_last))
        torch.testing.assert_close(given, net(photos()), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", every(SLOW))
def test_the_state_makes_another_network_the_same(name: str) -> None:
    first, second = build(name, seed=1).eval(), build(name, seed=2).eval()
    with torch.no_grad():
        assert not torch.equal(first(photos()), second(photos()))
        second.load_state_dict(first.state_dict())
        assert torch.equal(first(photos()), second(photos()))


@pytest.mark.parametrize("name", every(SLOW))
def test_the_exported_graph_answers_alike_for_any_batch(name: str) -> None:
    net = build(name)
    net.train()
    with torch.no_grad():
        for _ in range(2):
            net(photos(4))  # running statistics of their own: fresh ones hide errors of an export
    whole = nn.Sequential(PhotoInput(net.mean, net.std), net).eval()
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8))
    graph = export_module(whole, image[:2], input_name="image", output_names=["logits"])
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    for count in (1, 3):
        (given,) = session.run(["logits"], {"image": image[:count].numpy()})
        expected = whole(image[:count]).detach().numpy()
        assert np.all(np.abs(given - expected) <= 1e-4 * np.maximum(1.0, np.abs(expected)))
