"""A sensitivity table on the terminal and as CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from teliti.cli.escaping import visible
from teliti.cli.output import print_line, print_sentences
from teliti.cli.variants_table import csv_page
from teliti.cli.wording import (
    format_count,
    format_interval,
    format_number,
    format_photos,
    format_seconds,
    is_in_units,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from teliti.types import Record

_NOISE = "inside the noise"
_SEVERAL = "several"  # choices of a grid's cell at once


def write_table(record: Record) -> str:
    """One row a cell: its factors, the measure with its interval, the verdict, chance and cause, and what it took."""
    factors = list(record["rows"][0]["factors"])
    header = [*factors, record["measure"], "low", "high", "repeats", "difference", "verdict", "at_chance", "cause",
              "seconds", "energy_wh"]  # fmt: skip
    return csv_page(header, map(_cells, record["rows"]))


def _cells(row: Record) -> list[Any]:
    difference = row["difference"] or {}
    found = [row["mean"], *(row["interval"] or (None, None)), row["repeats"]]
    judged = [difference.get("mean"), difference.get("verdict"), row["at_chance"], row["cause"]]
    return [*row["factors"].values(), *found, *judged, row["seconds"], row["energy_wh"]]


def print_table(console: Console, record: Record) -> None:
    """Choices down, networks across: every mean with its interval, the course's number beside it."""
    console.print()
    head = f"{record['measure'].replace('_', ' ')} of {format_count(len(record['rows']))} cells, {record['repeats']} "
    console.print(Text(f"{head}repeats each, {format_photos(record['photos'])}", style="bold"))
    console.print(_table(record))
    print_sentences(console, _facts(record), mark="-")
    print_line(console, f"Report  {record['report']}")


def _table(record: Record) -> Table:
    networks = list(dict.fromkeys(entry["network"] for entry in record["table"]))
    found = {(entry["network"], entry["factor"], entry["value"]): entry for entry in record["table"]}
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="",
                  caption=f"below each mean: 95 % interval, time and energy of one training; grey: inside the noise of "
                          f"its base; in brackets: the {record['course']}")  # fmt: skip
    table.add_column("choice", overflow="fold")
    for network in networks:
        table.add_column(visible(network), overflow="fold")
    before = None
    for factor, value in dict.fromkeys((entry["factor"], entry["value"]) for entry in record["table"]):
        if before not in {None, factor}:
            table.add_section()
        before = factor
        entries = [found.get((network, factor, value)) for network in networks]
        choice = value if factor == _SEVERAL else f"{factor} {value}"
        table.add_row(visible(choice), *(_cell(entry, record) for entry in entries))
    return table


def _cell(entry: Record | None, record: Record) -> Text:
    if entry is None:
        return Text("-")
    row = record["rows"][entry["cell"]]
    course = "" if entry["course"] is None else f" ({entry['course']:.2f})"
    if row["mean"] is None:
        return Text(f"failed{course}", style="red")
    is_quiet = row["difference"] is not None and row["difference"]["verdict"] == _NOISE
    flag = " at chance" if row["at_chance"] else ""
    unit = is_in_units(record["measure"])
    return Text.assemble(
        (f"{format_number(row['mean'], in_units=unit)}{course}", "dim" if is_quiet else "bold"),
        (f"\n{format_interval(row['interval'], in_units=unit)}", "dim"),
        (flag, "yellow"),
        (f"\n{format_seconds(row['seconds'])}, {row['energy_wh']:.2f} Wh", "dim"),
    )


def _facts(record: Record) -> Iterator[str]:
    yield record["design"]
    total = sum((row["seconds"] or 0.0) * row["repeats"] for row in record["rows"])
    energy = sum((row["energy_wh"] or 0.0) * row["repeats"] for row in record["rows"])
    yield (
        f"The trainings took {format_seconds(total / record['workers'])} with {record['workers']} at a time, about "
        f"{energy:.1f} Wh at {record['watts']:g} watts."
    )
    for row in record["rows"]:
        if row["cause"]:
            varied = ", ".join(f"{key} {row['factors'][key]}" for key in row["varied"]) or "base"
            network = next(iter(row["factors"].values()))
            yield f"{network}, {varied}: {'at chance' if row['at_chance'] else 'failed'}. {row['cause']}"
