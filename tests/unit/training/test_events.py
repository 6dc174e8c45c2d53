"""TensorBoard event files, read back by an independent reader of the format."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from teliti.training.events import crc32c, write_events

ROWS = [
    {"epoch": 0, "train_loss": 0.7, "val_accuracy": 0.5, "learning": "head"},
    {"epoch": 1, "train_loss": 0.4, "val_accuracy": None, "learning": "head"},
    {"epoch": 300, "train_loss": 0.1, "val_accuracy": 0.9, "learning": "head"},
]


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        number |= (data[at] & 0x7F) << shift
        at, shift, more = at + 1, shift + 7, data[at] & 0x80
        if not more:
            return number, at


def read_message(data: bytes) -> list[tuple[int, object]]:
    """(field, value) pairs of a protocol buffer."""
    fields, at = [], 0
    while at < len(data):
        key, at = read_varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = read_varint(data, at)
        elif kind == 1:
            value, at = struct.unpack_from("<d", data, at)[0], at + 8
        elif kind == 5:
            value, at = struct.unpack_from("<f", data, at)[0], at + 4
        else:
            length, at = read_varint(data, at)
            value, at = data[at : at + length], at + length
        fields.append((key >> 3, value))
    return fields


def unmask(crc: int) -> int:
    rotated = (crc - 0xA282EAD8) & 0xFFFFFFFF
    return ((rotated >> 17) | (rotated << 15)) & 0xFFFFFFFF


def read_events(path: Path) -> list[dict[int, object]]:
    data, at, events = path.read_bytes(), 0, []
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        assert unmask(struct.unpack_from("<I", data, at + 8)[0]) == crc32c(data[at : at + 8])
        body = data[at + 12 : at + 12 + length]
        assert unmask(struct.unpack_from("<I", data, at + 12 + length)[0]) == crc32c(body)
        events.append(dict(read_message(body)))
        at += length + 16
    return events


@pytest.mark.parametrize(
    ("data", "crc"),
    [(b"123456789", 0xE3069283), (bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43), (bytes(range(32)), 0x46DD794E)],
)
def test_the_checksum_gives_the_published_values(data: bytes, crc: int) -> None:
    """RFC 3720, appendix B.4, and the check value of CRC-32C."""
    assert crc32c(data) == crc


def test_an_event_file_holds_a_version_and_one_event_a_row(tmp_path: Path) -> None:
    path = write_events(tmp_path, ROWS, tags=("train_loss", "val_accuracy"), now=1_700_000_000.5)
    assert path.name.startswith("events.out.tfevents.1700000000")
    version, *events = read_events(path)
    assert version[3] == b"brain.Event:2"
    assert [event[2] for event in events] == [0, 1, 300]
    assert events[0][1] == 1_700_000_000.5
    curves = []
    for event in events:
        values = [dict(read_message(value)) for field, value in read_message(event[5]) if field == 1]
        curves.append({value[1].decode(): value[2] for value in values})
    assert curves[0] == pytest.approx({"train_loss": 0.7, "val_accuracy": 0.5})
    assert curves[1] == pytest.approx({"train_loss": 0.4})
    assert curves[2] == pytest.approx({"train_loss": 0.1, "val_accuracy": 0.9})
