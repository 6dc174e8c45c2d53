"""What work elsewhere says reaches the driver's reporter, and nothing stays open when the worker dies."""

from __future__ import annotations

from contextlib import contextmanager

from teliti.workflow.learning.told import AskingReporter, Listener


class Heard:
    def __init__(self) -> None:
        self.words: list[tuple] = []

    @contextmanager
    def task(self, title: str, total: int | None):
        self.words.append(("open", title, total))
        yield lambda amount: self.words.append(("advance", amount))
        self.words.append(("closed", title))

    def note(self, message: str) -> None:
        self.words.append(("note", message))

    def epoch(self, row: dict) -> None:
        self.words.append(("epoch", row))


def test_every_word_arrives_in_order_and_steps_are_told_together() -> None:
    heard = Heard()
    listener = Listener(heard)
    reporter = AskingReporter(lambda said: listener("0", said))
    with reporter.task("Training", 40) as advance:
        for _ in range(40):
            advance(1)
        reporter.epoch({"epoch": 0})
        reporter.note("half way")
    assert heard.words[0] == ("open", "Training", 40)
    assert heard.words[-4:] == [("epoch", {"epoch": 0}), ("note", "half way"), ("advance", 40), ("closed", "Training")]


def test_what_a_dead_worker_left_open_is_closed() -> None:
    heard = Heard()
    listener = Listener(heard)
    listener("0", ("begin", 1, "outer", None))
    listener("0", ("begin", 2, "inner", None))
    listener.close()
    listener("0", ("advance", 1, 3))
    assert heard.words[2:] == [("closed", "inner"), ("closed", "outer")]
