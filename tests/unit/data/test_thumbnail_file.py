"""Fingerprints whose thumbnails wait in a file are the same fingerprints."""

import numpy as np
import pytest

import teliti.data.thumbnail_file as room
from teliti.data.duplicates import find_duplicates
from teliti.data.fingerprints import Fingerprint
from teliti.data.thumbnail_file import StoredFingerprints
from teliti.errors import StorageError


@pytest.fixture
def marks():
    rng = np.random.default_rng(0)
    return [
        Fingerprint(bytes([at]) * 32, 10 + at, 20, rng.integers(0, 256, (64, 64)).astype(np.uint8)) for at in range(5)
    ]


def stored(marks):
    kept = StoredFingerprints()
    for mark in marks:
        kept.append(mark)
    return kept


def test_what_goes_in_comes_out(marks):
    kept = stored(marks)
    assert len(kept) == 5
    for one, other in zip(kept, marks, strict=True):
        assert (one.digest, one.height, one.width) == (other.digest, other.height, other.width)
        assert np.array_equal(one.thumbnail, other.thumbnail)
    assert [one.height for one in kept[1:3]] == [11, 12]
    assert kept[-1].height == 14
    assert kept.digest(2) == bytes([2]) * 32
    with pytest.raises(IndexError):
        kept[5]


def test_duplicates_are_found_in_it_as_in_a_list(marks):
    flipped = Fingerprint(b"f" * 32, 10, 20, np.ascontiguousarray(marks[0].thumbnail[::-1]))
    both = [*marks, flipped, marks[1]]
    assert find_duplicates(stored(both)) == find_duplicates(both)
    assert [(pair.first, pair.second) for pair in find_duplicates(both)] == [(0, 5), (1, 6)]


def test_a_full_disk_is_told(marks, monkeypatch):
    class Full:
        def seek(self, place): ...

        def write(self, *_):
            raise OSError(28, "No space left on device")

        def read(self, *_):
            raise OSError(5, "Input/output error")

        def close(self): ...

    monkeypatch.setattr(room.tempfile, "TemporaryFile", lambda **_: Full())
    kept = StoredFingerprints()
    with pytest.raises(StorageError, match="disk is full"):
        kept.append(marks[0])
    kept._sizes.extend((1, 1))
    with pytest.raises(StorageError, match="could not be written"):
        kept[0]
