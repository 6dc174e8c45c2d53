"""A folder of prepared photos: which file a photo becomes, what lies there already, and whose it is.

A hidden file (`.prepared.json`) keeps the steps and, for every photo, its SHA-256 and those of the files made of it. A
file is ours when its content is what stands there; nothing else in the folder is ever written to.
"""

from __future__ import annotations

import json
import posixpath
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from teliti.data.listing import is_photo_name
from teliti.errors import PhotoRefused, UserError
from teliti.files import hash_file, resolve_inside, sha256_hex, storage_error, write_bytes_atomic, write_json_atomic
from teliti.types import Record

STATE, REFUSED, LABELS, SHEET = ".prepared.json", "refused.csv", "labels.csv", "preview.png"
SUFFIX = ".png"
_OWN = {STATE, REFUSED, LABELS, SHEET}
_LOCK = "lock.json"
_WRITING = ".writing-"


class PlaceTaken(PhotoRefused):
    """A photo that cannot be kept, because another file lies in its place."""


@dataclass(frozen=True)
class Made:
    """What was made of one photo.

    Attributes:
        sha256: Of the photo's file.
        files: SHA-256 by name of each file made of it.
    """

    sha256: str
    files: Mapping[str, str]


@dataclass
class PreparedFolder:
    """Prepared photos on disk.

    Attributes:
        path: The folder.
        source: What the photos were given as.
        steps: The chain's record.
        made: By photo name.
    """

    path: Path
    source: str
    steps: Sequence[Record]
    made: dict[str, Made] = field(default_factory=dict)

    def is_current(self, name: str, sha256: str, *, file: str, has_tiles: bool) -> bool:
        """True when everything that this photo becomes lies there, whole and under the name that it has now."""
        made = self.made.get(name)
        if made is None or made.sha256 != sha256 or not made.files:
            return False
        expected = name_tiles(file, len(made.files)) if has_tiles else [file]
        return list(made.files) == expected and all(
            _digest_of(self.path / own) == digest for own, digest in made.files.items()
        )

    def put(self, name: str, sha256: str, files: Mapping[str, bytes]) -> Made:
        """Write the files of one photo; the caller keeps what comes back in `made`.

        Raises:
            PlaceTaken: a file of that name lies there and is not ours.
            UserError: the name leads out of the folder.
            StorageError: the disk is full or the folder is not writable.
        """
        before = self.made.get(name)
        digests = {file: sha256_hex(data) for file, data in files.items()}
        for file, data in files.items():
            path = resolve_inside(self.path, file)
            found = _digest_of(path)
            if found == digests[file]:
                continue
            if found is not None and (before is None or before.files.get(file) != found):
                raise PlaceTaken(f'"{file}" lies in the folder already and was not written by this command')
            write_bytes_atomic(path, data)
        return Made(sha256, digests)

    def forgotten(self, names: Iterable[str]) -> list[str]:
        """Files made of photos that are not among these any more, or made under another name; sorted."""
        wanted = set(names)
        kept = {file for name, made in self.made.items() if name in wanted for file in made.files}
        all_files = {file for made in self.made.values() for file in made.files}
        return sorted(file for file in all_files - kept if (self.path / file).exists())

    def save(self) -> None:
        """Keep the state; done now and then, so that a killed run loses little."""
        photos = {name: {"sha256": made.sha256, "files": dict(made.files)} for name, made in self.made.items()}
        write_json_atomic(
            self.path / STATE, {"schema": 1, "source": self.source, "steps": list(self.steps), "photos": photos}
        )


def open_prepared_folder(out: Path, *, source: str, steps: Sequence[Record]) -> PreparedFolder:
    """The folder of an earlier start with the same photos and steps, or a new one.

    Raises:
        UserError: it holds anything that this command did not make, or was made of other photos or by other steps.
        StorageError: it cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        found = sorted(path.name for path in out.iterdir())
    except FileExistsError as error:
        raise UserError(f'OUT must be a folder, got the file "{out}".', hint="Name a new folder.") from error
    except OSError as error:
        raise storage_error(out, error) from error
    if STATE in found:
        return _reopen(out, source=source, steps=steps)
    foreign = [name for name in found if name not in {SHEET, _LOCK} and not name.startswith(_WRITING)]
    if foreign:
        raise UserError(
            f'OUT must be a new folder, an empty one, or one that this command made, got "{out}" with '
            f'"{foreign[0]}" in it.',
            hint="Choose another folder.",
        )
    return PreparedFolder(out, source, steps)


def name_files(names: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The file of every photo: its own name with the ending .png.

    Photos whose files would have one name (also where only upper and lower case differ) keep their own ending before
    it: a.jpg and a.bmp become a.jpg.png and a.bmp.png.

    Args:
        names: Unique, with forward slashes.

    Returns:
        File by photo name, and the names of the photos that had to be told apart.
    """
    plain = {name: _as_png(name) for name in names}
    wanted = Counter(map(_folded, plain.values()))
    reserved = {_folded(file) for file in _OWN}
    alone = {name: file for name, file in plain.items() if wanted[_folded(file)] == 1 and _folded(file) not in reserved}
    taken = reserved | {_folded(file) for file in alone.values()}
    files, told_apart = dict(alone), [name for name in names if name not in alone]
    for name in told_apart:
        candidate, number = f"{name}{SUFFIX}", 1
        while _folded(candidate) in taken:
            number += 1
            candidate = f"{name}-{number}{SUFFIX}"
        taken.add(_folded(candidate))
        files[name] = candidate
    return {name: files[name] for name in names}, told_apart


def name_tiles(file: str, count: int) -> list[str]:
    """The files of one photo's tiles, in reading order: part.png becomes part-tile-000.png and so on."""
    stem = file.removesuffix(SUFFIX)
    return [f"{stem}-tile-{number:03d}{SUFFIX}" for number in range(count)]


def _as_png(name: str) -> str:
    folder, last = posixpath.split(name)
    stem = PurePosixPath(last).stem if is_photo_name(last) else last
    return posixpath.join(folder, stem + SUFFIX)


def _folded(file: str) -> str:
    """How file systems that ignore case and composition see a name."""
    return unicodedata.normalize("NFC", file).casefold()


def _digest_of(path: Path) -> str | None:
    try:
        return hash_file(path)
    except FileNotFoundError:
        return None
    except OSError:  # a folder, or nothing that we may read: certainly not ours
        return ""


def _reopen(out: Path, *, source: str, steps: Sequence[Record]) -> PreparedFolder:
    try:
        state = json.loads((out / STATE).read_text(encoding="utf-8"))
        made = {
            str(name): Made(str(entry["sha256"]), {str(file): str(digest) for file, digest in entry["files"].items()})
            for name, entry in state["photos"].items()
        }
        its_source, its_steps = state["source"], state["steps"]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(
            f'"{out / STATE}", which tells what was prepared here, is damaged.', hint="Choose a new folder."
        ) from error
    if its_source != source:
        raise UserError(
            f'"{out}" holds the prepared photos of "{its_source}", not of "{source}".', hint="Choose another folder."
        )
    if its_steps != json.loads(json.dumps(list(steps))):
        raise UserError(
            f'"{out}" was prepared by other steps ({_listed(its_steps)}, now {_listed(steps)}).',
            hint="Choose another folder, or delete that one first: photos prepared in two ways must not mix.",
        )
    return PreparedFolder(out, source, steps, made)


def _listed(steps: Sequence[Record]) -> str:
    names = " + ".join(str(step["step"]) for step in steps) or "none"
    return re.sub(r"[^\w +-]", "", names)
