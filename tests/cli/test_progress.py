"""Progress on stderr: bars where somebody watches, plain lines elsewhere."""

import io
import itertools
import sys
from collections.abc import Callable

import pytest
from rich.console import Console

from teliti.cli.progress import BarReporter, LineReporter, stderr_reporter
from teliti.types import Reporter


def clock_of(*seconds: float) -> Callable[[], float]:
    times = itertools.chain(seconds, itertools.repeat(seconds[-1]))
    return lambda: next(times)


def console_on(page: io.StringIO, *, terminal: bool = False) -> Console:
    return Console(file=page, width=100, markup=False, force_terminal=terminal, color_system=None)


def test_short_work_says_nothing() -> None:
    page = io.StringIO()
    with LineReporter(console_on(page), clock=clock_of(0.0, 0.5)).task("Reading", 3) as advance:
        advance(3)
    assert page.getvalue() == ""


def test_long_work_tells_now_and_then_and_at_its_end() -> None:
    page = io.StringIO()
    with LineReporter(console_on(page), clock=clock_of(0, 4, 10, 12, 40)).task("Features", 1200) as advance:
        for _ in range(3):
            advance(400)
    assert page.getvalue().splitlines() == [
        "Features: 800 of 1,200, about 5.0 s left",
        "Features: 1,200 in 40 s",
    ]


def test_work_of_unknown_length_has_no_forecast() -> None:
    page = io.StringIO()
    with LineReporter(console_on(page), clock=clock_of(0, 11, 12)).task("Listing", None) as advance:
        advance(7)
    assert page.getvalue().splitlines() == ["Listing: 7", "Listing: 7 in 12 s"]


def test_failed_work_is_not_called_finished() -> None:
    page = io.StringIO()
    reporter = LineReporter(console_on(page), clock=clock_of(0, 99))

    def fail() -> None:
        with reporter.task("Features", 2):
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        fail()
    assert page.getvalue() == ""


def test_titles_and_notes_are_harmless() -> None:
    page = io.StringIO()
    reporter = LineReporter(console_on(page), clock=clock_of(0, 2))
    reporter.note("read \x1b[31m[red]x[/red]\nnext")
    with reporter.task("in \u202ename", None):
        pass
    assert page.getvalue() == "read \\x1b[31m[red]x[/red]\\nnext\nin \\u202ename: 2.0 s\n"


def test_bars_show_position_and_vanish() -> None:
    page = io.StringIO()
    reporter = BarReporter(console_on(page, terminal=True), clock=clock_of(0, 3))
    with reporter.task("Features [1]", 40) as advance:
        advance(25)
        reporter.note("half way")
    drawn = page.getvalue()
    assert "Features [1]" in drawn
    assert "25 of 40" in drawn
    assert "half way" in drawn
    assert drawn.endswith("Features [1]: 25 in 3.0 s\n")


def test_one_bar_inside_another() -> None:
    page = io.StringIO()
    reporter = BarReporter(console_on(page, terminal=True), clock=clock_of(0))
    with reporter.task("outer", 2) as outer:
        with reporter.task("inner", 1) as inner:
            inner(1)
        outer(2)
    assert "outer" in page.getvalue()
    assert "inner" in page.getvalue()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "term", "kind"),
    [(Terminal(), "xterm", BarReporter), (Terminal(), "dumb", LineReporter), (io.StringIO(), "xterm", LineReporter)],
)
def test_nothing_moves_without_a_terminal(
    stream: io.StringIO, term: str, kind: type[Reporter], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert isinstance(stderr_reporter(), kind)
