"""A run's files for people: every given file in one of two tables, and the pictures of the report."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from parts import write_parts
from teliti.cache import RowCache
from teliti.data.origins import FileOrigin
from teliti.recipe import Recipe, parse_recipe
from teliti.transforms.prepare import PrepareChain, build_chain
from teliti.types import SilentReporter
from teliti.workflow.learning.publishing import SAMPLES_PER_CLASS, gather_pictures, write_inputs
from teliti.workflow.shared.photos import Photos, read_photos
from teliti.workflow.shared.plan import plan_split
from teliti.workflow.shared.run_folder import RunFolder


@pytest.fixture
def photos(tmp_path: Path) -> Photos:
    """Twelve photos of each class, and one file that is none."""
    folder = write_parts(tmp_path / "parts", per_class=12)
    (folder / "good" / "broken.png").write_bytes(b"")
    return read_photos(str(folder), use_group=True, cache=RowCache(), threads=1, reporter=SilentReporter())


@pytest.fixture
def chain() -> PrepareChain:
    return build_chain([], image_size=(32, 40), fit="letterbox")


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_given_file_stands_in_exactly_one_table(photos: Photos, tmp_path: Path) -> None:
    plan = plan_split(photos, parse_recipe({"data": {"folds": 0}}))
    write_inputs(RunFolder(tmp_path), photos, plan)
    used, refused = rows_of(tmp_path / "splits.csv"), rows_of(tmp_path / "refused.csv")
    assert refused == [{"path": "good/broken.png", "reason": "empty file"}]
    assert len(used) == 24
    assert not {row["path"] for row in used} & {row["path"] for row in refused}
    for row, part, mark in zip(used, plan.parts, photos.fingerprints, strict=True):
        assert (row["split"], row["fold"], row["sha256"]) == (part, "", mark.digest.hex())
        assert row["path"].startswith(row["label"])


def test_with_folds_the_table_names_the_fold(photos: Photos, tmp_path: Path) -> None:
    plan = plan_split(photos, Recipe())
    write_inputs(RunFolder(tmp_path), photos, plan)
    used = rows_of(tmp_path / "splits.csv")
    assert {row["split"] for row in used} == {"fold"}
    assert [int(row["fold"]) for row in used] == plan.folds.tolist()


def test_pictures_of_each_class_of_the_mistakes_and_of_what_the_network_sees(
    photos: Photos, chain: PrepareChain
) -> None:
    wrong = photos.samples[3].name
    record = {"classes": ["good", "scratch"], "mistakes": [{"name": wrong}, {"name": "unknown"}]}
    pictures = gather_pictures(record, photos.samples, chain)
    assert {name: len(sheet) for name, sheet in pictures.samples.items()} == {
        "good": SAMPLES_PER_CLASS, "scratch": SAMPLES_PER_CLASS,
    }  # fmt: skip
    assert all(title.startswith("scratch/") for title, _ in pictures.samples["scratch"])
    assert list(pictures.mistakes) == [wrong]
    name, image, view = pictures.network_view
    assert name in {sample.name for sample in photos.samples}
    assert (image.shape, view.shape) == ((48, 48, 3), (32, 40, 3))
    np.testing.assert_array_equal(chain(image), view)


def test_numbers_have_one_sheet(photos: Photos, chain: PrepareChain) -> None:
    pictures = gather_pictures({"classes": [], "mistakes": []}, photos.samples, chain)
    assert {name: len(sheet) for name, sheet in pictures.samples.items()} == {"photos": SAMPLES_PER_CLASS}


def test_many_classes_share_the_sheet(photos: Photos, chain: PrepareChain) -> None:
    samples = [replace(sample, label=f"class {index}") for index, sample in enumerate(photos.samples)]
    record = {"classes": [sample.label for sample in samples]}
    pictures = gather_pictures(record, samples, chain)
    assert len(pictures.samples) == 24
    assert {len(sheet) for sheet in pictures.samples.values()} == {1}


def test_a_photo_that_vanished_is_left_out_and_the_report_goes_on(photos: Photos, chain: PrepareChain) -> None:
    gone = FileOrigin("no longer there.png")
    samples = [replace(sample, origin=gone) if sample.label == "good" else sample for sample in photos.samples]
    samples[len(samples) // 2] = replace(samples[len(samples) // 2], origin=gone)
    record = {"classes": ["good", "scratch"], "mistakes": [{"name": samples[0].name}]}
    pictures = gather_pictures(record, samples, chain)
    assert pictures.samples["good"] == []
    assert pictures.samples["scratch"]
    assert (pictures.mistakes, pictures.network_view) == ({}, None)
