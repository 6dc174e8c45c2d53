"""The files of a source by relative name, whether they lie in a folder or in a zip archive."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass

from teliti.data.sniff import IMAGE_SUFFIXES
from teliti.types import Origin, Refused

_SYSTEM_NAMES = {"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx"}


@dataclass(frozen=True, slots=True)
class Listing:
    """What a source holds. Hidden and system files are not part of it.

    Attributes:
        source: What the user gave.
        files: Origin by relative name with forward slashes, sorted by name; photos and others alike.
        refused: What could not even be listed: links to folders, unreadable folders, unsafe archive members.
        folders: Names of the folders at the top, empty ones included.
    """

    source: str
    files: Mapping[str, Origin]
    refused: tuple[Refused, ...] = ()
    folders: tuple[str, ...] = ()

    def photos(self) -> dict[str, Origin]:
        """The files whose suffix is that of an image format."""
        return {name: origin for name, origin in self.files.items() if is_photo_name(name)}

    def others(self) -> tuple[Refused, ...]:
        """Every other file, refused with its suffix as the reason."""
        return tuple(
            Refused(name, f"not an image file ({_suffix_of(name) or 'no suffix'})")
            for name in self.files
            if not is_photo_name(name)
        )


def is_photo_name(name: str) -> bool:
    """True when the suffix is that of an image format of the image door."""
    return _suffix_of(name) in IMAGE_SUFFIXES


def is_hidden_name(name: str) -> bool:
    """True for one part of a path that starts with a dot or belongs to an operating system."""
    return name.startswith(".") or name.lower() in _SYSTEM_NAMES


def _suffix_of(name: str) -> str:
    return posixpath.splitext(name)[1].rstrip(".").lower()  # not pathlib, which interns every name
