"""The bundles that are served: their names, and the exchange of one."""

from __future__ import annotations

from pathlib import Path

import pytest

from handmade import write_brightness_bundle
from served import exchange_bundle
from teliti.errors import BundleError, UserError
from teliti.serve.models import Models, name_bundles


def test_names_are_those_of_runs_and_folders(tmp_path: Path) -> None:
    found = name_bundles([str(tmp_path / "first" / "bundle"), str(tmp_path / "line-2"), f"cam_3={tmp_path}"])
    assert found == {"first": tmp_path / "first" / "bundle", "line-2": tmp_path / "line-2", "cam_3": tmp_path}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "`teliti serve` must have a bundle"),
        (["a/bundle", "b/../a/bundle"], 'got "a" twice'),
        (["my run/bundle"], "must be of letters, digits, dots"),
        (["=folder"], "must be of letters, digits, dots"),
        (["../x=folder"], "must be of letters, digits, dots"),
    ],
)
def test_names_that_no_url_could_have(words: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        name_bundles(words)


def test_whoever_holds_a_model_goes_on_with_it(tmp_path: Path) -> None:
    models = Models(
        {"a": write_brightness_bundle(tmp_path / "a").path, "b": write_brightness_bundle(tmp_path / "b").path}
    )
    held = models.get(None)
    before = held.inspector.model_hash
    fresh = exchange_bundle(tmp_path / "a", threshold=0.1)
    assert models.reload("a").inspector.model_hash == fresh
    assert held.inspector.model_hash == before
    assert models.get(None).name == "a"
    assert [model["default"] for model in models.to_record()["models"]] == [True, False]


def test_a_broken_bundle_leaves_the_old_one(tmp_path: Path) -> None:
    models = Models({"a": write_brightness_bundle(tmp_path / "a").path})
    (tmp_path / "a" / "model.onnx").write_bytes(b"broken")
    before = models.get("a")
    with pytest.raises(BundleError, match="is damaged"):
        models.reload("a")
    assert models.get("a") is before
    with pytest.raises(KeyError):
        models.get("b")
