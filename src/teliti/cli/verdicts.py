"""What `predict` found: a table for people, CSV for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from teliti.cli.escaping import visible
from teliti.cli.output import print_refused, print_sentences
from teliti.cli.several import labels_in_words
from teliti.cli.wording import format_count, format_number, format_photos
from teliti.files import spreadsheet_cell

if TYPE_CHECKING:
    from rich.console import Console

    from teliti.types import Record

REJECT = "reject"
REVIEW = "review"
VERDICTS = ("pass", REJECT, REVIEW)
_STYLES = {"pass": "green", REJECT: "bold red", REVIEW: "yellow"}
_MOST_ROWS = 50
_Cell = Callable[[Mapping[str, Any]], str | Text]
_MOST_COUNTED = 8


def print_verdicts(console: Console, record: Record) -> None:
    """The first rows, the refused photos with their reasons, and a line that counts them all."""
    results, refused = record["results"], record["refused"]
    if results:
        console.print(_result_table(results[:_MOST_ROWS]))
    if len(results) > _MOST_ROWS:
        rest = format_count(len(results) - _MOST_ROWS)
        print_sentences(console, [f"and {rest} more: --csv FILE or --json gives all of them."], mark=" ")
    print_refused(console, refused, most=_MOST_ROWS, where="--csv FILE or --json")
    console.print(Text(visible(summarize_verdicts(record)), style="bold"))


def summarize_verdicts(record: Record) -> str:
    """One line: how many photos, how many of each verdict, how many refused."""
    results, refused = record["results"], record["refused"]
    counts = Counter(str(result["verdict"]) for result in results if result.get("verdict") is not None)
    ordered = [name for name in VERDICTS if counts[name]] + [
        name for name, _ in counts.most_common() if name not in VERDICTS
    ]
    parts = [f"{format_count(counts[name])} {_quoted(name)}" for name in ordered[:_MOST_COUNTED]]
    if len(ordered) > _MOST_COUNTED:
        parts.append(f"{format_count(sum(counts[name] for name in ordered[_MOST_COUNTED:]))} of other classes")
    parts += [f"{format_count(len(refused))} refused"] if refused else []
    outside = sum(bool(result.get("warnings")) for result in results)
    tail = f" {format_count(outside)} outside the envelope of light, blur, size and scale." if outside else ""
    return f"{format_photos(len(results) + len(refused))}: {', '.join(parts) or 'measured'}.{tail}"


def write_verdicts(record: Record, *, safe: Callable[[str], str] = spreadsheet_cell) -> str:
    """All rows as CSV (RFC 4180), refused photos included with the verdict `refused`.

    Args:
        record: As the workflow's `predict` returns it.
        safe: What makes a text cell harmless for its reader; numbers are written as they are.
    """
    results = record["results"]
    names = list(results[0].get("probs") or {}) if results else []
    numbers = list(results[0].get("values") or {}) if results else []
    page = io.StringIO()
    writer = csv.writer(page, lineterminator="\r\n")
    header = ["path", "verdict", "label", "score", "probability", "reasons"]
    told = ["warnings"] if any("warnings" in result for result in results) else []
    writer.writerow([safe(name) for name in (*header, *(f"probability of {name}" for name in names), *numbers, *told)])
    for result in results:
        probs = result.get("probs") or {}
        label = result["label"] if result.get("labels") is None else labels_in_words(result)
        row = [result["path"], result.get("verdict"), label, result.get("score"), _probability(result)]
        row += [_reasons(result), *(probs.get(name) for name in names)]
        row += [result["values"][name] for name in numbers] + [_warnings(result) for _ in told]
        writer.writerow([_cell(value, safe) for value in row])
    for photo in record["refused"]:
        row = [photo["path"], "refused", None, None, None, photo["reason"], *(None for _ in (*names, *numbers, *told))]
        writer.writerow([_cell(value, safe) for value in row])
    return page.getvalue()


def _result_table(results: list[Mapping[str, Any]]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="")
    columns = _columns(results)
    for title, (_, is_text) in columns.items():
        table.add_column(title, **({"overflow": "fold"} if is_text else {"justify": "right", "no_wrap": True}))
    for result in results:
        table.add_row(*(cell(result) for cell, _ in columns.values()))
    return table


def _columns(results: list[Mapping[str, Any]]) -> dict[str, tuple[_Cell, bool]]:
    """By title: what stands in a row's cell, and whether it is text."""
    is_verdict = any(result.get("verdict") is not None for result in results)
    has_labels = any(result.get("labels") is not None for result in results)
    numbers = list(results[0].get("values") or {})
    columns: dict[str, tuple[_Cell, bool]] = {"photo": (lambda result: visible(result["path"]), True)}
    if is_verdict:
        columns["verdict"] = (_verdict, True)
    if has_labels and any(result["verdict"] in VERDICTS for result in results):
        columns["labels"] = (lambda result: visible(labels_in_words(result) or ""), True)
    if not numbers:
        columns["score" if is_verdict else "predicted"] = (partial(_score, in_units=not is_verdict), False)
    columns |= {visible(name): (partial(_value, name=name), False) for name in numbers}
    if is_verdict and not has_labels:
        columns["probability"] = (lambda result: format_number(_probability(result)), False)
    if any(result.get("reasons") for result in results):
        columns["reasons"] = (lambda result: visible(_reasons(result)), True)
    if any(result.get("warnings") for result in results):
        columns["outside the envelope"] = (lambda result: visible(_warnings(result)), True)
    return columns


def _score(result: Mapping[str, Any], *, in_units: bool) -> str:
    return format_number(result["score"], in_units=in_units)


def _value(result: Mapping[str, Any], *, name: str) -> str:
    return format_number(result["values"][name], in_units=True)


def _verdict(result: Mapping[str, Any]) -> Text:
    return Text(visible(result["verdict"]), style=_STYLES.get(result["verdict"], ""))


def _quoted(verdict: str) -> str:
    return verdict if verdict in VERDICTS else f'"{verdict}"'


def _probability(result: Mapping[str, Any]) -> float | None:
    """The probability of the class that the photo was given; None for a number."""
    probs: Mapping[str, float] = result.get("probs") or {}
    return probs.get(result["label"])


def _reasons(result: Mapping[str, Any]) -> str:
    return "; ".join(result.get("reasons") or ())


def _warnings(result: Mapping[str, Any]) -> str:
    return "; ".join(result.get("warnings") or ())


def _cell(value: str | float | None, safe: Callable[[str], str]) -> str:
    if value is None:
        return ""
    return safe(value) if isinstance(value, str) else repr(value)
