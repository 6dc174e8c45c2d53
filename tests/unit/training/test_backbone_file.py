"""A frozen backbone as a cached ONNX file: torch's numbers, made once, found by all that its numbers depend on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from teliti import runtime
from teliti.errors import MissingExtraError, RecipeError
from teliti.models.weights import PACKAGED
from teliti.recipe import ModelRecipe
from teliti.training.features import backbone_file
from teliti.training.features.backbone_file import BackboneFile, load_feature_net, prepare_backbone

LITE0_HEAD = ModelRecipe(stages=("head",), pooling="avg")
SIZE = (64, 64)


@pytest.fixture(scope="module")
def lite0() -> BackboneFile:
    """The packaged backbone at 64 px, the vector before its classifier; the trained bundle's own."""
    return prepare_backbone(LITE0_HEAD, image_size=SIZE, seed=7)


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Count exports, in the place of the exporter: its graph is the recipe's text, its stages are 4 to 6."""
    made: list[ModelRecipe] = []

    def export(model: ModelRecipe, *_: object, image_size: tuple[int, int], **__: object):
        made.append(model)
        stages = [4, 5, 6] if model.stages == "auto" else list(model.stages)
        return {"stages": stages, "image_size": list(image_size)}, model.model_dump_json().encode()

    monkeypatch.setattr(backbone_file, "_export", export)
    monkeypatch.setenv("TELITI_CACHE", str(tmp_path))
    return made


@pytest.mark.parametrize("batch", [1, 5])
def test_the_file_gives_the_numbers_of_torch(lite0: BackboneFile, batch: int) -> None:
    image = np.random.default_rng(batch).integers(0, 256, (batch, *SIZE, 3), dtype=np.uint8)
    session = onnxruntime.InferenceSession(lite0.path, providers=["CPUExecutionProvider"])
    features = session.run(["features"], {"image": image})[0]
    with torch.inference_mode():
        expected = load_feature_net(LITE0_HEAD, seed=7)(torch.from_numpy(image)).numpy()
    assert features.shape == (batch, 1280)
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-4)


def test_the_facts_say_what_it_is(lite0: BackboneFile) -> None:
    packaged = PACKAGED["tf_efficientnet_lite0"]
    assert lite0.facts == {
        "backbone": "tf_efficientnet_lite0",
        "weights": {
            "kind": "packaged",
            "sha256": packaged.sha256,
            "licence": packaged.licence,
            "file": "efficientnet-lite0-57934424.pth",
        },
        "stages": ["head"],
        "pooling": "avg",
        "dimensions": 1280,
        "mean": pytest.approx([0.5, 0.5, 0.5]),
        "std": pytest.approx([0.5, 0.5, 0.5]),
        "image_size": [64, 64],
    }
    assert json.loads(json.dumps(lite0.facts)) == lite0.facts


def test_a_second_call_exports_nothing(lite0: BackboneFile, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("exported again")

    monkeypatch.setattr(backbone_file, "_export", refuse)
    assert prepare_backbone(LITE0_HEAD, image_size=SIZE, seed=7) == lite0


def test_what_the_numbers_do_not_depend_on_exports_nothing_new(exporter: list) -> None:
    first = prepare_backbone(LITE0_HEAD, image_size=SIZE, seed=7)
    for model in (LITE0_HEAD.model_copy(update=change) for change in ({"head": "ridge"}, {"c": 3.0}, {"gamma": 2.0})):
        assert prepare_backbone(model, image_size=SIZE, seed=8).key == first.key
    assert len(exporter) == 1


@pytest.mark.parametrize(
    "change",
    [{"pooling": "max"}, {"stages": (6,)}, {"weights": "random"}, {"backbone": "resnet18", "weights": "random"}],
)
def test_what_the_numbers_depend_on_is_another_file(change: dict, exporter: list) -> None:
    first = prepare_backbone(LITE0_HEAD, image_size=SIZE, seed=7)
    other = prepare_backbone(LITE0_HEAD.model_copy(update=change), image_size=SIZE, seed=7)
    assert other.key != first.key
    assert prepare_backbone(LITE0_HEAD, image_size=(64, 32), seed=7).key not in {first.key, other.key}
    assert len(exporter) == 3


def test_the_seed_counts_for_random_weights_only(exporter: list) -> None:
    random = LITE0_HEAD.model_copy(update={"weights": "random"})
    keys = {prepare_backbone(random, image_size=SIZE, seed=seed).key for seed in (1, 2)}
    assert len(keys) == len(exporter) == 2


def test_a_resolved_recipe_finds_what_auto_left_behind(exporter: list) -> None:
    auto = prepare_backbone(ModelRecipe(), image_size=SIZE, seed=7)
    resolved = ModelRecipe(stages=tuple(auto.facts["stages"]))
    again = prepare_backbone(resolved, image_size=SIZE, seed=7)
    assert (again.key, again.path, again.facts) == (auto.key, auto.path, auto.facts)
    assert len(exporter) == 1


def test_half_an_export_is_made_again(exporter: list) -> None:
    first = prepare_backbone(LITE0_HEAD, image_size=SIZE, seed=7)
    first.path.unlink()
    again = prepare_backbone(LITE0_HEAD, image_size=SIZE, seed=7)
    assert again.path.is_file()
    assert len(exporter) == 2


def test_a_stage_that_is_not_there_is_refused_before_the_export() -> None:
    with pytest.raises(RecipeError, match=r"model\.stages must lie in 0\.\.6"):
        prepare_backbone(ModelRecipe(stages=(9,)), image_size=SIZE, seed=7)


@pytest.mark.parametrize("library", ["torch", "timm", "safetensors"])
def test_without_the_extra_the_sentence_has_the_install_command(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "is_installed", lambda name: name != library)
    with pytest.raises(
        MissingExtraError, match=f"{library} is needed to build the backbone and is not installed"
    ) as caught:
        load_feature_net(LITE0_HEAD, seed=7)
    assert caught.value.hint == 'Install it with: pip install "teliti[train]"'
