"""The one write door and the one path door: atomic writes, and names that must stay inside a root."""

from __future__ import annotations

import codecs
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from teliti.errors import StorageError, UserError

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
_MAKE_ROOM = "Free some space or choose another folder (--out, TELITI_CACHE), then run the command again."
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def write_bytes_atomic(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old content or the new one, never half of it.

    Temporary file in the same folder, flush, fsync, rename, fsync of the folder.

    Raises:
        StorageError: the disk is full, the folder is not writable, or the device failed.
    """
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise storage_error(path, error, size=len(data)) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)  # gone after the rename; left by a failure or by Ctrl-C


def write_text_atomic(path: Path, text: str) -> None:
    """`write_bytes_atomic` for UTF-8 text; names that are not valid UTF-8 keep their bytes."""
    write_bytes_atomic(path, text.encode("utf-8", "surrogateescape"))


def write_json_atomic(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record as indented JSON, keys in the given order; NaN and infinity are refused."""
    write_text_atomic(path, json.dumps(record, indent=2, ensure_ascii=True, allow_nan=False) + "\n")


def write_bytes_new(path: Path, data: bytes) -> None:
    """As `write_bytes_atomic`, but never in the place of another file.

    Raises:
        FileExistsError: the name is taken.
        StorageError: the disk is full or the folder is not writable.
    """
    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        _name_new(temporary, path)
        _sync_folder(path.parent)
    except FileExistsError:
        raise
    except OSError as error:
        raise storage_error(path, error, size=len(data)) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def append_bytes(path: Path, data: bytes) -> None:
    """Add bytes to the end of a file that others may be reading; a crash may leave a part of them.

    Raises:
        StorageError: the disk is full or the file is not writable.
    """
    try:
        with path.open("ab") as file:
            file.write(data)
    except OSError as error:
        raise storage_error(path, error, size=len(data)) from error


def link_new(source: Path, target: Path, *, data: bytes) -> None:
    """Give a regular file a second name, never overwriting; where that cannot be, write its content there.

    A second name costs nothing and exists only on the same disk, if that has hard links. It is on the disk when this
    returns.

    Args:
        source: The file.
        target: In an existing folder.
        data: The file's content, for the second way.

    Raises:
        FileExistsError: the target's name is taken.
        StorageError: the disk is full or the folder is not writable.
    """
    try:
        os.link(source, target)
        _sync_folder(target.parent)
    except FileExistsError:
        raise
    except OSError:
        write_bytes_new(target, data)


def storage_error(path: Path, error: OSError, *, size: int | None = None) -> StorageError:
    """The sentence for a failed write or read of `path`."""
    if error.errno in _NO_SPACE:
        needed = "" if size is None else f" ({size:,} bytes needed)"
        return StorageError(
            f'The disk is full: "{path}" could not be written{needed}.',
            hint=_MAKE_ROOM,
        )
    return StorageError(
        f'"{path}" could not be written: {error.strerror or error}.',
        hint="Check that the folder exists and that you may write to it, or choose another one.",
    )


def require_space(path: Path, needed: int) -> None:
    """Refuse early where a disk is too full for what will be written.

    Args:
        path: Where it will be written; it need not exist yet.
        needed: Bytes.

    Raises:
        StorageError: fewer bytes are free on that disk.
    """
    places = (path.absolute(), *path.absolute().parents)
    free = shutil.disk_usage(next(place for place in places if place.exists())).free
    if free < needed:
        raise StorageError(
            f'The disk is full: "{path}" needs about {needed / 1e6:.0f} MB, {free / 1e6:.0f} MB are free.',
            hint=_MAKE_ROOM,
        )


def resolve_inside(root: Path, name: str) -> Path:
    """The path of `name` below `root`, links followed, guaranteed to lie inside `root`.

    Raises:
        UserError: the name leads outside.
    """
    resolved_root = root.resolve()
    resolved = (resolved_root / name).resolve()
    if not resolved.is_relative_to(resolved_root):
        raise UserError(
            f'"{name}" must be inside "{root}", got a path that leads outside.', hint="Use a name below that folder."
        )
    return resolved


def spreadsheet_cell(text: str) -> str:
    """The text with a leading apostrophe where a spreadsheet would read it as a formula.

    Cells that begin with `=`, `+`, `-`, `@`, tab or a line break are concerned; the apostrophe is the sign
    by which spreadsheets mark a cell as plain text.
    """
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def table_text(data: bytes, *, errors: str = "surrogateescape") -> str:
    """The text of a CSV file without its byte order mark: UTF-8, or UTF-16 where that mark says so.

    Args:
        data: The file's content.
        errors: What becomes of other bytes, as for `bytes.decode`; "strict" raises UnicodeDecodeError.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "strict" if errors == "strict" else "replace")
    return data.decode("utf-8", errors).removeprefix("\ufeff")


def sha256_hex(data: bytes) -> str:
    """SHA-256 of the bytes as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def hash_file(path: Path) -> str:
    """SHA-256 of a file's content as 64 hexadecimal digits, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _name_new(temporary: str, path: Path) -> None:
    """Give a finished file its name, if that is free."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        os.replace(temporary, path)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder for fsync
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
