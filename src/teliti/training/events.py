"""Learning curves as an event file that TensorBoard opens, written without TensorBoard.

The format: records of length, masked CRC-32C of the length, data, masked CRC-32C of the data (TFRecord); each datum
is an `Event` protocol buffer with wall_time = 1, step = 2, file_version = 3 and summary = 5, whose values carry
tag = 1 and simple_value = 2.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from teliti.files import append_bytes, write_bytes_atomic

_POLYNOMIAL = 0x82F63B78  # CRC-32C (Castagnoli), reflected
_MASK_DELTA = 0xA282EAD8
_FIXED64, _BYTES, _FIXED32, _VARINT = 1, 2, 5, 0


def write_events(
    folder: Path, rows: Sequence[Mapping[str, Any]], *, tags: Sequence[str], now: float | None = None
) -> Path:
    """Write the curves of a run as one event file, replacing the one of an earlier call with the same `now`.

    Args:
        folder: The folder that TensorBoard is pointed at, or one below it.
        rows: History rows; the row's "epoch" is the step.
        tags: Which numbers of a row; undefined ones are left out.
        now: Seconds since 1970 for the file's name and all rows; None: the present.

    Returns:
        The file.

    Raises:
        StorageError: the disk is full or the folder is not writable.
    """
    now = time.time() if now is None else now
    path = folder / f"events.out.tfevents.{int(now)}.teliti"
    write_bytes_atomic(path, _record(_event(now, 0, version=True)) + _curves(rows, tags, now))
    return path


def append_events(path: Path, rows: Sequence[Mapping[str, Any]], *, tags: Sequence[str]) -> None:
    """Add rows to a file of `write_events`, whose readers keep it open and see them.

    Args:
        path: The file.
        rows: History rows; the row's "epoch" is the step.
        tags: Which numbers of a row; undefined ones are left out.

    Raises:
        StorageError: the disk is full or the file is not writable.
    """
    append_bytes(path, _curves(rows, tags, time.time()))


def crc32c(data: bytes) -> int:
    """The Castagnoli checksum of the bytes; that of b"123456789" is 0xE3069283."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def _curves(rows: Sequence[Mapping[str, Any]], tags: Sequence[str], now: float) -> bytes:
    events = []
    for row in rows:
        numbers = {tag: float(row[tag]) for tag in tags if row.get(tag) is not None}
        events.append(_record(_event(now, int(row["epoch"]), numbers=numbers)))
    return b"".join(events)


def _table_entry(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (_POLYNOMIAL if byte & 1 else 0)
    return byte


_TABLE = tuple(_table_entry(byte) for byte in range(256))


def _record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", _masked(length)) + data + struct.pack("<I", _masked(data))


def _masked(data: bytes) -> int:
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF


def _event(wall_time: float, step: int, *, version: bool = False, numbers: Mapping[str, float] | None = None) -> bytes:
    event = _key(1, _FIXED64) + struct.pack("<d", wall_time) + _key(2, _VARINT) + _varint(step)
    if version:
        return event + _bytes(3, b"brain.Event:2")
    values = (
        _bytes(1, _bytes(1, tag.encode()) + _key(2, _FIXED32) + struct.pack("<f", number))
        for tag, number in (numbers or {}).items()
    )
    return event + _bytes(5, b"".join(values))


def _bytes(field: int, data: bytes) -> bytes:
    return _key(field, _BYTES) + _varint(len(data)) + data


def _key(field: int, wire_type: int) -> bytes:
    return _varint(field << 3 | wire_type)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])
