"""The decoder child: the same pixels, hard limits, and a new child soon after one has died."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from photos import broken_photos, good_photos
from served import DARK, evil_command
from teliti.data.decode import decode_photo
from teliti.errors import PhotoRefused, RunError
from teliti.serve.decoder import Decoder, DecoderLimits, Decoders

LIMITS = DecoderLimits(max_bytes=1_000_000, max_pixels=1_000_000, seconds=5.0, memory_bytes=512 * 1024**2)


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    decoder = Decoder(LIMITS)
    yield decoder
    decoder.close()


@pytest.fixture
def evil(tmp_path: Path) -> Iterator[Decoder]:
    decoder = Decoder(LIMITS, command=evil_command(tmp_path))
    yield decoder
    decoder.close()


def test_the_pixels_are_the_same(decoder: Decoder) -> None:
    for name, data in good_photos().items():
        pixels = decode_photo(decoder.decode(data))
        assert pixels.shape == decode_photo(data).shape, name
        assert np.array_equal(pixels, decode_photo(data)), name


def test_the_reasons_are_the_same(decoder: Decoder) -> None:
    child = decoder.pid
    for name, broken in broken_photos().items():
        with pytest.raises(PhotoRefused) as refused:
            decoder.decode(broken.data)
        assert refused.value.reason, name
    assert decoder.pid == child


def test_limits_of_bytes_and_pixels(decoder: Decoder) -> None:
    with pytest.raises(PhotoRefused, match=r"2\.0 MB is over the limit of 1\.0 MB"):
        decoder.decode(b"x" * 2_000_000)
    with pytest.raises(PhotoRefused, match="1001 x 1000 pixels is over the limit of 1 megapixels"):
        decoder.decode(b"P4\n1001 1000\n" + bytes(126_000))


@pytest.mark.skipif(not Path("/proc/self/limits").is_file(), reason="limits are read from /proc")
def test_the_child_may_do_little(decoder: Decoder) -> None:
    decoder.decode(DARK)
    lines = Path(f"/proc/{decoder.pid}/limits").read_text(encoding="ascii").splitlines()
    limits = {line[:26].strip(): line[26:].split()[0] for line in lines}
    assert limits["Max file size"] == limits["Max processes"] == limits["Max core file size"] == "0"
    assert int(limits["Max address space"]) < 8 * 1024**3


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"segfault", "did not survive it"), (b"hang", "took longer than 5 s"), (b"memory", "takes more memory")],
)
def test_a_photo_that_harms_its_decoder_is_refused(evil: Decoder, data: bytes, said: str) -> None:
    """R14: reported, and the next photo is decoded within 2 s."""
    evil.decode(DARK)
    with pytest.raises(PhotoRefused, match=said):
        evil.decode(data)
    began = time.monotonic()
    assert evil.decode(DARK).startswith(b"P")
    assert time.monotonic() - began <= 2


def test_a_child_that_died_between_photos_costs_nothing(decoder: Decoder) -> None:
    decoder.decode(DARK)
    before = decoder.pid
    os.kill(before, 9)
    time.sleep(0.05)
    assert decoder.decode(DARK).startswith(b"P")
    assert decoder.pid != before


@pytest.mark.parametrize("command", [["/nonexistent"], [sys.executable, "-c", "pass"]])
def test_no_child_is_a_failure_of_the_run(command: list[str]) -> None:
    decoder = Decoder(LIMITS, command=command)
    with pytest.raises(RunError, match="The photo decoder cannot be started"):
        decoder.decode(DARK)
    decoder.close()


def test_a_closed_decoder_starts_no_child() -> None:
    decoder = Decoder(LIMITS)
    decoder.close()
    with pytest.raises(RunError, match="cannot be started"):
        decoder.decode(DARK)
    assert decoder.pid is None


def test_nobody_waits_longer_than_asked() -> None:
    decoders = Decoders(1, limits=LIMITS)
    taken = decoders._free.get()
    with pytest.raises(RunError, match="Every photo decoder is busy"):
        decoders.decode(DARK, wait_s=0.01)
    decoders._free.put(taken)
    assert decoders.decode(DARK, wait_s=1).startswith(b"P")
    decoders.close()
