"""The eight-bit network of an export: which photos it is made with, and which way of measuring ranges is taken."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from handmade import write_brightness_bundle
from marks import write_dots, write_marks
from parts import write_parts
from teliti.bundle import open_bundle
from teliti.errors import CatalogError, UserError
from teliti.predictor import Predictor, Scores
from teliti.types import SilentReporter
from teliti.workflow.export import ExportOptions, export
from teliti.workflow.exports import int8 as job
from teliti.workflow.exports.int8 import Int8Photos, int8_photos, make_int8
from teliti.workflow.shared.sealed import photos_of_run

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "bundles" / "2"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle of two convolutions, away from its run."""
    shutil.copytree(SAMPLE, tmp_path / "sample")
    return tmp_path / "sample"


@pytest.fixture
def plain_photos(parts_folder: Path, tmp_path: Path) -> Path:
    """Twelve photos in one folder, without classes."""
    (tmp_path / "plain").mkdir()
    for photo in sorted(parts_folder.rglob("*.png"))[::4]:
        shutil.copy(photo, tmp_path / "plain" / photo.name)
    return tmp_path / "plain"


@pytest.mark.parametrize(("target", "kind"), [("onnx", "2"), ("openvino", "2-labels"), ("onnx", "2-numbers")])
def test_an_int8_export_is_listed_and_bounded(target: str, kind: str, tmp_path: Path) -> None:
    """R24: of classes, of several labels and of several numbers."""
    write = {"2": partial(write_parts, per_class=6), "2-labels": partial(write_marks, photos=12),
             "2-numbers": partial(write_dots, photos=12)}[kind]  # fmt: skip
    photos = write(tmp_path / "photos")
    options = ExportOptions(target, int8=True, force=True)
    record = export(SAMPLE.with_name(kind), options, data=photos, calibrate=photos, out=tmp_path / "out")
    assert (record["precision"], record["forced"]) == ("int8", True)
    assert record["comparisons"][0]["max_logit_difference"] > 0.0
    assert len(record["comparisons"][0]["changed"]) == record["comparisons"][0]["changed_verdicts"]
    engine = "onnxruntime" if target == "onnx" else "openvino"
    assert set(record["measures"]) == {"the bundle's own file", f"{engine} int8"}
    assert "times as fast as the float network" in record["speed"]["sentence"]
    chosen = record["int8"]
    assert chosen["ranges"] in {one["ranges"] for one in chosen["tried"]}
    assert (chosen["calibration_photos"], chosen["photos"], chosen["chosen_on"]) == (12, 12, "calibration photos")
    assert chosen["also_judged"] == 12  # and it is told


def test_with_folds_no_photo_makes_chooses_and_measures(folded_run: Path, tmp_path: Path) -> None:
    """R24: what an eight-bit network is made with is not what it is measured on."""
    record = export(folded_run / "bundle", ExportOptions("openvino", int8=True, force=True), out=tmp_path / "out")
    chosen = record["int8"]
    assert (chosen["calibration_photos"], chosen["photos"], record["photos"]) == (12, 12, 24)
    assert (chosen["chosen_on"], chosen["also_judged"]) == ("photos of another fold", 0)
    assert record["source"].startswith("2 of 4 folds, learnt from too, of")


def test_folds_are_parted(folded_run: Path) -> None:
    run = photos_of_run(open_bundle(folded_run / "bundle"))
    parts = run.apart()
    assert [len(one) for one in (parts.learnt, parts.choosing, parts.sealed)] == [12, 12, 24]
    assert {*parts.learnt, *parts.choosing, *parts.sealed} == set(run.sealed)
    two = replace(run, folds=tuple(fold // 2 for fold in run.folds)).apart()
    assert [len(one) for one in (two.learnt, two.choosing, two.sealed)] == [24, 0, 24]
    assert not set(two.learnt) & set(two.sealed)
    assert parts.apart() is parts


def test_photos_to_calibrate_on_need_no_labels(bundle: Path, plain_photos: Path, tmp_path: Path) -> None:
    reference = Predictor.open(bundle, threads=1)
    one = next(plain_photos.iterdir())
    assert len(int8_photos(reference, None, plain_photos).calibration) == 12
    assert len(int8_photos(reference, None, one).calibration) == 1
    others = write_parts(tmp_path / "parts", per_class=2)
    (others / "good").rename(others / "a-class-it-does-not-know")
    photos = int8_photos(reference, None, others)
    assert [picture.shape for picture in photos.calibration] == [(16, 16, 3)] * 4


def test_the_choice_is_made_on_validation_photos(trained_bundle: Path) -> None:
    reference = Predictor.open(trained_bundle, threads=1)
    run = photos_of_run(reference.bundle)
    photos = int8_photos(reference, run, None)
    assert len(photos.calibration) == len(run.learnt)
    assert (len(photos.choosing), photos.chosen_on) == (len(run.choosing), "validation photos")
    assert not {one.name for one in run.choosing} & {one.name for one in (*run.sealed, *run.learnt)}


def test_photos_are_asked_for(bundle: Path, tmp_path: Path) -> None:
    reference = Predictor.open(bundle, threads=1)
    with pytest.raises(UserError, match=r"must have photos to measure ranges on.*--calibrate"):
        int8_photos(reference, None, None)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    with pytest.raises(UserError, match=r"No calibration photo can be used"):
        int8_photos(reference, None, tmp_path / "broken")
    with pytest.raises(CatalogError, match="does not exist"):
        int8_photos(reference, None, tmp_path / "nowhere")


def test_torch_gets_no_eight_bits(bundle: Path) -> None:
    with pytest.raises(UserError, match=r"--int8 must stand beside --to onnx or --to openvino, got --to torch"):
        export(bundle, ExportOptions("torch", int8=True))


@pytest.mark.parametrize(
    ("changed", "tried", "chosen"),
    [
        ((0.01,), 1, ("largest", 0.0)),
        ((0.04, 0.012), 2, ("histogram", 0.0)),
        ((0.05, 0.03, 0.04, 0.01), 4, ("histogram", 0.1)),  # the best ranges, and the first layers as they are
        ((0.05, 0.03, 0.04, 0.02, 0.06), 5, ("histogram", 0.1)),
        ((0.05, 0.03, 0.02, 0.04, 0.03), 5, ("usual", 0.0)),
    ],
)
def test_the_way_that_changes_least_is_taken(
    changed: tuple[float, ...], tried: int, chosen: tuple[str, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = Predictor(write_brightness_bundle(tmp_path / "bundle"), threads=1)
    costs = iter(changed)
    monkeypatch.setattr(job._Workshop, "quantize", lambda _self, _pictures, way: way)
    monkeypatch.setattr(job._Workshop, "align", lambda _self, model, *_: model)
    monkeypatch.setattr(job._Workshop, "predictor", lambda *_: reference)
    monkeypatch.setattr(job._Workshop, "write", lambda _self, way: Path(f"{way.ranges}-{way.floating}"))
    monkeypatch.setattr(job, "_cost", lambda *_: (next(costs), 0.5))
    picture = np.zeros((8, 8, 3), np.uint8)
    photos = Int8Photos((picture,), (picture[None],), "validation photos")
    path, record = make_int8(reference, photos, to="onnx", folder=tmp_path, facts={}, reporter=SilentReporter())
    assert (str(path), len(record["tried"])) == ("{}-{}".format(*chosen), tried)
    assert (record["ranges"], record["floating"]) == chosen
    told = [(one["ranges"], one["floating"]) for one in record["tried"]]
    assert chosen in told
    assert len(set(told)) == tried


def test_what_a_change_costs(tmp_path: Path) -> None:
    reference = Predictor(write_brightness_bundle(tmp_path / "bundle"), threads=1)

    def scores(p: float, logit: float) -> Scores:
        return Scores(np.array([[1 - p, p]], np.float32), np.array([[0.0, logit]], np.float32))

    changed, apart = job._cost(
        reference, [scores(0.4, 4.0), scores(0.9, 0.5)], [scores(0.6, 5.0), scores(0.8, 0.5)]
    )  # fmt: skip
    assert (changed, apart) == (0.5, pytest.approx(0.25 / 4))
