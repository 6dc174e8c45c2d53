"""How long work shows itself on stderr: bars with a forecast on a terminal, now and then a plain line elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from teliti.cli.epochs import epoch_header, epoch_line, epoch_sentence
from teliti.cli.escaping import visible
from teliti.cli.trials import TrialsTable, trial_sentence
from teliti.cli.wording import format_count, format_seconds

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from teliti.types import Record

_WORTH_A_LINE_S = 1.0
_BETWEEN_LINES_S = 10.0


class BarReporter:
    """Progress bars that vanish when their work is done; what took over a second leaves one line.

    Args:
        console: Where to draw.
        clock: Seconds that only grow.
    """

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._has_header = False
        self._open_tasks = 0
        self._trials: TrialsTable | None = None
        self._progress = _Screen(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=28),
            TextColumn("{task.fields[count]}", markup=False),
            TimeElapsedColumn(),
            TextColumn("left", style="dim"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )

    @contextmanager
    def task(self, title: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """A bar for `total` pieces of work, or a pulse where the length is unknown."""
        began = self._clock()
        done = 0
        bar = self._progress.add_task(visible(title), total=total, count=_position(0, total))
        self._open_tasks += 1
        self._progress.start()

        def advance(amount: int) -> None:
            nonlocal done
            done += amount
            self._progress.update(bar, advance=amount, count=_position(done, total))

        try:
            yield advance
        finally:
            self._open_tasks -= 1
            self._progress.refresh()  # the last position is seen, also of work between two frames
            self._progress.remove_task(bar)
            self._has_header = False  # another training has titles of its own
            if self._open_tasks == 0:
                self._progress.above = self._trials = None
                self._progress.stop()
        _print_finished(self._console, title, done=done, seconds=self._clock() - began)

    def note(self, message: str) -> None:
        """One sentence above the bars."""
        self._console.print(Text(visible(message)))

    def epoch(self, row: Record) -> None:
        """One row of the table of epochs above the bars, the titles above the first."""
        if not self._has_header:
            self._console.print(Text(epoch_header(row), style="dim"), soft_wrap=True)
            self._has_header = True
        self._console.print(Text(epoch_line(row), style="bold" if row.get("best") else ""), soft_wrap=True)

    def trial(self, row: Record) -> None:
        """The table of trials above the bars, redrawn; it goes with them."""
        if self._trials is None:
            self._progress.above = self._trials = TrialsTable()
        self._trials.add(row)
        self._progress.refresh()


class _Screen(Progress):
    """Bars, and what stands above them."""

    above: TrialsTable | None = None

    def get_renderables(self) -> Iterator[RenderableType]:
        if self.above is not None:
            yield self.above
        yield from super().get_renderables()


class LineReporter:
    """Plain lines for logs and pipes: one every ten seconds of work, one at its end when it took over a second.

    Args:
        console: Where to write.
        clock: Seconds that only grow.
    """

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock

    @contextmanager
    def task(self, title: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Work that tells now and then how far it is and how long it will still take."""
        began = last_line = self._clock()
        done = 0

        def advance(amount: int) -> None:
            nonlocal done, last_line
            done += amount
            now = self._clock()
            if now - last_line >= _BETWEEN_LINES_S:
                last_line = now
                self.note(f"{title}: {_position(done, total)}{_forecast(done, total, seconds=now - began)}")

        yield advance
        _print_finished(self._console, title, done=done, seconds=self._clock() - began)

    def note(self, message: str) -> None:
        """One sentence on a line of its own."""
        self._console.print(Text(visible(message)), soft_wrap=True)

    def epoch(self, row: Record) -> None:
        """One line for each epoch of a training."""
        self.note(epoch_sentence(row))

    def trial(self, row: Record) -> None:
        """One line for each trial of a search; those before an interruption had theirs."""
        if not row.get("earlier"):
            self.note(trial_sentence(row))


def _position(done: int, total: int | None) -> str:
    return format_count(done) if total is None else f"{format_count(done)} of {format_count(total)}"


def _forecast(done: int, total: int | None, *, seconds: float) -> str:
    if total is None or not 0 < done < total:
        return ""
    return f", about {format_seconds(seconds / done * (total - done))} left"


def _print_finished(console: Console, title: str, *, done: int, seconds: float) -> None:
    if seconds < _WORTH_A_LINE_S:
        return
    count = f" {format_count(done)} in" if done > 1 else ""
    console.print(Text(visible(f"{title}:{count} {format_seconds(seconds)}"), style="dim"))
