"""Masks beside photos: they are no photos and no class, nobody need list them, and every mode learns with them."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

import teliti
from handmade import write_brightness_bundle
from parts import draw_part, encode_png
from plants import CLASSES, write_plant
from teliti.bundle import MANIFEST, open_bundle
from teliti.cache import RowCache
from teliti.errors import CatalogError, RunInterrupted, UserError
from teliti.recipe import Recipe, parse_recipe
from teliti.transforms.prepare import chain_from_record
from teliti.types import SilentReporter
from teliti.workflow import train as train_module
from teliti.workflow.augment import augment
from teliti.workflow.augment_preview import preview_augmented
from teliti.workflow.check import check, clean
from teliti.workflow.exports.int8 import _unlabelled
from teliti.workflow.flips import compare
from teliti.workflow.policies.photos import build_policy_chain, open_trial_photos
from teliti.workflow.prepare import prepare
from teliti.workflow.prepare_preview import preview
from teliti.workflow.shared.photos import Photos, read_photos
from teliti.workflow.shared.sealed import labelled_photos


def read(source: Path) -> Photos:
    return read_photos(
        str(source), use_group=True, cache=RowCache(), threads=1, reporter=SilentReporter(),
        chains=[chain_from_record([{"step": "mask_from_file", "pattern": "../masks/{stem}.png"}])],
    )  # fmt: skip


def write_masked_classes(folder: Path, *classes: str, photos: int = 2) -> Path:
    for class_name in classes:
        (folder / class_name).mkdir(parents=True)
        for number in range(photos):
            photo = draw_part(number, scratched=photos > 2 and class_name == "scratch")
            (folder / class_name / f"{class_name}-{number}.png").write_bytes(encode_png(photo))
            (folder / "masks").mkdir(exist_ok=True)
            mask = np.full_like(photo, 255)
            (folder / "masks" / f"{class_name}-{number}.png").write_bytes(encode_png(mask))
    return folder


def test_a_folder_of_masks_is_no_class(tmp_path: Path) -> None:
    photos = read(write_masked_classes(tmp_path / "parts", "good", "scratch"))
    assert photos.catalog.classes == ("good", "scratch")
    assert (len(photos.samples), photos.refused) == (4, ())
    assert "4 files beside photos are their masks or boxes, and no photos." in photos.catalog.notes


def test_one_class_beside_its_masks_is_not_enough(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="photos of at least two classes beside their masks, got 1") as caught:
        read(write_masked_classes(tmp_path / "parts", "good"))
    assert caught.value.hint == "Check the name pattern of the masks."


def test_a_label_file_need_not_list_the_masks(tmp_path: Path) -> None:
    folder = write_masked_classes(tmp_path / "parts", "photos")
    (folder / "labels.csv").write_text("path,label\nphotos/photos-0.png,good\nphotos/photos-1.png,bad\n")
    with zipfile.ZipFile(tmp_path / "parts.zip", "w") as archive:
        for path in folder.rglob("*.*"):
            archive.write(path, path.relative_to(folder))
    photos = read(tmp_path / "parts.zip")
    assert [sample.name for sample in photos.samples] == ["photos/photos-0.png", "photos/photos-1.png"]
    assert photos.refused == ()


def test_a_photo_whose_mask_is_broken_is_refused_with_the_reason(tmp_path: Path) -> None:
    folder = write_masked_classes(tmp_path / "parts", "good", "scratch")
    (folder / "masks" / "good-0.png").write_bytes(b"")
    photos = read(folder)
    assert len(photos.samples) == 3
    assert [(one.name, one.reason) for one in photos.refused] == [
        ("good/good-0.png", '"../masks/good-0.png" beside it: empty file')
    ]


def test_a_class_without_any_mask_is_named(tmp_path: Path) -> None:
    folder = write_masked_classes(tmp_path / "parts", "good", "scratch")
    for number in range(2):
        (folder / "masks" / f"scratch-{number}.png").unlink()
    with pytest.raises(CatalogError, match=r'Class "scratch" has no usable photo \(scratch/.*masks/scratch-0\.png'):
        read(folder)


def test_another_mask_is_another_job(tmp_path: Path) -> None:
    folder = write_masked_classes(tmp_path / "parts", "good", "scratch")
    before = read(folder)
    assert read(folder).digest == before.digest
    mask = np.full_like(draw_part(0, scratched=False), 255)
    mask[:9] = 0
    (folder / "masks" / "good-1.png").write_bytes(encode_png(mask))
    after = read(folder)
    assert after.digests == before.digests
    assert after.digest != before.digest
    assert [len(digest) for digest in after.beside] == [32] * 4


def test_a_run_is_not_resumed_with_other_masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_masked_classes(tmp_path / "parts", "good", "scratch", photos=8)

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(train_module, "try_setup", interrupted)
    with pytest.raises(RunInterrupted):
        teliti.train(folder, recipe=masked_recipe("features"), out=tmp_path / "run")
    mask = folder / "masks" / "good-1.png"
    mask.write_bytes(encode_png(np.zeros_like(draw_part(0, scratched=False))))
    with pytest.raises(UserError, match=r"must be those that the run began with, and files beside them have changed"):
        teliti.resume(tmp_path / "run")


@pytest.mark.parametrize("mode", ["features", "scratch", "finetune"])
def test_training_with_masks_from_files_and_inspecting_one_of_the_folders(mode: str, tmp_path: Path) -> None:
    folder = write_masked_classes(tmp_path / "parts", "good", "scratch", photos=10)
    record = teliti.train(folder, recipe=masked_recipe(mode), out=tmp_path / "run")
    assert (record["data"]["photos"], record["classes"]) == (20, ["good", "scratch"])
    assert record["parity"]["photos"] == record["test"]["n"]
    assert teliti.Predictor.open(record["bundle"]).self_test()["passed"]
    answer = teliti.predict(record["bundle"], folder / "good")
    assert (len(answer["results"]), answer["refused"]) == (10, [])
    scores = {Path(result["path"]).name: result["score"] for result in answer["results"]}
    one = teliti.predict(record["bundle"], folder / "good" / "good-0.png")["results"]
    assert [result["score"] for result in one] == [pytest.approx(scores["good-0.png"], abs=1e-6)]
    (folder / "masks" / "good-0.png").write_bytes(encode_png(half_mask()))
    changed = teliti.predict(record["bundle"], folder / "good" / "good-0.png")["results"]
    assert changed[0]["score"] != pytest.approx(scores["good-0.png"], abs=1e-9)  # the mask does something


def half_mask() -> np.ndarray:
    mask = np.zeros_like(draw_part(0, scratched=False))
    mask[:, :20] = 255
    return mask


def masked_recipe(mode: str) -> Recipe:
    model = {"backbone": "lenet" if mode == "scratch" else "test_resnet", "weights": "random"}
    train = {"mode": mode, "threads": 1}
    if mode == "features":
        model |= {"stages": ["head"], "head": "logistic", "c": 1.0}
        train |= {"engine": "onnxruntime"}
    else:
        train |= {"precision": "f32", "replicas": 1, "epochs": 2, "batch_size": 8}
    prepare = [{"step": "mask_from_file", "pattern": "../masks/{stem}.png", "background": "neutral"}]
    return parse_recipe({"data": {"image_size": 32, "folds": 0}, "model": model, "train": train, "prepare": prepare})


def test_augmented_views_of_masked_photos_follow_the_mask(tmp_path: Path) -> None:
    folder = write_masked_classes(tmp_path / "parts", "good", "scratch", photos=8)
    chain = build_policy_chain([{"step": "flip", "horizontal": 0.5}])

    def views() -> np.ndarray:
        trial = open_trial_photos(
            str(folder), masked_recipe("features"), cache=RowCache(), reporter=SilentReporter(), most_views=1
        )
        return trial.view_features(chain, np.arange(len(trial.rows)), views=1)

    before = views()
    np.testing.assert_array_equal(views(), before)
    for mask in (folder / "masks").iterdir():
        mask.write_bytes(encode_png(half_mask()))
    assert not np.array_equal(views(), before)


@pytest.fixture
def marked(tmp_path: Path) -> Path:
    """A bundle whose recipe named the masks of parts, and twelve photos with such masks."""
    folder = write_brightness_bundle(tmp_path / "bundle").path
    manifest = json.loads((folder / MANIFEST).read_text())
    made = {"recipe": {"data": {"part_mask": "{stem}_mask.png"}}}
    (folder / MANIFEST).write_text(json.dumps(manifest | {"provenance": made}))
    write_plant(tmp_path / "photos", "part", each=6, masked=CLASSES)
    return tmp_path


def test_the_masks_that_a_recipe_named_stay_out_of_every_later_verb(marked: Path) -> None:
    bundle, photos = marked / "bundle", marked / "photos"
    assert len(list(photos.rglob("*_mask.png"))) == 12
    assert teliti.evaluate(bundle, photos)["test"]["n"] == 12
    assert len(teliti.predict(bundle, photos)["results"]) == 12
    assert len(labelled_photos(photos, open_bundle(bundle))) == 12  # of stress and export
    assert len(_unlabelled(str(photos), open_bundle(bundle))) == 12
    plain = write_brightness_bundle(marked / "plain").path
    assert compare(plain, bundle, photos)["photos"] == 12  # one of the two bundles knows them


def test_a_mask_that_only_marks_the_part_opens_no_folder_and_need_not_be_there(marked: Path) -> None:
    bundle = open_bundle(marked / "bundle")
    assert (bundle.chain.beside_patterns, bundle.aside_patterns) == ((), ("{stem}_mask.png",))
    bare = write_plant(marked / "bare", "part", each=2)
    answer = teliti.predict(marked / "bundle", bare)
    assert (len(answer["results"]), answer["refused"]) == (4, [])


@pytest.mark.parametrize("made", [None, {}, {"recipe": {}}, {"recipe": {"data": {"part_mask": "otsu"}}}])
def test_a_bundle_whose_recipe_names_no_masks_leaves_nothing_out(marked: Path, made: dict | None) -> None:
    path = marked / "bundle" / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | {"provenance": made}))
    assert open_bundle(marked / "bundle").aside_patterns == ()


def test_a_trained_bundle_knows_the_masks_of_its_recipe(tmp_path: Path) -> None:
    folder = write_masked_classes(tmp_path / "parts", "good", "scratch", photos=8)
    values = masked_recipe("features").model_dump(mode="json", by_alias=True, exclude_none=True)
    values["data"]["part_mask"] = values["prepare"][0]["pattern"]
    record = teliti.train(folder, recipe=parse_recipe(values | {"prepare": []}), out=tmp_path / "run")
    assert record["data"]["photos"] == 16
    assert open_bundle(Path(record["bundle"])).aside_patterns == ("../masks/{stem}.png",)
    assert teliti.evaluate(record["bundle"], folder)["test"]["n"] == 16


def test_preparing_augmenting_and_their_sheets_leave_the_masks_of_the_recipe_out(tmp_path: Path) -> None:
    photos = write_plant(tmp_path / "photos", "part", each=2, masked=CLASSES)
    recipe = parse_recipe({
        "data": {"part_mask": "{stem}_mask.png"}, "prepare": [{"step": "clahe"}],
        "augment": [{"step": "flip", "horizontal": 0.5}],
    })  # fmt: skip
    assert prepare(photos, tmp_path / "prepared", recipe=recipe)["photos"] == 4
    assert augment(photos, tmp_path / "augmented", recipe=recipe, views=1)["photos"] == 4
    for show, name in ((preview, "a.png"), (preview_augmented, "b.png")):
        shown = show(photos, recipe=recipe, out=tmp_path / name, photos=8)["photos"]
        assert (len(shown), [one for one in shown if "mask" in one]) == (4, [])


@pytest.mark.parametrize("values", [
    {"data": {"part_mask": "{stem}.png"}},
    {"prepare": [{"step": "mask_from_file", "pattern": "{stem}.png"}]},
])  # fmt: skip
def test_a_pattern_that_is_the_name_of_the_photos_stops_every_job_before_it_begins(
    tmp_path: Path, values: dict
) -> None:
    photos = write_plant(tmp_path / "photos", "part", each=2)
    recipe = parse_recipe(values | {"augment": [{"step": "flip", "horizontal": 0.5}]})
    said = r'must be other files than the photos, got the name pattern "\{stem\}\.png"'
    for job in (
        lambda: teliti.train(photos, recipe=recipe, out=tmp_path / "run"),
        lambda: check(photos, recipe=recipe, features=False),
        lambda: augment(photos, tmp_path / "augmented", recipe=recipe),
    ):
        with pytest.raises(CatalogError, match=said):
            job()


def test_photos_that_have_the_name_of_their_mask_are_inspected(marked: Path) -> None:
    path = marked / "bundle" / MANIFEST
    made = {"recipe": {"data": {"part_mask": "{stem}.png"}}}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"provenance": made}))
    bare = write_plant(marked / "bare", "part", each=2)
    assert len(teliti.predict(marked / "bundle", bare)["results"]) == 4


def test_masks_alone_are_nothing_to_inspect(marked: Path) -> None:
    path = marked / "bundle" / MANIFEST
    made = {"recipe": {"data": {"part_mask": "../masks/{stem}.png"}}}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"provenance": made}))
    folder = write_masked_classes(marked / "parts", "good") / "masks"
    with pytest.raises(CatalogError, match="must be photos, got 2 that are all masks by the name pattern"):
        teliti.predict(marked / "bundle", folder)


def test_a_check_and_its_fixes_leave_the_masks_of_the_recipe_out(tmp_path: Path) -> None:
    photos = write_plant(tmp_path / "photos", "part", each=6, masked=CLASSES)
    recipe = parse_recipe({"data": {"part_mask": "{stem}_mask.png"}})
    assert check(photos, recipe=recipe, features=False)["photos"] == 12
    (tmp_path / "fixes.csv").write_text(f"path,action,label\n{CLASSES[0]}/0.png,exclude,\n")
    done = clean(photos, fixes=tmp_path / "fixes.csv", out=photos / "cleaned.csv", recipe=recipe)
    assert (done["photos"], done["excluded"]) == (11, 1)
