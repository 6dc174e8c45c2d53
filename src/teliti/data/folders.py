"""A folder on disk as a listing: sorted, hidden files left out, links to folders never followed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from teliti.data.listing import Listing, is_hidden_name, is_photo_name
from teliti.data.origins import FileOrigin, reason_of
from teliti.types import Origin, Refused


def list_folder(folder: str, *, beside_root: str | None = None) -> Listing:
    """Every file below the folder.

    A link to a file is offered and checked when it is read: it must lead to a place inside the folder.

    Args:
        folder: An existing one.
        beside_root: Of the origins, see `FileOrigin`.
    """
    root = str(Path(folder).resolve())
    files: dict[str, Origin] = {}
    refused: list[Refused] = []
    waiting = [""]
    tops: list[str] = []
    while waiting:
        inside = waiting.pop()
        is_empty = True
        for entry in _scan(root, inside, refused):
            is_empty = False
            name = f"{inside}/{entry.name}" if inside else entry.name
            if not _is_folder(entry):
                files[name] = FileOrigin(name, root, beside_root)
            elif entry.is_symlink():
                refused.append(Refused(name, "a link to a folder is not followed"))
            else:
                waiting.append(name)
                tops += [] if inside else [name]
        if is_empty and is_photo_name(inside):
            refused.append(Refused(inside, "a folder, not a file"))
    ordered = {name: files[name] for name in sorted(files)}
    return Listing(folder, ordered, tuple(sorted(refused, key=lambda item: item.name)), tuple(sorted(tops)))


def _scan(root: str, inside: str, refused: list[Refused]) -> Iterator[os.DirEntry[str]]:
    """One after the other: an entry takes more memory than what is kept of a photo."""
    try:
        with os.scandir(Path(root, inside)) as entries:
            yield from (entry for entry in entries if not is_hidden_name(entry.name))
    except OSError as error:
        refused.append(Refused(inside or ".", f"folder {reason_of(error)}"))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link loop
        return False
