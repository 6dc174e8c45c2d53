"""Predict: verdicts of files, folders and zips, in the words of the JSON contract."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from handmade import even_photo, write_brightness_bundle
from inline_engine import InlineEngine
from parts import encode_png
from teliti.errors import BundleError, CatalogError
from teliti.workflow.predict import predict


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_brightness_bundle(tmp_path / "bundle").path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two photos, one of them in a subfolder, and a file that is none."""
    folder = tmp_path / "photos"
    (folder / "line 2").mkdir(parents=True)
    (folder / "a.png").write_bytes(encode_png(even_photo(51)))
    (folder / "line 2" / "b.png").write_bytes(encode_png(even_photo(204)))
    (folder / "c.png").write_bytes(b"")
    return folder


def test_one_path_or_several_files_folders_and_zips(bundle: Path, folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "box.zip", "w") as box:
        box.write(folder / "a.png", "z.png")
    assert len(predict(bundle, folder / "a.png")["results"]) == 1
    record = predict(str(bundle), [str(folder), tmp_path / "box.zip"])
    assert [Path(result["path"]).name for result in record["results"]] == ["a.png", "b.png", "z.png"]
    assert [Path(one["path"]).name for one in record["refused"]] == ["c.png"]
    assert record["refused"][0]["reason"] == "empty file"


def test_the_record_keeps_the_contract(bundle: Path, folder: Path) -> None:
    record = predict(bundle, folder)
    assert json.loads(json.dumps(record)) == record
    assert (record["schema"], record["bundle"], record["task"]) == (1, str(bundle), "classification")
    dark, bright = record["results"]
    assert set(dark) == {"path", "verdict", "label", "probs", "score", "reasons"}
    assert (dark["verdict"], dark["label"], bright["verdict"], bright["label"]) == ("pass", "dark", "reject", "bright")
    assert bright["score"] == bright["probs"]["bright"] == pytest.approx(0.8)


def test_a_regression_gives_numbers(folder: Path, tmp_path: Path) -> None:
    bundle = write_brightness_bundle(tmp_path / "numbers", is_regression=True).path
    record = predict(bundle, folder)
    assert record["task"] == "regression"
    assert [result["score"] for result in record["results"]] == [pytest.approx(51), pytest.approx(204)]
    assert record["results"][0]["verdict"] is None


def test_only_refused_files_are_still_an_answer(bundle: Path, folder: Path) -> None:
    record = predict(bundle, folder / "c.png")
    assert record["results"] == []
    assert len(record["refused"]) == 1


def test_nothing_to_inspect_is_one_sentence(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CatalogError, match=r'empty" must hold photos, got no files at all\.'):
        predict(bundle, tmp_path / "empty")
    with pytest.raises(CatalogError, match="nowhere"):
        predict(bundle, tmp_path / "nowhere")


def test_a_missing_bundle_is_one_sentence(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="is not a bundle"):
        predict(tmp_path / "nowhere", folder)


def test_an_engine_gives_the_same_record_in_portions(bundle: Path, parts_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "torn.png").write_bytes(b"torn")
    (tmp_path / "note.txt").write_text("no photo")
    engine = InlineEngine()
    paths = [parts_folder, tmp_path / "torn.png", tmp_path / "note.txt"]
    assert predict(bundle, paths, machines=engine) == predict(bundle, paths)
    assert engine.begun == ["0", "32"]


def test_photos_of_an_address_get_their_verdicts(bundle: Path, parts_folder: Path) -> None:
    here = predict(bundle, parts_folder)["results"]
    there = predict(bundle, f"file://{parts_folder}", machines=InlineEngine())["results"]
    assert [{**row, "path": f"file://{row['path']}"} for row in here] == there
