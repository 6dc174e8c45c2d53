"""The cells of a sensitivity table: one factor at a time around a base, or every combination."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from teliti.errors import UserError


@dataclass(frozen=True)
class Factor:
    """Something that is varied.

    Attributes:
        key: Of the recipe.
        values: As written, the base's first.
    """

    key: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """One combination of values.

    Attributes:
        row: The value of the row's factor.
        choices: Key and value of every other factor, in order.
        varied: The keys whose value is not the base's.
    """

    row: str
    choices: tuple[tuple[str, str], ...]
    varied: tuple[str, ...]

    @property
    def name(self) -> str:
        """Unique in its table."""
        return ", ".join([self.row, *(f"{key}={value}" for key, value in self.choices)])


def make_cells(rows: Factor, factors: Sequence[Factor], *, grid: bool) -> list[Cell]:
    """All cells, row by row, the base of each row first.

    Args:
        rows: The factor of the table's rows.
        factors: The others; of each its values.
        grid: Every combination; otherwise those that differ from the base in one factor at most.

    Raises:
        UserError: a factor without values, or with one twice.
    """
    for factor in (rows, *factors):
        if not factor.values or len(set(factor.values)) < len(factor.values):
            got = ", ".join(factor.values) or "none"
            raise UserError(f"{factor.key} must have different values, got {got}.", hint="The first one is the base's.")
    base = [factor.values[0] for factor in factors]
    combinations = list(product(*(factor.values for factor in factors)))
    cells = []
    for row in rows.values:
        for values in combinations:
            varied = tuple(factor.key for factor, value, own in zip(factors, values, base, strict=True) if value != own)
            if grid or len(varied) <= 1:
                choices = tuple((factor.key, value) for factor, value in zip(factors, values, strict=True))
                cells.append(Cell(row, choices, varied))
    cells.sort(key=lambda cell: (rows.values.index(cell.row), len(cell.varied), _order(cell, factors)))
    return cells


def _order(cell: Cell, factors: Sequence[Factor]) -> list[int]:
    """Cells that vary an earlier factor come first."""
    return [-factor.values.index(value) for factor, (_, value) in zip(factors, cell.choices, strict=True)]
