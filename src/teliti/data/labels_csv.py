"""A label file: `path,label[,split,group]`, UTF-8 or UTF-16; every error in one pass with its line.

What the label columns mean stands in `label_cells`. Paths are relative to the label file's folder and stay inside it.
"""

from __future__ import annotations

import csv
import io
import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from teliti.data.label_cells import LABEL, Labels, WantedTask, pick_label_columns, read_labels
from teliti.data.layouts import SPLIT_NAMES
from teliti.errors import CatalogError
from teliti.files import sha256_hex, table_text
from teliti.types import Catalog, Origin, Refused, Sample, Split

Finder = Callable[[str], Origin | None]
"""The origin of a relative path, or None when there is no such file."""

MAX_PROBLEMS = 100
_PATH, _OPTIONAL = "path", ("split", "group")
_FORMAT_HINT = (
    "The first line must be path,label or path,label,split,group; each other line one photo. For several labels or "
    "numbers a photo there may be one column each: path,scratch,dent."
)


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    path: str
    labels: tuple[str, ...]
    split: str
    group: str


class _LabelFile:
    """One label file while it is read: its rows and the problems met so far."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        first, _, _ = text.partition("\n")
        self.delimiter = max(",;\t", key=first.count)
        self.reader = csv.reader(io.StringIO(text, newline=""), delimiter=self.delimiter, strict=True)
        self.label_columns: list[str] = []
        self.problems: list[str] = []
        self.notes: list[str] = []

    def report(self, line: int, problem: str) -> None:
        self.problems.append(f'"{self.name}" line {line}: {problem}.')

    def lines(self) -> Iterator[tuple[int, list[str]]]:
        """Number of the first line and fields of each record that is not blank; malformed ones are reported."""
        while True:
            line = self.reader.line_num + 1
            try:
                fields = next(self.reader)
            except StopIteration:
                return
            except csv.Error as error:
                self.report(line, f"not readable as a row ({error})")
                continue
            if any(field.strip() for field in fields):
                yield line, fields

    def raise_problems(self) -> None:
        if not self.problems:
            return
        listed = self.problems[:MAX_PROBLEMS]
        if len(self.problems) > MAX_PROBLEMS:
            listed.append(f"... and {len(self.problems) - MAX_PROBLEMS:,} more problems.")
        raise CatalogError(listed[0], hint="Fix the label file and run the command again.", problems=listed)


def catalog_from_csv(
    data: bytes, *, source: str, find: Finder, use_group: bool = True, task: WantedTask = "auto"
) -> Catalog:
    """The catalog of a label file.

    Args:
        data: The file's content.
        source: Its name, for the sentences.
        find: Where the photos are looked up.
        use_group: Keep the `group` column.
        task: What the labels are, where they do not say it themselves.

    Raises:
        CatalogError: no usable header, no rows, or any wrong row; `problems` has one sentence for each.
    """
    file = _LabelFile(source, table_text(data))
    rows = _read_rows(file)
    splits = _read_splits(file, rows)
    labels = read_labels(
        file.label_columns, {row.line: row.labels for row in rows}, wanted=task, file=source, report=file.report
    )
    samples = []
    first_lines: dict[str, int] = {}
    for row in rows:
        name, origin = _find_photo(file, row, find=find)
        if origin is None:
            continue
        if name in first_lines:
            file.report(row.line, f'path must occur once, got "{row.path}" again (first on line {first_lines[name]})')
        first_lines.setdefault(name, row.line)
        label = labels.by_line.get(row.line)
        samples.append(Sample(name, origin, label, splits.get(row.line), (use_group and row.group) or None))
    file.raise_problems()
    if not samples:
        raise CatalogError(f'"{source}" must list at least one photo, got none.', hint=_FORMAT_HINT)
    is_numbers = labels.task == "regression"
    return Catalog(
        source, tuple(samples), (), labels.task, () if is_numbers else _classes(labels),
        has_given_split=bool(splits), notes=(*file.notes, *labels.notes),
        number_names=labels.names if is_numbers else (),
        labels_from=f"label file {source}, SHA-256 {sha256_hex(data)}",
    )  # fmt: skip


def _classes(labels: Labels) -> tuple[str, ...]:
    """Every name of a label column, in sorted order; of label columns those that a photo has."""
    found = {name for label in labels.by_line.values() for name in (label if isinstance(label, tuple) else (label,))}
    return tuple(name for name in labels.names or sorted(map(str, found)) if name in found)


def refuse_unlisted(catalog: Catalog, names: Iterator[str]) -> tuple[Refused, ...]:
    """The photos of an archive that its label file does not list."""
    listed = {sample.name for sample in catalog.samples}
    return tuple(Refused(name, "not in the label file") for name in names if name not in listed)


def has_label_header(data: bytes) -> bool:
    """True when the first line names the column path and at least one of labels."""
    first = table_text(data).split("\n", 1)[0]
    columns = [column.strip().strip('"').lower() for column in re.split("[,;\t]", first)]
    return _PATH in columns and bool(pick_label_columns(columns, others=(_PATH, *_OPTIONAL)))


def _read_rows(file: _LabelFile) -> list[_Row]:
    lines = file.lines()
    line, header = next(lines, (1, []))
    written = [column.strip() for column in header]
    known = {_PATH, LABEL, *_OPTIONAL}  # in any case; names of labels as they are written
    columns = [column.lower() if column.lower() in known else column for column in written]
    file.label_columns = pick_label_columns(written, others=(_PATH, *_OPTIONAL))
    if _PATH not in columns or not file.label_columns or len(set(columns)) < len(columns):
        file.report(
            line, f"header must have the columns path and label, each once, got {', '.join(header) or 'nothing'}"
        )
        raise CatalogError(file.problems[0], hint=_FORMAT_HINT, problems=file.problems)
    used = {_PATH, *_OPTIONAL, *map(str.lower, file.label_columns)}
    unused = [column.lower() for column in columns if column.lower() not in used]
    if unused:
        file.notes.append(f"Columns of the label file that are not used: {', '.join(unused)}.")
    places = [written.index(column) for column in file.label_columns]
    rows = []
    for number, fields in lines:
        if len(fields) != len(columns):
            file.report(number, f"must have {len(columns)} fields, got {len(fields)}")
            continue
        values = dict(zip(columns, (field.strip() for field in fields), strict=True))
        labels = tuple(fields[place].strip() for place in places)
        row = _Row(number, values["path"], labels, values.get("split", ""), values.get("group", ""))
        if _is_row_good(file, row):
            rows.append(row)
    return rows


def _is_row_good(file: _LabelFile, row: _Row) -> bool:
    before = len(file.problems)
    if not row.path:
        file.report(row.line, "path must not be empty")
    if any("\udc80" <= character <= "\udcff" for character in "".join(row.labels) + row.split + row.group):
        file.report(row.line, "label, split and group must be UTF-8 text; save the file as UTF-8")
    return len(file.problems) == before


def _read_splits(file: _LabelFile, rows: list[_Row]) -> dict[int, Split]:
    """Part by line; empty when no row names one."""
    if not any(row.split for row in rows):
        return {}
    splits = {}
    for row in rows:
        split = SPLIT_NAMES.get(row.split.lower())
        if split is None:
            file.report(row.line, f'split must be one of train, val, test in every row, got "{row.split}"')
        else:
            splits[row.line] = split
    return splits


def _find_photo(file: _LabelFile, row: _Row, *, find: Finder) -> tuple[str, Origin | None]:
    """Normal name and origin; what is wrong with the path is reported."""
    name = posixpath.normpath(row.path)
    if name.startswith(("/", "../")) or name in {"..", "."} or re.match("[A-Za-z]:", name) or "\0" in name:
        file.report(row.line, f'path must stay inside the folder of the label file, got "{row.path}"')
        return name, None
    origin = find(name)
    if origin is None and "\\" in name:  # written on Windows
        return _find_photo(file, _Row(row.line, name.replace("\\", "/"), (), "", ""), find=find)
    if origin is None:
        file.report(row.line, f'path must be a file beside the label file, got "{row.path}", which does not exist')
    return name, origin
