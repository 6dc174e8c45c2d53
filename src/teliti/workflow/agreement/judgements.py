"""The file of judgements that people, and perhaps a net, gave on photos: `path,rater,label`, or a column a rater."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from teliti.errors import CatalogError, StorageError, UserError
from teliti.files import table_text

_LONG = {"path", "rater", "label"}
_GROUP = "group"
_MOST_PROBLEMS = 100


@dataclass
class Judgements:
    """What stands in the file.

    Attributes:
        first: Label by photo and rater: his first judgement of it.
        again: Pairs of labels of raters who judged a photo twice, by rater.
        said: Every label by photo and rater, repeats too.
        groups: Part that a photo shows.
        raters: In the order in which they are met.
    """

    first: dict[str, dict[str, str]] = field(default_factory=dict)
    again: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    said: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    raters: list[str] = field(default_factory=list)

    def add(self, path: str, rater: str, label: str) -> None:
        """One judgement."""
        own = self.first.setdefault(path, {})
        self.said.setdefault(path, {}).setdefault(rater, []).append(label)
        if rater not in self.raters:
            self.raters.append(rater)
        if rater in own:
            self.again.setdefault(rater, []).append((own[rater], label))
        else:
            own[rater] = label


def read_judgements(path: Path) -> Judgements:
    """What stands in a file of judgements.

    Args:
        path: A CSV file with `path,rater,label`, or with `path` and a column for each rater; `group` may stand beside.

    Raises:
        CatalogError: wrong rows; `problems` has every one with its line.
        UserError: no such file, other bytes, or another header.
        StorageError: it cannot be read.
    """
    reader = csv.reader(io.StringIO(_text_of(path), newline=""))
    header = [column.strip() for column in next(reader, [])]
    lower = [column.lower() for column in header]
    if "path" not in lower or len(set(lower)) < len(lower) or len(lower) < 2:
        raise UserError(
            f'"{path}" must begin with path,rater,label or with path and a column for each rater, each once, got '
            f"{', '.join(header) or 'nothing'}.",
            hint="For instance: path,anna,ben",
        )
    judged, problems = Judgements(), list[str]()
    for fields in reader:
        if not any(one.strip() for one in fields):
            continue
        problem = _take(judged, header, [one.strip() for one in fields])
        if problem:
            problems.append(f'"{path.name}" line {reader.line_num}: {problem}.')
    if problems:
        raise CatalogError(
            problems[0], hint="Correct the rows and run the command again.", problems=problems[:_MOST_PROBLEMS]
        )
    if not judged.first:
        raise UserError(f'"{path}" must hold at least one judgement, got none.', hint="Add rows below the header.")
    return judged


def _take(judged: Judgements, header: Sequence[str], fields: Sequence[str]) -> str | None:
    """Take one row; what is wrong with it, or None."""
    if len(fields) != len(header):
        return f"must have {len(header)} fields, got {len(fields)}"
    row = dict(zip((column.lower() for column in header), fields, strict=True))
    path = row["path"]
    if not path:
        return "path must not be empty"
    if row.get(_GROUP):
        judged.groups[path] = row[_GROUP]
    if set(row) >= _LONG:
        if not row["rater"] or not row["label"]:
            return "rater and label must not be empty"
        judged.add(path, row["rater"], row["label"])
        return None
    if path in judged.first:
        return f'path must occur once where raters are columns, got "{path}" again'
    judged.first[path] = {}
    for column, label in zip(header, fields, strict=True):
        if column.lower() not in {"path", _GROUP} and label:
            judged.add(path, column, label)
    return None


def _text_of(path: Path) -> str:
    if path.is_dir():
        raise UserError(f'"{path}" must be a CSV file of judgements, got a folder.', hint="Name the file inside it.")
    try:
        text = table_text(path.read_bytes(), errors="strict")
    except FileNotFoundError as error:
        raise UserError(f'"{path}" does not exist.', hint="Give a CSV file of judgements.") from error
    except UnicodeDecodeError as error:
        raise UserError(f'"{path}" must be UTF-8 text, got other bytes.', hint="Save the file as UTF-8.") from error
    except OSError as error:
        raise StorageError(f'"{path}" could not be read: {error.strerror or error}.', hint="Check the file.") from error
    first, _, _ = text.partition("\n")
    delimiter = max(",;\t", key=first.count)
    return text if delimiter == "," else _with_commas(text, delimiter)


def _with_commas(text: str, delimiter: str) -> str:
    whole = io.StringIO()
    csv.writer(whole).writerows(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    return whole.getvalue()
