"""The table of a network's layers, as people read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from teliti.cli.escaping import visible
from teliti.cli.output import print_line
from teliti.cli.wording import format_bytes, format_count
from teliti.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from rich.console import Console

    from teliti.types import Record

_NUMBERS = ("parameters", "parameters_without_bias", "multiply_adds")


def print_network(console: Console, record: Record) -> None:
    """Layers in the order in which they run, the totals below them, then what the numbers count."""
    totals = record["totals"]
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="", show_footer=True)
    table.add_column("layer", footer="total", no_wrap=True)
    table.add_column("kind", no_wrap=True)
    table.add_column("setting", overflow="fold")
    table.add_column("output", justify="right", no_wrap=True)
    for key, title in zip(_NUMBERS, ("parameters", "without bias", "multiply-adds"), strict=True):
        table.add_column(title, footer=format_count(totals[key]), justify="right", no_wrap=True)
    table.add_column("activations", footer=format_bytes(totals["activation_bytes"]), justify="right", no_wrap=True)
    for row in record["layers"]:
        table.add_row(*_cells(row))
    print_line(console, f"{record['network']}: {_times(record['input'])} in, {record['outputs']} out", style="bold")
    console.print(table)
    for sentence in _sentences(record):
        console.print(Text(sentence), soft_wrap=False)


def parse_image_size(text: str) -> tuple[int, int]:
    """(height, width) from "224" or "224x320".

    Raises:
        UserError: neither of the two.
    """
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() for side in sides):
        raise UserError(
            f"--image-size must be pixels a side or HEIGHTxWIDTH, got {text!r}.", hint="For instance 224 or 224x320."
        )
    return int(sides[0]), int(sides[-1])


def _cells(row: Mapping[str, Any]) -> list[str]:
    numbers = [format_count(row[key]) if row[key] else "-" for key in _NUMBERS]
    words = [visible(str(row[key])) for key in ("layer", "kind", "setting")]
    return [*words, _times(row["output"]), *numbers, format_bytes(row["activation_bytes"])]


def _sentences(record: Record) -> list[str]:
    totals, units = record["totals"], record["units"]
    memory = f"Parameters take {format_bytes(totals['parameter_bytes'])}"
    if totals["statistics"]:
        memory += f", with {format_count(totals['statistics'])} running statistics"
    built = ", ".join(f"{name} = {value}" for name, value in record.get("options", {}).items())
    return [
        *([f"Built with {built}."] if built else []),
        f"{memory}. The head has {format_count(totals['head_parameters'])} of the parameters.",
        f"Output: {units['output']}.",
        f"Multiply-adds: {units['multiply_adds']}.",
        f"Bytes: {units['bytes']}.",
    ]


def _times(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))
