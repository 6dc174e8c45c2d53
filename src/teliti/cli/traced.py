"""What `journal trace` found, for people: one block for each photo of the part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from teliti.cli.escaping import visible
from teliti.cli.wording import format_number

if TYPE_CHECKING:
    from rich.console import Console

    from teliti.types import Record

_UNKNOWN = "not recorded"


def print_trace(console: Console, record: Record) -> None:
    """Facts of each verdict, in two columns."""
    for verdict in record["verdicts"]:
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in _facts(verdict):
            table.add_row(name, Text(visible(str(value))))
        title = f"{record['serial']}: {verdict['verdict'] or verdict['label'] or 'measured'}"
        console.print(Text(visible(title), style="bold"))
        console.print(table)


def _facts(verdict: Record) -> Iterator[tuple[str, Any]]:
    position, intact = verdict["position"], verdict["intact"]
    yield "record", f"{position}, {'as it was written' if intact else 'CHANGED: its content does not give its hash'}"
    yield "time", verdict["time"]
    yield "photo", verdict["photo"]
    yield "found at", verdict["photo_at"] or "nowhere by its hash"
    yield "photo SHA-256", verdict["photo_hash"] or _UNKNOWN
    yield "score", f"{format_number(verdict['score'])}, threshold {format_number(verdict['threshold'])}"
    if verdict["reason"]:
        yield "reason", verdict["reason"]
    yield "operator", verdict["operator"] or _UNKNOWN
    yield "model SHA-256", verdict["model_hash"] or _UNKNOWN
    yield from _model_facts(verdict["model"] or {})
    for correction in verdict["corrections"]:
        why = f": {correction['reason']}" if correction["reason"] else ""
        said = f"{correction['label']}, says {correction['operator']}, record {correction['position']}{why}"
        yield "corrected", said


def _model_facts(model: Record) -> Iterator[tuple[str, Any]]:
    provenance = model.get("provenance") or {}
    data = provenance.get("data") or {}
    recipe = provenance.get("recipe") or {}
    yield "bundle", model.get("bundle", _UNKNOWN)
    yield "training run", provenance.get("run", _UNKNOWN)
    yield "trained", model.get("created") or _UNKNOWN
    yield "code version", model.get("version") or _UNKNOWN
    yield "data", data.get("source", _UNKNOWN)
    yield "data SHA-256", data.get("sha256", _UNKNOWN)
    yield "labels", data.get("labels", _UNKNOWN)
    yield "recipe", f"seed {recipe['seed']}, whole with --json" if "seed" in recipe else _UNKNOWN
