"""The files of a check: one CSV row a finding, and a cleaned label file made from the rows that people decided.

`findings.csv` is also the form for decisions: write `exclude` or `relabel` into `action` (and the right class into
`label`), keep the rows, and give the file back as fixes. Photos are never touched.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from teliti.data.findings import ACTIONS, Finding
from teliti.data.label_cells import A_NUMBER, read_number
from teliti.data.origins import FileOrigin
from teliti.errors import CatalogError, StorageError, UserError
from teliti.files import spreadsheet_cell, storage_error, table_text, write_text_atomic
from teliti.registry import closest
from teliti.types import Catalog, Record, Sample

HEADER = (
    "path", "action", "label", "kind", "severity", "score", "message", "others", "suggestion", "suggested_label",
)  # fmt: skip
_REQUIRED = ("path", "action")
_MOST_PROBLEMS, _MOST_COMPARED = 100, 5000
_SEPARATOR = " | "


def write_findings(path: Path, findings: Sequence[Finding]) -> None:
    """One row a finding, in the given order; `action` and `label` are left for people to fill.

    Raises:
        StorageError: the file cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(HEADER)
    for one in findings:
        score = "" if one.score is None else f"{one.score:.6g}"
        cells = (
            one.paths[0] if one.paths else "", "", "", one.kind, one.severity, score, one.message,
            _SEPARATOR.join(one.paths[1:]), one.action or "", one.label or "",
        )  # fmt: skip
        writer.writerow([spreadsheet_cell(cell) for cell in cells])
    write_text_atomic(path, text.getvalue())


@dataclass(frozen=True, slots=True)
class Fix:
    """One decision about one photo.

    Attributes:
        line: Of the fixes file.
        action: "exclude" or "relabel".
        label: The new label; empty for "exclude".
    """

    line: int
    action: str
    label: str


def apply_fixes(catalog: Catalog, fixes: Path, out: Path) -> Record:
    """Write a label file without the excluded photos and with the new labels; the photos stay as they are.

    Args:
        catalog: All photos with their labels.
        fixes: Columns path and action, and label for relabelled photos; rows with an empty action change nothing.
        out: The label file to write, in a folder from which every photo lies below.

    Returns:
        {"schema", "source", "fixes", "cleaned", "photos", "excluded", "relabelled"}.

    Raises:
        CatalogError: a wrong row; `problems` has every one with its line.
        UserError: photos that a label file cannot name from there, or nothing left.
        StorageError: a file cannot be read or written.
    """
    chosen = _read_fixes(fixes, catalog)
    kept = [
        _relabelled(sample, chosen.get(sample.name))
        for sample in catalog.samples
        if sample.name not in chosen or chosen[sample.name].action != "exclude"
    ]
    if not kept:
        raise UserError(f'"{fixes}" must leave some photos, got none left.', hint="Exclude fewer.")
    folder = out.absolute().parent
    rows = [(_path_from(folder, sample), sample) for sample in kept]
    write_text_atomic(out, _label_file(rows))
    actions = [fix.action for fix in chosen.values()]
    return {
        "schema": 1,
        "source": catalog.source,
        "fixes": str(fixes),
        "cleaned": str(out),
        "photos": len(kept),
        "excluded": actions.count("exclude"),
        "relabelled": actions.count("relabel"),
    }


def _label_file(rows: Sequence[tuple[str, Sample]]) -> str:
    has_split = any(sample.split is not None for _, sample in rows)
    has_group = any(sample.group is not None for _, sample in rows)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", "label", *["split"] * has_split, *["group"] * has_group])
    for path, sample in rows:
        label = sample.label if isinstance(sample.label, str) else repr(sample.label)
        writer.writerow([path, label, *[sample.split or ""] * has_split, *[sample.group or ""] * has_group])
    return text.getvalue()


def _path_from(folder: Path, sample: Sample) -> str:
    if not isinstance(sample.origin, FileOrigin):
        raise UserError(
            f'"{sample.name}" must be a file to stand in a label file, got a photo inside an archive or array.',
            hint="Unpack the photos into folders first.",
        )
    path = os.path.relpath(Path(sample.origin.path).absolute(), folder).replace(os.sep, "/")
    if path.startswith("../"):
        raise UserError(
            f'The cleaned label file must lie in a folder above every photo, got "{folder}" for "{sample.name}".',
            hint="Name a file in the folder of the photos, for instance --out DATA/cleaned.csv.",
        )
    if path != path.strip():
        raise UserError(
            f'"{sample.name}" must not begin or end with a space to stand in a label file.', hint="Rename the photo."
        )
    return path


def _relabelled(sample: Sample, fix: Fix | None) -> Sample:
    if fix is None:
        return sample
    number = None if isinstance(sample.label, str) else read_number(fix.label)
    return replace(sample, label=fix.label if number is None else number)


def _read_fixes(path: Path, catalog: Catalog) -> dict[str, Fix]:
    """Fix by photo name."""
    known = {sample.name: sample for sample in catalog.samples}
    chosen: dict[str, Fix] = {}
    problems: list[str] = []
    for line, row in _rows(path):
        action = row["action"].strip().lower()
        if not action:
            continue
        name = _plain_cell(row["path"], known)
        fix = Fix(line, action, _plain_cell(row.get("label", "").strip(), {}))
        problem = _problem_of(name, fix, known, catalog=catalog) or _contradiction(chosen.get(name), fix)
        if problem:
            problems.append(f'"{path.name}" line {line}: {problem}.')
        chosen[name] = fix
    if problems:
        raise CatalogError(
            problems[0], hint="Correct the rows and run the command again.", problems=problems[:_MOST_PROBLEMS]
        )
    return chosen


def _problem_of(name: str, fix: Fix, known: Mapping[str, Sample], *, catalog: Catalog) -> str | None:
    if fix.action not in ACTIONS:
        return f'action must be one of {", ".join(ACTIONS)} or empty, got "{fix.action}"'
    if name not in known:
        near = closest(name, list(known)) if len(known) <= _MOST_COMPARED else None
        meant = f' (did you mean "{near}"?)' if near else ""
        return f'path must be a photo of "{catalog.source}", got "{name}"{meant}'
    return _problem_of_label(fix.label, catalog) if fix.action == "relabel" else None


def _problem_of_label(label: str, catalog: Catalog) -> str | None:
    if not label:
        return "label must be given to relabel, got nothing"
    if catalog.task == "regression":
        return None if read_number(label) is not None else f'label must be {A_NUMBER} like the others, got "{label}"'
    return None if label in catalog.classes else f'label must be one of {", ".join(catalog.classes)}, got "{label}"'


def _contradiction(earlier: Fix | None, fix: Fix) -> str | None:
    if (
        earlier is None
        or (earlier.action, earlier.label) == (fix.action, fix.label)
        or earlier.action == fix.action == "exclude"
    ):
        return None
    return f"it must agree with line {earlier.line}, which says {earlier.action} {earlier.label}".rstrip()


def _plain_cell(cell: str, known: Mapping[str, object]) -> str:
    """The cell without the apostrophe that kept a spreadsheet from running it."""
    return cell[1:] if cell not in known and cell[:1] == "'" and spreadsheet_cell(cell[1:]) == cell else cell


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        text = table_text(path.read_bytes())
    except FileNotFoundError as error:
        raise UserError(
            f'"{path}" does not exist.', hint="Give the findings.csv of a check, with actions filled in."
        ) from error
    except OSError as error:
        raise StorageError(f'"{path}" could not be read: {error.strerror or error}.', hint="Check the file.") from error
    first, _, _ = text.partition("\n")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count))
    columns = [column.strip().lower() for column in next(reader, [])]
    if any(column not in columns for column in _REQUIRED):
        raise UserError(
            f'"{path}" must have the columns path and action, got {", ".join(columns) or "nothing"}.',
            hint="Start from the findings.csv of a check.",
        )
    for fields in reader:
        if any(field.strip() for field in fields):
            yield reader.line_num, dict(zip(columns, [*fields, *[""] * len(columns)], strict=False))


def check_target(path: Path) -> None:
    """Refuse a place that holds something else before anything long begins.

    Raises:
        UserError: not a .csv name, or a folder.
        StorageError: the folder above is no folder.
    """
    if path.suffix.lower() != ".csv" or path.is_dir():
        raise UserError(f'The cleaned label file must be a .csv file, got "{path}".', hint="For instance cleaned.csv.")
    if path.parent.exists() and not path.parent.is_dir():
        raise storage_error(path, NotADirectoryError(20, "not a folder"))
