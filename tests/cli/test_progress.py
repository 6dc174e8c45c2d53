"""Progress on stderr: bars where somebody watches, plain lines elsewhere."""

import io
import itertools
import re
import sys
from collections.abc import Callable

import pytest
from rich.console import Console

from teliti.cli.output import OutputOptions
from teliti.cli.progress import BarReporter, LineReporter
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


def epoch_row(epoch: int, **values: object) -> dict:
    return {"epoch": epoch, "lr": 0.0005, "train_loss": 0.51234, "train_mae": None, "val_loss": 0.4, "val_mae": None,
            "val_accuracy": 0.875, "best": True, **values}  # fmt: skip


def test_a_log_has_a_line_for_each_epoch_with_the_time_of_its_row() -> None:
    page = io.StringIO()
    reporter = LineReporter(console_on(page), clock=clock_of(0.0, 4.0))
    reporter.epoch(epoch_row(0))
    with reporter.task("Training", None):
        reporter.epoch(epoch_row(1, best=False, seconds=2.5))
        reporter.epoch(epoch_row(2, val_loss=None, val_accuracy=None, seconds=1.5))
    assert page.getvalue().splitlines() == [
        "Epoch 1: train loss 0.5123, val loss 0.4, val accuracy 0.875, rate 0.0005 (best)",
        "Epoch 2: train loss 0.5123, val loss 0.4, val accuracy 0.875, rate 0.0005, 2.5 s",
        "Epoch 3: train loss 0.5123, val loss -, val accuracy -, rate 0.0005, 1.5 s (best)",
        "Training: 4.0 s",
    ]


def test_a_log_of_numbers_has_their_error() -> None:
    page = io.StringIO()
    LineReporter(console_on(page)).epoch(epoch_row(0, train_mae=3.0, val_mae=14.5678))
    assert "val error 14.57" in page.getvalue()


def test_a_terminal_has_a_table_of_epochs_above_the_bar() -> None:
    page = io.StringIO()
    reporter = BarReporter(console_on(page, terminal=True), clock=clock_of(0.0, 3.2))
    with reporter.task("Training", 6):
        reporter.epoch(epoch_row(0, seconds=1.2))
        reporter.epoch(epoch_row(1, best=False, seconds=2.0))
    lines = [line.rstrip() for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", page.getvalue()).splitlines()]
    titles = [line for line in lines if line.lstrip("\r").startswith("epoch")]
    assert [title.lstrip("\r") for title in titles] == [
        "epoch  train loss    val loss    val acc.        rate        time",
    ]
    rows = [line.lstrip("\r") for line in lines if re.match(r"\r*    [12] ", line)]
    assert rows == [
        "    1      0.5123         0.4       0.875      0.0005       1.2 s  best",
        "    2      0.5123         0.4       0.875      0.0005       2.0 s",
    ]


def test_rows_of_an_interrupted_run_share_their_titles_with_those_that_follow() -> None:
    page = io.StringIO()
    reporter = BarReporter(console_on(page, terminal=True), clock=clock_of(0.0))
    reporter.epoch(epoch_row(0))
    with reporter.task("Training", 6):
        reporter.epoch(epoch_row(1))
    assert page.getvalue().count("val acc.") == 1


def test_a_second_training_has_its_own_titles() -> None:
    page = io.StringIO()
    reporter = BarReporter(console_on(page, terminal=True), clock=clock_of(0.0))
    for _ in range(2):
        with reporter.task("Training", 6):
            reporter.epoch(epoch_row(0, train_mae=1.0, val_mae=2.0))
    assert page.getvalue().count("val error") == 2


def trial_row(number: int, mean: float | None, *, best: bool = False, **values: object) -> dict:
    state = "done" if mean is not None else "failed"
    return {"number": number, "factors": {"model.c": 0.12345}, "state": state, "mean": mean, "measure": "roc_auc",
            "seconds": 1.5, "best": best, "reason": "", **values}  # fmt: skip


def test_a_terminal_redraws_one_table_of_trials_and_takes_it_away() -> None:
    page = io.StringIO()
    reporter = BarReporter(console_on(page, terminal=True), clock=clock_of(0.0))
    with reporter.task("Trying", 40) as advance:
        reporter.trial(trial_row(0, 0.91, best=True))
        advance(1)
        for number in range(1, 12):
            reporter.trial(trial_row(number, 0.5 + number / 100))
        reporter.trial(trial_row(12, None, reason="the loss is \x1b[31mnot finite"))
        page.truncate(0)
        reporter.trial(trial_row(13, 0.95, best=True))
        seen = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", page.getvalue())
        with reporter.task("Computing features", 3):
            pass
        page.truncate(0)
        reporter.trial(trial_row(14, 0.5))
        assert "14 done, 1 failed" in page.getvalue()  # work in between took nothing away
        page.truncate(0)
    rows = [line.split()[:4] for line in seen.splitlines() if re.match(r"[\s\x00]*\d+ +(0\.|failed)", line)]
    rows = rows[-9:]  # the last drawing: on a slow machine the clock of the bars drew an earlier one
    assert [row[0].strip("\x00") for row in rows] == ["13", "13", "12", "11", "10", "9", "8", "7", "6"]
    assert rows[0][1] == "0.9500"
    assert "\\x1b[31mnot finite" in seen
    assert "13 done, 1 failed" in seen
    assert page.getvalue().count("\x1b[2K") >= 12  # its lines are cleared in the end


def test_the_table_begins_with_the_trials_that_an_interrupted_search_had() -> None:
    page = io.StringIO()
    reporter = BarReporter(console_on(page, terminal=True), clock=clock_of(0.0))
    with reporter.task("Trying", 40):
        reporter.trial(trial_row(0, 0.91, best=True, earlier=True))
        reporter.trial(trial_row(1, None, earlier=True))
        page.truncate(0)
        reporter.trial(trial_row(2, 0.7))
        seen = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", page.getvalue())
    assert "2 done, 1 failed" in seen
    assert "0.9100" in seen


def test_a_log_has_a_line_for_each_trial_of_its_own() -> None:
    page = io.StringIO()
    LineReporter(console_on(page)).trial(trial_row(2, 0.8, earlier=True))
    LineReporter(console_on(page)).trial(trial_row(3, 0.91, best=True))
    assert page.getvalue() == "Trial 3: ROC AUC 0.9100, 1.5 s, best so far (c 0.123)\n"


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
    assert isinstance(OutputOptions().reporter(), kind)
