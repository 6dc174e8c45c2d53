"""From a source to usable photos: every refused file named once, classes that lost all their photos refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from notes import Notes
from parts import write_parts
from teliti.cache import RowCache
from teliti.errors import CatalogError
from teliti.types import SilentReporter
from teliti.workflow.shared.photos import Photos, read_photos


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three photos of each class."""
    return write_parts(tmp_path / "parts", per_class=3)


def read(source: Path, reporter: SilentReporter | None = None) -> Photos:
    return read_photos(str(source), use_group=True, cache=RowCache(), threads=1, reporter=reporter or SilentReporter())


def test_photos_come_with_targets_digests_and_counts(folder: Path) -> None:
    photos = read(folder)
    assert photos.catalog.classes == ("good", "scratch")
    assert photos.targets.tolist() == [0, 0, 0, 1, 1, 1]
    assert photos.targets.dtype == np.int64
    assert photos.counts() == [3, 3]
    first = (folder / photos.samples[0].name).read_bytes()
    assert photos.digests[0] == hashlib.sha256(first).digest()
    assert (photos.fingerprints[0].height, photos.fingerprints[0].width) == (48, 48)


def test_files_that_cannot_be_used_are_named_once_and_the_run_goes_on(folder: Path) -> None:
    (folder / "good" / "empty.png").write_bytes(b"")
    (folder / "scratch" / "text.jpg").write_text("not a photo")
    reporter = Notes()
    photos = read(folder, reporter)
    assert len(photos.samples) == 6
    assert sorted(one.name for one in photos.refused) == ["good/empty.png", "scratch/text.jpg"]
    assert all(one.reason for one in photos.refused)
    assert "2 of 8 files refused." in reporter.notes


def test_numbers_as_labels_are_numbers(folder: Path) -> None:
    rows = [f"good/good-00{number}.png,{number / 2}" for number in range(3)]
    (folder / "labels.csv").write_text("path,label\n" + "\n".join(rows) + "\n")
    photos = read(folder / "labels.csv")
    assert photos.catalog.task == "regression"
    assert photos.targets.tolist() == [0.0, 0.5, 1.0]


def test_a_class_whose_photos_are_all_refused_is_named(folder: Path) -> None:
    for path in (folder / "scratch").iterdir():
        path.write_bytes(b"")
    with pytest.raises(CatalogError, match=r'Class "scratch" has no usable photo \(scratch/.*: empty file') as caught:
        read(folder)
    assert caught.value.hint == "Add photos to it or remove the class."


def test_no_usable_photo_at_all_gives_reasons(folder: Path) -> None:
    for path in folder.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(CatalogError, match=r"has no usable photo: 6 files were refused \(.*empty file") as caught:
        read(folder)
    assert caught.value.hint == "Give photos in JPEG, PNG, BMP, TIFF, WebP, PPM or GIF."


def test_a_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="nowhere"):
        read(tmp_path / "nowhere")
