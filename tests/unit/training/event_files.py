"""An independent reader of TensorBoard's event files."""

from __future__ import annotations

import struct
from pathlib import Path

from teliti.training.events import crc32c


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


def curves_of(event: dict[int, object]) -> dict[str, float]:
    """Numbers of one event by their tag."""
    values = [dict(read_message(value)) for field, value in read_message(event[5]) if field == 1]
    return {value[1].decode(): value[2] for value in values}
