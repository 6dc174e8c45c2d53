"""What one record of the journal says, and its hash. No database here.

A record's hash is the SHA-256 of its canonical JSON: its fields that are not null, `previous` (the hash of the record
before it) included, keys sorted, no spaces, ASCII, numbers in their shortest exact form. A later schema may add
columns: in older records they are null and change no hash.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from teliti.files import sha256_hex

if TYPE_CHECKING:  # a journal is traced within a second: no numpy for a type
    from teliti.types import Record

Kind = Literal["model", "start", "verdict", "correction", "stop"]
Row = dict[str, Any]
"""A record as the table holds it: `probs` and `details` are canonical JSON text."""

NOTHING_BEFORE = "0" * 64
REFUSED = "refused"
COLUMNS = (
    "position", "kind", "time", "source", "once", "serial", "photo", "photo_hash", "model_hash", "verdict", "label",
    "score", "probs", "threshold", "reason", "operator", "corrects", "details", "previous", "hash",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """What a caller adds to the journal; position, time and hashes are the journal's.

    Attributes:
        kind: A verdict, a human's correction of one, the facts of a model, or the start and stop of an inspection.
        source: Who wrote it, for instance `watch /line-1`.
        once: At most one record has this key; appending it again gives the record that is there.
        serial: Serial number of the inspected part.
        photo: Name of the photo.
        photo_hash: SHA-256 of the photo's bytes.
        model_hash: SHA-256 of the network file that judged.
        verdict: "pass", "reject", "review", a class name, or "refused" for a photo that cannot be used.
        label: The class that was chosen, by the rule or by a human.
        score: Probability of the positive class, or the predicted number.
        probs: Probability by class name.
        threshold: Scores from it on are rejected.
        reason: Why, one sentence.
        operator: Who was at the line, or who corrected.
        corrects: Position of the record that a correction is about.
        details: Anything else that is JSON-ready.
    """

    kind: Kind
    source: str
    once: str | None = None
    serial: str | None = None
    photo: str | None = None
    photo_hash: str | None = None
    model_hash: str | None = None
    verdict: str | None = None
    label: str | None = None
    score: float | None = None
    probs: Mapping[str, float] = field(default_factory=dict)
    threshold: float | None = None
    reason: str | None = None
    operator: str | None = None
    corrects: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain: kept elsewhere, it proves later that no record up to it was changed or cut off.

    Attributes:
        position: Number of the last record; 0 for an empty journal.
        hash: Its hash.
    """

    position: int
    hash: str

    def __str__(self) -> str:
        """`POSITION:HASH`, as `parse_head` reads it."""
        return f"{self.position}:{self.hash}"


def make_row(entry: Entry, *, after: Head, time: datetime) -> Row:
    """The row of an entry at the end of the chain.

    Args:
        entry: What it says; text that a database cannot hold is written out, see `storable`.
        after: The record before it.
        time: Aware; written in UTC.
    """
    row: Row = {
        "position": after.position + 1,
        "kind": entry.kind,
        "time": time.astimezone(UTC).isoformat(timespec="microseconds"),
        "source": storable(entry.source),
        "score": _finite(entry.score),
        "probs": to_json({storable(name): float(p) for name, p in entry.probs.items()}) if entry.probs else None,
        "threshold": _finite(entry.threshold),
        "corrects": entry.corrects,
        "details": to_json(entry.details) if entry.details else None,
        "previous": after.hash,
    }
    for name in ("once", "serial", "photo", "photo_hash", "model_hash", "verdict", "label", "reason", "operator"):
        text = getattr(entry, name)
        row[name] = None if text is None else storable(text)
    row["hash"] = hash_row(row)
    return {name: row[name] for name in COLUMNS}


def hash_row(row: Mapping[str, Any]) -> str:
    """The hash that a row must have, 64 hexadecimal digits."""
    said = {name: row[name] for name in COLUMNS if name != "hash" and row.get(name) is not None}
    return sha256_hex(to_json(said).encode("ascii"))


def to_record(row: Mapping[str, Any]) -> Record:
    """A row for its readers: probabilities and details as objects."""
    record: Record = {name: row[name] for name in COLUMNS}
    for name in ("probs", "details"):
        record[name] = json.loads(row[name]) if row[name] else {}
    return record


def to_json(value: Mapping[str, Any]) -> str:
    """Canonical JSON: the same value gives the same text everywhere."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def storable(text: str) -> str:
    r"""The text with zero characters and bytes that are not UTF-8 written out as `\x00` and `\xff`.

    Databases refuse both, and a file's name may hold the latter.
    """
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace").replace("\0", r"\x00")


def parse_head(text: str) -> Head | None:
    """The head written as `POSITION:HASH`; None when the text is not of that form."""
    position, _, digest = text.strip().partition(":")
    is_hash = len(digest) == len(NOTHING_BEFORE) and set(digest) <= set("0123456789abcdef")
    return Head(int(position), digest) if position.isascii() and position.isdigit() and is_hash else None


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
