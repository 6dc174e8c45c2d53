"""Train: the whole job on made-up parts; the same bits twice, and after an interruption at any place."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path

import pytest

import teliti
from parts import draw_part, encode_png, write_parts
from teliti.bundle import MODEL, SEEN_FILE, WEIGHTS, open_bundle
from teliti.errors import (
    CatalogError,
    MissingExtraError,
    ParityError,
    RecipeError,
    RunInterrupted,
    SplitError,
    UserError,
)
from teliti.export import Parity
from teliti.files import hash_file, write_text_atomic
from teliti.recipe import Recipe, load_recipe, override_recipe, parse_recipe
from teliti.training.features import engines
from teliti.types import SilentReporter
from teliti.workflow import train as train_module
from teliti.workflow.learning import testing as testing_module
from teliti.workflow.shared.run_folder import RunFolder

TINY_RECIPE = {
    "data": {"image_size": 64, "folds": 0},
    "model": {"stages": ["head"], "pooling": "avg", "head": "logistic", "c": 1.0},
    "train": {"engine": "onnxruntime", "threads": 1},
}
"""As asked for `trained_record`."""

OF_ONE_RUN = ("run", "bundle", "report", "created", "seconds", "features_computed", "command", "environment", "history",
              "title")  # fmt: skip


@pytest.fixture(scope="module")
def recipe(trained_record: dict) -> Recipe:
    """The recipe of `trained_record`, resolved."""
    return load_recipe(Path(trained_record["run"]) / "recipe.toml")


def bits_of(record: dict) -> dict[str, str]:
    """SHA-256 of every file of a bundle that must not differ between two runs."""
    bundle = Path(record["bundle"])
    names = [MODEL, WEIGHTS, SEEN_FILE, *(f"golden/{number}" for number in range(6))]
    return {name: hash_file(bundle / name) for name in names}


def numbers_of(record: dict) -> dict:
    """A record without what differs between two runs."""
    return {key: value for key, value in record.items() if key not in OF_ONE_RUN}


def test_the_run_folder_holds_everything(trained_record: dict) -> None:
    run = Path(trained_record["run"])
    assert {path.name for path in run.iterdir()} == {
        "bundle", "environment.json", "history.json", "metrics.json", "recipe.toml", "refused.csv", "report.html",
        "run.json", "splits.csv",
    }  # fmt: skip
    assert json.loads((run / "metrics.json").read_text()) == trained_record
    state = json.loads((run / "run.json").read_text())
    assert (state["state"], state["record"]) == ("done", trained_record)
    assert json.loads((run / "history.json").read_text()) == trained_record["history"]
    assert json.loads((run / "environment.json").read_text())["threads"] == 1
    report = (run / "report.html").read_text(encoding="utf-8")
    assert "<!doctype html>" in report.lower()
    shown = (
        "Verdict",
        "Confusion matrix",
        "Sample photos",
        "As the network sees it",
        "Settings tried",
        "Make it again",
    )
    assert [heading for heading in shown if heading not in report] == []
    with (run / "splits.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 48


def test_it_learns_what_a_scratch_is(trained_record: dict) -> None:
    assert trained_record["test"]["roc_auc"] > 0.8
    assert trained_record["parity"]["changed_verdicts"] == 0


def test_the_recipe_in_the_folder_has_no_auto_left(recipe: Recipe) -> None:
    assert (recipe.data.positive, recipe.data.image_size, recipe.data.folds) == ("scratch", (64, 64), 0)
    assert (recipe.model.stages, recipe.train.engine, recipe.train.mode) == (("head",), "onnxruntime", "features")
    assert recipe.train.threads == 1


def test_the_golden_photos_are_sealed_ones_of_every_class(trained_record: dict) -> None:
    run = Path(trained_record["run"])
    with (run / "splits.csv").open(newline="") as file:
        part = {row["path"]: row["split"] for row in csv.DictReader(file)}
    golden = open_bundle(run / "bundle").golden
    assert {part[photo.name] for photo in golden} == {"test"}
    assert {photo.name.split("/")[0] for photo in golden} == {"good", "scratch"}


def test_two_runs_of_one_resolved_recipe_have_the_same_bits(
    trained_record: dict, recipe: Recipe, parts_folder: Path, tmp_path: Path
) -> None:
    again = teliti.train(str(parts_folder), recipe=recipe, out=tmp_path / "again")
    assert bits_of(again) == bits_of(trained_record)
    sentence = {"positive_sentence": '"scratch" is the positive class, as data.positive says.'}
    assert numbers_of(again) == numbers_of(trained_record) | sentence
    assert again["features_computed"] == 0


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (train_module, "write_inputs"),
        (train_module, "try_setup"),
        (train_module, "pack_bundle"),
        (testing_module, "check_parity"),
        (train_module, "write_report"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_interrupted_run_is_finished_to_the_same_bits(
    module: object, name: str, trained_record: dict, parts_folder: Path, tmp_path: Path, interrupt
) -> None:
    interrupt(module, name)
    with pytest.raises(RunInterrupted) as caught:
        teliti.train(str(parts_folder), recipe=parse_recipe(TINY_RECIPE), out=tmp_path / "run")
    assert caught.value.run == tmp_path / "run"
    assert not (tmp_path / "run" / "lock.json").exists()
    assert json.loads((tmp_path / "run" / "run.json").read_text())["state"] == "started"
    record = teliti.resume(tmp_path / "run")
    assert bits_of(record) == bits_of(trained_record)
    assert numbers_of(record) == numbers_of(trained_record)
    assert record["features_computed"] == 0


def test_an_interruption_among_the_features_resumes_with_the_rest(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = write_parts(tmp_path / "parts", per_class=20, seed=900)
    monkeypatch.setattr("teliti.training.features.extraction._ROWS_PER_WRITE", 16)
    compute, calls = engines._OnnxRuntimeEngine._compute, []

    def stop_among_them(self: object, batch: object) -> object:
        calls.append(len(batch))
        if len(calls) == 25:
            raise KeyboardInterrupt
        return compute(self, batch)

    monkeypatch.setattr(engines._OnnxRuntimeEngine, "_compute", stop_among_them)
    with pytest.raises(RunInterrupted):
        teliti.train(str(photos), recipe=recipe, out=tmp_path / "run")
    resumed = teliti.resume(tmp_path / "run")
    assert 0 < resumed["features_computed"] < 40
    uninterrupted = teliti.train(str(photos), recipe=recipe, out=tmp_path / "other")
    assert bits_of(resumed) == bits_of(uninterrupted)
    assert numbers_of(resumed) == numbers_of(uninterrupted)


def test_a_finished_run_is_read_back(trained_record: dict) -> None:
    notes: list[str] = []

    class Watching(SilentReporter):
        def note(self, message: str) -> None:
            notes.append(message)

    assert teliti.resume(trained_record["run"], reporter=Watching()) == trained_record
    assert notes == ["This run is finished already."]


def test_a_folder_that_is_no_run_cannot_be_resumed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a run folder"):
        teliti.resume(tmp_path)


def test_photos_that_changed_since_are_noticed(recipe: Recipe, tmp_path: Path, interrupt) -> None:
    photos = write_parts(tmp_path / "parts", per_class=8, seed=300)
    interrupt(train_module, "try_setup")
    with pytest.raises(RunInterrupted):
        teliti.train(photos, recipe=recipe, out=tmp_path / "run")
    first, second, third = sorted((photos / "good").iterdir())[:3]

    def refusal() -> str:
        with pytest.raises(UserError, match="that the run began with") as error:
            teliti.resume(tmp_path / "run")
        assert error.value.hint is not None
        assert error.value.hint.endswith("or start a new run.")
        return error.value.message

    first.write_bytes(encode_png(draw_part(7001, scratched=False)))
    assert refusal().endswith(f'began with, and "good/{first.name}" is changed.')
    third.write_bytes(encode_png(draw_part(7002, scratched=False)))
    assert refusal().endswith(f'began with, and "good/{first.name}" and 1 more are changed.')
    second.rename(photos / "scratch" / "moved.png")
    assert refusal().endswith(f'began with, and "good/{second.name}" is gone or not readable.')
    photos.rename(tmp_path / "elsewhere")
    assert refusal() == f'The photos that the run began with cannot be read: "{photos}" does not exist.'


def test_a_photo_that_is_new_or_labelled_anew_is_noticed(recipe: Recipe, tmp_path: Path, interrupt) -> None:
    photos = write_parts(tmp_path / "parts", per_class=8, seed=302)
    names = sorted(f"{path.parent.name}/{path.name}" for path in photos.glob("*/*.png"))
    labels, rows = photos / "labels.csv", [f"{name},{name.partition('/')[0]}" for name in names]
    labels.write_text("\n".join(["path,label", *rows[:-1]]))
    interrupt(train_module, "try_setup")
    with pytest.raises(RunInterrupted):
        teliti.train(labels, recipe=recipe, out=tmp_path / "run")
    for changed, words in (
        (rows, f'and "{names[-1]}" is new.'),
        ([f"{names[0]},scratch", *rows[1:-1]], f'and "{names[0]}" is labelled anew.'),
    ):
        labels.write_text("\n".join(["path,label", *changed]))
        with pytest.raises(UserError, match="that the run began with") as error:
            teliti.resume(tmp_path / "run")
        assert error.value.message.endswith(words)


def test_a_new_photo_among_negative_numbers_is_told_as_new(recipe: Recipe, tmp_path: Path, interrupt) -> None:
    photos = write_parts(tmp_path / "parts", per_class=8, seed=303)
    first = min(photos.glob("*/*.png"))
    first.rename(os.fsdecode(os.fsencode(first.parent) + b"/\xff.png"))  # no UTF-8
    names = sorted(f"{path.parent.name}/{path.name}" for path in photos.glob("*/*.png"))
    rows = [f"{name},{number - 9.5}" for number, name in enumerate(names)]
    write_text_atomic(photos / "labels.csv", "\n".join(["path,label", *rows[:-1]]))
    interrupt(train_module, "try_setup")
    with pytest.raises(RunInterrupted):
        teliti.train(photos / "labels.csv", recipe=recipe, out=tmp_path / "run")
    write_text_atomic(photos / "labels.csv", "\n".join(["path,label", *rows]))
    with pytest.raises(UserError, match="that the run began with") as error:
        teliti.resume(tmp_path / "run")
    assert error.value.message.endswith(f'and "{names[-1]}" is new.')


def test_a_run_is_resumed_from_any_folder(
    recipe: Recipe, tmp_path: Path, interrupt, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_parts(tmp_path / "parts", per_class=8, seed=301)
    interrupt(train_module, "try_setup")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunInterrupted):
        teliti.train("parts", recipe=recipe, out=tmp_path / "run")
    monkeypatch.chdir("/")
    assert teliti.resume(tmp_path / "run")["data"]["photos"] == 16


def test_a_run_in_use_cannot_be_resumed(recipe: Recipe, parts_folder: Path, tmp_path: Path, interrupt) -> None:
    interrupt(train_module, "write_inputs")
    with pytest.raises(RunInterrupted):
        teliti.train(str(parts_folder), recipe=recipe, out=tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    with folder.locked(), pytest.raises(UserError, match=rf"is in use by process {os.getpid()}"):
        teliti.resume(folder.path)


def test_a_changed_verdict_fails_the_run_and_leaves_no_bundle_to_use(
    recipe: Recipe, parts_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Parity, "holds", False)
    with pytest.raises(ParityError, match="answers differently from the trained one"):
        teliti.train(str(parts_folder), recipe=recipe, out=tmp_path / "run")
    with pytest.raises(UserError, match="is not a bundle"):
        open_bundle(tmp_path / "run" / "bundle")


def test_folds_measure_every_photo(recipe: Recipe, parts_folder: Path, tmp_path: Path) -> None:
    folded = override_recipe(recipe, {"data": {"folds": 3}})
    record = teliti.train(str(parts_folder), recipe=folded, out=tmp_path / "run")
    assert record["test"]["n"] == record["parity"]["photos"] == 48
    assert record["data"]["split"]["folds"] == 3
    assert record["features_computed"] == 0
    assert len((tmp_path / "run" / "bundle" / SEEN_FILE).read_text().split()) == 48


def test_numbers_as_labels_give_a_regression(parts_folder: Path, tmp_path: Path) -> None:
    photos = tmp_path / "parts"
    shutil.copytree(parts_folder, photos)
    names = sorted(path.relative_to(photos).as_posix() for path in photos.rglob("*.png"))
    rows = [f"{name},{1.5 if name.startswith('scratch') else 0.25}" for name in names]
    (photos / "labels.csv").write_text("path,label\n" + "\n".join(rows) + "\n")
    numbers = override_recipe(parse_recipe(TINY_RECIPE), {"model": {"head": "ridge"}})
    record = teliti.train(photos / "labels.csv", recipe=numbers, out=tmp_path / "run")
    assert (record["task"], record["positive"], record["classes"]) == ("regression", None, [])
    assert set(record["test"]) >= {"n", "mae", "rmse", "r2"}
    assert teliti.Predictor.open(record["bundle"]).self_test()["passed"]


def test_the_recipe_may_be_a_file(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text("[modle]\n")
    with pytest.raises(RecipeError, match=r'modle is not a recipe key\. Did you mean "model"\?'):
        teliti.train("elpv", recipe=path)
    with pytest.raises(RecipeError, match="does not exist"):
        teliti.train("elpv", recipe=str(tmp_path / "none.toml"))


@pytest.mark.parametrize("case", ["missing", "empty", "one class", "too few"])
def test_a_mistake_in_the_data_is_one_sentence_and_leaves_nothing_behind(
    case: str, recipe: Recipe, tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    if case != "missing":
        photos.mkdir()
    if case in {"one class", "too few"}:
        write_parts(photos, per_class=1)
    if case == "one class":
        shutil.rmtree(photos / "scratch")
    with pytest.raises((CatalogError, SplitError)) as caught:
        teliti.train(photos, recipe=recipe, out=tmp_path / "run")
    assert caught.value.exit_code == 2
    assert caught.value.hint
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("mode", "engine"),  # a network learns on the GPU whatever computes the features of the frozen one
    [("features", "auto"), ("auto", "torch"), ("finetune", "onnxruntime"), ("scratch", "openvino")],
)
def test_a_gpu_that_is_not_there_is_refused_before_a_photo_is_read(
    mode: str, engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    asked = parse_recipe({"train": {"mode": mode, "device": "cuda", "engine": engine}})
    with pytest.raises(RecipeError, match=r"train\.device must be cpu here, got cuda: torch finds no GPU"):
        teliti.train(tmp_path / "no photos", recipe=asked, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_out_that_is_taken_is_refused(trained_record: dict, recipe: Recipe, parts_folder: Path) -> None:
    with pytest.raises(UserError, match="--out must be a new or an empty folder"):
        teliti.train(str(parts_folder), recipe=recipe, out=trained_record["run"])


@pytest.mark.parametrize("library", ["torch", "timm", "sklearn", "onnx"])
def test_without_the_extra_the_sentence_has_the_install_command(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("teliti.runtime.is_installed", lambda name: name != library)
    monkeypatch.setattr(train_module, "is_installed", lambda name: name != library)
    with pytest.raises(MissingExtraError, match=f"{library} is needed to train and is not installed") as caught:
        teliti.train("elpv")
    assert caught.value.hint == 'Install it with: pip install "teliti[train]"'


def test_the_command_and_the_progress_are_told(recipe: Recipe, parts_folder: Path, tmp_path: Path) -> None:
    titles: list[str] = []

    class Watching(SilentReporter):
        def task(self, title: str, total: int | None):
            titles.append(title)
            return super().task(title, total)

    record = teliti.train(
        str(parts_folder), recipe=recipe, out=tmp_path / "run", reporter=Watching(), command="teliti train mine"
    )
    assert record["command"] == "teliti train mine"
    assert titles[0] == "Reading photos"
    assert "Testing, exported network beside torch" in titles
