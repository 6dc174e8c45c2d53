"""The trials of a search as they end: a sentence each, or a table that is redrawn: the best so far, then the latest."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from teliti.cli.escaping import visible
from teliti.cli.wording import format_count, format_measure, format_number, format_seconds, is_in_units

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
        table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="", caption=counts, caption_justify="left")
        table.add_column("trial", justify="right", no_wrap=True)
        table.add_column(format_measure(self._latest[-1]["measure"]), justify="right", no_wrap=True)
        table.add_column("time", justify="right", no_wrap=True)
        table.add_column("choices", overflow="ellipsis", no_wrap=True)
        if self._best is not None:
            table.add_row(*_cells(self._best), style="bold")
            table.add_section()
        for row in reversed(self._latest):
            table.add_row(*_cells(row), style="dim" if row["state"] != "done" else "")
        return table


def trial_sentence(row: Record) -> str:
    """One trial on one line.

    Args:
        row: As a `TrialReporter` gets it.
    """
    value = row["state"] if row["mean"] is None else f"{format_measure(row['measure'])} {_mean(row)}"
    reason = f": {row['reason']}" if row.get("reason") else ""
    mark = ", best so far" if row["best"] else ""
    return f"Trial {row['number']}: {value}{reason}, {format_seconds(row['seconds'])}{mark} ({factors_words(row)})"


def factors_words(row: Record) -> str:
    """What a row chose, the last word of each key with its value."""
    chosen = row["factors"].items()
    words = [f"{name.rpartition('.')[2]} {value:.3g}" if isinstance(value, float) else
             f"{name.rpartition('.')[2]} {value}" for name, value in chosen]  # fmt: skip
    return ", ".join(words) or "as given"


def _mean(row: Record) -> str:
    return format_number(row["mean"], digits=4, in_units=is_in_units(row["measure"]))


def _cells(row: Record) -> tuple[str, str, str, Text]:
    value = row["state"] if row["mean"] is None else _mean(row)
    words = row["reason"] if row.get("reason") else factors_words(row)
    return str(row["number"]), value, format_seconds(row["seconds"]), Text(visible(words))
