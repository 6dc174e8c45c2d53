"""Engines: every task once, back-pressure, questions, and workers that are killed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import works
from teliti.errors import UserError
from teliti.tuning.engines import LocalEngine, Task


@pytest.fixture(scope="module")
def engine():
    with LocalEngine(2) as engine:
        yield engine


def test_every_task_has_one_outcome(engine) -> None:
    outcomes = list(engine.run((Task(str(n), n) for n in range(7)), works.double))
    assert {outcome.key: outcome.value for outcome in outcomes} == {str(n): 2 * n for n in range(7)}
    assert all(outcome.attempts == 1 and outcome.trouble is None for outcome in outcomes)


def test_a_task_is_pulled_only_when_a_worker_is_free_and_all_outcomes_were_given(engine) -> None:
    pulled, seen = [], []

    def tasks():
        for number in range(6):
            pulled.append((number, len(seen)))
            yield Task(str(number), number)

    for outcome in engine.run(tasks(), works.double):
        seen.append(outcome.key)
        assert len(pulled) - len(seen) < engine.slots
    assert all(number - done < engine.slots for number, done in pulled)


def test_what_the_work_raises_is_told_and_costs_its_task_alone(engine) -> None:
    outcomes = {one.key: one for one in engine.run((Task(str(n), n) for n in (2, 3, 4, 6)), works.refuse_odd)}
    trouble = outcomes["3"].trouble
    assert (trouble.kind, trouble.message, trouble.hint) == ("RecipeError", "3 is odd.", "Take an even one.")
    assert outcomes["4"].trouble.message == "KeyError: 'four'"
    assert (outcomes["2"].value, outcomes["6"].value) == (2, 6)


def test_the_driver_answers_what_the_work_asks(engine) -> None:
    asked = []

    def answer(key: str, question: int) -> bool:
        asked.append((key, question))
        return question == 2

    (outcome,) = engine.run([Task("a", 9)], works.ask_until_told, answer=answer)
    assert outcome.value == 2
    assert asked == [("a", 0), ("a", 1), ("a", 2)]


def test_without_somebody_to_answer_the_answer_is_none(engine) -> None:
    (outcome,) = engine.run([Task("a", 3)], works.ask_until_told)
    assert outcome.value == 3


def test_workers_find_their_threads_and_the_driver_keeps_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    with LocalEngine(1, threads=3) as engine:
        tasks = [Task(name, name) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TELITI_THREADS")]
        outcomes = list(engine.run(tasks, works.environment))
        again = list(engine.run(tasks[:1], works.environment))
    assert [outcome.value[0] for outcome in outcomes] == ["3", "3", "3"]
    assert {outcome.value[1] for outcome in [*outcomes, *again]} == {outcomes[0].value[1]}  # one process for both runs
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ


def test_a_process_does_other_work_next_and_the_first_again() -> None:
    """A start costs the imports of the work, seconds where it trains."""
    with LocalEngine(1) as engine:
        (first,) = engine.run([Task("0", "HOME")], works.environment)
        (doubled,) = engine.run([Task("1", 21)], works.double)
        (again,) = engine.run([Task("2", "HOME")], works.environment)
    assert doubled.value == 42
    assert again.value == first.value  # with the number of the process


def test_the_task_of_a_killed_worker_is_done_by_another(engine, tmp_path: Path) -> None:
    (outcome,) = engine.run([Task("a", str(tmp_path / "marker"))], works.die_once)
    assert (outcome.value, outcome.attempts) == ("alive", 2)


def test_a_task_that_always_kills_its_worker_is_given_up() -> None:
    with LocalEngine(1, attempts=2) as engine:
        (outcome,) = engine.run([Task("a", None)], works.die_always)
    assert outcome.attempts == 2
    assert "was killed 2 times" in outcome.trouble.message
    assert "--workers" in outcome.trouble.hint


@pytest.mark.parametrize("name", ["workers", "threads", "attempts"])
def test_numbers_below_one_are_refused(name: str) -> None:
    with pytest.raises(UserError, match=f"{name} must be at least 1, got 0"):
        LocalEngine(**{"workers": 1, name: 0})
