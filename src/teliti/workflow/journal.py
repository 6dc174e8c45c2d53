"""Questions to the inspection journal: where a verdict came from, what people corrected, what can be learnt from it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from teliti.errors import MissingExtraError, UserError
from teliti.files import sha256_hex, write_bytes_atomic
from teliti.journal.entry import Entry
from teliti.registry import closest
from teliti.runtime import is_installed
from teliti.workflow.shared.kept_photos import find_kept_photo

if TYPE_CHECKING:
    from teliti.journal.store import Journal
    from teliti.types import Record

PLACE_VARIABLE = "TELITI_JOURNAL"
_PURPOSE = "keep the inspection journal, which remembers what was judged,"
_WHY_NOT_SEEN = "its photo was moved or deleted by hand"
_FORMULA_STARTS = ("=", "+", "-", "@")


def open_journal(place: str | Path | None, *, create: bool = False, default: Path | None = None) -> Journal:
    """The journal at a place.

    Args:
        place: A path, or a URL of SQLite or PostgreSQL; unset: the variable TELITI_JOURNAL.
        create: Make it when it is missing.
        default: Where it is when neither names it.

    Raises:
        UserError: nobody named it, or there is none.
        StorageError: it cannot be reached, read or written.
        MissingExtraError: the database libraries are not installed.
    """
    for library in ("sqlalchemy", "alembic"):
        if not is_installed(library):  # importing Alembic costs more than a whole trace, and is rarely needed
            raise MissingExtraError("serve", purpose=_PURPOSE, library=library)
    from teliti.journal.store import Journal

    chosen = place or os.environ.get(PLACE_VARIABLE) or default
    if chosen is None:
        raise UserError(
            "The journal must be named.", hint=f"Give --journal PATH or URL, or set the variable {PLACE_VARIABLE}."
        )
    return Journal(chosen, create=create)


def trace(journal: Journal, serial: str) -> Record:
    """Everything about a part: its photos and where they are, verdicts, the model and its training, corrections.

    Returns:
        {"schema", "serial", "verdicts": [record + "intact", "photo_at", "model", "corrections"]}; `intact` says that
        the record has the content that its hash was made of, `photo_at` is null where the photo is not found by its
        hash.

    Raises:
        UserError: no verdict of that serial number.
    """
    verdicts = _verdicts_of(journal, serial)
    corrections = journal.corrections_of([verdict["position"] for verdict in verdicts])
    told = []
    for verdict in verdicts:
        photo = find_kept_photo(verdict)
        model = journal.model_of(verdict)
        told.append({
            **verdict,
            "intact": journal.is_intact(verdict),
            "photo_at": None if photo is None else str(photo),
            "model": None if model is None else {**model["details"], "model_hash": model["model_hash"]},
            "corrections": [one for one in corrections if one["corrects"] == verdict["position"]],
        })  # fmt: skip
    return {"schema": 1, "journal": journal.shown, "serial": serial, "verdicts": told}


def correct(
    journal: Journal,
    serial: str,
    *,
    label: str,
    by: str,
    photo: str | None = None,
    why: str | None = None,
    new_class: bool = False,
) -> Record:
    """Add what a person says of a part; the verdict itself stays as it was.

    Args:
        journal: The journal.
        serial: The part.
        label: The class that it really has.
        by: Who says so.
        photo: Which photo, where the part has several.
        why: A sentence to keep.
        new_class: The label may be one that the model does not know.

    Returns:
        The new record.

    Raises:
        UserError: no such part, several photos, or a label that the model does not know.
    """
    if not label.strip() or not by.strip():
        raise UserError("--label and --by must not be empty.", hint="Say which class it is, and who says so.")
    verdict = _one_verdict(_verdicts_of(journal, serial), serial=serial, photo=photo)
    classes = _classes_of(journal.model_of(verdict))
    if classes and label not in classes and not new_class:
        near = closest(label, classes)
        hint = f'Did you mean "{near}"?' if near else "Use --new-class for a class that no model knows yet."
        raise UserError(f'--label must be one of {", ".join(classes)}, got "{label}".', hint=hint)
    entry = Entry(
        "correction",
        verdict["source"],
        serial=verdict["serial"],
        photo=verdict["photo"],
        photo_hash=verdict["photo_hash"],
        model_hash=verdict["model_hash"],
        label=label,
        reason=why,
        operator=by,
        corrects=verdict["position"],
    )
    return journal.append([entry])[0]


def feedback(journal: Journal, *, root: Path, into: Path | None = None) -> Record:
    """The photos that people corrected, with the label that they gave, as `teliti train` reads them.

    The last correction of a photo counts. A photo of several records is listed once.

    Args:
        journal: The journal.
        root: The folder that the label file will lie in; its photos must lie below.
        into: Copy the photos into this folder, below `root`, so that they do.

    Returns:
        {"schema", "rows": [{"path", "label"}], "left_out": [{"photo", "reason"}]}; paths are relative to `root`.

    Raises:
        StorageError: a photo cannot be copied.
    """
    last = {}
    for correction in journal.records(kind="correction"):
        last[correction["photo_hash"] or correction["corrects"]] = correction
    rows, left_out = [], []
    for correction in last.values():
        verdict = journal.at(correction["corrects"])
        photo = None if verdict is None else find_kept_photo(verdict)
        if photo is not None and into is not None:
            photo = _copy(photo, into, digest=correction["photo_hash"])
        reason = _WHY_NOT_SEEN if photo is None else _outside(photo, root)
        if photo is None or reason is not None:
            left_out.append({"photo": correction["photo"], "reason": reason})
            continue
        path = photo.resolve().relative_to(root.resolve()).as_posix()
        rows.append({"path": f"./{path}" if path.startswith(_FORMULA_STARTS) else path, "label": correction["label"]})
    return {"schema": 1, "journal": journal.shown, "rows": rows, "left_out": left_out}


def _verdicts_of(journal: Journal, serial: str) -> list[Record]:
    verdicts = [record for record in journal.by_serial(serial) if record["kind"] == "verdict"]
    if not verdicts:
        raise UserError(
            f'The journal has no verdict of the serial number "{serial}".',
            hint="By default it is the photo's name without its ending; `teliti watch --serial` says otherwise.",
        )
    return verdicts


def _one_verdict(verdicts: Sequence[Record], *, serial: str, photo: str | None) -> Record:
    chosen = [verdict for verdict in verdicts if photo in {None, verdict["photo"]}]
    names = sorted({verdict["photo"] for verdict in verdicts})
    if not chosen:
        raise UserError(f'The part "{serial}" has no photo "{photo}".', hint=f"It has {', '.join(names)}.")
    if len({verdict["photo"] for verdict in chosen}) > 1:
        raise UserError(f'The part "{serial}" has {len(names)} photos.', hint=f"Add --photo: {', '.join(names)}.")
    return chosen[-1]


def _classes_of(model: Record | None) -> list[str]:
    decision: Mapping[str, Any] = (model or {"details": {}})["details"].get("decision") or {}
    return [str(name) for name in decision.get("classes", ())]


def _copy(photo: Path, folder: Path, *, digest: str) -> Path:
    data = photo.read_bytes()
    if sha256_hex(data) != digest:
        return photo
    copy = folder / f"{digest[:16]}{photo.suffix}"
    if not copy.exists():
        write_bytes_atomic(copy, data)
    return copy


def _outside(photo: Path, root: Path) -> str | None:
    if photo.resolve().is_relative_to(root.resolve()):
        return None
    return f'it lies outside "{root}", in "{photo.parent}"; --into FOLDER copies it'
