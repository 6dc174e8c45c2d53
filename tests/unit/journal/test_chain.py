"""The arithmetic of the chain: which record is the first that is not as it was written."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from journals import verdict_entry
from teliti.journal.chain import find_problem
from teliti.journal.entry import NOTHING_BEFORE, Head, Row, hash_row, make_row

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def chain(length: int) -> tuple[list[Row], Head]:
    rows: list[Row] = []
    head = Head(0, NOTHING_BEFORE)
    for number in range(1, length + 1):
        rows.append(make_row(verdict_entry(number), after=head, time=NOON))
        head = Head(number, rows[-1]["hash"])
    return rows, head


def test_a_whole_chain_and_an_empty_one() -> None:
    rows, head = chain(5)
    assert find_problem(rows, head=head) is None
    assert find_problem(rows, head=head, expect=Head(3, rows[2]["hash"])) is None
    assert find_problem([], head=Head(0, NOTHING_BEFORE)) is None


def test_a_changed_record() -> None:
    rows, head = chain(5)
    rows[2] |= {"verdict": "review"}
    problem = find_problem(rows, head=head)
    assert (problem.position, problem.kind) == (3, "changed")
    assert problem.sentence == "Record 3 was changed: its content does not give its hash."


@pytest.mark.parametrize("position", [1, 3, 5])
def test_a_removed_record(position: int) -> None:
    rows, head = chain(5)
    del rows[position - 1]
    problem = find_problem(rows, head=head)
    assert (problem.position, problem.kind, problem.sentence) == (
        position,
        "removed",
        f"Record {position} was removed.",
    )


@pytest.mark.parametrize(("first", "second"), [(1, 2), (2, 5), (4, 5)])
def test_reordered_records(first: int, second: int) -> None:
    rows, head = chain(5)
    rows[first - 1], rows[second - 1] = (
        {**rows[second - 1], "position": first},
        {**rows[first - 1], "position": second},
    )
    problem = find_problem(rows, head=head)
    assert (problem.position, problem.kind) == (first, "reordered")
    assert problem.sentence == f"Record {first} was reordered: it is record {second}."


def test_an_added_record() -> None:
    rows, head = chain(5)
    problem = find_problem([*rows, make_row(verdict_entry(6), after=head, time=NOON)], head=head)
    assert (problem.position, problem.kind) == (6, "added")
    assert problem.sentence == "Record 6 was added behind the end of the chain."


def test_a_record_with_a_new_hash_does_not_fit_the_next() -> None:
    rows, head = chain(5)
    rows[2] |= {"verdict": "pass"}
    rows[2] |= {"verdict": "review", "hash": hash_row({**rows[2], "verdict": "review"})}
    problem = find_problem(rows, head=head)
    assert (problem.position, problem.kind) == (4, "rewritten")
    assert "does not follow from the record before it" in problem.sentence


def test_only_a_head_kept_elsewhere_shows_a_chain_made_anew_or_cut() -> None:
    rows, head = chain(5)
    kept = head
    assert find_problem(rows[:3], head=Head(3, rows[2]["hash"])) is None
    cut = find_problem(rows[:3], head=Head(3, rows[2]["hash"]), expect=kept)
    assert (cut.position, cut.kind) == (4, "removed")
    rows[4] = make_row(verdict_entry(99), after=Head(4, rows[3]["hash"]), time=NOON)
    made_anew = Head(5, rows[4]["hash"])
    assert find_problem(rows, head=made_anew) is None
    found = find_problem(rows, head=made_anew, expect=kept)
    assert (found.position, found.kind) == (5, "rewritten")
    assert found.sentence == "Record 5 was rewritten: its hash is not the one that was kept."


def test_a_head_that_is_not_the_last_records() -> None:
    rows, head = chain(5)
    assert find_problem(rows, head=Head(head.position, "f" * 64)).kind == "rewritten"
