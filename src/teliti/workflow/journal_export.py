"""The journal as a table: CSV for spreadsheets, Parquet for analysis. A row is a record, its hashes included."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from teliti.files import spreadsheet_cell, write_bytes_atomic
from teliti.journal.entry import COLUMNS, to_json
from teliti.runtime import require
from teliti.types import Record

if TYPE_CHECKING:
    from teliti.journal.store import Journal

_ROWS = 5000
_WHOLE, _REAL = ("position", "corrects"), ("score", "threshold")


def csv_lines(journal: Journal) -> Iterator[str]:
    """The journal as CSV (RFC 4180), a line at a time; a cell that a spreadsheet would run gets an apostrophe."""
    page = io.StringIO()
    writer = csv.writer(page, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for record in journal.records():
        yield _emptied(page)
        writer.writerow([_cell(value) for value in _flat(record).values()])
    yield _emptied(page)


def write_parquet(journal: Journal, path: Path) -> int:
    """Write the journal as a Parquet file; `probs` and `details` are JSON text.

    Returns:
        The number of records.

    Raises:
        MissingExtraError: pyarrow is not installed.
        StorageError: the disk is full or the folder is not writable.
    """
    arrow = require("pyarrow", extra="parquet", purpose="write Parquet files")
    parquet = require("pyarrow.parquet", extra="parquet", purpose="write Parquet files")
    kinds: dict[str, Any] = dict.fromkeys(COLUMNS, arrow.string())
    kinds |= dict.fromkeys(_WHOLE, arrow.int64()) | dict.fromkeys(_REAL, arrow.float64())
    schema = arrow.schema(list(kinds.items()))
    content = io.BytesIO()
    count = 0
    records = journal.records()
    with parquet.ParquetWriter(content, schema) as writer:
        while some := [_flat(record) for record in islice(records, _ROWS)]:
            writer.write_table(arrow.Table.from_pylist(some, schema=schema))
            count += len(some)
    write_bytes_atomic(path, content.getvalue())
    return count


def _flat(record: Record) -> Record:
    """The record with its objects as JSON text, null where they are empty: the table's own row."""
    flat = {name: record[name] for name in COLUMNS}
    for name in ("probs", "details"):
        flat[name] = to_json(record[name]) if record[name] else None
    return flat


def _cell(value: str | float | None) -> str:
    if value is None:
        return ""
    return spreadsheet_cell(value) if isinstance(value, str) else repr(value)


def _emptied(page: io.StringIO) -> str:
    text = page.getvalue()
    page.seek(0)
    page.truncate()
    return text
