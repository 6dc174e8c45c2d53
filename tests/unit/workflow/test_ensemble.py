"""A network that answers together with the frozen one: the mean of both logits, in one graph, where there is
something to gain.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from teliti.errors import RecipeError
from teliti.models.heads import HeadWeights, head_module
from teliti.models.networks import build_network
from teliti.models.onnx_graph import HEAD_PREFIX, append_head, export_module
from teliti.recipe import parse_recipe
from teliti.training.heads.trained_net import FeatureFront, HeadOnFeatures, features_of, make_head, save_front
from teliti.types import Catalog
from teliti.workflow.learning.learn import check_network, settle_network_recipe
from teliti.workflow.learning.learnt_head import judge_ensemble

LAYERS = {"backbone": "none", "layers": [{"kind": "flatten"}, {"kind": "dense", "units": 6, "activation": "relu"}]}


class Partner(nn.Module):
    """Says how bright a photo is, for each class another multiple; the first class is always 0."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes

    def forward(self, image: Tensor) -> Tensor:
        return image.float().mean(dim=(1, 2, 3), keepdim=False)[:, None] * torch.arange(self.num_classes) / 100.0


@pytest.mark.parametrize("num_classes", [2, 3])
def test_a_joined_logit_is_the_mean_of_both_networks(num_classes: int) -> None:
    recipe = parse_recipe({"model": LAYERS, "train": {"mode": "scratch"}})
    network = build_network(recipe.model, num_outputs=num_classes, image_size=(8, 8), seed=0).eval()
    photos = list(np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8))
    front, partner = FeatureFront(network), Partner(num_classes)
    joined = front.with_partner(partner)
    found = make_head(joined, task="classification").logits(features_of(joined, photos))
    batch = torch.from_numpy(np.stack(photos))
    with torch.inference_mode():
        mean = 0.5 * (network(front.input(batch)) + partner(batch)).numpy()
    wanted = mean - mean[:, :1] if num_classes == 2 else mean
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert front.partner is None  # the network alone is still there
    assert features_of(front, photos).shape[1] + num_classes == features_of(joined, photos).shape[1]


class Means(nn.Module):
    """The mean of each colour, as a network's features."""

    def forward(self, image: Tensor) -> Tensor:
        return image.float().mean(dim=(1, 2)) / 255.0


@pytest.mark.parametrize("is_exported", [False, True])
def test_the_partners_head_is_in_the_graph_and_out_of_a_quantisers_reach(is_exported: bool, tmp_path: Path) -> None:
    """Whether the frozen network stands in a file already, which is put beside, or not."""
    random = np.random.default_rng(0)
    supports, weight, bias = (random.normal(size=shape).astype(np.float32) for shape in ((20, 3), (20, 3), (3,)))
    theirs = HeadWeights(np.full(3, 0.5, np.float32), np.full(3, 9.0, np.float32), weight, bias, supports=supports)
    recipe = parse_recipe({"model": LAYERS, "train": {"mode": "scratch"}})
    network = build_network(recipe.model, num_outputs=3, image_size=(8, 8), seed=0).eval()
    photos = random.integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    file = tmp_path / "frozen.onnx"
    if is_exported:
        frozen = export_module(Means(), torch.from_numpy(photos), input_name="image", output_names=["features"])
        file.write_bytes(frozen)
    joined = FeatureFront(network).with_partner(HeadOnFeatures(Means(), theirs, exported=file)).eval()
    saved = save_front(joined, recipe.model, path=tmp_path / "front.onnx", facts={}, seed=0)
    front = saved.path.read_bytes()
    (features,) = onnxruntime.InferenceSession(front).run(["features"], {"image": photos})
    np.testing.assert_allclose(features, features_of(joined, list(photos)), atol=1e-5)
    assert features.shape == (4, saved.facts["dimensions"])
    head = make_head(joined, task="classification")
    example = torch.zeros((2, head.num_features))
    behind = export_module(head_module(head), example, input_name="features", output_names=["logits", "probs"])
    whole = append_head(front, behind, metadata={})
    (logits,) = onnxruntime.InferenceSession(whole).run(["logits"], {"image": photos})
    np.testing.assert_allclose(logits, head.logits(features_of(joined, list(photos))), atol=1e-5)
    assert [
        (value.name, len(value.type.tensor_type.shape.dim)) for value in onnx.load_from_string(whole).graph.input
    ] == [("image", 4)]
    nodes = onnx.load_from_string(whole).graph.node
    products = [node.name.startswith(HEAD_PREFIX) for node in nodes if node.op_type in {"MatMul", "Gemm"}]
    assert sorted(products) == [False, True, True, True]  # the network's own; the kernel's two; the head behind both


@pytest.mark.parametrize(
    ("asked", "alone", "together", "mistakes", "expected"),
    [
        ("auto", (0.9, 0.7, 0.4, 0.9), (0.9, 0.6, 0.5, 0.9), 1, True),  # about as good: two that differ are surer
        ("auto", (0.9, 0.7, 0.4, 0.9), (0.5, 0.4, 0.1, 0.6), 1, False),  # clearly worse
        ("auto", (0.9, 0.7, 0.6, 0.9), (0.9, 0.9, 0.9, 0.9), 0, False),  # nothing to gain, and twice the work
        (True, (0.9, 0.7, 0.6, 0.9), (0.5, 0.4, 0.1, 0.6), 0, True),
    ],
)
def test_it_stays_alone_where_together_is_worse_or_where_nothing_is_wrong(
    asked: object, alone: tuple, together: tuple, mistakes: int, expected: bool
) -> None:
    losses = -np.log(np.array([alone, together]))
    told = judge_ensemble(asked, losses[0], losses[1], mistakes=mistakes)
    assert told["kept"] is expected
    assert (told["asked"], told["photos"], told["mistakes_alone"]) == (asked, 4, mistakes)
    assert told["log_loss"] == pytest.approx(losses[1].mean())


def test_one_photo_cannot_speak_against_it() -> None:
    assert judge_ensemble("auto", np.array([0.1]), np.array([2.0]), mistakes=1)["standard_error"] is None


@pytest.mark.parametrize(
    ("mode", "weights", "expected"),
    [("finetune", "auto", "auto"), ("finetune", "random", False), ("scratch", "random", False)],
)
def test_only_given_weights_have_a_partner(mode: str, weights: str, expected: object) -> None:
    recipe = parse_recipe({"train": {"mode": mode}, "model": {"weights": weights}})
    assert settle_network_recipe(recipe).train.ensemble == expected
    asked = parse_recipe({"train": {"mode": mode, "ensemble": True}, "model": {"weights": weights}})
    if expected == "auto":
        assert settle_network_recipe(asked).train.ensemble is True
    else:
        with pytest.raises(RecipeError, match=r"train\.ensemble needs a network of classes whose weights are given"):
            settle_network_recipe(asked)


@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_labels_and_numbers_have_no_partner(task: str) -> None:
    catalog = Catalog("", (), (), task, ("a", "b") if task == "multilabel" else ())
    values = {"mode": "finetune", "ensemble": True}
    asked = settle_network_recipe(parse_recipe({"data": {"image_size": 32}, "train": values}))
    with pytest.raises(RecipeError, match=rf"train\.ensemble needs a network of classes .* the task is {task}\."):
        check_network(asked, catalog)
    check_network(asked.model_copy(update={"train": asked.train.model_copy(update={"ensemble": "auto"})}), catalog)


def test_auto_without_softer_targets_is_none_and_true_asks_for_the_head_all_the_same() -> None:
    values = {"mode": "finetune", "soft_targets": 0}
    assert settle_network_recipe(parse_recipe({"train": values})).train.ensemble is False
    assert settle_network_recipe(parse_recipe({"train": {**values, "ensemble": True}})).train.ensemble is True
