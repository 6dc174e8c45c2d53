"""TensorBoard event files, read back by an independent reader of the format."""

from __future__ import annotations

from pathlib import Path

import pytest

from teliti.errors import StorageError
from teliti.training.events import append_events, crc32c, write_events
from unit.training.event_files import curves_of, read_events

ROWS = [
    {"epoch": 0, "train_loss": 0.7, "val_accuracy": 0.5, "learning": "head"},
    {"epoch": 1, "train_loss": 0.4, "val_accuracy": None, "learning": "head"},
    {"epoch": 300, "train_loss": 0.1, "val_accuracy": 0.9, "learning": "head"},
]


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
    curves = [curves_of(event) for event in events]
    assert curves[0] == pytest.approx({"train_loss": 0.7, "val_accuracy": 0.5})
    assert curves[1] == pytest.approx({"train_loss": 0.4})
    assert curves[2] == pytest.approx({"train_loss": 0.1, "val_accuracy": 0.9})


def test_added_rows_follow_those_that_are_there(tmp_path: Path) -> None:
    path = write_events(tmp_path, ROWS[:1], tags=("train_loss",))
    before = path.read_bytes()
    append_events(path, ROWS[1:], tags=("train_loss", "val_accuracy"))
    assert path.read_bytes().startswith(before)  # a reader that has the file open goes on
    assert [event[2] for event in read_events(path)] == [0, 0, 1, 300]
    assert curves_of(read_events(path)[-1]) == pytest.approx({"train_loss": 0.1, "val_accuracy": 0.9})


def test_a_file_that_cannot_be_added_to_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="could not be written"):
        append_events(tmp_path / "gone" / "events.out", ROWS, tags=("train_loss",))
