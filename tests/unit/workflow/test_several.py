"""Several labels and several numbers a photo, from label file to report, in every mode and by every door."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import teliti
from marks import LABELS, draw_marks, write_dots, write_marks
from parts import encode_png
from teliti.bundle import MODEL, open_bundle
from teliti.errors import CatalogError, RecipeError, SplitError, UserError
from teliti.metrics.label_decision import LabelsDecision
from teliti.metrics.number_rule import NumberRule
from teliti.predictor import Predictor
from teliti.recipe import Recipe, parse_recipe
from teliti.workflow.check import check, clean
from teliti.workflow.export import ExportOptions, export
from teliti.workflow.inspection import Inspector, Photo
from teliti.workflow.learning.training_path import TRAINED, open_training_path
from teliti.workflow.prepared.labels import choose_layout, write_labels

FEATURES = {
    "data": {"image_size": 64, "folds": 0, "near_duplicates": False},
    "model": {"stages": ["head"], "pooling": "avg", "c": 1.0},
    "train": {"engine": "onnxruntime", "threads": 1},
}
PLACES = {"head": "ridge", "stages": [-2], "pooling": "stats"}  # an average over the photo forgets where a dot was
NETWORK = {
    "data": {"image_size": 32, "near_duplicates": False},
    "model": {
        "backbone": "none",
        "layers": [
            {"kind": "conv", "filters": 8, "kernel_size": 3, "stride": 2, "activation": "relu"},
            {"kind": "max_pool", "kernel_size": 2},
            {"kind": "flatten"},
        ],
    },
    "train": {"mode": "scratch", "epochs": 6, "lr": 0.01, "batch_size": 8, "threads": 1, "precision": "f32",
              "replicas": 1, "num_workers": 0},
}  # fmt: skip


ANYWHERE = [
    {"kind": "conv", "filters": 8, "kernel_size": 5, "activation": "relu"},
    {"kind": "max_pool", "kernel_size": "global"},
    {"kind": "flatten"},
]
"""Layers that see a mark wherever it lies."""


def recipe_of(base: dict, **changes: dict) -> Recipe:
    return parse_recipe({key: {**base.get(key, {}), **changes.get(key, {})} for key in {*base, *changes}})


@pytest.fixture(scope="module")
def marks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 photos with two labels, none, or both."""
    return write_marks(tmp_path_factory.mktemp("several") / "marks", photos=60)


@pytest.fixture(scope="module")
def dots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 photos with two numbers."""
    return write_dots(tmp_path_factory.mktemp("several") / "dots", photos=60)


@pytest.fixture(scope="module")
def labelled(marks: Path, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The record of a training in the features mode; every label is a reject."""
    recipe = recipe_of(FEATURES, data={"pass": ["none"]}, model={"head": "logistic"})
    return teliti.train(str(marks), recipe=recipe, out=tmp_path_factory.mktemp("several") / "run")


@pytest.fixture(scope="module")
def numbered(dots: Path, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The record of a training on several numbers in the features mode."""
    return teliti.train(
        str(dots), recipe=recipe_of(FEATURES, model=PLACES), out=tmp_path_factory.mktemp("several") / "run"
    )


def test_the_record_measures_labels(labelled: dict) -> None:
    assert (labelled["task"], labelled["classes"], labelled["positive"]) == ("multilabel", ["bar", "blob"], None)
    test = labelled["test"]
    assert test["n"] == 12
    assert test["roc_auc"] > 0.9
    assert [row["label"] for row in test["per_label"]] == ["bar", "blob"]
    assert test["verdicts"]["bad"] + test["verdicts"]["good"] == 12
    assert labelled["threshold"]["value"] is None
    assert [row["label"] for row in labelled["threshold"]["per_label"]] == ["bar", "blob"]
    assert labelled["parity"]["changed_verdicts"] == 0
    counts = labelled["data"]["photo_counts"].values()
    assert [sum(own[key] for own in counts) for key in ("photos", "without_label")] == [60, 20]
    assert json.loads(json.dumps(labelled, allow_nan=False)) == labelled


def test_the_bundle_answers_with_labels(labelled: dict) -> None:
    bundle = open_bundle(Path(labelled["bundle"]))
    assert isinstance(bundle.answers, LabelsDecision)
    assert bundle.decision is None
    predictor = Predictor(bundle, threads=1)
    assert predictor.self_test()["passed"]
    both, neither = predictor.predict([draw_marks(901, bar=True, blob=True), draw_marks(902, bar=False, blob=False)])
    assert (both.verdict, both.labels, both.label) == ("reject", ("bar", "blob"), None)
    assert (neither.verdict, neither.labels, neither.reasons) == ("pass", (), ())
    assert both.score == pytest.approx(max(both.probs.values()))
    assert both.to_record()["labels"] == ["bar", "blob"]


def test_the_network_file_has_the_signature_of_labels(labelled: dict) -> None:
    session = onnxruntime.InferenceSession(str(Path(labelled["bundle"]) / MODEL))
    image = np.random.default_rng(0).integers(0, 255, (3, 64, 64, 3), dtype=np.uint8)
    probs, score, logits, features = session.run(["probs", "score", "logits", "features"], {"image": image})
    assert (probs.shape, score.shape, len(features)) == ((3, 2), (3,), 3)
    np.testing.assert_allclose(probs, 1 / (1 + np.exp(-logits)), atol=1e-6)
    np.testing.assert_allclose(score, probs.max(axis=1))


def test_report_and_card_speak_of_labels(labelled: dict) -> None:
    report = Path(labelled["report"]).read_text(encoding="utf-8")
    for words in ("Label by label", "All labels right", "every label was right", "No label", "Missed defects"):
        assert words in report
    card = (Path(labelled["bundle"]) / "card.md").read_text(encoding="utf-8")
    assert "Finds labels on photos of parts, several or none on one: “bar” and “blob”." in card
    assert "## Results per label" in card
    assert "F1, mean of labels" in card


def test_splits_are_written_as_they_are_read(labelled: dict) -> None:
    with (Path(labelled["run"]) / "splits.csv").open(newline="") as file:
        labels = {row["path"]: row["label"] for row in csv.DictReader(file)}
    assert (labels["000.png"], labels["001.png"], labels["002.png"]) == ("bar;blob", "none", "bar")


def test_evaluate_repeats_the_measures_on_photos_with_one_label_each(labelled: dict, tmp_path: Path) -> None:
    lines = ["path,label"]
    for number in range(4):
        (tmp_path / f"{number}.png").write_bytes(encode_png(draw_marks(700 + number, bar=number % 2 == 0, blob=False)))
        lines.append(f"{number}.png,{'bar' if number % 2 == 0 else 'none'}")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    record = teliti.evaluate(labelled["bundle"], tmp_path, out=tmp_path / "out")
    assert (record["task"], record["test"]["n"], record["classes"]) == ("multilabel", 4, list(LABELS))
    assert record["test"]["verdicts"]["bad"] == 2
    with (tmp_path / "out" / "predictions.csv").open(newline="") as file:
        assert [row["label"] for row in csv.DictReader(file)] == ["bar", "none", "bar", "none"]
    (tmp_path / "labels.csv").write_text("path,label\n0.png,rust\n1.png,none\n")
    with pytest.raises(CatalogError, match=r'Label must be one of bar, blob, got "rust"'):
        teliti.evaluate(labelled["bundle"], tmp_path)


def test_columns_say_the_same_as_names(tmp_path: Path) -> None:
    names, columns = (
        teliti.read_catalog(str(write_marks(tmp_path / str(own), photos=12, columns=own))) for own in (0, 1)
    )
    assert (names.task, names.classes) == (columns.task, columns.classes)
    assert [sample.label for sample in names.samples] == [sample.label for sample in columns.samples]


def test_folds_and_a_rule_for_each_label(marks: Path, tmp_path: Path) -> None:
    recipe = recipe_of(
        FEATURES, data={"folds": 3}, model={"head": "linear_svm"}, decide={"cost": {"miss": 5, "false_alarm": 1}}
    )
    record = teliti.train(str(marks), recipe=recipe, out=tmp_path / "run")
    assert record["test"]["n"] == 60
    assert record["threshold"]["rule"] == "cost"
    assert "verdicts" not in record["test"]  # nothing is rejected: the answer is the list of labels
    answer = teliti.predict(record["bundle"], marks / "000.png")["results"][0]
    assert answer["verdict"] == ";".join(answer["labels"])


def test_tiles_are_combined_label_by_label(marks: Path, tmp_path: Path) -> None:
    values = recipe_of(FEATURES, model={"head": "logistic"}).model_dump(mode="json", exclude_none=True, by_alias=True)
    values["prepare"] = [{"step": "tile", "size": 24, "combine": "max"}]
    record = teliti.train(str(marks), recipe=parse_recipe(values), out=tmp_path / "run")
    assert record["parity"]["changed_verdicts"] == 0
    assert record["test"]["per_label"][0]["recall"] > 0.5


def test_the_record_measures_every_number(numbered: dict) -> None:
    assert (numbered["task"], numbered["classes"], numbered["numbers"]) == ("regression", [], ["x", "y"])
    rows = numbered["test"]["per_number"]
    assert [row["name"] for row in rows] == ["x", "y"]
    assert all(row["mae"] < 0.7 * row["baseline_mae"] for row in rows)
    assert set(numbered["scatters"]) == {"x", "y"}
    bundle = open_bundle(Path(numbered["bundle"]))
    assert bundle.answers == NumberRule(("x", "y"))
    assert Predictor(bundle, threads=1).self_test()["passed"]


def test_every_number_has_its_name_in_an_answer(numbered: dict, dots: Path, tmp_path: Path) -> None:
    answer = teliti.predict(numbered["bundle"], dots / "000.png")["results"][0]
    assert (set(answer["values"]), answer["score"], answer["verdict"]) == ({"x", "y"}, None, None)
    record = teliti.evaluate(numbered["bundle"], dots)
    assert record["test"]["n"] == 60
    turned = write_dots(tmp_path / "turned", photos=6)
    (turned / "labels.csv").write_text(
        (turned / "labels.csv").read_text().replace("label_x,label_y", "label_y,label_x")
    )
    with pytest.raises(CatalogError, match=r"The numbers must be x, y, got y, x\."):
        teliti.evaluate(numbered["bundle"], turned)


def test_report_and_card_speak_of_every_number(numbered: dict) -> None:
    report = Path(numbered["report"]).read_text(encoding="utf-8")
    assert "Number by number" in report
    assert "x: predicted against true" in report
    card = (Path(numbered["bundle"]) / "card.md").read_text(encoding="utf-8")
    assert "Predicts numbers from a photo of a part: “x” and “y”." in card


@pytest.mark.parametrize("mode", ["scratch", "finetune"])
def test_a_network_learns_labels(mode: str, marks: Path, tmp_path: Path) -> None:
    changes = {
        "mode": mode,
        "class_weights": "balanced",
        "batch_norm": "learn",
        "head_epochs": 0,
        "lr": 0.02,
        "epochs": 10,
    }
    recipe = recipe_of(
        NETWORK, data={"positive": "bar"}, model={"weights": "random", "layers": ANYWHERE}, train=changes
    )
    record = teliti.train(str(marks), recipe=recipe, out=tmp_path / "run")
    assert record["history"]["calibration"] == "platt"
    assert record["network"]["outputs"] == 2
    assert record["test"]["roc_auc"] > 0.95
    assert record["parity"]["changed_verdicts"] == 0
    assert {one["verdict"] for one in teliti.predict(record["bundle"], marks)["results"]} == {"pass", "reject"}
    assert open_training_path(open_bundle(Path(record["bundle"])), threads=1).why is None


def test_a_network_learns_from_mixed_photos_with_labels(marks: Path, tmp_path: Path) -> None:
    values = recipe_of(NETWORK, train={"epochs": 2}).model_dump(mode="json", exclude_none=True, by_alias=True)
    values["augment"] = [{"step": "mixup"}, {"step": "cutmix"}]
    record = teliti.train(str(marks), recipe=parse_recipe(values), out=tmp_path / "run")
    assert record["history"]["augment"] == ["mixup", "cutmix"]


@pytest.mark.parametrize("loss", ["mse", "mae"])
def test_a_network_learns_several_numbers(loss: str, dots: Path, tmp_path: Path) -> None:
    values = recipe_of(NETWORK, train={"loss": loss, "epochs": 20}).model_dump(mode="json", exclude_none=True)
    values["prepare"] = [{"step": "standardize"}] if loss == "mae" else []
    record = teliti.train(str(dots), recipe=parse_recipe(values), out=tmp_path / "run")
    assert record["network"]["outputs"] == 2
    assert all(row["mae"] < row["baseline_mae"] for row in record["test"]["per_number"])
    assert record["parity"]["changed_verdicts"] == 0
    bundle = open_bundle(Path(record["bundle"]))
    path = open_training_path(bundle, threads=1)  # the network comes back from the run's checkpoint
    assert (path.name, path.why) == (TRAINED, None)
    trained = Predictor(bundle, threads=1, session=path.session)
    for golden in bundle.golden:
        answer = trained.score_files([(bundle.path / golden.file).read_bytes()])
        np.testing.assert_allclose(answer, golden.outputs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"data": {"positive": "dent"}}, RecipeError, r'data\.positive must be one of "bar", "blob", got "dent"'),
        ({"data": {"pass": ["bar", "blob"]}}, RecipeError, r"data\.pass must leave at least one label to reject"),
        ({"model": {"head": "softmax"}}, RecipeError, r"model\.head must be one of logistic, linear_svm, rbf_svm"),
        ({"data": {"task": "classification"}}, SplitError, r'Class "bar;blob" must have at least'),
        ({"data": {"folds": 40}}, SplitError, r"separate photos for 40 folds"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_sentence(
    changes: dict, error: type[Exception], message: str, marks: Path, tmp_path: Path
) -> None:
    photos = 12 if "task" in str(changes) else 60
    source = write_marks(tmp_path / "few", photos=photos) if photos == 12 else marks
    with pytest.raises(error, match=message):
        teliti.train(str(source), recipe=recipe_of(FEATURES, **changes), out=tmp_path / "run")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["bar;blob", "bar", "bar", "bar;blob"], r'must have photos without each label, got none without "bar"'),
        (["bar", "none", "", "bar"], r"must have at least two labels, got bar"),
    ],
)
def test_labels_that_cannot_be_learnt_are_refused(rows: list[str], message: str, tmp_path: Path) -> None:
    lines = ["path,label"]
    for number, label in enumerate(rows):
        (tmp_path / f"{number}.png").write_bytes(encode_png(draw_marks(number, bar=True, blob=False)))
        lines.append(f"{number}.png,{label}")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    with pytest.raises(CatalogError, match=message):
        teliti.train(str(tmp_path), recipe=recipe_of(FEATURES, data={"task": "multilabel"}), out=tmp_path / "run")


def test_the_policy_search_says_that_it_needs_one_label_a_photo(marks: Path) -> None:
    from teliti.cache import RowCache
    from teliti.types import SilentReporter
    from teliti.workflow.policies.photos import open_trial_photos

    with pytest.raises(UserError, match="The search for a policy needs photos with one class or one number each"):
        open_trial_photos(str(marks), recipe_of(FEATURES), cache=RowCache(), reporter=SilentReporter(), most_views=2)


def test_prepared_photos_keep_their_labels_and_numbers(tmp_path: Path) -> None:
    for kind, write in (("marks", write_marks), ("dots", write_dots)):
        catalog = teliti.read_catalog(str(write(tmp_path / kind, photos=12)))
        made = {sample.name: [sample.name] for sample in catalog.samples}
        assert choose_layout(catalog, has_tiles=False) == "label file"
        write_labels(tmp_path / kind, catalog, made)
        again = teliti.read_catalog(str(tmp_path / kind))
        assert (again.task, again.classes, again.number_names) == (catalog.task, catalog.classes, catalog.number_names)
        assert [sample.label for sample in again.samples] == [sample.label for sample in catalog.samples]


def test_check_looks_at_the_photos_and_leaves_several_labels_alone(marks: Path, tmp_path: Path) -> None:
    record = check(marks, features=False)
    assert record["photos"] == 60
    assert not [finding for finding in record["findings"] if finding["severity"] == "error"]
    with pytest.raises(UserError, match="has several labels or numbers a photo, and a fix names one"):
        clean(marks, fixes=tmp_path / "fixes.csv", out=tmp_path / "cleaned.csv")


@pytest.mark.parametrize("kind", ["labelled", "numbered"])
def test_the_trained_network_is_compared_with_the_export(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """R23: of a frozen backbone, by labels and by numbers, on the sealed photos of the run."""
    record = export(request.getfixturevalue(kind)["bundle"], ExportOptions(to="onnx"), out=tmp_path / "out")
    training = record["training_path"]
    assert (training["by"], training["why"], training["changed_verdicts"]) == (TRAINED, None, 0)
    assert record["photos"] == training["photos"] == 12


def test_a_line_takes_labels_but_not_several_numbers(labelled: dict, numbered: dict) -> None:
    inspector = Inspector(labelled["bundle"], threads=1)
    assert (inspector.classes, inspector.threshold) == (LABELS, None)
    (answer,) = inspector.inspect([Photo("a.png", encode_png(draw_marks(901, bar=True, blob=False)))])
    assert (answer.verdict, answer.labels) == ("reject", ("bar",))
    with pytest.raises(UserError, match="predicts several numbers a photo, and a line needs one answer a part"):
        Inspector(numbered["bundle"], threads=1)
