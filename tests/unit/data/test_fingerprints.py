"""Each photo is read once; a second look decodes nothing."""

import hashlib
from contextlib import contextmanager

import numpy as np
import pytest

import teliti.data.looking as room
from photos import encode
from teliti.cache import RowCache
from teliti.data.decoded import DecodedPhotos, read_photo
from teliti.data.fingerprints import SPACE, Fingerprint, fingerprint_image, fingerprint_photos
from teliti.data.origins import FileOrigin
from teliti.errors import PhotoRefused
from teliti.types import Sample, SilentReporter


@pytest.fixture
def samples(tmp_path):
    rng = np.random.default_rng(0)
    made = []
    for number in range(5):
        path = tmp_path / f"{number}.png"
        path.write_bytes(encode(rng.integers(0, 256, (20 + number, 30, 3), dtype=np.uint8), "PNG"))
        made.append(Sample(path.name, FileOrigin(path)))
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n cut")
    return [*made[:3], Sample("broken.png", FileOrigin(broken)), *made[3:]]


class Progress(SilentReporter):
    """Remembers what it was told; interrupts after so many photos."""

    def __init__(self, stop_after=None):
        self.tasks, self.steps, self.stop_after = [], 0, stop_after

    @contextmanager
    def task(self, title, total):
        self.tasks.append((title, total))
        yield self.advance

    def advance(self, steps):
        self.steps += steps
        if self.steps == self.stop_after:
            raise KeyboardInterrupt


def look(samples, cache, threads=2, reporter=None):
    return fingerprint_photos(samples, cache=cache, threads=threads, reporter=reporter or SilentReporter())


def test_digest_size_and_refusal_stand_in_the_samples_order(samples, tmp_path):
    found, refused = look(samples, RowCache(tmp_path / "cache"))
    assert [None if mark is None else mark.height for mark in found] == [20, 21, 22, None, 23, 24]
    assert found[0].digest == hashlib.sha256((tmp_path / "0.png").read_bytes()).digest()
    assert found[0].thumbnail.shape == (64, 64)
    assert [one.name for one in refused] == ["broken.png"]
    assert refused[0].reason


def test_a_second_look_decodes_nothing_and_says_the_same(samples, tmp_path, monkeypatch):
    cache = RowCache(tmp_path / "cache")
    first, _ = look(samples[:3], cache)
    monkeypatch.setattr(room, "decode_photo", lambda _: pytest.fail("decoded again"))
    second, _ = look(samples[:3], cache, threads=1)
    for one, other in zip(first, second, strict=True):
        assert (one.digest, one.height, one.width) == (other.digest, other.height, other.width)
        assert np.array_equal(one.thumbnail, other.thumbnail)


def test_a_row_survives_the_round_trip():
    pixels = np.arange(4096, dtype=np.uint32).reshape(64, 64).astype(np.uint8)
    mark = Fingerprint(b"d" * 32, 7, 9000, pixels)
    again = Fingerprint.from_row(mark.digest, mark.to_row())
    assert (again.height, again.width) == (7, 9000)
    assert np.array_equal(again.thumbnail, mark.thumbnail)


def test_a_thumbnail_is_the_grey_mean_of_areas():
    photo = np.random.default_rng(0).integers(0, 256, (128, 192, 3), dtype=np.uint8)
    mark = fingerprint_image(photo, b"d" * 32)
    grey = photo @ np.array([0.299, 0.587, 0.114])
    assert (mark.height, mark.width) == (128, 192)
    assert mark.thumbnail.dtype == np.uint8
    assert np.abs(mark.thumbnail - grey.reshape(64, 2, 64, 3).mean(axis=(1, 3))).max() <= 1.0


def test_only_new_photos_are_decoded_beside_known_ones(samples, tmp_path, monkeypatch):
    cache = RowCache(tmp_path / "cache")
    look(samples[:3], cache)
    decoded, real = [], room.decode_photo
    monkeypatch.setattr(room, "decode_photo", lambda data: (decoded.append(data), real(data))[1])
    look([*samples[:3], samples[5]], cache)
    assert decoded == [(tmp_path / "4.png").read_bytes()]


class Vanishing:
    """A file that is there for one reading only."""

    reads = 0

    def read_bytes(self):
        self.reads += 1
        if self.reads > 1:
            raise PhotoRefused("the file does not exist (any more)")
        return encode(np.zeros((8, 8, 3), np.uint8), "PNG")


def test_a_small_file_is_read_once(tmp_path):
    (mark,), refused = look([Sample("a.png", Vanishing())], RowCache(tmp_path / "cache"))
    assert (mark.height, refused) == (8, [])


def test_a_large_file_that_vanishes_between_its_two_readings_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "_HELD_BYTES", 10)
    found, refused = look([Sample("a.png", Vanishing())], RowCache(tmp_path / "cache"))
    assert found == [None]
    assert [(one.name, one.reason) for one in refused] == [("a.png", "the file does not exist (any more)")]


def test_decoded_pixels_are_handed_on_for_the_photos_that_were_decoded(samples, tmp_path):
    cache, decoded = RowCache(tmp_path / "cache"), DecodedPhotos()
    look(samples[:1], cache)
    fingerprint_photos(samples, cache=cache, threads=2, reporter=SilentReporter(), decoded=decoded)
    assert len(decoded) == 4  # the first was known, one is broken
    for sample in samples[4:]:
        pixels = read_photo(sample)
        (tmp_path / sample.name).unlink()
        assert np.array_equal(decoded.read(sample), pixels)


def test_a_grey_and_a_colour_file_of_the_same_pixels_look_the_same():
    grey = np.random.default_rng(1).integers(0, 256, (40, 50), dtype=np.uint8)
    one, three = fingerprint_image(grey, b"d" * 32), fingerprint_image(np.repeat(grey[..., None], 3, 2), b"d" * 32)
    assert np.array_equal(one.thumbnail, three.thumbnail)


def test_progress_is_told_photo_by_photo(samples, tmp_path):
    progress = Progress()
    look(samples, RowCache(tmp_path / "cache"), reporter=progress)
    assert progress.tasks == [("Reading photos", 6)]
    assert progress.steps == 6


def test_an_interruption_keeps_the_blocks_that_were_done(samples, tmp_path, monkeypatch):
    monkeypatch.setattr(room, "_BLOCK", 2)
    cache = RowCache(tmp_path / "cache")
    with pytest.raises(KeyboardInterrupt):
        look(samples, cache, reporter=Progress(stop_after=3))
    assert cache.overview()[0]["rows"] >= 2


def test_a_damaged_row_is_made_again(samples, tmp_path):
    cache = RowCache(tmp_path / "cache")
    (intact,), _ = look(samples[:1], cache)
    cache.write(SPACE, {intact.digest: b"damaged"})
    (again,), refused = look(samples[:1], cache)
    assert refused == []
    assert np.array_equal(again.thumbnail, intact.thumbnail)
    assert cache.read(SPACE, [intact.digest])[intact.digest] == intact.to_row()


def test_no_photos_give_nothing(tmp_path):
    assert look([], RowCache(tmp_path / "cache")) == ([], [])
