"""Evaluate: the measures of a saved bundle on new photos, and a warning when they are not new."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from handmade import even_photo, write_brightness_bundle
from notes import Notes
from parts import encode_png, write_parts
from teliti.bundle import SEEN_DIGITS, SEEN_FILE, amend_envelope
from teliti.errors import BundleError, CatalogError, UserError
from teliti.files import hash_file
from teliti.metrics.envelope import Envelope, Limits
from teliti.workflow.evaluate import evaluate

GREYS = {"dark": (10, 60, 100, 140), "bright": (120, 180, 220, 250)}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Calls a photo bright from 127.5 on."""
    return write_brightness_bundle(tmp_path / "bundle").path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four even photos of each class; one of each lies on the wrong side of the threshold."""
    return write_greys(tmp_path / "photos", GREYS)


def write_greys(folder: Path, greys: dict[str, tuple[int, ...]]) -> Path:
    for name, values in greys.items():
        (folder / name).mkdir(parents=True)
        for grey in values:
            (folder / name / f"{grey}.png").write_bytes(encode_png(even_photo(grey, side=12)))
    return folder


def test_the_measures_are_those_of_the_photos(bundle: Path, folder: Path) -> None:
    record = evaluate(bundle, folder)
    test = record["test"]
    assert (test["n"], test["confusion_matrix"]) == (8, [[3, 1], [1, 3]])
    assert (test["accuracy"], test["recall"], test["precision"]) == (0.75, 0.75, 0.75)
    assert test["roc_auc"] == pytest.approx(15 / 16)  # one pair of sixteen is in the wrong order
    assert (record["val"], record["parity"], record["seen"], record["refused"]) == (None, None, 0, 0)
    threshold = record["threshold"]
    assert [threshold[key] for key in ("value", "rule", "sentence")] == [0.5, "fixed", "By hand."]
    assert (threshold["promises"], threshold["proven"]) == ([], None)
    assert [one["name"] for one in record["mistakes"]] == ["dark/140.png", "bright/120.png"]
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_refused_photos_are_named_and_the_others_measured(bundle: Path, folder: Path) -> None:
    (folder / "dark" / "broken.png").write_bytes(b"x")
    record = evaluate(bundle, folder)
    assert (record["test"]["n"], record["refused"]) == (8, 1)
    assert record["refused_photos"][0]["path"] == "dark/broken.png"


def test_out_gets_the_record_and_two_tables(bundle: Path, folder: Path, tmp_path: Path) -> None:
    (folder / "dark" / "broken.png").write_bytes(b"")
    record = evaluate(bundle, folder, out=tmp_path / "out")
    assert record["run"] == str(tmp_path / "out")
    assert json.loads((tmp_path / "out" / "metrics.json").read_text()) == record
    with (tmp_path / "out" / "predictions.csv").open(newline="") as file:
        rows = {row["path"]: row for row in csv.DictReader(file)}
    assert len(rows) == 8
    assert rows["dark/140.png"] == {
        "path": "dark/140.png", "label": "dark", "predicted": "bright", "score": rows["dark/140.png"]["score"],
    }  # fmt: skip
    assert float(rows["dark/140.png"]["score"]) == pytest.approx(140 / 255)
    assert (tmp_path / "out" / "refused.csv").read_text().split()[1].startswith("dark/broken.png,")
    with pytest.raises(UserError, match="--out must be a new or an empty folder"):
        evaluate(bundle, folder, out=tmp_path / "out")


def test_without_out_nothing_is_written(
    bundle: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert evaluate(bundle, folder)["run"] is None
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(("parts", "measured"), [(("train", "val", "test"), "test"), (("train", "val"), "val")])
def test_of_a_given_split_the_last_part_is_measured(
    parts: tuple[str, ...], measured: str, bundle: Path, tmp_path: Path
) -> None:
    for number, part in enumerate(parts, start=1):
        write_greys(tmp_path / "split" / part, {"dark": (10 * number,), "bright": tuple(range(200, 200 + number))})
    reporter = Notes()
    record = evaluate(bundle, tmp_path / "split", reporter=reporter)
    assert record["test"]["n"] == len(parts) + 1
    assert f"The source has a given split: measured on its {measured} part." in reporter.notes


def test_numbers_are_measured_as_numbers(tmp_path: Path) -> None:
    bundle = write_brightness_bundle(tmp_path / "bundle", is_regression=True).path
    folder = write_greys(tmp_path / "photos", {"all": (10, 60, 100, 140)})
    rows = [f"all/{grey}.png,{grey + 2.0}" for grey in (10, 60, 100, 140)]
    (folder / "labels.csv").write_text("path,label\n" + "\n".join(rows) + "\n")
    record = evaluate(bundle, folder / "labels.csv", out=tmp_path / "out")
    assert (record["task"], record["classes"], record["positive"]) == ("regression", [], None)
    assert record["test"]["mae"] == pytest.approx(2.0, abs=1e-5)
    assert record["threshold"]["rule"] == "none"
    assert len((tmp_path / "out" / "predictions.csv").read_text().splitlines()) == 5
    with pytest.raises(
        CatalogError, match="The labels must suit a regression bundle, got labels for classification"
    ) as caught:
        evaluate(bundle, write_greys(tmp_path / "classes", GREYS))
    assert caught.value.hint == "Numbers as labels mean regression; names mean classes."


def test_photos_that_it_has_seen_are_counted_and_warned_of(bundle: Path, folder: Path, tmp_path: Path) -> None:
    seen = [hash_file(folder / "dark" / f"{grey}.png")[:SEEN_DIGITS] for grey in (10, 60)]
    (bundle / SEEN_FILE).write_text("\n".join(seen) + "\n")
    record = evaluate(bundle, folder)
    assert record["seen"] == 2
    assert record["warnings"][-1] == (
        "2 of 8 photos were used to train this bundle or to choose its threshold: these measures flatter. Evaluate on "
        "photos that it has not seen."
    )
    later = write_greys(tmp_path / "later", {"dark": (11, 61), "bright": (181, 221)})
    assert evaluate(bundle, later)["seen"] == 0


def test_the_photos_of_a_training_are_seen_except_the_sealed_ones(trained_record: dict, parts_folder: Path) -> None:
    record = evaluate(trained_record["bundle"], parts_folder)
    assert record["seen"] == 48 - trained_record["test"]["n"]


def test_the_sealed_photos_get_the_measures_of_the_training(
    trained_record: dict, parts_folder: Path, tmp_path: Path
) -> None:
    with (Path(trained_record["run"]) / "splits.csv").open(newline="") as file:
        sealed = [row["path"] for row in csv.DictReader(file) if row["split"] == "test"]
    for name in sealed:
        (tmp_path / "test" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(parts_folder / name, tmp_path / "test" / name)
    record = evaluate(trained_record["bundle"], tmp_path / "test")
    assert record["seen"] == 0
    for key, value in record["test"].items():
        if isinstance(value, float):
            assert value == pytest.approx(trained_record["test"][key], abs=1e-5), key
    assert record["test"]["confusion_matrix"] == trained_record["test"]["confusion_matrix"]


def test_a_class_that_the_bundle_does_not_know_is_named(bundle: Path, tmp_path: Path) -> None:
    folder = write_greys(tmp_path / "photos", {"dark": (10, 20), "grey": (120, 130)})
    with pytest.raises(CatalogError, match='Label must be one of dark, bright, got "grey"') as caught:
        evaluate(bundle, folder)
    assert caught.value.hint == "Rename the class, or leave its photos out."


def test_no_usable_photo_is_one_sentence(bundle: Path, folder: Path) -> None:
    for path in folder.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(CatalogError, match=r"has no usable photo\. See `refused` for the reasons"):
        evaluate(bundle, folder)


def test_a_missing_bundle_or_source_is_one_sentence(bundle: Path, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="is not a bundle"):
        evaluate(tmp_path / "nowhere", folder)
    with pytest.raises(CatalogError, match="nowhere"):
        evaluate(bundle, tmp_path / "nowhere")


def test_a_trained_bundle_does_well_on_parts_that_it_has_not_seen(trained_bundle: Path, tmp_path: Path) -> None:
    record = evaluate(trained_bundle, write_parts(tmp_path / "later", per_class=8, seed=700))
    assert record["seen"] == 0
    assert record["test"]["roc_auc"] > 0.8


def test_photos_outside_the_envelope_are_counted(bundle: Path, folder: Path) -> None:
    assert evaluate(bundle, folder)["outside"] is None
    limits = Envelope({"light": Limits(50.0, 230.0, (100.0,) * 11)}, 8)
    amend_envelope(bundle, limits)
    record = evaluate(bundle, folder)
    assert record["outside"] == 2  # 10 and 250
    assert record["warnings"][0].startswith("2 of 8 photos lie outside the envelope of light, blur, size and scale")
    amend_envelope(bundle, replace(limits, action="review"))
    assert evaluate(bundle, folder)["warnings"][0].endswith(
        "Predict shows them to a person; the measures here are those without."
    )
