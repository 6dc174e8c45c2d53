"""The trials of a search as a table that is redrawn while it runs: the best so far, then the latest."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from teliti.cli.escaping import visible
from teliti.cli.tuned import factors_words
from teliti.cli.wording import format_count, format_number, format_seconds

if TYPE_CHECKING:
    from teliti.types import Record

_LATEST = 8


class TrialsTable:
    """What is seen of a search on a terminal."""

    def __init__(self) -> None:
        self._best: Record | None = None
        self._latest: list[Record] = []
        self._states: Counter[str] = Counter()

    def add(self, row: Record) -> None:
        """One more trial, as a `TrialReporter` gets it."""
        self._best = row if row["best"] else self._best
        self._latest = [*self._latest, row][-_LATEST:]
        self._states[row["state"]] += 1

    def __rich__(self) -> Table:
        """The table as it stands."""
        counts = ", ".join(f"{format_count(number)} {state}" for state, number in self._states.items())
        measure = str(self._latest[-1]["measure"]).replace("_", " ")
        table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="", caption=counts, caption_justify="left")
        table.add_column("trial", justify="right", no_wrap=True)
        table.add_column(measure, justify="right", no_wrap=True)
        table.add_column("time", justify="right", no_wrap=True)
        table.add_column("choices", overflow="ellipsis", no_wrap=True)
        if self._best is not None:
            table.add_row(*_cells(self._best), style="bold")
            table.add_section()
        for row in reversed(self._latest):
            table.add_row(*_cells(row), style="dim" if row["state"] != "done" else "")
        return table


def _cells(row: Record) -> tuple[str, str, str, Text]:
    value = row["state"] if row["mean"] is None else format_number(row["mean"], digits=4)
    words = row["reason"] if row.get("reason") else factors_words(row)
    return str(row["number"]), value, format_seconds(row["seconds"]), Text(visible(words))
