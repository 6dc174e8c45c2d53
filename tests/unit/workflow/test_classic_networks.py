"""VGG16, ResNet50 and the perceptron through the real training: from random numbers, on given weights, frozen.

The short tests end where the network has learnt; those that go on to a bundle and a predictor are slow, since writing
such a network as a file takes longer than a tiny training.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import teliti
from teliti.cache import RowCache
from teliti.models.networks import build_network
from teliti.predictor import Predictor
from teliti.recipe import Recipe, load_recipe, override_recipe
from teliti.recipe.shipped import shipped_recipe
from teliti.types import SilentReporter
from teliti.workflow.learning.learn import Lesson, num_network_outputs, settle_network_recipe, teach
from teliti.workflow.searches.repeats import take_photos
from teliti.workflow.shared.photos import Photos, read_photos
from teliti.workflow.shared.plan import plan_split
from teliti.workflow.shared.setup import resolve_data
from teliti.workflow.shared.stopwatch import Stopwatch

SHORT = {"epochs": 1, "head_epochs": 0, "unfreeze_epochs": 0, "threads": 1, "replicas": 1, "precision": "f32",
         "batch_size": 8, "soft_targets": 0.0}  # fmt: skip
WAYS = {
    "VGG16 with frozen convolutions": ("frozen_vgg16", {}),
    "VGG16 from random numbers": ("frozen_vgg16", {"train": {"mode": "scratch", "frozen_stages": 0}}),
    "ResNet50 fine-tuned": ("staged_resnet50", {}),
    "ResNet50 from random numbers": ("staged_resnet50", {"train": {"mode": "scratch"}}),
}

SLOW = {"VGG16 from random numbers", "ResNet50 fine-tuned"}


def recipe_of(way: str, *, side: int = 32) -> Recipe:
    name, values = WAYS[way]
    recipe = override_recipe(load_recipe(shipped_recipe(name)), {"data": {"image_size": side}, "train": SHORT})
    return override_recipe(recipe, values)


@pytest.fixture(scope="module")
def photos(parts_folder: Path) -> Photos:
    found = read_photos(str(parts_folder), use_group=True, cache=RowCache(), threads=1, reporter=SilentReporter())
    return take_photos(found, np.arange(0, len(found.samples), 3))


def learn(recipe: Recipe, photos: Photos) -> tuple[Lesson, dict[str, Tensor], Recipe]:
    """A trained network, its tensors as they were before, and the recipe in full."""
    recipe = settle_network_recipe(recipe)
    plan = plan_split(photos, recipe)
    recipe, _ = resolve_data(recipe, photos, plan)
    lesson = teach(recipe, photos, plan, folder=None, watch=Stopwatch(), reporter=SilentReporter())
    outputs = num_network_outputs(recipe, photos.catalog)
    before = build_network(recipe.model, num_outputs=outputs, image_size=(32, 32), seed=recipe.seed).state_dict()
    return lesson, before, recipe


def moved(lesson: Lesson, before: dict[str, Tensor]) -> set[str]:
    """The top-level parts of the network whose weights are no longer what they were."""
    after = dict(lesson.front.network.named_parameters())
    return {name.split(".")[0] for name, tensor in after.items() if not torch.equal(tensor, before[name])}


@pytest.mark.parametrize("way", [pytest.param(way, marks=pytest.mark.slow if way in SLOW else ()) for way in WAYS])
def test_it_learns_what_it_is_to_learn(way: str, photos: Photos) -> None:
    lesson, before, recipe = learn(recipe_of(way), photos)
    (row,) = lesson.fitted.history
    assert np.isfinite([row["train_loss"], row["val_loss"]]).all()
    assert lesson.fit.chooser_outputs.shape[1] == len(photos.catalog.classes)
    parts = {name.split(".")[0] for name, _ in lesson.front.network.named_parameters()}
    frozen = {"backbone"} if recipe.train.frozen_stages == 5 else set()
    assert moved(lesson, before) == parts - frozen
    if way.startswith("VGG16"):
        assert parts == {"backbone", "layers"}
        assert lesson.fitted.options.loss == "binary_cross_entropy"
    else:
        assert sum(parameter.numel() for parameter in lesson.front.network.parameters()) == 25_557_032 - 998 * 2049


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_it_becomes_an_inspector(way: str, parts_folder: Path, tmp_path: Path) -> None:
    check_inspector(teliti.train(parts_folder, recipe=recipe_of(way, side=64), out=tmp_path / "run"), parts_folder)


@pytest.mark.slow
def test_resnet50_begins_with_given_weights(parts_folder: Path, photos: Photos, tmp_path: Path) -> None:
    file = tmp_path / "given.safetensors"
    torch.manual_seed(4)
    save_file(timm.create_model("resnet50").state_dict(), file)
    given = {"model": {"weights": str(file)}, "train": {"frozen_stages": 5, "lr": 1e-6, "soft_targets": 0.5}}
    recipe = override_recipe(recipe_of("ResNet50 fine-tuned", side=64), given)
    record = teliti.train(parts_folder, recipe=recipe, out=tmp_path / "run")
    check_inspector(record, parts_folder)
    assert record["model"]["weights"]["kind"] == "safetensors"
    assert record["history"]["options"]["batch_norm"] == "keep"
    alone = {"data": {"image_size": 32}, "train": {"soft_targets": 0.0}}
    lesson, _, _ = learn(override_recipe(recipe, alone), photos)
    trunk = lesson.front.network.backbone.state_dict()
    for name, tensor in load_file(file).items():  # all stages are frozen: they are the file's still
        assert name.startswith("fc.") or torch.equal(trunk[name], tensor)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["perceptron", "sum_of_squares"])
def test_a_perceptron_becomes_an_inspector(loss: str, parts_folder: Path, tmp_path: Path) -> None:
    """By Rosenblatt's rule, and by the sum of squares over one-hot outputs."""
    values = {"epochs": 2, "loss": loss, "optimizer": "sgd", "momentum": 0.0, "threads": 1, "precision": "f32"}
    recipe = load_recipe(shipped_recipe("perceptron"))
    recipe = override_recipe(recipe, {"data": {"image_size": 16}, "train": values})
    record = teliti.train(parts_folder, recipe=recipe, out=tmp_path / "run")
    check_inspector(record, parts_folder)
    assert record["history"]["options"]["loss"] == loss
    assert record["network"]["outputs"] == (1 if loss == "perceptron" else 2)


def check_inspector(record: dict, folder: Path) -> None:
    """Its file answers as the trained network did, a photo by itself and among others alike."""
    assert record["parity"]["changed_verdicts"] == 0
    predictor = Predictor.open(Path(record["bundle"]), threads=1)
    files = sorted((folder / "scratch").iterdir())[:3]
    outputs = predictor.score_files([files[0].read_bytes()])
    assert outputs.shape == (2,)
    assert outputs.sum() == pytest.approx(1.0, abs=1e-5)
    results = teliti.predict(record["bundle"], [str(file) for file in files])["results"]
    assert len(results) == 3
    assert sorted(results[0]["probs"].values()) == pytest.approx(sorted(outputs.tolist()), abs=1e-5)
