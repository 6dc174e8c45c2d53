"""Planted cheats on a network that sees brightness alone: named where the background differs, and only there."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import teliti
from conftest import TINY_RECIPE
from handmade import write_brightness_bundle
from parts import encode_png
from plants import CLASSES, PLANTS, SIDE, draw, write_plant
from teliti.data.catalog import read_catalog
from teliti.errors import UserError
from teliti.files import hash_file
from teliti.predictor import Predictor
from teliti.recipe import parse_recipe
from teliti.report.evidence_page import render_evidence
from teliti.types import Record, SilentReporter
from teliti.workflow.evaluate import evaluate
from teliti.workflow.learning.evidence import Evidence, find_evidence
from teliti.workflow.shared.sealed import labelled_photos


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_brightness_bundle(tmp_path / "bundle").path


def look(bundle: Path, photos: Path, how: str) -> Record:
    predictor = Predictor.open(bundle, threads=1)
    samples = [sample for sample in labelled_photos(photos, predictor.bundle) if "_mask" not in sample.name]
    return find_evidence(predictor, samples, how, reporter=SilentReporter()).record


@pytest.mark.parametrize("how", ["otsu", "kmeans"])
@pytest.mark.parametrize(
    ("plant", "status"), [("background", "cheating"), ("part", "clean"), ("size of the part", "clean")]
)
def test_a_planted_cheat_is_named_and_an_honest_net_is_not(
    plant: str, status: str, how: str, bundle: Path, tmp_path: Path
) -> None:
    record = look(bundle, write_plant(tmp_path / "photos", plant), how)
    assert record["status"] == status, record["sentence"]
    assert (record["photos"], record["left_out"]) == (60, 0)
    views = record["views"]
    assert views["whole"]["roc_auc"] > 0.95
    if status == "cheating":
        assert record["sentence"].startswith("The net may be cheating: it tells the classes apart by the background")
        assert views["background"]["interval"][0] > 0.8
        assert views["part"]["interval"][0] < 0.5 < views["part"]["interval"][1]
    else:
        assert record["sentence"].startswith("No sign of cheating: by the background alone ROC AUC is 0.")
        assert views["background"]["interval"][0] < 0.5 < views["background"]["interval"][1]
        assert views["part"]["roc_auc"] > 0.95


def test_masks_beside_the_photos_are_used(bundle: Path, tmp_path: Path) -> None:
    record = look(bundle, write_plant(tmp_path / "photos", "background", masked=CLASSES), "{stem}_mask.png")
    assert (record["status"], record["how"]) == ("cheating", "{stem}_mask.png")


def test_where_only_defects_are_marked_good_photos_get_the_same_holes(bundle: Path, tmp_path: Path) -> None:
    record = look(bundle, write_plant(tmp_path / "photos", "part", masked=("bright",)), "{stem}_mask.png")
    assert record["photos"] == 60
    cheat = look(bundle, write_plant(tmp_path / "other", "background", masked=("bright",)), "{stem}_mask.png")
    assert cheat["status"] == "cheating"


def test_photos_without_background_cannot_be_judged(bundle: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for class_name, level in zip(CLASSES, (60, 200), strict=True):
        (photos / class_name).mkdir(parents=True)
        for number in range(10):
            texture = np.random.default_rng(number).integers(level - 40, level + 40, (SIDE, SIDE, 3)).astype(np.uint8)
            (photos / class_name / f"{number}.png").write_bytes(encode_png(texture))
    record = look(bundle, photos, "otsu")
    assert (record["status"], record["views"]) == ("unknown", {})
    assert (
        'could not be judged: part and background can be told apart on too few photos (0 of "dark"'
        in record["sentence"]
    )
    masked = look(bundle, photos, "{stem}_mask.png")
    assert masked["sentence"].endswith("could not be judged: no photo has a part marked.")


def test_parts_that_fill_the_photos_leave_no_background(bundle: Path, tmp_path: Path) -> None:
    photos = write_plant(tmp_path / "photos", "part", masked=CLASSES)
    for mask in photos.rglob("*_mask.png"):
        mask.write_bytes(encode_png(np.full((SIDE, SIDE, 3), 255, np.uint8)))
    assert "leave no background" in look(bundle, photos, "{stem}_mask.png")["sentence"]


def test_a_net_that_knows_nothing_has_nothing_to_cheat_with(bundle: Path, tmp_path: Path) -> None:
    photos = write_plant(tmp_path / "photos", "part")
    shutil.rmtree(photos / "bright")
    shutil.copytree(photos / "dark", photos / "bright")
    assert "the whole photos are not shown to beat chance" in look(bundle, photos, "otsu")["sentence"]


def test_the_holes_of_both_classes_are_of_one_kind(bundle: Path, tmp_path: Path) -> None:
    predictor = Predictor.open(bundle, threads=1)
    samples = labelled_photos(write_plant(tmp_path / "photos", "size of the part"), predictor.bundle)
    views = find_evidence(predictor, samples, "otsu", reporter=SilentReporter()).views
    labels = views.members[:, 1].astype(int)
    photo = np.zeros((SIDE, SIDE), np.uint8)
    holes = np.array([(views.hole(number, photo) > 0).mean() for number in range(len(labels))])
    parts = np.array([(mask > 0).mean() for mask in views.masks])
    assert parts[labels == 0].max() < parts[labels == 1].min()
    assert abs(holes[labels == 0].mean() - holes[labels == 1].mean()) < 0.25 * holes.std()


def test_a_way_that_does_not_exist_is_told(bundle: Path, tmp_path: Path) -> None:
    photos = write_plant(tmp_path / "photos", "part", each=1)
    with pytest.raises(
        UserError, match=r"--evidence must be otsu, .* or a file name with \{stem\}, got \"otsi\""
    ) as told:
        look(bundle, photos, "otsi")
    assert told.value.hint == 'Did you mean "otsu"?'


def test_numbers_have_no_classes_to_tell_apart(tmp_path: Path) -> None:
    numbers = Predictor(write_brightness_bundle(tmp_path / "numbers", is_regression=True))
    with pytest.raises(UserError, match="must tell classes or labels for --evidence, and it predicts numbers"):
        find_evidence(numbers, [], "otsu", reporter=SilentReporter())


def look_at_labels(tmp_path: Path, photos: Path, *, rare: int = 0) -> Evidence:
    """The same photos as of a bundle of labels: dark or bright, and some that have both."""
    predictor = Predictor.open(write_brightness_bundle(tmp_path / "labels", has_labels=True).path, threads=1)
    samples = [
        replace(sample, label=("bright", "dark") if at < rare else (str(sample.label),))
        for at, sample in enumerate(read_catalog(str(photos)).samples)
    ]
    return find_evidence(predictor, samples, "otsu", reporter=SilentReporter())


@pytest.mark.parametrize(
    ("plant", "status"), [("background", "cheating"), ("part", "clean"), ("size of the part", "clean")]
)
def test_of_several_labels_each_has_a_background_of_its_own(plant: str, status: str, tmp_path: Path) -> None:
    found = look_at_labels(tmp_path, write_plant(tmp_path / "photos", plant), rare=2)
    record = found.record
    assert record["status"] == status, record["sentence"]
    assert (record["labels"], record["not_judged"], record["photos"]) == (["dark", "bright"], [], 60)
    assert [row["label"] for row in record["views"]["background"]["per_label"]] == ["dark", "bright"]
    if status == "cheating":
        assert set(record["by_background"]) == {"dark", "bright"}
        assert record["sentence"].startswith(
            "The net may be cheating: it tells the labels by the background alone, with "
        )
    else:
        assert record["by_background"] == []
        assert "by the background alone the labels' mean ROC AUC is 0." in record["sentence"]
    assert [set(views) for _, views in found.views.shown()] == [{"whole", "part", "background"}] * 2
    page = render_evidence({"evidence": record}, [])
    assert "How well the labels are told" in page
    assert "Background alone: bright" in page
    assert "each label has a view of its own" in page


def test_a_label_that_too_few_photos_have_or_lack_is_not_judged(tmp_path: Path) -> None:
    photos = write_plant(tmp_path / "photos", "part", each=10)
    record = look_at_labels(tmp_path, photos, rare=5).record  # 5 photos are not dark
    assert (record["status"], record["labels"], record["not_judged"]) == ("clean", ["bright"], ["dark"])
    few = look_at_labels(tmp_path, write_plant(tmp_path / "few", "part", each=5)).record
    assert (few["status"], few["labels"]) == ("unknown", [])
    assert 'can be told apart on too few photos (5 of "dark", 5 of "bright")' in few["sentence"]


def test_an_evaluation_says_it_and_writes_the_page(bundle: Path, tmp_path: Path) -> None:
    photos = write_plant(tmp_path / "photos", "background")
    before = hash_file(bundle / "bundle.json")
    record = evaluate(bundle, photos, out=tmp_path / "out", evidence="otsu")
    assert record["evidence"]["status"] == "cheating"
    assert record["evidence"]["sentence"] in record["warnings"]
    page = (tmp_path / "out" / "evidence.html").read_text()
    assert "The net may be cheating" in page
    assert page.count("data:image/jpeg") == 6
    assert hash_file(bundle / "bundle.json") == before
    assert "evidence" not in evaluate(bundle, photos)


@pytest.mark.slow
@pytest.mark.parametrize(("plant", "status"), [("background", "cheating"), ("part", "clean")])
def test_a_trained_net_that_was_given_a_cheat_is_named(plant: str, status: str, tmp_path: Path) -> None:
    recipe = parse_recipe(TINY_RECIPE)
    trained = teliti.train(str(write_plant(tmp_path / "photos", plant, each=40)), recipe=recipe, out=tmp_path / "run")
    fresh = tmp_path / "fresh"
    for at, class_name in enumerate(CLASSES):
        (fresh / class_name).mkdir(parents=True)
        for number in range(40):
            photo, _ = draw(1000 + 2 * number + at, **PLANTS[plant][class_name])
            (fresh / class_name / f"{number}.png").write_bytes(encode_png(photo))
    record = evaluate(trained["bundle"], fresh, evidence="otsu")["evidence"]
    assert record["status"] == status, record["sentence"]
