"""What a search found, for people: finalists, why the winner, what it does on the test part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from teliti.cli.escaping import visible
from teliti.cli.output import print_line, print_sentences
from teliti.cli.trials import factors_words
from teliti.cli.wording import (
    format_count,
    format_interval,
    format_measure,
    format_number,
    format_photos,
    is_in_units,
)

if TYPE_CHECKING:
    from rich.console import Console

    from teliti.types import Record

_MOST_TESTED = ("accuracy", "balanced_accuracy", "recall", "roc_auc", "mae", "rmse", "r2")


def print_search(console: Console, record: Record) -> None:
    """Finalists side by side, then the winner."""
    trials, best = record["trials"], record["best"]
    console.print()
    head = f"{format_count(trials['done'])} trials on {format_photos(record['photos'])}"
    others = [f"{format_count(trials[name])} {name}" for name in ("pruned", "failed") if trials[name]]
    console.print(Text(", ".join([head, *others]), style="bold"))
    measure = format_measure(record["measure"])
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="")
    for title in ("recipe", measure, "95 % interval", "numbers in the model", "choices"):
        table.add_column(title, overflow="fold")
    unit = is_in_units(record["measure"])
    for row in record["finalists"]:
        style = "bold" if row["name"] == best["name"] else ""
        mean = format_number(row["mean"], digits=4, in_units=unit)
        interval = format_interval(row["interval"], in_units=unit)
        table.add_row(row["name"], mean, interval, format_count(row["size"]), visible(factors_words(row)), style=style)
    console.print(table)
    print_sentences(console, [f"Winner: {best['sentence']}", record["split"]], mark="-")
    if best["test"] is not None:
        known = {name: best["test"][name] for name in _MOST_TESTED if best["test"].get(name) is not None}
        said = ", ".join(
            f"{format_measure(name)} {format_number(value, in_units=is_in_units(name))}"
            for name, value in known.items()
        )
        console.print(Text(f"On the sealed test part, looked at once: {said}", style="bold"), soft_wrap=True)
    print_line(console, f"Recipe  {best['recipe']}")
    print_line(console, f"Report  {record['report']}")
