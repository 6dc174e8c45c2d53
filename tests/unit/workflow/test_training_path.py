"""The training path of a bundle: what is built again from run and bundle, and why it sometimes cannot be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from handmade import write_brightness_bundle
from teliti.bundle import MANIFEST, Bundle, open_bundle
from teliti.predictor import Predictor
from teliti.training.checkpoint import Checkpoint, save_checkpoint
from teliti.workflow.learning import training_path as job
from teliti.workflow.learning.training_path import GRAPH, TRAINED, open_training_path

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "bundles" / "2"


@pytest.fixture(scope="module")
def photos() -> np.ndarray:
    """Read only, as a decoder may give them: torch would warn."""
    pixels = np.random.default_rng(3).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)
    pixels.flags.writeable = False
    return pixels


def test_a_frozen_network_is_built_again_from_its_weights(trained_bundle: Path) -> None:
    bundle = open_bundle(trained_bundle)
    path = open_training_path(bundle, threads=1)
    assert (path.name, path.why) == (TRAINED, None)
    own, trained = Predictor(bundle, threads=1), Predictor(bundle, threads=1, session=path.session)
    assert path.session.outputs | {"score", "features"} == own.session.outputs
    photo = next(trained_bundle.glob("golden/*")).read_bytes()
    np.testing.assert_allclose(trained.score_files([photo]), own.score_files([photo]), atol=1e-5)


def with_provenance(folder: Path, **changes: object) -> Bundle:
    """The stored sample with other provenance."""
    shutil.copytree(SAMPLE, folder)
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    manifest["provenance"] |= changes
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    return open_bundle(folder)


FROZEN = {"model": {"backbone": "resnet18", "weights": "random"}, "train": {"mode": "features"}}
FACTS = {"weights": {"sha256": "random:resnet18"}}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, "The checkpoints of its training do not lie beside it."),
        ({"recipe": FROZEN, "backbone": FACTS, "versions": {"torch": "1.0", "timm": "1.0"}},
         "The random weights of resnet18 are drawn otherwise by this version of torch or timm."),
        ({"recipe": FROZEN, "backbone": {"weights": {"sha256": "another"}}},
         "The weights of resnet18 are others than those of the training."),
        ({"recipe": {**FROZEN, "model": {"backbone": "resnet18", "weights": "hub"}}, "backbone": FACTS},
         "The weights of resnet18 would have to be downloaded again."),
        ({"recipe": {**FROZEN, "model": {"backbone": "resnet18", "weights": "gone.safetensors"}}, "backbone": FACTS},
         'model.weights: "gone.safetensors" does not exist.'),
    ],
)  # fmt: skip
def test_the_graph_stands_in_and_it_is_said_why(changes: dict, why: str, photos: np.ndarray, tmp_path: Path) -> None:
    bundle = with_provenance(tmp_path / "bundle", **changes)
    path = open_training_path(bundle, threads=1)
    assert (path.name, path.why) == (GRAPH, why)
    own = Predictor(bundle, threads=1).session
    names = sorted(own.outputs)
    for ours, theirs in zip(path.session.run(names, photos), own.run(names, photos), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_checkpoint_of_another_network_is_not_taken(tmp_path: Path) -> None:
    bundle = with_provenance(tmp_path / "bundle")
    save_checkpoint(tmp_path / "checkpoints", Checkpoint({"best.other": torch.zeros(1)}, {}), number=1)
    path = open_training_path(bundle, threads=1)
    assert (path.name, path.why) == (GRAPH, "The last checkpoint of its run is of another network.")


def test_a_bundle_made_by_hand_says_nothing_of_a_training(tmp_path: Path) -> None:
    bundle = write_brightness_bundle(tmp_path / "bundle")
    path = open_training_path(bundle, threads=1)
    assert (path.name, path.why) == (GRAPH, "The bundle does not say how it was trained.")


def test_without_torch_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "is_installed", lambda name: name != "torch")
    path = open_training_path(write_brightness_bundle(tmp_path / "bundle"), threads=1)
    assert (path.session, path.why) == (None, "torch of the extra train is not installed")
