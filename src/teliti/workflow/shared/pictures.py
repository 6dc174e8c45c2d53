"""Prepared photos of the network modes as one array in a file: made once, however many epochs follow.

A photo is one picture, or its tiles: `Pictures` holds a row for each picture and the photo that it is of. The file is
a training's own, or one that all trainings of a search share (`shared_pictures`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from teliti.data.beside import beside_of
from teliti.data.loading import AHEAD_PER_THREAD, load_prepared
from teliti.errors import PhotoRefused
from teliti.files import storage_error
from teliti.transforms.prepare import PrepareChain
from teliti.types import IntArray, Reporter, Sample, UInt8Image
from teliti.workflow.shared.photos import Photos
from teliti.workflow.shared.shared_pictures import Put, SharedPictures, keep_pictures, key_of


@dataclass(frozen=True, eq=False)
class Pictures:
    """What a network sees of some photos.

    Attributes:
        images: (R, height, width, 3) uint8; the tiles of a photo stand together, in reading order.
        owners: (R,) place of each picture's photo among the photos that were asked for; -1 where it is not one of them.
    """

    images: UInt8Image
    owners: IntArray

    def rows_of(self, places: IntArray) -> IntArray:
        """Rows of the photos at these places, in the order of the rows."""
        return np.flatnonzero(np.isin(self.owners, places))

    def names(self, photos: list[str]) -> list[str]:
        """A name for each row: the photo's own, or with the number of its tile."""
        counts = np.bincount(self.owners[self.owners >= 0], minlength=len(photos)).tolist()
        named, seen = list[str](), [0] * len(photos)
        for owner in self.owners.tolist():
            if owner < 0:
                named.append("")
                continue
            named.append(photos[owner] if counts[owner] == 1 else f"{photos[owner]} tile {seen[owner]}")
            seen[owner] += 1
        return named


@contextmanager
def prepared_pictures(
    photos: Photos, indices: IntArray, chain: PrepareChain, *, threads: int, reporter: Reporter
) -> Iterator[Pictures]:
    """Prepare photos into a memory map that is gone afterwards; or take them from the one that the job shares.

    Args:
        photos: All photos.
        indices: (M,) positions of those that are wanted, rising.
        chain: The prepare steps, tiles allowed.
        threads: At least 1.
        reporter: Told how far it is.

    Raises:
        PhotoRefused: a photo changed since it was read.
        StorageError: the pictures do not fit on the disk of temporary files.
    """
    samples, shared = [photos.samples[index] for index in indices], photos.pictures
    if shared is not None and shared.key == key_of(chain):
        yield Pictures(shared.images, shared.owners([sample.name for sample in samples]))
        return
    with tempfile.TemporaryFile(prefix="teliti-pictures-") as file:
        try:
            read = photos.decoded.read
            counts = _write(file.write, samples, chain, read=read, threads=threads, reporter=reporter)
            file.flush()
        except OSError as error:
            raise storage_error(Path(tempfile.gettempdir()) / "teliti-pictures", error) from error
        images = np.memmap(file, dtype=np.uint8, mode="r+", shape=(sum(counts), *chain.image_size, 3))
        yield Pictures(images, np.repeat(np.arange(len(samples)), counts))
        del images


def share_pictures(
    folder: Path, photos: Photos, chain: PrepareChain, *, threads: int, reporter: Reporter
) -> SharedPictures | None:
    """Prepare photos for all trainings of a job, or find what was kept; a photo is decoded once for all chains.

    Args:
        folder: Of the job, see `shared_folder`.
        photos: All that a training of the job uses.
        chain: The prepare steps, tiles allowed.
        threads: At least 1.
        reporter: Told how far it is.

    Returns:
        None where they would take too much of the disk, see `keep_pictures`.

    Raises:
        PhotoRefused: a photo changed since it was read.
        StorageError: the folder cannot be written.
    """
    read = photos.decoded.read_and_keep

    def write(put: Put) -> list[int]:
        return _write(put, photos.samples, chain, read=read, threads=threads, reporter=reporter)

    return keep_pictures(folder, chain, [sample.name for sample in photos.samples], write=write)


def _write(
    put: Put,
    samples: Sequence[Sample],
    chain: PrepareChain,
    *,
    read: Callable[[Sample], UInt8Image],
    threads: int,
    reporter: Reporter,
) -> list[int]:
    """The pictures of some photos behind each other; how many there are of each."""

    def prepare(image: UInt8Image, sample: Sample) -> UInt8Image:
        return chain.views(image, beside_of(sample.origin))

    counts: list[int] = []
    ahead = AHEAD_PER_THREAD if chain.tile is None else 1  # all tiles of a large photo are a lot
    with reporter.task("Preparing photos", len(samples)) as advance:
        for index, pictures in load_prepared(samples, prepare, threads=threads, read=read, ahead=ahead):
            if isinstance(pictures, PhotoRefused):
                raise PhotoRefused(f'"{samples[index].name}" changed while it was used: {pictures.reason}')
            put(np.ascontiguousarray(pictures).data)
            counts.append(len(pictures))
            advance(1)
    return counts
