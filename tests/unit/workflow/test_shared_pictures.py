"""Prepared photos that all trainings of a job take from one file: made once, the same pixels, gone with the job."""

from __future__ import annotations

import pickle
import shutil
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inline_engine import InlineEngine
from teliti.cache import RowCache
from teliti.errors import StorageError
from teliti.recipe import parse_recipe
from teliti.transforms.prepare import build_chain
from teliti.types import SilentReporter
from teliti.workflow.searches.job_folder import Asked
from teliti.workflow.searches.shared_base import share_base
from teliti.workflow.searches.trainings import Division, Trainer
from teliti.workflow.shared.photos import Photos, read_photos
from teliti.workflow.shared.pictures import prepared_pictures, share_pictures
from teliti.workflow.shared.shared_pictures import find_pictures, key_of, shared_folder

PLAIN, CLAHE, TILES = (
    build_chain(steps, image_size=(8, 8), fit="stretch")
    for steps in ([], [{"step": "clahe"}], [{"step": "tile", "size": 24, "overlap": 0.0}])
)
QUIET = {"threads": 1, "reporter": SilentReporter()}
Disk = namedtuple("Disk", "total used free")


class Carrier(InlineEngine):
    """Gives workers what it carries as Ray does: arrays that nobody can write to."""

    def share(self, value):
        value.images.setflags(write=False)
        return lambda: value


@pytest.fixture(scope="module")
def photos(parts_folder: Path) -> Photos:
    return read_photos(str(parts_folder), use_group=True, cache=RowCache(), **QUIET)


@pytest.mark.parametrize("chain", [PLAIN, TILES])
def test_shared_pictures_are_those_that_a_training_would_make(chain, photos, tmp_path) -> None:
    shared = share_pictures(tmp_path / "kept", photos, chain, **QUIET)
    asked = np.array([1, 5, 40])
    with (
        prepared_pictures(photos, asked, chain, **QUIET) as own,
        prepared_pictures(replace(photos, pictures=shared), asked, chain, **QUIET) as common,
    ):
        assert len(common.images) == sum(shared.counts)
        for place in range(len(asked)):
            rows = own.rows_of(np.array([place])), common.rows_of(np.array([place]))
            assert len(rows[0]) == (1 if chain is PLAIN else 4)
            np.testing.assert_array_equal(own.images[rows[0]], common.images[rows[1]])
        names = [photos.samples[index].name for index in asked]
        assert [name for name in common.names(names) if name] == own.names(names)


def test_a_photo_is_decoded_once_for_all_preparations_and_prepared_once_for_each(photos, tmp_path, monkeypatch) -> None:
    decoded = []

    def decode(sample):
        decoded.append(sample.name)
        return read(sample)

    from teliti.data import decoded as module

    read = module.read_photo
    monkeypatch.setattr(module, "read_photo", decode)
    fresh = replace(photos, decoded=module.DecodedPhotos())
    for chain in (PLAIN, CLAHE, PLAIN):
        assert share_pictures(tmp_path, fresh, chain, **QUIET).key == key_of(chain)
    assert sorted(decoded) == sorted(sample.name for sample in photos.samples)
    assert len(list(tmp_path.glob("*.pictures"))) == 2


def test_pictures_of_another_preparation_are_not_taken(photos, tmp_path) -> None:
    shared = share_pictures(tmp_path, photos, CLAHE, **QUIET)
    with prepared_pictures(replace(photos, pictures=shared), np.array([0]), PLAIN, **QUIET) as own:
        assert len(own.images) == 1


def test_half_a_file_is_not_taken_and_a_whole_one_is(photos, tmp_path) -> None:
    names = [sample.name for sample in photos.samples]
    share_pictures(tmp_path, photos, PLAIN, **QUIET)
    [counted], [file] = tmp_path.glob("*.npy"), tmp_path.glob("*.pictures")
    counted.unlink()
    file.write_bytes(b"half")
    assert find_pictures(tmp_path, PLAIN, names) is None
    made = share_pictures(tmp_path, photos, PLAIN, **QUIET)
    found = find_pictures(tmp_path, PLAIN, names)
    np.testing.assert_array_equal(made.images, found.images)
    found.images[:] = 0  # a careless step spoils its own copy alone
    assert find_pictures(tmp_path, PLAIN, names).images.any()


def test_other_machines_get_them_whole(photos, tmp_path) -> None:
    shared = share_pictures(tmp_path, photos, PLAIN, **QUIET)
    carried = pickle.loads(pickle.dumps(shared.to_memory(), protocol=5))
    shutil.rmtree(tmp_path)
    np.testing.assert_array_equal(carried.images, shared.images)


@pytest.mark.parametrize(("chain", "tiles"), [(PLAIN, 1), (TILES, 4)])
def test_they_never_take_more_than_a_quarter_of_the_free_disk(chain, tiles, photos, tmp_path, monkeypatch) -> None:
    enough = 4 * 3 * 8 * 8 * tiles * len(photos.samples)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(0, 0, enough - 1))
    assert share_pictures(tmp_path, photos, chain, **QUIET) is None
    assert not list(tmp_path.iterdir())  # nothing that was written stays
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(0, 0, enough))
    assert len(share_pictures(tmp_path, photos, chain, **QUIET).images) == tiles * len(photos.samples)


def test_pictures_are_made_of_the_photos_that_a_division_uses_and_found_by_them(parts_folder, tmp_path) -> None:
    recipe = parse_recipe({"data": {"image_size": 8}, "model": {"backbone": "mlp"}, "train": {"mode": "scratch"}})
    base, photos, plan = share_base(Asked("tune", str(parts_folder), recipe, {"workers": 1}), recipe, prepares=[])
    few = Division((7, 2), plan), Division((2, 11), plan), Division((7, 2), plan)
    trainer = Trainer(str(parts_folder), photos.digest, base.readers, few, pictures=tmp_path).read_already(photos)
    training = base.training({}, division=1, measured_on="test")
    made = trainer.warm(training, reporter=SilentReporter())
    assert made.names == tuple(photos.samples[place].name for place in (2, 7, 11))
    np.testing.assert_array_equal(trainer._find_pictures(training).images, made.images)
    others = replace(trainer, divisions=(Division((1, 7, 11), plan),))  # as many, as those of a probe may be
    assert others._find_pictures(training) is None
    everyone = replace(trainer, divisions=(*few, Division(None, plan)))
    assert len(everyone.warm(training, reporter=SilentReporter()).names) == len(photos.samples)


def test_a_folder_that_cannot_be_written_is_a_storage_error(photos, tmp_path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StorageError, match="could not be written"):
        share_pictures(tmp_path / "file" / "pictures", photos, PLAIN, **QUIET)


def test_the_folder_begins_empty_and_goes_with_the_job_whatever_ends_it(tmp_path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "left.npy").touch()

    def interrupted() -> None:
        with shared_folder(tmp_path / "pictures") as folder:
            assert not folder.exists()
            folder.mkdir()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not (tmp_path / "pictures").exists()


def test_a_training_gives_the_same_numbers_from_shared_pictures(parts_folder, tmp_path, monkeypatch) -> None:
    recipe = parse_recipe(
        {
            "data": {"image_size": 16, "folds": 0},
            "model": {"backbone": "mlp"},
            "train": {"mode": "scratch", "epochs": 2, "precision": "f32", "replicas": 1},
            "augment": [{"step": "flip"}],
        }
    )
    values = []
    for folder, engine in (
        (None, InlineEngine()), (tmp_path / "mapped", InlineEngine()), (tmp_path / "carried", Carrier()),
    ):  # fmt: skip
        base, photos, plan = share_base(Asked("tune", str(parts_folder), recipe, {"workers": 1}), recipe, prepares=[])
        trainer = Trainer(str(parts_folder), photos.digest, base.readers, (Division(None, plan),), pictures=folder)
        trainer, training = trainer.read_already(photos), base.training({}, measured_on="test")
        training = base.warm(training, trainer, engine=engine, reporter=SilentReporter())
        with monkeypatch.context() as patch:
            if folder is not None:
                patch.setattr("teliti.workflow.shared.pictures._write", None)  # nobody prepares a photo any more
            values.append(trainer(training, lambda _: None)["values"])
    assert values[0] == values[1] == values[2]
