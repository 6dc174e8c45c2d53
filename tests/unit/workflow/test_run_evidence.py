"""A run asks where its evidence is, wherever masks or boxes say where the part is, and is silent elsewhere."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from handmade import write_brightness_bundle
from plants import CLASSES, write_boxes, write_plant
from teliti.bundle import open_bundle
from teliti.cache import RowCache
from teliti.data.catalog import read_catalog
from teliti.errors import RecipeError
from teliti.metrics.number_rule import NumberRule
from teliti.recipe import parse_recipe
from teliti.report.evidence_page import render_evidence
from teliti.report.page import render_report
from teliti.report.pictures import ReportPictures
from teliti.transforms.prepare import build_chain
from teliti.types import Catalog, SilentReporter
from teliti.workflow.evaluate import evaluate
from teliti.workflow.learning.evidence import find_evidence
from teliti.workflow.learning.run_evidence import look_for_evidence, views_a_photo, with_evidence
from teliti.workflow.shared.part_finding import aside_files, hiding_step, way_to_parts
from teliti.workflow.shared.photos import read_photos
from teliti.workflow.shared.setup import check_recipe
from teliti.workflow.shared.stopwatch import Stopwatch


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that sees brightness alone, and photos whose background tells the class, with boxes beside them."""
    folder = tmp_path_factory.mktemp("evidence")
    write_brightness_bundle(folder / "bundle")
    write_boxes(write_plant(folder / "photos", "background", masked=CLASSES))
    return folder


def run_of(place: Path, *, steps: list[dict] | None = None, folds: object = None, **data: object) -> SimpleNamespace:
    """What `train` knows of its run when it looks for evidence."""
    chain = build_chain(steps or [], image_size=(8, 8), fit="letterbox")
    return SimpleNamespace(
        answers=open_bundle(place / "bundle").answers,
        measured_samples=list(read_catalog(str(place / "photos")).samples),
        candidate=SimpleNamespace(setup=SimpleNamespace(source=SimpleNamespace(chain=chain))),
        recipe=parse_recipe({"data": data, "train": {"threads": 1}}),
        plan=SimpleNamespace(folds=folds),
    )


def look(place: Path, trained: SimpleNamespace, watch: Stopwatch | None = None):
    return look_for_evidence(place / "bundle", trained, watch=watch or Stopwatch(), reporter=SilentReporter())


def test_boxes_beside_the_photos_are_enough_to_be_asked(place: Path) -> None:
    watch = Stopwatch()
    found = look(place, run_of(place), watch)
    record = with_evidence({"warnings": ["Before."]}, found)
    assert (record["evidence"]["status"], record["evidence"]["how"]) == ("cheating", "{stem}.xml")
    assert record["warnings"] == ["Before.", record["evidence"]["sentence"]]
    assert "evidence" in watch.to_record()
    shown = ReportPictures(evidence=[(one.name, views) for one, views in found.views.shown()])
    page = render_report(record, shown)
    assert "<h2>Does the net look at the part?</h2>" in page
    assert page.count("The net may be cheating: it tells the classes apart by the background alone") == 2
    assert all(title in page for title in ("Whole photo", "Part alone", "Background alone"))
    assert "How well the classes are told apart" in page
    assert "Parts by {stem}.xml. What is covered is mid-grey." in page
    assert page.count("data:image/jpeg") == 6


def test_without_marks_a_run_says_nothing(place: Path, tmp_path: Path) -> None:
    bare = write_plant(tmp_path / "bare", "part", each=2)
    trained = run_of(place)
    trained.measured_samples = list(read_catalog(str(bare)).samples)
    watch = Stopwatch()
    assert look(place, trained, watch) is None
    assert look(place, run_of(place, part_mask="off")) is None
    numbers = run_of(place)
    numbers.answers = NumberRule()
    assert look(place, numbers) is None
    record = {"warnings": []}
    assert with_evidence(record, None) is record
    assert "evidence" not in watch.to_record()
    assert "Does the net look" not in render_report(record, ReportPictures())


def test_with_folds_a_background_that_tells_something_may_be_memory(place: Path) -> None:
    record = look(place, run_of(place, folds=np.zeros(60))).record
    assert (record["status"], record["learnt"]) == ("unknown", True)
    assert record["views"]["background"]["interval"][0] > 0.8
    assert record["sentence"].startswith(
        "Whether the net looks at the part could not be judged: by the background alone ROC AUC is "
    )
    assert record["sentence"].endswith(
        "), but with folds the shipped inspector has learnt from every photo, so that this can be memory; teliti "
        "evaluate BUNDLE DATA --evidence judges it on new ones."
    )


def test_with_folds_a_background_that_tells_nothing_is_no_sign_of_cheating(place: Path, tmp_path: Path) -> None:
    trained = run_of(place, folds=np.zeros(60))
    honest = write_boxes(write_plant(tmp_path / "photos", "part", masked=CLASSES))
    trained.measured_samples = list(read_catalog(str(honest)).samples)
    record = look(place, trained).record
    assert (record["status"], record["learnt"]) == ("clean", True)
    assert record["sentence"].endswith(
        " The shipped inspector has learnt from these photos (with folds there are no others): what it goes by would "
        "show on them most of all."
    )


@pytest.mark.parametrize(
    ("steps", "way", "hidden"),
    [
        ([{"step": "mask_from_file", "pattern": "../masks/{stem}.png"}], "../masks/{stem}.png", "mask_from_file"),
        ([{"step": "mask_from_file", "background": "blurred"}], "{stem}_mask.png", None),
        ([{"step": "segment", "method": "kmeans"}, {"step": "mask", "background": "mean"}], "kmeans", None),
        ([{"step": "segment", "method": "otsu"}, {"step": "mask", "background": "neutral"}], "otsu", "mask"),
        ([{"step": "segment"}], "otsu", "segment"),
        ([], None, None),
    ],
)
def test_the_mask_of_a_prepare_step_is_taken(steps: list, way: str | None, hidden: str | None) -> None:
    chain = build_chain(steps, image_size=(8, 8), fit="letterbox")
    assert way_to_parts(parse_recipe({}), chain, []) == way
    assert way_to_parts(parse_recipe({"data": {"part_mask": "grabcut"}}), chain, []) == "grabcut"
    assert hiding_step(chain) == hidden


def test_a_background_that_a_step_covers_needs_no_measure(place: Path, tmp_path: Path) -> None:
    steps = [{"step": "segment", "apply": True}]
    predictor = SimpleNamespace(bundle=SimpleNamespace(
        answers=open_bundle(place / "bundle").answers, path=tmp_path,
        chain=build_chain(steps, image_size=(8, 8), fit="letterbox"),
    ))  # fmt: skip
    record = find_evidence(predictor, [], "otsu", reporter=SilentReporter()).record
    assert (record["status"], record["hidden_by"], record["views"]) == ("hidden", "segment", {})
    assert record["sentence"] == (
        "The prepare step segment covers what it takes for background, so that the net cannot go by it; it sees the "
        "part and its outline."
    )
    page = render_evidence({"evidence": record}, [])
    assert 'class="callout good"' in page
    assert "What is covered is mid-grey" not in page


def test_files_that_mark_parts_are_no_photos(place: Path, tmp_path: Path) -> None:
    recipes = [parse_recipe({}), parse_recipe({"data": {"part_mask": "{stem}_mask.png"}})]
    assert aside_files(recipes)[-1] == "{stem}_mask.png"
    assert aside_files([parse_recipe({"data": {"part_mask": "otsu"}})]) == ()
    masked = write_plant(tmp_path / "masked", "part", each=2, masked=CLASSES)
    for folder, recipe in ((place / "photos", recipes[0]), (masked, recipes[1])):
        photos = read_photos(
            str(folder), use_group=False, cache=RowCache(), threads=1, reporter=SilentReporter(),
            aside=aside_files([recipe]),
        )  # fmt: skip
        assert photos.refused == ()
        assert not [sample.name for sample in photos.samples if "_mask" in sample.name]


@pytest.mark.parametrize(
    ("task", "classes", "views"), [("classification", 5, 3), ("multilabel", 3, 5), ("multilabel", 20, 10)]
)
def test_how_often_a_photo_is_asked_for_is_known_before(task: str, classes: int, views: int) -> None:
    assert views_a_photo(Catalog("s", (), (), task, tuple(map(str, range(classes))))) == views


def test_an_evaluation_does_not_inspect_the_masks(place: Path, tmp_path: Path) -> None:
    masked = write_plant(tmp_path / "masked", "part", each=9, masked=CLASSES)
    record = evaluate(place / "bundle", masked, evidence="{stem}_mask.png")
    assert (record["test"]["n"], record["refused"], record["evidence"]["photos"]) == (18, 0, 18)
    boxed = evaluate(place / "bundle", place / "photos")
    assert (boxed["test"]["n"], boxed["refused"]) == (60, 0)


@pytest.mark.parametrize(
    ("how", "hint"),
    [("otsi", 'Did you mean "otsu"?'), ("/masks/{stem}.png", "For instance"), ("{name}.png", "For instance")],
)
def test_a_way_that_cannot_be_is_told_before_anything_is_read(how: str, hint: str) -> None:
    with pytest.raises(RecipeError, match=r"data.part_mask must be auto, off, otsu, .* got \"") as told:
        check_recipe(parse_recipe({"data": {"part_mask": how}}))
    assert str(told.value.hint).startswith(hint)
