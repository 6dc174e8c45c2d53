"""Decoded photos wait in a bounded file; what is not there is decoded again."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from photos import encode
from teliti.data.decoded import DecodedPhotos, read_photo
from teliti.data.origins import FileOrigin
from teliti.errors import PhotoRefused
from teliti.types import Sample


class Gone:
    def read_bytes(self):
        raise PhotoRefused("the file does not exist (any more)")


def noise(seed, *shape):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_kept_photos_come_back_without_their_file():
    decoded = DecodedPhotos()
    grey, colour = noise(0, 5, 7), noise(1, 4, 6, 3)
    decoded.keep("grey", grey)
    decoded.keep("colour", colour[:, ::-1])
    assert np.array_equal(decoded.read(Sample("grey", Gone())), grey)
    assert np.array_equal(decoded.read(Sample("colour", Gone())), colour[:, ::-1])
    with pytest.raises(PhotoRefused, match="does not exist"):
        decoded.read(Sample("other", Gone()))


def test_what_had_to_be_decoded_is_kept_if_that_is_wished(tmp_path):
    path = tmp_path / "b.png"
    path.write_bytes(encode(noise(2, 8, 8, 3), "PNG"))
    decoded, sample = DecodedPhotos(), Sample("b.png", FileOrigin(path))
    assert np.array_equal(decoded.read_and_keep(sample), noise(2, 8, 8, 3))
    path.unlink()
    assert np.array_equal(decoded.read_and_keep(sample), noise(2, 8, 8, 3))
    assert len(decoded) == 1


def test_what_does_not_fit_is_decoded_from_its_file(tmp_path):
    path = tmp_path / "b.png"
    path.write_bytes(encode(noise(2, 8, 8, 3), "PNG"))
    decoded = DecodedPhotos(most_bytes=100)
    decoded.keep("a", noise(0, 10, 10))
    decoded.keep("b.png", noise(2, 8, 8, 3))
    assert len(decoded) == 1
    assert np.array_equal(decoded.read(Sample("b.png", FileOrigin(path))), noise(2, 8, 8, 3))


def test_a_full_disk_only_means_decoding_again(monkeypatch):
    decoded = DecodedPhotos()

    class Full:
        def seek(self, _):
            return 0

        def write(self, _):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(decoded, "_file", Full())
    decoded.keep("a", noise(0, 3, 3))
    decoded.keep("b", noise(0, 3, 3))
    assert len(decoded) == 0


def test_several_threads_do_not_mix_their_photos():
    decoded = DecodedPhotos()
    photos = {str(number): noise(number, 20 + number, 30) for number in range(40)}
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda item: decoded.keep(*item), photos.items()))
        back = list(pool.map(lambda name: decoded.read(Sample(name, Gone())), photos))
    assert all(np.array_equal(one, other) for one, other in zip(back, photos.values(), strict=True))


def test_a_grey_file_is_one_channel_and_a_colour_file_three(tmp_path):
    for name, shape in (("g.png", (6, 5)), ("c.png", (6, 5, 3))):
        (tmp_path / name).write_bytes(encode(noise(3, *shape), "PNG"))
        assert read_photo(Sample(name, FileOrigin(tmp_path / name))).shape == shape
