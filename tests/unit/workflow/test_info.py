"""Info: what a bundle is, what this installation can do, what the cache holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from handmade import write_brightness_bundle
from teliti import __version__
from teliti.cache import RowCache, keep_file
from teliti.errors import BundleError
from teliti.files import hash_file, sha256_hex
from teliti.workflow import info
from teliti.workflow.info import info_bundle, info_cache, info_environment


def test_a_bundle_says_what_it_is_and_that_its_golden_photos_still_pass(trained_record: dict) -> None:
    record = info_bundle(trained_record["bundle"])
    assert json.loads(json.dumps(record)) == record
    assert (record["task"], record["classes"], record["positive"]) == ("classification", ["good", "scratch"], "scratch")
    assert record["version"] == __version__
    assert record["threshold"] == trained_record["threshold"]
    assert (record["image_size"], record["prepare"][-1]["step"]) == ([64, 64], "frame")
    assert record["provenance"]["backbone"]["backbone"] == "tf_efficientnet_lite0"
    assert record["self_test"]["passed"]
    assert record["self_test"]["photos"] == 6
    assert len(record["model_sha256"]) == 64


def test_a_bundle_says_which_run_and_which_data_made_it(trained_record: dict, parts_folder: Path) -> None:
    """S23: what a trace of a verdict ends at."""
    provenance = info_bundle(trained_record["bundle"])["provenance"]
    photos = [
        json.dumps([path.relative_to(parts_folder).as_posix(), path.parent.name, hash_file(path)])
        for path in parts_folder.rglob("*.png")
    ]
    assert provenance["data"] == {
        "source": str(parts_folder),
        "sha256": sha256_hex("\n".join(sorted(photos)).encode()),
        "labels": "names of class folders",
    }
    assert provenance["run"] == Path(trained_record["run"]).name


def test_a_regression_bundle_has_no_threshold(tmp_path: Path) -> None:
    record = info_bundle(write_brightness_bundle(tmp_path, is_regression=True).path)
    assert (record["task"], record["classes"], record["positive"], record["threshold"]) == (
        "regression",
        [],
        None,
        None,
    )


def test_a_folder_that_is_no_bundle_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="is not a bundle"):
        info_bundle(tmp_path)


def test_the_cache_says_what_it_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELITI_CACHE", str(tmp_path / "cache"))
    assert info_cache() == {
        "schema": 1, "path": str(tmp_path / "cache"), "limit_bytes": RowCache().limit_bytes, "spaces": [],
        "files_bytes": 0,
    }  # fmt: skip
    RowCache().write("space", {b"1" * 32: b"12345"}, about="some features")
    keep_file("net.onnx", b"1234567")
    record = info_cache()
    assert [(space["about"], space["rows"], space["bytes"]) for space in record["spaces"]] == [("some features", 1, 5)]
    assert record["files_bytes"] == 7


def test_asking_for_the_cache_does_not_make_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELITI_CACHE", str(tmp_path / "cache"))
    info_cache()
    assert not (tmp_path / "cache").exists()


def test_the_installation_says_what_it_can_do() -> None:
    record = info_environment()
    assert json.loads(json.dumps(record)) == record
    assert "tf_efficientnet_lite0" in record["backbones"]
    assert record["engines"] == ["openvino", "onnxruntime", "torch"]
    assert record["can_train"] is True


def test_the_base_installation_cannot_train(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(info, "is_installed", lambda name: name == "onnxruntime")
    record = info_environment()
    assert (record["engines"], record["can_train"]) == (["onnxruntime"], False)
