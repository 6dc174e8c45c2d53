"""What the cells of a label file say of a photo: one class, several labels, one number, several numbers.

A `label` column holds one name or number, or several with semicolons between them; `none` or an empty cell is no label
at all where photos may have several. Without a `label` column every other column is one label (0 or 1) or one number.
One photo with two names anywhere makes the set multi-label; `data.task` settles what is left open.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from teliti.types import Label, Task

WantedTask = Literal["auto", "classification", "multilabel", "regression"]
Report = Callable[[int, str], None]
"""Told of a problem: line and sentence without its full stop."""
Cells = Mapping[int, Sequence[str]]
"""By line: the cells of the label columns."""

SEPARATOR, NO_LABEL = ";", "none"
LABEL, _PREFIX = "label", "label_"
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?", re.ASCII)
_LARGEST = 1e30  # float32 holds it, float64 the sum of its squares
A_NUMBER = f"a finite number of at most {_LARGEST:g}"
"""What `read_number` takes, for sentences."""
_NOT_FINITE = {"nan", "inf", "+inf", "-inf", "infinity", "-infinity"}
_FLAGS = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}


@dataclass(frozen=True, slots=True)
class Labels:
    """What the label columns say.

    Attributes:
        task: What they are.
        by_line: Label of each line; a line with a problem is missing.
        names: Labels in the order of their columns, or what several numbers are called; else empty.
        notes: Sentences about what was taken for what.
    """

    task: Task
    by_line: dict[int, Label]
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_number(cell: str) -> float | None:
    """The number that a cell says, with a decimal point or comma; None where it is none that can be learnt."""
    number = float(cell.replace(",", ".")) if _is_numeric(cell) else math.nan
    return number if abs(number) <= _LARGEST else None


def pick_label_columns(columns: Sequence[str], *, others: Sequence[str]) -> list[str]:
    """The columns with labels: `label`; else those that begin with `label_`; else all that mean nothing else.

    Args:
        columns: Names in the header, as written.
        others: Names in lower case that mean something else.
    """
    free = [column for column in columns if column.lower() not in others]
    for chosen in ([c for c in free if c.lower() == LABEL], [c for c in free if c.lower().startswith(_PREFIX)]):
        if chosen:
            return chosen
    return free


def read_labels(columns: Sequence[str], cells: Cells, *, wanted: WantedTask, file: str, report: Report) -> Labels:
    """The labels of all lines.

    Args:
        columns: From `pick_label_columns`, at least one.
        cells: By line, one for each column.
        wanted: The recipe's `data.task`.
        file: Its name, for notes.
        report: Told of every cell that does not fit.
    """
    if len(columns) == 1 and columns[0].lower() == LABEL:
        return _read_cells({line: own[0] for line, own in cells.items()}, wanted=wanted, file=file, report=report)
    names = tuple(column[len(_PREFIX) :] if column.lower().startswith(_PREFIX) else column for column in columns)
    return _read_columns(names, cells, wanted=wanted, file=file, report=report)


def write_label(label: Label | None) -> str:
    """A label as one cell that `read_labels` reads back; no label at all where photos may have several is "none"."""
    if isinstance(label, tuple):
        return SEPARATOR.join(map(write_label, label)) or NO_LABEL
    return "" if label is None else label if isinstance(label, str) else repr(label)


def _read_cells(cells: Mapping[int, str], *, wanted: WantedTask, file: str, report: Report) -> Labels:
    """One `label` column."""
    parts = {line: [part.strip() for part in cell.split(SEPARATOR)] for line, cell in cells.items()}
    numeric = {line for line, own in parts.items() if all(map(_is_numeric, own))}
    has_several = any(len(own) > 1 for own in parts.values())
    if wanted == "regression" or (wanted == "auto" and _are_numbers(parts, numeric)):
        several = max((len(parts[line]) for line in numeric), default=1) > 1
        return (
            _several_numbers(parts, file, report)
            if several
            else _one_number(cells, wanted=wanted, file=file, report=report)
        )
    if wanted == "multilabel" or (wanted == "auto" and has_several):
        return _several_names(parts, wanted=wanted, file=file, report=report)
    labels: dict[int, Label] = {}
    for line, cell in cells.items():
        if cell:
            labels[line] = sys.intern(cell)  # a class is one string
        else:
            report(line, "label must not be empty")
    notes: tuple[str, ...] = ()
    if wanted == "auto" and len(numeric) * 2 > len(cells):
        notes = ("Most labels are numbers but some are not, so every label is taken as a class name.",)
    return Labels("classification", labels, notes=notes)


def _are_numbers(parts: Mapping[int, Sequence[str]], numeric: set[int]) -> bool:
    odd = [line for line in parts if line not in numeric and all(_is_number_word(part) for part in parts[line])]
    return bool(numeric) and len(numeric) + len(odd) == len(parts)


def _one_number(cells: Mapping[int, str], *, wanted: WantedTask, file: str, report: Report) -> Labels:
    labels: dict[int, Label] = {}
    for line, cell in cells.items():
        if (number := read_number(cell)) is not None:
            labels[line] = number
        else:
            report(line, f"label must be {A_NUMBER} like the others, got {cell or 'nothing'}")
    shown = next((cell for cell in cells.values() if _is_numeric(cell)), "1")
    note = (
        f'The labels of "{file}" are numbers, so a number will be predicted. For classes write names, '
        f'for instance "class {shown}" instead of "{shown}".'
    )
    return Labels("regression", labels, notes=(note,) if wanted == "auto" else ())


def _several_numbers(parts: Mapping[int, Sequence[str]], file: str, report: Report) -> Labels:
    count = len(next(iter(parts.values())))
    labels: dict[int, Label] = {}
    for line, own in parts.items():
        numbers = [number for part in own if (number := read_number(part)) is not None]
        if len(own) != count:
            report(line, f"label must have {count} numbers like the first one, got {len(own)}")
        elif len(numbers) < count:
            report(line, f"label must be {count} numbers, each {A_NUMBER}, got {SEPARATOR.join(own)}")
        else:
            labels[line] = tuple(numbers)
    note = (
        f'The labels of "{file}" are {count} numbers each, so {count} numbers will be predicted. If they are names, '
        "set data.task = multilabel."
    )
    return Labels("regression", labels, tuple(f"{LABEL} {place + 1}" for place in range(count)), (note,))


def _several_names(
    parts: Mapping[int, Sequence[str]], *, wanted: WantedTask, file: str, report: Report
) -> Labels:  # fmt: skip
    labels: dict[int, Label] = {}
    for line, own in parts.items():
        problem = _problem_of_names(own)
        if problem:
            report(line, f"{problem}, got {SEPARATOR.join(own)}")
        else:
            labels[line] = () if own[0] in {"", NO_LABEL} else tuple(sorted(own))
    notes = [f'Cells of "{file}" have several names with semicolons between them, so a photo may have several labels.']
    if wanted == "auto" and any(own in (["none"], [""]) for own in parts.values()):
        notes.append('An empty cell or "none" is no label.')
    return Labels("multilabel", labels, notes=tuple(notes) if wanted == "auto" else ())


def _problem_of_names(names: Sequence[str]) -> str:
    if len(names) == 1:
        return ""
    if not all(names):
        return "label must have a name on both sides of each semicolon"
    if NO_LABEL in names:
        return f'label must have "{NO_LABEL}" alone or not at all'
    return "" if len(set(names)) == len(names) else "label must have each name once"


def _read_columns(names: tuple[str, ...], cells: Cells, *, wanted: WantedTask, file: str, report: Report) -> Labels:
    """One column for each label or number; where cells are wrong, what most of them are."""
    every = [cell for own in cells.values() for cell in own]
    no_flags = sum(cell.lower() not in _FLAGS for cell in every)
    no_numbers = sum(not _is_number_word(cell) for cell in every)
    are_flags = no_flags == 0 or (no_numbers > 0 and no_flags <= max(no_numbers, len(every) // 2))
    if wanted == "multilabel" or (wanted == "auto" and are_flags):
        return _flag_columns(names, cells, wanted=wanted, file=file, report=report)
    if wanted == "classification":
        report(1, "data.task = classification needs a column named label, got none")
    return _number_columns(names, cells, file=file, report=report)


def _flag_columns(names: tuple[str, ...], cells: Cells, *, wanted: WantedTask, file: str, report: Report) -> Labels:
    for name in names:
        if not name or name == NO_LABEL or SEPARATOR in name:
            report(1, f'a label column must have a name without semicolon other than "{NO_LABEL}", got "{name}"')
    if len(names) < 2:
        report(
            1,
            f"at least two label columns must be there, got {names[0]}; for two classes name them in one label column",
        )
    labels: dict[int, Label] = {}
    for line, own in cells.items():
        wrong = [place for place, cell in enumerate(own) if cell.lower() not in _FLAGS]
        for place in wrong[:1]:
            report(line, f"{names[place]} must be 0 or 1 (or every column numbers), got {own[place] or 'nothing'}")
        if not wrong:
            labels[line] = tuple(sorted(name for name, cell in zip(names, own, strict=True) if _FLAGS[cell.lower()]))
    note = f'Every column of "{file}" with 0 and 1 is a label, so a photo may have several: {", ".join(names)}.'
    return Labels("multilabel", labels, names, (note,) if wanted == "auto" else ())


def _number_columns(names: tuple[str, ...], cells: Cells, *, file: str, report: Report) -> Labels:
    labels: dict[int, Label] = {}
    for line, own in cells.items():
        numbers = [number for cell in own if (number := read_number(cell)) is not None]
        if len(numbers) == len(own):
            labels[line] = numbers[0] if len(names) == 1 else tuple(numbers)
        else:
            place = next(place for place, cell in enumerate(own) if read_number(cell) is None)
            report(line, f"{names[place]} must be {A_NUMBER}, got {own[place] or 'nothing'}")
    note = f'Every column of "{file}" with numbers is predicted: {", ".join(names)}.'
    return Labels("regression", labels, names if len(names) > 1 else (), (note,))


def _is_numeric(cell: str) -> bool:
    return _NUMBER.fullmatch(cell) is not None


def _is_number_word(cell: str) -> bool:
    return _is_numeric(cell) or cell.lower() in _NOT_FINITE
