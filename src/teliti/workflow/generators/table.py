"""Rows of a table - a DataFrame, a mapping of columns, or a sequence of records - as photos with targets.

Pandas is not needed: of a DataFrame only its columns are read.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from teliti.data.listing import is_photo_name
from teliti.errors import CatalogError, UserError
from teliti.types import IntArray
from teliti.workflow.generators.files import KERAS_SUFFIXES

Columns = dict[str, list[Any]]
CLASS_MODES = ("categorical", "binary", "sparse", "input", "multi_output", "raw", None)
WITH_CLASSES = ("categorical", "binary", "sparse")
_SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class TableColumns:
    """Which columns are read.

    Attributes:
        x: File names.
        y: Labels; several for "multi_output".
        weight: Weights, or None.
        group: Photos of one group stay on one side of the split, or None.
    """

    x: str
    y: str | list[str]
    weight: str | None
    group: str | None

    def wanted(self, class_mode: str | None) -> list[str]:
        """Columns that must be there."""
        labels = [] if class_mode in (None, "input") else [self.y] if isinstance(self.y, str) else list(self.y)
        return [self.x, *labels, *(name for name in (self.weight, self.group) if name is not None)]


def read_columns(table: Any, names: Sequence[str]) -> Columns:
    """The wanted columns as lists.

    Args:
        table: A pandas or polars DataFrame, a mapping of column name to values, or a sequence of records.
        names: Column names.

    Raises:
        CatalogError: a column is missing, or columns differ in length.
    """
    if isinstance(table, Sequence) and not isinstance(table, str | bytes):
        present = set.intersection(*(set(record) for record in table)) if table else set(names)
        read = {name: [record[name] for record in table] for name in names if name in present}
    else:
        present = set(table.keys() if isinstance(table, Mapping) else table.columns)
        read = {name: list(table[name]) for name in names if name in present}
    missing = [name for name in names if name not in read]
    if missing:
        raise CatalogError(
            f'The table must have a column "{missing[0]}", got {", ".join(sorted(map(str, present)))}.',
            hint="Name the column that is meant by x_col, y_col, weight_col or group_col.",
        )
    if len({len(column) for column in read.values()}) > 1:
        raise CatalogError("The columns of a table must be of one length, got several.", hint="Give one value a row.")
    return read


def check_table(
    columns: Columns, named: TableColumns, *, class_mode: str | None, classes: Sequence[str] | None
) -> None:
    """Refuse values that the class mode cannot use.

    Raises:
        CatalogError: names that are no text, labels of the wrong type, weights that are no numbers.
    """
    _check_kind(columns[named.x], str, where=f'x_col "{named.x}"', text="text")
    if named.weight is not None:
        _check_kind(columns[named.weight], Real, where=f'weight_col "{named.weight}"', text="a number")
    if class_mode == "multi_output" and isinstance(named.y, str):
        raise CatalogError(f'y_col must be a list for class_mode "multi_output", got {named.y!r}.', hint="Use [...].")
    if class_mode != "multi_output" and not isinstance(named.y, str):
        raise CatalogError(
            f"y_col must be one column for class_mode {class_mode!r}, got {named.y!r}.", hint='Or use "multi_output".'
        )
    if class_mode in ("binary", "sparse"):
        _check_kind(columns[str(named.y)], str, where=f'y_col "{named.y}"', text="text")
    if class_mode == "categorical":
        _check_kind(
            columns[str(named.y)], (str, list, tuple), where=f'y_col "{named.y}"', text="text or a list of texts"
        )
    if classes and class_mode not in WITH_CLASSES:
        warnings.warn(f"classes is ignored with class_mode {class_mode!r}.", stacklevel=4)


def require_two_classes(class_names: Sequence[str], class_mode: str | None) -> None:
    """Refuse "binary" where there are not two classes.

    Raises:
        CatalogError: another number of classes.
    """
    if class_mode == "binary" and len(class_names) != 2:
        raise CatalogError(
            f'class_mode "binary" must have 2 classes, got {len(class_names)}.', hint='Use "sparse" or "categorical".'
        )


def keep_valid_files(columns: Columns, x_col: str, directory: str | None, *, like_keras: bool) -> IntArray:
    """Rows whose file exists and has the suffix of an image; the others are said by one warning."""
    names = columns[x_col]
    is_valid = [_is_valid(join(directory, name), like_keras=like_keras) for name in names]
    dropped = [name for name, valid in zip(names, is_valid, strict=True) if not valid]
    if dropped:
        shown = ", ".join(map(repr, dropped[:_SHOWN])) + (", ..." if len(dropped) > _SHOWN else "")
        warnings.warn(
            f'{len(dropped)} file name(s) of x_col "{x_col}" are left out, no such image file: {shown}', stacklevel=4
        )
    return np.flatnonzero(is_valid)


def filter_classes(labels: list[Any], classes: Sequence[str] | None) -> tuple[list[Any], list[str]]:
    """Labels reduced to the wanted classes (None where nothing is left), and the class names.

    Args:
        labels: Class names, or lists of them.
        classes: Wanted, in this order; None takes all, sorted.
    """
    if not classes:
        return labels, sorted({name for label in labels for name in names_of(label)})
    wanted = list(dict.fromkeys(classes))
    return [_reduced(label, wanted) for label in labels], wanted


def names_of(label: Any) -> Iterable[str]:
    """The class names of one label."""
    return [label] if isinstance(label, str) else label


def take(columns: Columns, rows: Iterable[int]) -> Columns:
    """The columns at those rows."""
    rows = list(rows)
    return {name: [column[row] for row in rows] for name, column in columns.items()}


def _reduced(label: Any, wanted: list[str]) -> Any:
    if isinstance(label, str):
        return label if label in wanted else None
    return [name for name in label if name in wanted] or None


def _check_kind(values: list[Any], kind: Any, *, where: str, text: str) -> None:
    for row, value in enumerate(values):
        if not isinstance(value, kind):
            raise CatalogError(f"{where} must be {text}, got {value!r} (row {row}).", hint="Convert the column first.")


def _is_valid(path: str, *, like_keras: bool) -> bool:
    is_named = path.lower().endswith(KERAS_SUFFIXES) if like_keras else is_photo_name(path)
    return is_named and Path(path).is_file()


def join(directory: str | None, name: str) -> str:
    """The path of a row's file; absolute names stand for themselves."""
    return str(Path(directory or "", name))


def require_photos(count: int, where: str) -> None:
    """Refuse an empty set.

    Raises:
        UserError: there is no photo.
    """
    if count == 0:
        raise UserError(f"{where} must hold at least one photo, got none.", hint="Check the path and the file endings.")
