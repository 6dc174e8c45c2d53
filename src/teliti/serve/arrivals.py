"""Which photos of a watched folder are there, and which of them are completely written.

The folder is looked at again and again, which works on network drives as on local disks. A file is settled when its
size and times have not changed for a while; a file whose name was given after its last write (renamed into place,
copied with its times) is settled at once. Whether a settled file is whole only its content tells.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from teliti.errors import RunError

_HINT = "Nothing was passed since. Bring the folder back, then run the same command again."


@dataclass(frozen=True, slots=True)
class Drop:
    """One file as it lies in the folder now.

    Attributes:
        name: Its name.
        size: Bytes.
        mtime_ns: Last write.
        ctime_ns: Last write or rename; on Windows the time it was made.
        inode: Its number on the disk.
        is_regular: False for folders, links, pipes and devices.
    """

    name: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    is_regular: bool

    @property
    def content_mark(self) -> tuple[int, int, int]:
        """What changes when the content does; a new name changes only `ctime_ns`."""
        return self.inode, self.size, self.mtime_ns

    @property
    def is_named_after_writing(self) -> bool:
        """True when something other than a write came last: it was renamed, or copied with its times."""
        return os.name != "nt" and self.ctime_ns > self.mtime_ns


@dataclass(slots=True)
class _Waiting:
    drop: Drop
    since: float
    tried: bool = False


class Arrivals:
    """The photos of one folder that are ready to be judged.

    Args:
        folder: Looked at without its subfolders.
        is_photo: Which names count; others, such as `x.png.part`, are left alone.
        settle_s: A file is settled when nothing changed for so long.
        patience_s: A settled file that is no whole photo after so long is given up.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        folder: Path,
        *,
        is_photo: Callable[[str], bool],
        settle_s: float,
        patience_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder
        self._is_photo = is_photo
        self._settle_s = settle_s
        self._patience_s = patience_s
        self._clock = clock
        self._waiting: dict[str, _Waiting] = {}
        self._done: dict[str, tuple[int, int, int]] = {}

    @property
    def is_waiting(self) -> bool:
        """True while a photo is there that is not done."""
        return bool(self._waiting)

    def ready(self) -> list[Drop]:
        """The photos to read now, oldest write first; one that is still being written holds up those behind it.

        Raises:
            RunError: the folder cannot be read.
        """
        now = self._clock()
        drops = self._look()
        present = {drop.name for drop in drops}
        self._done = {name: mark for name, mark in self._done.items() if name in present}
        open_drops = [drop for drop in drops if self._done.get(drop.name) != drop.content_mark]
        self._waiting = {drop.name: self._wait(drop, now) for drop in open_drops}
        ready = []
        for drop in sorted(open_drops, key=lambda drop: (drop.mtime_ns, drop.name)):
            waiting = self._waiting[drop.name]
            if not self._is_settled(waiting, now):
                break
            if not waiting.tried or self.is_given_up(drop):
                ready.append(drop)
        return ready

    def is_given_up(self, drop: Drop) -> bool:
        """True when a file had its time and will not be a whole photo any more."""
        waiting = self._waiting.get(drop.name)
        return waiting is not None and self._clock() - waiting.since >= self._patience_s

    def wait_for(self, drop: Drop) -> None:
        """The file's content is no whole photo: it is read again when it changes, or when its time is over."""
        if drop.name in self._waiting:
            self._waiting[drop.name].tried = True

    def finish(self, drop: Drop) -> None:
        """The photo is judged: as long as it lies there unchanged it is not offered again."""
        self._waiting.pop(drop.name, None)
        self._done[drop.name] = drop.content_mark

    def _look(self) -> Sequence[Drop]:
        drops = []
        try:
            with os.scandir(self.folder) as entries:
                for entry in entries:
                    if self._is_photo(entry.name):
                        drops.append(_drop(entry))
        except OSError as error:
            raise RunError(
                f'The folder "{self.folder}" cannot be read: {error.strerror or error}.', hint=_HINT
            ) from error
        return [drop for drop in drops if drop is not None]

    def _wait(self, drop: Drop, now: float) -> _Waiting:
        known = self._waiting.get(drop.name)
        return known if known is not None and known.drop == drop else _Waiting(drop, now)

    def _is_settled(self, waiting: _Waiting, now: float) -> bool:
        return waiting.drop.is_named_after_writing or now - waiting.since >= self._settle_s


def is_same_file(path: Path, drop: Drop) -> bool:
    """True when the path still is the file that was seen; another name for it does not matter."""
    try:
        status = path.lstat()
    except OSError:
        return False
    return (status.st_ino, status.st_size, status.st_mtime_ns) == drop.content_mark


def _drop(entry: os.DirEntry[str]) -> Drop | None:
    try:
        status = os.stat(entry.path, follow_symlinks=False)  # noqa: PTH116 - Windows: an entry's own has no inode
    except OSError:  # gone between the listing and the look
        return None
    return Drop(
        entry.name,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_ino,
        stat.S_ISREG(status.st_mode),
    )
