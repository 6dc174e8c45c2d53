"""Where the photo of a journal record lies now: in the watched folder, or in the place of its verdict."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from teliti.files import hash_file

if TYPE_CHECKING:  # a journal is traced within a second: no numpy for a type
    from teliti.types import Record

_DIGITS = 12
_MOST_STEM = 200  # file systems end at 255 bytes a name


def kept_names(name: str, digest: str) -> tuple[str, str]:
    """The names that a photo may get in the place of its verdict: its own, or with its hash where that is taken."""
    path = PurePath(name)
    return name, f"{path.stem[:_MOST_STEM]}-{digest[:_DIGITS]}{path.suffix}"


def find_kept_photo(record: Record) -> Path | None:
    """The photo of a verdict, known by its hash; None when it is not where this program put it."""
    name, digest, details = record["photo"], record["photo_hash"], record["details"]
    if not name or not digest:
        return None
    name = details.get("file", name)
    places = [Path(details["into"], kept) for kept in kept_names(name, digest)] if details.get("into") else []
    if details.get("folder"):
        places.append(Path(details["folder"], name))
    return next((place for place in places if _has_hash(place, digest)), None)


def _has_hash(path: Path, digest: str) -> bool:
    try:
        return path.is_file() and not path.is_symlink() and hash_file(path) == digest
    except (OSError, ValueError):
        return False
