"""One record: what is hashed, what is stored, and how a head is written."""

from __future__ import annotations

import hashlib
import json
import math
from datetime import UTC, datetime, timedelta, timezone

import pytest

from journals import verdict_entry
from teliti.journal.entry import COLUMNS, NOTHING_BEFORE, Entry, Head, hash_row, make_row, parse_head, to_record

START = Head(0, NOTHING_BEFORE)
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def test_the_hash_is_sha256_of_the_canonical_json_with_the_hash_before() -> None:
    row = make_row(
        Entry("verdict", "watch /line", serial="A1", score=0.5, probs={"b": 0.5, "a": 0.5}), after=START, time=NOON
    )
    said = (
        '{"kind":"verdict","position":1,"previous":"' + "0" * 64 + '","probs":"{\\"a\\":0.5,\\"b\\":0.5}","score":0.5,'
        '"serial":"A1","source":"watch /line","time":"2026-05-04T12:00:00.000000+00:00"}'
    )  # fmt: skip
    assert json.loads(said)
    assert row["hash"] == hash_row(row) == hashlib.sha256(said.encode()).hexdigest()


@pytest.mark.parametrize("name", [name for name in COLUMNS if name != "hash"])
def test_every_field_is_part_of_the_hash(name: str) -> None:
    row = make_row(verdict_entry(reason="why", corrects=1, once="x", details={"a": 1}), after=START, time=NOON)
    assert row[name] is not None
    changed = row[name] + 1 if isinstance(row[name], int | float) else f"{row[name]}!"
    assert hash_row({**row, name: changed}) != row["hash"]
    assert hash_row({**row, name: None}) != row["hash"]


def test_a_column_of_a_later_schema_changes_no_hash() -> None:
    row = make_row(verdict_entry(), after=START, time=NOON)
    assert hash_row({**row, "station": None}) == row["hash"]


def test_a_record_has_objects_and_a_row_has_text() -> None:
    row = make_row(verdict_entry(25, details={"folder": "/line"}), after=START, time=NOON)
    record = to_record(row)
    assert record["probs"] == {"dark": 0.75, "bright": 0.25}
    assert record["details"] == {"folder": "/line"}
    assert to_record(make_row(Entry("stop", "x"), after=START, time=NOON))["probs"] == {}


def test_text_that_no_database_takes_is_written_out() -> None:
    row = make_row(Entry("verdict", "line", photo="a\udcff.png", serial="1\x002"), after=START, time=NOON)
    assert (row["photo"], row["serial"]) == (r"a\xff.png", r"1\x002")


def test_a_time_is_written_in_utc() -> None:
    local = datetime(2026, 5, 4, 14, tzinfo=timezone(timedelta(hours=2)))
    assert make_row(Entry("stop", "x"), after=START, time=local)["time"] == "2026-05-04T12:00:00.000000+00:00"


def test_what_is_no_number_is_null() -> None:
    assert make_row(Entry("verdict", "x", score=math.nan, threshold=math.inf), after=START, time=NOON)["score"] is None


@pytest.mark.parametrize("text", ["", "12", "12:", f":{'a' * 64}", f"-1:{'a' * 64}", f"x:{'a' * 64}", f"1:{'g' * 64}"])
def test_what_is_no_head(text: str) -> None:
    assert parse_head(text) is None


def test_a_head_is_read_as_it_is_written() -> None:
    head = Head(12, "a" * 64)
    assert parse_head(f"{head}\n") == head
