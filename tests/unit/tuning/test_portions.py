"""Portions: every item answered once, whoever is ready first."""

from __future__ import annotations

import pytest

import works
from inline_engine import InlineEngine
from teliti.errors import RunError
from teliti.tuning.engines import LocalEngine
from teliti.tuning.portions import do_portions
from teliti.types import SilentReporter


def test_every_item_has_one_answer() -> None:
    engine = InlineEngine()
    found = do_portions(
        range(10), works.triple_all, engine=engine, title="Tripling", reporter=SilentReporter(), portion=4
    )
    assert dict(found) == {number: 3 * number for number in range(10)}
    assert engine.begun == ["0", "4", "8"]


def test_what_cannot_be_done_stops_it_with_its_sentence() -> None:
    with LocalEngine(1, attempts=1) as engine, pytest.raises(RunError, match="was killed 1 times") as raised:
        list(do_portions([1], works.die_always, engine=engine, title="Dying", reporter=SilentReporter()))
    assert "--workers" in raised.value.hint
