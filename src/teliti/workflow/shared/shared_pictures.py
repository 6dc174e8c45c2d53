"""Prepared photos that all trainings of a search or a table take from one file, one for each preparation and size.

Whoever drives the job makes a file before the first training that needs it; the workers of this machine map it, so
that its pages lie in memory once, however many trainings run. An engine that carries gives it to other machines whole.
The files are gone when the job ends; what a killed job left in its folder is not trusted, and made again.
How many tiles a photo gives may depend on its pixels, so that the size of a file is known only while it is written.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from teliti.files import sha256_hex, storage_error
from teliti.transforms.prepare import PrepareChain
from teliti.types import IntArray, UInt8Image

_MOST_OF_THE_DISK = 0.25  # of what is free: the rest is for others
_NOBODY = -1

Put = Callable[[memoryview], object]
"""Takes the bytes of the next pictures."""


@dataclass(frozen=True, eq=False)
class SharedPictures:
    """The pictures of all photos that a job uses.

    Attributes:
        key: From `key_of` their chain.
        names: (N) of the photos, each once.
        counts: (N,) pictures of each, more than one with tiles.
        images: (R, height, width, 3) uint8; those of a photo stand together, photos in the order of their names.
    """

    key: str
    names: tuple[str, ...]
    counts: IntArray
    images: UInt8Image

    def owners(self, asked: Sequence[str]) -> IntArray:
        """(R,) for each picture the place of its photo among those asked for; -1 where it is not.

        Args:
            asked: Names, in the order of `names`.
        """
        places = {name: place for place, name in enumerate(asked)}
        return np.repeat([places.get(name, _NOBODY) for name in self.names], self.counts)

    def to_memory(self) -> SharedPictures:
        """The same without its file, for an engine that carries it to other machines."""
        return SharedPictures(self.key, self.names, self.counts, np.asarray(self.images))


def key_of(chain: PrepareChain) -> str:
    """Names a chain with all its parameters, the closing frame's size among them."""
    return sha256_hex(json.dumps(chain.to_record(), sort_keys=True).encode())[:32]


@contextmanager
def shared_folder(folder: Path) -> Iterator[Path]:
    """A place for shared pictures, empty at first and gone afterwards.

    Args:
        folder: Of one job, which one process drives.
    """
    shutil.rmtree(folder, ignore_errors=True)  # of a killed one, perhaps half written
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def find_pictures(folder: Path, chain: PrepareChain, names: Sequence[str]) -> SharedPictures | None:
    """The pictures that were kept; None where there are none.

    Args:
        folder: Where they are kept.
        chain: What made them.
        names: (N) of the photos, in order; pictures of others are not found.
    """
    file, counted = _files_of(folder, chain, names)
    try:
        counts = np.load(counted)
        shape = (int(counts.sum()), *chain.image_size, 3)
        images = np.memmap(file, dtype=np.uint8, mode="c", shape=shape)  # a write stays here
    except (FileNotFoundError, NotADirectoryError):
        return None
    return SharedPictures(key_of(chain), tuple(names), counts, images)


def keep_pictures(
    folder: Path, chain: PrepareChain, names: Sequence[str], *, write: Callable[[Put], Sequence[int]]
) -> SharedPictures | None:
    """Make the pictures of some photos, or find those that were kept.

    Args:
        folder: Where they are kept; made with the first ones.
        chain: What makes them.
        names: (N) of the photos, in order.
        write: Puts all pictures, and says how many there are of each photo.

    Returns:
        None where they would take more than a quarter of the free disk: then every training makes its own.

    Raises:
        StorageError: the folder is not writable, or the disk became full.
    """
    found = find_pictures(folder, chain, names)
    if found is not None:
        return found
    height, width = chain.image_size
    path, counted = _files_of(folder, chain, names)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        room = int(_MOST_OF_THE_DISK * shutil.disk_usage(folder).free)
        if 3 * height * width * len(names) > room:  # one picture of each is the least
            return None
        try:
            with path.open("wb") as file:
                counts = np.asarray(write(_put_into(file, room)), dtype=np.int64)
        except _NoRoom:
            path.unlink()
            return None
        np.save(counted, counts)  # last: where it is, the pictures are whole
    except OSError as error:
        raise storage_error(folder, error) from error
    return find_pictures(folder, chain, names)


class _NoRoom(Exception):  # noqa: N818 - nothing went wrong
    """The pictures are more than may be kept."""


def _put_into(file: IO[bytes], room: int) -> Put:
    """Writes to a file, up to so many bytes."""
    left = room

    def put(pictures: memoryview) -> None:
        nonlocal left
        left -= pictures.nbytes
        if left < 0:
            raise _NoRoom
        file.write(pictures)

    return put


def _files_of(folder: Path, chain: PrepareChain, names: Sequence[str]) -> tuple[Path, Path]:
    """Where the pictures of these photos are, and how many there are of each."""
    stem = f"{key_of(chain)}-{sha256_hex(json.dumps(list(names)).encode())[:32]}"
    return folder / f"{stem}.pictures", folder / f"{stem}.npy"
