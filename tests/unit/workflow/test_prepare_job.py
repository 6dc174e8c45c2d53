"""Whole jobs with prepare and augment steps: trained, packed, inspected by every door, resumed, made again."""

from __future__ import annotations

import csv
import json
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

import teliti
from parts import draw_part, encode_png
from teliti.bundle import MODEL, SEEN_FILE, WEIGHTS, open_bundle
from teliti.cache import cache_folder
from teliti.cli.main import main
from teliti.errors import PhotoRefused, RecipeError, RunInterrupted, UserError
from teliti.files import hash_file
from teliti.predictor import Predictor
from teliti.recipe import load_recipe, override_recipe
from teliti.training.features import engines
from teliti.types import SilentReporter
from teliti.workflow.compare_variants import compare_variants
from unit.workflow.prepare_jobs import JOBS, PARTS, SCRATCH, recipe_of, write_mask, write_split

SOURCE = Path(teliti.__file__).parents[1]
INTERRUPTED = {"standardize and whiten": 20, "augmented views": 48 + 15}


@pytest.fixture(scope="module")
def split_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_split(tmp_path_factory.mktemp("split") / "parts")


@pytest.fixture(scope="module")
def masked_folder(split_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same photos with masks beside them, but one mask is missing and one has another size."""
    folder = tmp_path_factory.mktemp("masked") / "parts"
    shutil.copytree(split_folder, folder)
    for photo in list(folder.rglob("*.png")):
        write_mask(photo.with_name(f"{photo.stem}_mask.png"))
    (folder / "train" / "good" / "good-1_mask.png").unlink()
    write_mask(folder / "train" / "scratch" / "scratch-2_mask.png", side=40)
    return folder


@pytest.fixture(scope="module")
def masked_archive(split_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same photos in an archive, with their masks in a folder of each part."""
    folder = tmp_path_factory.mktemp("archive")
    write_mask(folder / "mask.png")
    with zipfile.ZipFile(folder / "parts.zip", "w") as archive:
        for photo in sorted(split_folder.rglob("*.png")):
            name = photo.relative_to(split_folder)
            archive.write(photo, name)
            archive.write(folder / "mask.png", name.parts[0] + f"/masks/{photo.name}")
    return folder / "parts.zip"


@dataclass(frozen=True)
class Trained:
    """A job that was trained."""

    name: str
    source: Path
    record: dict

    @property
    def bundle(self) -> Path:
        return Path(self.record["bundle"])


@pytest.fixture(scope="module", params=JOBS)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    sources = {"masks in a folder": "masked_folder", "masks in an archive": "masked_archive"}
    source = request.getfixturevalue(sources.get(request.param, "split_folder"))
    out = tmp_path_factory.mktemp("run") / "run"
    return Trained(request.param, source, teliti.train(str(source), recipe=recipe_of(request.param), out=out))


def bits_of(record: dict) -> dict[str, str]:
    """SHA-256 of every file of a bundle that must not differ between two runs."""
    bundle = Path(record["bundle"])
    names = [MODEL, WEIGHTS, SEEN_FILE, *(f"golden/{number}" for number in range(6))]
    return {name: hash_file(bundle / name) for name in names}


MEASURED = ("val", "test", "threshold", "parity", "mistakes", "curves")


def numbers_of(record: dict) -> dict:
    return {name: record[name] for name in MEASURED}


def run(*words: object) -> int:
    return main([str(word) for word in words])


def test_the_exported_file_is_the_trained_network(trained: Trained) -> None:
    assert trained.record["parity"]["photos"] == 2 * PARTS["test"]
    assert trained.record["parity"]["changed_verdicts"] == 0
    assert trained.record["parity"]["max_logit_difference"] <= 1e-4
    test = Predictor.open(trained.bundle).self_test()
    assert (test["photos"], test["passed"]) == (6, True)


def test_the_command_and_python_give_a_photo_the_same_score_and_verdict(
    trained: Trained, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("predict", trained.bundle, trained.source, "--json") == 0
    answers = json.loads(capfd.readouterr().out)["results"]
    predictor = Predictor.open(trained.bundle)
    if trained.source.suffix == ".zip":
        with zipfile.ZipFile(trained.source) as archive:
            archive.extractall(tmp_path)
    here = tmp_path if trained.source.suffix == ".zip" else trained.source
    photos = [here / Path(answer["path"]).relative_to(trained.source) for answer in answers]
    assert len(photos) == (46 if trained.name == "masks in a folder" else 48)
    for answer, prediction in zip(answers, predictor.predict(photos), strict=True):
        assert answer["score"] == pytest.approx(prediction.score, abs=1e-5)
        assert answer["verdict"] == prediction.verdict
    assert run("predict", trained.bundle, photos[0], "--json") == 0  # alone and by its path
    assert json.loads(capfd.readouterr().out)["results"][0]["score"] == pytest.approx(answers[0]["score"], abs=1e-5)
    assert len({round(answer["score"], 6) for answer in answers}) > 10


def test_evaluate_repeats_the_test_measures(trained: Trained) -> None:
    again = teliti.evaluate(trained.bundle, trained.source)
    assert again["test"]["confusion_matrix"] == trained.record["test"]["confusion_matrix"]
    for name in ("n", "accuracy", "roc_auc", "log_loss", "brier"):
        assert again["test"][name] == pytest.approx(trained.record["test"][name], abs=1e-6)
    assert again["seen"] == 0


def resolved_recipe(trained: Trained) -> teliti.Recipe:
    return load_recipe(Path(trained.record["run"]) / "recipe.toml")


@pytest.mark.parametrize("trained", [name for name in JOBS if name not in INTERRUPTED], indirect=True)
def test_the_resolved_recipe_trained_again_gives_the_same_bits(trained: Trained, tmp_path: Path) -> None:
    again = teliti.train(str(trained.source), recipe=resolved_recipe(trained), out=tmp_path / "again")
    assert bits_of(again) == bits_of(trained.record)
    assert numbers_of(again) == numbers_of(trained.record)


@pytest.fixture
def forgetful(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache that knows the exported networks and no photo."""
    shutil.copytree(cache_folder() / "files", tmp_path / "cache" / "files")
    monkeypatch.setenv("TELITI_CACHE", str(tmp_path / "cache"))


@pytest.mark.usefixtures("forgetful")
@pytest.mark.parametrize("trained", INTERRUPTED, indirect=True)
def test_the_resolved_recipe_interrupted_and_resumed_gives_the_same_bits(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute, calls = engines._OnnxRuntimeEngine._compute, []

    def stop(self: object, batch: np.ndarray) -> np.ndarray:
        calls.append(len(batch))
        if len(calls) == INTERRUPTED[trained.name]:
            raise KeyboardInterrupt
        return compute(self, batch)

    monkeypatch.setattr("teliti.training.features.extraction._ROWS_PER_WRITE", 4)
    monkeypatch.setattr(engines._OnnxRuntimeEngine, "_compute", stop)
    with pytest.raises(RunInterrupted):
        teliti.train(str(trained.source), recipe=resolved_recipe(trained), out=tmp_path / "run")
    resumed = teliti.resume(tmp_path / "run")
    recipe = resolved_recipe(trained)
    whole = 2 * (sum(PARTS.values()) + (recipe.train.views if recipe.augment else 0) * PARTS["train"])
    assert 0 < resumed["features_computed"] < whole
    assert bits_of(resumed) == bits_of(trained.record)
    assert numbers_of(resumed) == numbers_of(trained.record)


class Impatient(SilentReporter):
    """Presses Ctrl-C when the first epoch is over."""

    def epoch(self, row: dict) -> None:  # noqa: ARG002
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    "trained", ["tiles for a network", "standardize and whiten for a network"], indirect=True
)  # fmt: skip
def test_a_network_that_was_interrupted_and_resumed_has_the_same_bits(trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(RunInterrupted):
        teliti.train(str(trained.source), recipe=resolved_recipe(trained), out=tmp_path / "run", reporter=Impatient())
    assert list((tmp_path / "run" / "checkpoints").glob("*.safetensors"))
    resumed = teliti.resume(tmp_path / "run")
    assert bits_of(resumed) == bits_of(trained.record)
    assert numbers_of(resumed) == numbers_of(trained.record)


@pytest.mark.parametrize("trained", ["tiles", "tiles for a network"], indirect=True)
def test_the_worst_tile_speaks_for_the_photo(trained: Trained) -> None:
    predictor = Predictor.open(trained.bundle)
    photo = draw_part(3001, scratched=True)
    tiles = predictor.bundle.chain.views(photo)
    assert len(tiles) == 4
    probs = np.concatenate([predictor.score_batch(tile[None]).outputs for tile in tiles])
    answer = predictor.predict([photo])[0]
    assert answer.score == pytest.approx(float(probs[:, 1].max()), abs=1e-6)
    assert len({round(float(score), 6) for score in probs[:, 1]}) == 4


@pytest.mark.parametrize(
    "trained", ["standardize and whiten", "standardize and whiten for a network"], indirect=True
)  # fmt: skip
def test_the_numbers_are_fitted_on_the_training_part_and_kept_in_the_bundle(trained: Trained) -> None:
    from safetensors.numpy import load_file

    kept = load_file(trained.bundle / WEIGHTS)
    assert kept["numbers.1.matrix"].shape == (16 * 16 * 3, 16 * 16 * 3)
    chain = open_bundle(trained.bundle).chain
    pixels = np.stack([
        chain(cv2.imread(str(path))[..., ::-1]) for path in sorted((trained.source / "train").rglob("*.png"))
    ])  # fmt: skip
    np.testing.assert_allclose(kept["numbers.0.mean"], pixels.mean(axis=(0, 1, 2)), rtol=1e-9)
    np.testing.assert_allclose(kept["numbers.0.std"], pixels.std(axis=(0, 1, 2)), rtol=1e-9)
    backbone = open_bundle(trained.bundle).manifest["provenance"]["backbone"]
    assert (backbone["mean"], backbone["std"]) == (None, None)  # the steps stand in their place


@pytest.mark.parametrize("trained", ["masks in a folder"], indirect=True)
def test_photos_without_a_fitting_mask_are_refused_and_the_run_goes_on(trained: Trained) -> None:
    with (Path(trained.record["run"]) / "refused.csv").open(newline="") as file:
        refused = {row["path"]: row["reason"] for row in csv.DictReader(file)}
    assert refused == {
        "train/good/good-1.png": '"good-1_mask.png" beside it: the file does not exist (any more)',
        "train/scratch/scratch-2.png": '"scratch-2_mask.png" beside it: 40x40, and the photo is 48x48',
    }
    assert trained.record["refused"] == 2
    with (Path(trained.record["run"]) / "splits.csv").open(newline="") as file:
        used = [row["path"] for row in csv.DictReader(file)]
    assert len(used) + len(refused) == 48
    assert not any("mask" in path for path in used)


@pytest.mark.parametrize("trained", ["masks in a folder"], indirect=True)
def test_a_photo_without_its_mask_is_refused_at_inspection(trained: Trained, capfd: pytest.CaptureFixture[str]) -> None:
    folder = trained.source / "train" / "good"
    assert run("predict", trained.bundle, folder, "--json") == 0
    record = json.loads(capfd.readouterr().out)
    assert len(record["results"]) == PARTS["train"] - 1
    reason = 'prepare step 1 (mask_from_file): "good-1_mask.png" beside it: the file does not exist (any more)'
    assert record["refused"] == [{"path": str(folder / "good-1.png"), "reason": reason}]
    assert run("predict", trained.bundle, folder, "--json", "--fail-on", "reject") == 3
    assert "1 refused" in capfd.readouterr().err
    predictor = Predictor.open(trained.bundle)
    with pytest.raises(PhotoRefused, match=r'good-1\.png" cannot be used: .*"good-1_mask\.png" beside it'):
        predictor.predict([folder / "good-1.png"])
    with pytest.raises(UserError, match=r"a mask file beside each photo .*, and a bare array has none") as caught:
        predictor.predict([draw_part(1, scratched=False)])
    assert caught.value.hint == "Give the photo by its path, or take mask_from_file out of the recipe."
    with pytest.raises(UserError, match="and a bare array has none"):
        predictor.predict([(folder / "good-2.png").read_bytes()])


@pytest.mark.parametrize("trained", ["masks in a folder"], indirect=True)
def test_another_mask_is_another_answer(trained: Trained, tmp_path: Path) -> None:
    for name in ("scratch-0.png", "scratch-0_mask.png"):
        shutil.copy(trained.source / "test" / "scratch" / name, tmp_path)
    predictor = Predictor.open(trained.bundle)
    before = predictor.predict([tmp_path / "scratch-0.png"])[0]
    (tmp_path / "scratch-0_mask.png").write_bytes(encode_png(np.full((48, 48, 3), 255, np.uint8)))
    after = predictor.predict([tmp_path / "scratch-0.png"])[0]
    assert after.score != before.score


@pytest.mark.parametrize("step", [{"step": "standardize"}, {"step": "center"}, {"step": "zca"}])
def test_a_step_fitted_on_photos_is_refused_with_folds(step: dict, parts_folder: Path, tmp_path: Path) -> None:
    recipe = recipe_of("tiles", data={"image_size": 16, "folds": 3}, prepare=[step])
    with pytest.raises(RecipeError, match=f"{step['step']} is fitted on the training part, and with folds") as caught:
        teliti.train(str(parts_folder), recipe=recipe, out=tmp_path / "run")
    assert caught.value.hint == 'Set data.folds = 0, or take center or standardize with by = "sample".'


def test_the_worst_tile_is_refused_before_anything_long_where_no_class_is_bad(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "parts"
    for number in range(24):
        path = folder / "abc"[number % 3] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_png(draw_part(4000 + number, scratched=False)))

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("features are computed")

    monkeypatch.setattr("teliti.workflow.shared.setup.compute_features", refuse)
    recipe = recipe_of("tiles")
    with pytest.raises(RecipeError, match=r'combine = "max", which takes the tile most likely rejected') as caught:
        teliti.train(str(folder), recipe=recipe, out=tmp_path / "run")
    assert caught.value.hint == 'Set data.positive or data.pass, or combine = "mean".'


@pytest.mark.parametrize("trained", ["tiles for a network"], indirect=True)
def test_a_network_learns_from_tiles_and_its_photos_are_counted(trained: Trained) -> None:
    assert trained.record["history"]["photos"] == {
        "learnt": 2 * PARTS["train"], "chosen_on": 2 * PARTS["val"], "chooser": "validation photos",
    }  # fmt: skip
    assert sum(trained.record["history"]["rows"][-1]["val_predicted"]) == 4 * 2 * PARTS["val"]  # measured on tiles
    assert trained.record["test"]["n"] == 2 * PARTS["test"]


def test_a_network_without_a_val_part_fits_its_numbers_on_what_it_learns_from(
    split_folder: Path, tmp_path: Path
) -> None:
    from safetensors.numpy import load_file

    source = tmp_path / "parts"
    for part in ("train", "test"):
        shutil.copytree(split_folder / part, source / part)
    record = teliti.train(str(source), recipe=recipe_of("standardize and whiten for a network"), out=tmp_path / "run")
    learnt, photos = record["history"]["photos"]["learnt"], 2 * PARTS["train"]
    assert record["history"]["photos"]["chooser"] == "held-out training photos"
    assert 0 < learnt < photos
    kept = load_file(Path(record["bundle"]) / WEIGHTS)
    chain = open_bundle(Path(record["bundle"])).chain
    everyone = np.stack([chain(cv2.imread(str(path))[..., ::-1]) for path in sorted((source / "train").rglob("*.png"))])
    assert not np.allclose(kept["numbers.0.mean"], everyone.mean(axis=(0, 1, 2)), rtol=1e-6)


def test_the_worst_tile_of_a_network_needs_a_class_to_reject(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / "parts" / name).mkdir(parents=True)
        for number in range(6):
            photo = encode_png(draw_part(ord(name) * 100 + number, scratched=name == "a"))
            (tmp_path / "parts" / name / f"{number}.png").write_bytes(photo)
    with pytest.raises(RecipeError, match=r'combine = "max", which takes the tile most likely rejected'):
        teliti.train(str(tmp_path / "parts"), recipe=recipe_of("tiles for a network"), out=tmp_path / "run")


def test_variants_with_tiles_and_numbers_are_compared_in_a_network_mode(parts_folder: Path) -> None:
    job = recipe_of("tiles for a network", data={"image_size": 32}, train={**SCRATCH, "threads": 1, "epochs": 1})
    variants = {
        "none": override_recipe(job, {"prepare": []}),
        "tiles": job,
        "numbers": override_recipe(job, {"prepare": [{"step": "standardize"}]}),
    }
    rows = compare_variants(variants, str(parts_folder), repeats=2)["rows"]
    accuracies = {row["factors"]["variant"]: row["measures"]["accuracy"]["values"] for row in rows}
    assert {name: len(values) for name, values in accuracies.items()} == dict.fromkeys(variants, 2)
