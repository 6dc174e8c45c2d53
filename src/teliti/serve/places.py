"""The folders that judged photos go to: one for each verdict, nothing overwritten, safe to repeat."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from teliti.errors import StorageError, UserError
from teliti.files import hash_file, link_new, sha256_hex, storage_error, write_bytes_new
from teliti.serve.arrivals import Drop, is_same_file
from teliti.workflow.shared.kept_photos import kept_names

_TRIES, _BETWEEN_S = 10, 0.1  # Windows: a virus scanner or the camera may still hold the file


class Places:
    """Folders by verdict.

    Args:
        folders: Folder by verdict; photos of other verdicts stay where they are. Missing folders are made.
        watched: The folder that photos come from.
        keep: Leave the photo in the watched folder, too.

    Raises:
        UserError: a place is the watched folder itself.
        StorageError: a folder cannot be made.
    """

    def __init__(self, folders: Mapping[str, Path], *, watched: Path, keep: bool) -> None:
        self._folders = {verdict: folder.absolute() for verdict, folder in folders.items()}
        self._watched = watched
        self._keep = keep
        for verdict, folder in self._folders.items():
            try:
                folder.mkdir(parents=True, exist_ok=True)
                is_watched = folder.samefile(watched)
            except OSError as error:
                raise storage_error(folder, error) from error
            if is_watched:
                raise UserError(
                    f'--into {verdict}= must be another folder than the watched one, got "{folder}".',
                    hint="A folder inside it is fine.",
                )

    def folder_of(self, verdict: str | None) -> Path | None:
        """Where photos of a verdict go; None when they stay."""
        return None if verdict is None else self._folders.get(verdict)

    def put(self, drop: Drop, *, data: bytes, verdict: str | None) -> None:
        """Bring a judged photo to its place; done before, in whole or in part, it is finished.

        Only the photo that was judged is moved: a file that took its name meanwhile stays and is judged itself.

        Args:
            drop: The file as it was read.
            data: Its content.
            verdict: What the journal says of it.

        Raises:
            StorageError: the disk is full, the folder is gone, or both names are taken by other files.
        """
        folder = self.folder_of(verdict)
        if folder is None:
            return
        source, digest = self._watched / drop.name, sha256_hex(data)
        if not any(_claim(source, folder / name, data=data, digest=digest) for name in kept_names(drop.name, digest)):
            raise StorageError(
                f'"{drop.name}" cannot be put into "{folder}": other files have its names there.',
                hint="Move those files away, then run the same command again.",
            )
        if not self._keep and is_same_file(source, drop):
            _remove(source)


def _claim(source: Path, target: Path, *, data: bytes, digest: str) -> bool:
    """True when the target holds the judged content, now or before."""
    try:
        link_new(source, target, data=data)
    except FileExistsError:
        return _holds(target, digest)
    if _holds(target, digest):
        return True
    try:
        target.unlink()  # the file was exchanged before it was linked
        write_bytes_new(target, data)
    except FileExistsError:
        return False
    except OSError as error:
        raise storage_error(target, error) from error
    return True


def _holds(path: Path, digest: str) -> bool:
    try:
        return path.is_file() and not path.is_symlink() and hash_file(path) == digest
    except OSError:
        return False


def _remove(path: Path) -> None:
    for attempt in range(_TRIES):
        try:
            path.unlink(missing_ok=True)
        except PermissionError as error:
            if attempt == _TRIES - 1:
                raise storage_error(path, error) from error
            time.sleep(_BETWEEN_S)
        except OSError as error:
            raise storage_error(path, error) from error
        else:
            return
