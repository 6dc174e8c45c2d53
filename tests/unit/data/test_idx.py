"""IDX files: the four files of MNIST's form, plain or packed, and what can be wrong with them."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from teliti.data import idx
from teliti.data.catalog import read_catalog
from teliti.data.decode import decode_image
from teliti.errors import CatalogError


def idx_bytes(values: NDArray[np.uint8]) -> bytes:
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()


def write_pair(folder: Path, prefix: str, *, count: int = 6, packed: bool = False, seed: int = 0) -> NDArray[np.uint8]:
    images = np.random.default_rng(seed).integers(0, 256, (count, 5, 4), np.uint8)
    for kind, values in (("images-idx3", images), ("labels-idx1", np.arange(count, dtype=np.uint8) % 3)):
        data = idx_bytes(values)
        (folder / f"{prefix}-{kind}-ubyte{'.gz' if packed else ''}").write_bytes(
            gzip.compress(data, mtime=0) if packed else data
        )
    return images


@pytest.mark.parametrize("packed", [False, True])
def test_train_and_t10k_become_train_and_test(packed: bool, tmp_path: Path) -> None:
    images = write_pair(tmp_path, "train", packed=packed)
    write_pair(tmp_path, "t10k", count=3, packed=packed, seed=1)
    catalog = read_catalog(str(tmp_path))
    assert catalog.classes == ("0", "1", "2")
    assert catalog.has_given_split
    assert [sample.split for sample in catalog.samples] == ["test"] * 3 + ["train"] * 6
    fourth = next(sample for sample in catalog.samples if sample.name == "train/00003")
    assert fourth.label == "0"
    assert np.array_equal(decode_image(fourth.origin.read_bytes())[..., 0], images[3])


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"])
def test_one_file_stands_for_its_pair_and_gives_no_split(name: str, tmp_path: Path) -> None:
    write_pair(tmp_path, "train")
    write_pair(tmp_path, "t10k")
    catalog = read_catalog(str(tmp_path / name))
    assert len(catalog.samples) == 6
    assert not catalog.has_given_split


def test_colour_images_of_four_dimensions(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 3), np.uint8)
    (tmp_path / "set-images-idx4-ubyte").write_bytes(idx_bytes(images))
    (tmp_path / "set-labels-idx1-ubyte").write_bytes(idx_bytes(np.array([0, 1], np.uint8)))
    catalog = read_catalog(str(tmp_path))
    assert np.array_equal(decode_image(catalog.samples[1].origin.read_bytes()), images[1])


def test_other_files_beside_them_are_refused(tmp_path: Path) -> None:
    write_pair(tmp_path, "train")
    write_pair(tmp_path, "train", packed=True)
    (tmp_path / "README").write_text("x")
    found = {item.reason for item in read_catalog(str(tmp_path)).refused}
    assert found == {"not an IDX file", "another file of this part is used"}


def broken(folder: Path, name: str, data: bytes) -> str:
    write_pair(folder, "train")
    (folder / name).write_bytes(data)
    with pytest.raises(CatalogError) as error:
        read_catalog(str(folder))
    return error.value.message


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


@pytest.mark.parametrize(
    ("name", "data", "cause"),
    [
        (IMAGES, b"P5 1 1", "does not start like an IDX file"),
        (IMAGES, b"\0\0\x0d\3" + bytes(12), "does not start like an IDX file"),
        (IMAGES, b"\0\0\x08\3\0\0", "cut short"),
        (IMAGES, idx_bytes(np.zeros((6, 5, 4), np.uint8))[:-1], "must hold 120 values after its header, got 119"),
        (IMAGES, struct.pack(">BBBB3I", 0, 0, 8, 3, *[2**32 - 1] * 3), "values after its header, got 0"),
        (IMAGES, idx_bytes(np.zeros((6, 5), np.uint8)), "its shape must be (photos, rows, columns), got (6, 5)"),
        (IMAGES, idx_bytes(np.zeros((6, 0, 4), np.uint8)), "its shape must be (photos, rows, columns)"),
        (LABELS, idx_bytes(np.zeros(5, np.uint8)), "must have one label for each of the 6 photos, got (5,)"),
        (LABELS, gzip.compress(idx_bytes(np.zeros(6, np.uint8)), mtime=0)[:-9], "damaged or cut short gzip file"),
        (LABELS, b"", "does not start like an IDX file"),
    ],
)
def test_broken_files_are_named_with_the_cause(name: str, data: bytes, cause: str, tmp_path: Path) -> None:
    message = broken(tmp_path, name, data)
    assert message.startswith(f'"{name}" could not be read as an IDX file:')
    assert cause in message


def test_a_packed_bomb_is_refused_at_the_cap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idx, "MAX_UNPACKED_BYTES", 1000)
    assert "unpacks to more than the limit" in broken(tmp_path, IMAGES, gzip.compress(bytes(2000), mtime=0))


def test_a_folder_in_the_place_of_a_file_is_an_error(tmp_path: Path) -> None:
    write_pair(tmp_path, "train")
    (tmp_path / LABELS).unlink()
    (tmp_path / LABELS).symlink_to(tmp_path.parent)
    with pytest.raises(CatalogError, match="without a partner"):
        read_catalog(str(tmp_path))


def test_images_without_labels_are_an_error(tmp_path: Path) -> None:
    write_pair(tmp_path, "train")
    (tmp_path / LABELS).unlink()
    with pytest.raises(CatalogError, match="got train-images-idx3-ubyte without a partner"):
        read_catalog(str(tmp_path / IMAGES))


def test_an_unreadable_file_is_an_error(tmp_path: Path) -> None:
    write_pair(tmp_path, "train")
    (tmp_path / LABELS).unlink()
    (tmp_path / LABELS).symlink_to("/dev/zero")
    with pytest.raises(CatalogError, match="could not be read as an IDX file: a link that leads outside"):
        read_catalog(str(tmp_path))
