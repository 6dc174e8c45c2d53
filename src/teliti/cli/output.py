"""What every verb shares: its output options, the two streams, JSON, and sentences for people.

Results go to stdout, everything else to stderr. Colour follows `NO_COLOR`, `FORCE_COLOR` and `TERM`.
"""

from __future__ import annotations

import json as json_format
import math
import os
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TextIO

from cyclopts import Group, Parameter

from teliti.cli.escaping import visible

if TYPE_CHECKING:
    from rich.console import Console

    from teliti.types import Record, Reporter

_UNWRAPPED = 100_000  # columns where nobody reads along: one line a row, one line a sentence
_command: ContextVar[str] = ContextVar("command", default="teliti")


@Parameter(name="*", group=Group("Output", sort_key=9))
@dataclass(frozen=True)
class OutputOptions:
    """How a verb speaks.

    Attributes:
        json: Print one JSON document on stdout, for machines.
        quiet: Say nothing on stderr but errors: no progress, no notes.
        debug: Show the traceback of an error.
    """

    json: Annotated[bool, Parameter(negative="", show_default=False)] = False
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative="", show_default=False)] = False
    debug: Annotated[bool, Parameter(negative="", show_default=False)] = False

    def reporter(self) -> Reporter:
        """Progress and notes on stderr, bars where it is a live terminal; silent with `--quiet`."""
        if self.quiet:
            from teliti.types import SilentReporter

            return SilentReporter()
        from teliti.cli.progress import BarReporter, LineReporter

        console = stderr_console()
        return BarReporter(console) if is_live(sys.stderr) else LineReporter(console)


DEFAULT_OUTPUT = OutputOptions()


def remember_command(arguments: Sequence[str]) -> None:
    """Keep what was typed, for the records that tell how to repeat a run."""
    _command.set(shlex.join(["teliti", *arguments]))


def typed_command() -> str:
    """The command line as it was typed, quoted so that a shell reads it back to the same words."""
    return _command.get()


def stdout_console() -> Console:
    """A console for results."""
    return _console(sys.stdout)


def stderr_console() -> Console:
    """A console for progress, notes and errors."""
    return _console(sys.stderr)


def is_live(stream: TextIO) -> bool:
    """True where something may move: a real terminal that understands more than plain lines."""
    return stream.isatty() and os.environ.get("TERM", "").lower() not in {"dumb", "unknown"}


def print_json(record: Record) -> None:
    """One JSON document on stdout: ASCII, no NaN, indented where a person reads it."""
    indent = 2 if sys.stdout.isatty() else None
    text = json_format.dumps(_without_nan(record), indent=indent, ensure_ascii=True, allow_nan=False)
    sys.stdout.write(text + "\n")


def print_line(console: Console, text: str, *, style: str = "") -> None:
    """One line that is never folded, so that a path or a command can be copied whole."""
    from rich.text import Text

    console.print(Text(visible(text), style=style), soft_wrap=True)


def print_sentences(console: Console, sentences: Iterable[str], *, mark: str, style: str = "") -> None:
    """Sentences folded at words, each after a mark that stands alone in its column."""
    from rich.table import Table
    from rich.text import Text

    listing = Table.grid(padding=(0, 1))
    listing.add_column(style=style, no_wrap=True)
    listing.add_column(overflow="fold")
    for sentence in sentences:
        listing.add_row(mark, Text(visible(sentence)))
    if listing.row_count:
        console.print(listing)


def print_refused(console: Console, refused: Sequence[Mapping[str, str]], *, most: int, where: str) -> None:
    """Refused photos with their reasons, and where the others stand.

    Args:
        console: Where to.
        refused: "path" and "reason" of each.
        most: How many are shown.
        where: What names all of them, for instance "refused.csv".
    """
    lines = [f"{photo['path']}: refused, {photo['reason']}" for photo in refused[:most]]
    if len(refused) > most:
        lines.append(f"and {len(refused) - most:,} more: {where} names all of them.")
    print_sentences(console, lines, mark="!", style="bold yellow")


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    folded = stream.isatty() or os.environ.get("COLUMNS", "").isdigit()
    width = None if folded else _UNWRAPPED
    return Console(file=stream, markup=False, emoji=False, highlight=False, width=width)


def _without_nan(value: Any) -> Any:
    """The value with NaN and infinities as null, which is what JSON has for "no number"."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    return value
