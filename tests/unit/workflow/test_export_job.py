"""An export end to end: the file, what travels in it, the certificate, and every way in which it is refused."""

from __future__ import annotations

import csv
import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest

from handmade import write_brightness_bundle
from marks import write_dots, write_marks
from parts import encode_png
from teliti.bundle import MODEL, open_bundle
from teliti.data.decode import decode_photo
from teliti.errors import CatalogError, GateError, ParityError, UserError
from teliti.export import LOGIT_TOLERANCE, bounds
from teliti.export.formats import ONNX_FILE, open_exported, read_facts
from teliti.files import hash_file
from teliti.predictor import Predictor
from teliti.sessions import OnnxRuntimeSession
from teliti.workflow import export as job
from teliti.workflow.export import ExportOptions, export
from teliti.workflow.exports import certificate as certificate_job
from teliti.workflow.learning.training_path import GRAPH, TRAINED, TrainingPath

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "bundles" / "2"


@pytest.fixture(scope="module", params=["onnx", "openvino"])
def exported(request: pytest.FixtureRequest, trained_record: dict, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The certificate of the shared bundle's export."""
    out = tmp_path_factory.mktemp("export") / request.param
    return export(trained_record["bundle"], ExportOptions(request.param), out=out)


def test_a_float_export_is_the_same_inspector(exported: dict, trained_record: dict) -> None:
    assert exported["passed"]
    assert (exported["seen"], exported["source"]) == (0, f"the sealed test part of {trained_record['data']['source']}")
    assert [one["changed_verdicts"] for one in exported["comparisons"]] == [0, 0, 0]
    assert json.loads(Path(exported["certificate"]).read_text())["files"] == exported["files"]
    folder = Path(exported["path"]).parent
    assert exported["files"] == {name: hash_file(folder / name) for name in exported["files"]}


def test_the_trained_network_is_compared_anew(exported: dict, trained_record: dict) -> None:
    """R23: not what the training found is believed, but torch runs the same photos again."""
    training = exported["training_path"]
    assert (training["compared"], training["when"], training["by"], training["why"]) == (True, "now", TRAINED, None)
    assert exported["comparisons"][2]["between"] == [TRAINED, exported["comparisons"][0]["between"][1]]
    assert training["photos"] == exported["photos"] == exported["comparisons"][2]["photos"]
    assert training["max_logit_difference"] <= LOGIT_TOLERANCE
    assert training["at_training"] == trained_record["parity"]


def test_every_judged_photo_is_named_with_its_hash(exported: dict, trained_record: dict) -> None:
    with (Path(trained_record["run"]) / "splits.csv").open(newline="") as file:
        sealed = {row["path"]: row["sha256"] for row in csv.DictReader(file) if row["split"] == "test"}
    assert {one["path"]: one["sha256"] for one in exported["judged"]["photos"]} == sealed


def test_what_a_stranger_needs_travels_in_the_file(exported: dict, trained_bundle: Path) -> None:
    bundle = open_bundle(trained_bundle)
    facts = read_facts(Path(exported["path"]))
    assert facts["classes"] == list(bundle.decision.classes)
    assert facts["decision"]["threshold"] == bundle.decision.threshold
    assert facts["prepare"] == bundle.chain.to_record()
    assert (facts["bundle_model_sha256"], facts["precision"]) == (bundle.model_hash, "f32")


def test_the_exported_file_runs_alone(exported: dict, trained_bundle: Path, parts_folder: Path) -> None:
    own = Predictor.open(trained_bundle, threads=1)
    alone = Predictor(own.bundle, threads=1, session=open_exported(Path(exported["path"]), threads=1))
    for photo in sorted(parts_folder.rglob("*.png"))[::9]:
        np.testing.assert_allclose(alone.predict([photo])[0].score, own.predict([photo])[0].score, atol=1e-5)


@pytest.mark.parametrize(
    ("runtime", "kind"),
    [("onnx", "2-labels"), ("openvino", "2-numbers"), ("torch", "2-labels"), ("torch", "2-numbers")],
)
def test_several_answers_a_photo_are_exported_too(runtime: str, kind: str, tmp_path: Path) -> None:
    """R23: every label and every number is compared, and thresholds and names travel with the file."""
    photos = (write_marks if kind == "2-labels" else write_dots)(tmp_path / "photos", photos=12)
    bundle = open_bundle(SAMPLE.with_name(kind))
    record = export(bundle.path, ExportOptions(runtime), data=photos, out=tmp_path / "out")
    assert record["passed"]
    assert [one["photos"] for one in record["comparisons"]] == [12, 12, 12]
    assert max(one["max_logit_difference"] for one in record["comparisons"]) <= LOGIT_TOLERANCE
    facts, measures = read_facts(Path(record["path"])), record["measures"]["the bundle's own file"]
    assert (facts["task"], facts["decision"]) == (bundle.task, bundle.answers.to_record())
    named = measures["recall"] if kind == "2-labels" else measures["mae"]
    assert set(named) == set(bundle.answers.classes if kind == "2-labels" else bundle.answers.names)
    alone = Predictor(bundle, threads=1, session=open_exported(Path(record["path"]), threads=1))
    own = Predictor(bundle, threads=1)
    for photo in sorted(photos.glob("*.png"))[::4]:
        a, b = alone.predict([photo])[0], own.predict([photo])[0]
        assert (a.verdict, a.labels) == (b.verdict, b.labels)
        for name, value in (b.values or b.probs).items():
            assert (a.values or a.probs)[name] == pytest.approx(value, abs=1e-4)


@pytest.mark.parametrize("runtime", ["onnx", "openvino", "torch"])
def test_photos_of_every_size_singly_and_in_sevens(runtime: str, parts_folder: Path, tmp_path: Path) -> None:
    """R23: from the raw file on, prepare steps included, by every runtime."""
    shutil.copytree(SAMPLE, tmp_path / "sample")
    record = export(tmp_path / "sample", ExportOptions(runtime), data=parts_folder)
    own = Predictor.open(tmp_path / "sample", threads=1)
    session = open_exported(Path(record["path"]), threads=1)
    exported = Predictor(own.bundle, threads=1, session=session)
    draw = np.random.default_rng(7)
    sizes = [(1, 1), (1, 300), (2000, 1), (3, 2), (15, 17), (16, 16), (129, 7)]
    photos = [encode_png(draw.integers(0, 256, (*size, 3), dtype=np.uint8)) for size in sizes]
    first, second = own.predict(photos), exported.predict(photos)
    assert [one.verdict for one in second] == [one.verdict for one in first]
    np.testing.assert_allclose([one.score for one in second], [one.score for one in first], atol=1e-5)
    batch = np.concatenate([own.bundle.chain.views(decode_photo(photo)) for photo in photos])
    together, singly = session.run(["logits"], batch)[0], [session.run(["logits"], one[None])[0] for one in batch]
    np.testing.assert_allclose(together, np.concatenate(singly), rtol=1e-4, atol=1e-4)


def test_a_torch_program_is_the_same_inspector(parts_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(SAMPLE, tmp_path / "sample")
    record = export(tmp_path / "sample", ExportOptions("torch"), data=parts_folder)
    assert record["passed"]
    assert [one["changed_verdicts"] for one in record["comparisons"]] == [0, 0, 0]
    assert Path(record["path"]) == tmp_path / "sample-torch" / "model.pt2"
    assert record["comparisons"][0]["between"] == ["the bundle's own file", "torch f32"]
    assert (record["int8"], record["photos"]) == (None, 48)


def test_a_changed_verdict_blocks_the_export(
    parts_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R23: of the second decoder."""
    monkeypatch.setattr(certificate_job, "decode_by_pillow", lambda data: 255 - decode_photo(data))
    with pytest.raises(ParityError, match=r"not the same inspector.*verdicts changed") as caught:
        export(SAMPLE, ExportOptions("onnx"), data=parts_folder, out=tmp_path / "out")
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["parity.json"]
    assert "parity.json" in caught.value.hint


def test_a_training_path_that_answers_otherwise_blocks_the_export(
    parts_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R23: a file that is equal to the bundle's is refused all the same where the trained network says other things."""
    (tmp_path / "other").mkdir()
    network = onnx.load(SAMPLE / MODEL)
    bias = next(one for one in network.graph.initializer if one.name.endswith("bias") and "head" in one.name)
    bias.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(bias) + 0.01, bias.name))
    onnx.save(network, tmp_path / "other.onnx")
    other = TrainingPath(OnnxRuntimeSession(tmp_path / "other.onnx"), TRAINED)
    monkeypatch.setattr(job, "open_training_path", lambda *_, **__: other)
    with pytest.raises(ParityError, match=rf"Between {TRAINED} and onnxruntime f32, \d+ of 48 verdicts changed"):
        export(SAMPLE, ExportOptions("onnx"), data=parts_folder, out=tmp_path / "out")


def test_an_inaccurate_int8_network_is_refused(
    parts_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R24: refused without --force, kept with it and with what speaks against it."""
    monkeypatch.setattr(bounds, "LEAST_ACCURACY", 1.5)
    shutil.copytree(SAMPLE, tmp_path / "sample")
    work = partial(export, tmp_path / "sample", data=parts_folder, calibrate=parts_folder, out=tmp_path / "out")
    with pytest.raises(GateError, match=r"The int8 network is refused. The accuracy is") as caught:
        work(ExportOptions("openvino", int8=True))
    assert "--force" in caught.value.hint
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["parity.json"]
    record = work(ExportOptions("openvino", int8=True, force=True))
    assert (record["passed"], record["forced"], set(record["files"])) == (False, True, {"model.xml", "model.bin"})
    assert record["objections"][0].startswith("The accuracy is")


def test_a_bundle_away_from_its_run_needs_photos(parts_folder: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    shutil.copytree(SAMPLE, alone)
    with pytest.raises(UserError, match=r"is not in the folder of its run.*--data"):
        export(alone, ExportOptions("onnx"))
    record = export(alone, ExportOptions("onnx"), data=parts_folder)
    training = record["training_path"]
    assert (training["compared"], training["by"], training["at_training"]) == (True, GRAPH, None)
    assert training["why"] == "The checkpoints of its training do not lie beside it."
    assert Path(record["path"]).parent == tmp_path / "alone-onnx"
    with pytest.raises(UserError, match=r"must have photos to measure ranges on.*--calibrate"):
        export(alone, ExportOptions("onnx", int8=True), data=parts_folder)


def test_a_certificate_lies_beside_its_own_file_alone(parts_folder: Path, tmp_path: Path) -> None:
    export(SAMPLE, ExportOptions("openvino"), data=parts_folder, out=tmp_path)
    record = export(SAMPLE, ExportOptions("onnx"), data=parts_folder, out=tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"parity.json", *record["files"]} == {"parity.json", ONNX_FILE}


def test_photos_that_the_bundle_has_seen_are_told(folded_run: Path, parts_folder: Path) -> None:
    record = export(folded_run / "bundle", ExportOptions("onnx"))
    assert (record["photos"], record["source"]) == (
        48, f"all photos, learnt from too since its run had folds, of {parts_folder}"
    )  # fmt: skip
    assert 0 < record["seen"] < record["photos"]  # the sample learnt from three fifths of the same made-up photos


@pytest.mark.parametrize(
    ("given", "recipe", "floor"),
    [(0.9, {"max_miss_rate": 0.05}, 0.9), (None, {"max_miss_rate": 0.05}, 0.95), (None, {}, None), (None, None, None)],
)
def test_the_floor_of_defects(given: float | None, recipe: dict | None, floor: float | None, tmp_path: Path) -> None:
    """R24: what the user asks for, or what the recipe promised."""
    bundle = write_brightness_bundle(tmp_path / "bundle")
    bundle.manifest["provenance"] = {} if recipe is None else {"recipe": {"decide": recipe}}
    assert certificate_job.defect_floor(bundle, given) == pytest.approx(floor)


def test_a_floor_of_defects_needs_a_class_that_is_rejected(tmp_path: Path) -> None:
    write_brightness_bundle(tmp_path / "bundle", is_regression=True)
    with pytest.raises(UserError, match=r"must stand beside a bundle that rejects a class, and .* rejects none"):
        export(tmp_path / "bundle", ExportOptions("onnx", int8=True, min_defect_recall=0.9))


def test_a_folder_with_other_things_is_left_alone(trained_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match=r"--out must be a new folder or that of an earlier export"):
        export(trained_bundle, ExportOptions("onnx"), out=tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (ExportOptions("onnx", force=True), "--force must stand beside --int8"),
        (ExportOptions("onnx", min_defect_recall=0.9), "--min-defect-recall must stand beside --int8"),
        (ExportOptions("onnx", int8=True, min_defect_recall=7.0), r"--min-defect-recall must be in \[0, 1\], got 7"),
    ],
)
def test_options_that_mean_nothing(options: ExportOptions, sentence: str, trained_bundle: Path) -> None:
    with pytest.raises(UserError, match=sentence):
        export(trained_bundle, options)


def test_photos_that_changed_since_the_run_are_noticed(trained_record: dict, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained_record["run"], run)
    table = (run / "splits.csv").read_text()
    line = next(line for line in table.splitlines() if ",test," in line)
    (run / "splits.csv").write_text(table.replace(line, line[:-64] + "0" * 64))
    with pytest.raises(UserError, match=r"has changed since the run was tested on it"):
        export(run / "bundle", ExportOptions("onnx"))
    (run / "splits.csv").write_text(table.replace(line, "vanished.png" + line[line.index(",") :]))
    with pytest.raises(UserError, match=r'1 are gone, the first is "vanished.png"'):
        export(run / "bundle", ExportOptions("onnx"))


def test_labels_that_the_bundle_does_not_know_are_refused(
    trained_bundle: Path, parts_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(parts_folder, tmp_path / "photos")
    (tmp_path / "photos" / "good").rename(tmp_path / "photos" / "fine")
    with pytest.raises(CatalogError, match=r'Label must be one of good, scratch, got "fine"'):
        export(trained_bundle, ExportOptions("onnx"), data=tmp_path / "photos", out=tmp_path / "out")


def test_a_comparison_of_no_photo_is_no_proof(trained_bundle: Path, tmp_path: Path) -> None:
    for name in ("good", "scratch"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        (tmp_path / "photos" / name / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    with pytest.raises(UserError, match=r"none of 2 can be used .*--data"):
        export(trained_bundle, ExportOptions("onnx"), data=tmp_path / "photos", out=tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
