"""Any record of facts, drawn as names and values, with a table for each list of records."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from teliti.cli.escaping import visible
from teliti.cli.wording import format_bytes, format_count

if TYPE_CHECKING:
    from rich.console import Console

    from teliti.types import Record

_UNSAID = {"schema", "command"}


def print_facts(console: Console, record: Record) -> None:
    """Plain values first, then each inner record and each list of records under its own heading."""
    plain = {key: value for key, value in record.items() if not _is_nested(value)}
    console.print(_fact_table(plain))
    for key, value in record.items():
        if not _is_nested(value):
            continue
        console.print()
        console.print(Text(_title(key), style="bold"))
        console.print(_fact_table(value) if isinstance(value, Mapping) else _row_table(value))


def _fact_table(facts: Mapping[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in _flatten(facts):
        if key not in _UNSAID:
            table.add_row(visible(_title(key)), _value(key, value))
    return table


def _flatten(facts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Inner records as rows of their own under dotted names, the ones that `--set` uses."""
    for key, value in facts.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _row_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="")
    columns = list(dict.fromkeys(key for row in rows for key in row))
    for key in columns:
        is_number = all(isinstance(row.get(key), (int, float)) for row in rows)
        table.add_column(visible(_title(key)), overflow="fold", justify="right" if is_number else "left")
    for row in rows:
        table.add_row(*(_value(key, row.get(key)) for key in columns))
    return table


def _is_nested(value: object) -> bool:
    if isinstance(value, Mapping):
        return bool(value)
    return isinstance(value, list) and bool(value) and all(isinstance(item, Mapping) for item in value)


def _title(key: str) -> str:
    return key if "." in key else key.replace("_", " ")


def _value(key: str, value: object) -> str:
    """A value in words; sizes and moments are known by the end of their key."""
    if value is None or value == []:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{visible(str(name))} {_value(str(name), item)}" for name, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_value(key, item) for item in value)
    if isinstance(value, (int, float)):
        return _number(key, value)
    return visible(str(value))


def _number(key: str, value: float) -> str:
    if key.endswith("bytes"):
        return format_bytes(value)
    if key.endswith("_at"):
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(value))
    return format_count(value) if isinstance(value, int) else f"{value:.6g}"
