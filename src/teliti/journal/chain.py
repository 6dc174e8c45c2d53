"""Is the chain whole? The first record that was changed, removed, moved or added, by arithmetic alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from teliti.journal.entry import NOTHING_BEFORE, Head, hash_row

Damage = Literal["changed", "removed", "reordered", "added", "rewritten"]


@dataclass(frozen=True, slots=True)
class Problem:
    """The first record at which the chain is not whole.

    Attributes:
        position: The record's number.
        kind: What was done to it.
        sentence: The same for people.
    """

    position: int
    kind: Damage
    sentence: str


def find_problem(rows: Iterable[Mapping[str, Any]], *, head: Head, expect: Head | None = None) -> Problem | None:
    """The first damaged record, or None when the chain is whole.

    Whoever may write to the database can compute the whole chain anew; only `expect`, kept elsewhere, shows that.

    Args:
        rows: Every record in the order of its position.
        head: The end of the chain as the journal keeps it beside the records.
        expect: A head that was written down earlier.
    """
    last = Head(0, NOTHING_BEFORE)
    for row in rows:
        problem = _compare(row, after=last, most=head.position)
        last = Head(row["position"], row["hash"])
        if problem is None and expect is not None and last.position == expect.position and last.hash != expect.hash:
            problem = _rewritten(last.position)
        if problem is not None:
            return problem
    return _compare_ends(last, head=head, expect=expect)


def _compare_ends(last: Head, *, head: Head, expect: Head | None) -> Problem | None:
    most = max(head.position, 0 if expect is None else expect.position)
    if last.position < most:
        return _removed(last.position + 1)
    if last.position > head.position:
        sentence = f"Record {head.position + 1} was added behind the end of the chain."
        return Problem(head.position + 1, "added", sentence)
    return None if last.hash == head.hash else _rewritten(last.position)


def _compare(row: Mapping[str, Any], *, after: Head, most: int) -> Problem | None:
    position = after.position + 1
    if row["position"] != position:
        return _removed(position)
    if hash_row(row) != row["hash"]:
        origin = _origin(row, most=most)
        if origin is not None:
            return Problem(position, "reordered", f"Record {position} was reordered: it is record {origin}.")
        return Problem(position, "changed", f"Record {position} was changed: its content does not give its hash.")
    if row["previous"] != after.hash:
        sentence = f"Record {position} was rewritten: it does not follow from the record before it."
        return Problem(position, "rewritten", sentence)
    return None


def _origin(row: Mapping[str, Any], *, most: int) -> int | None:
    """The position at which the row's content gives its hash."""
    return next((p for p in range(1, most + 1) if hash_row({**row, "position": p}) == row["hash"]), None)


def _removed(position: int) -> Problem:
    return Problem(position, "removed", f"Record {position} was removed.")


def _rewritten(position: int) -> Problem:
    return Problem(position, "rewritten", f"Record {position} was rewritten: its hash is not the one that was kept.")
