"""Prepared photos of the network modes as one array in a temporary file: made once, however many epochs follow.

A photo is one picture, or its tiles: `Pictures` holds a row for each picture and the photo that it is of.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
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
from teliti.workflow.photos import Photos


@dataclass(frozen=True, eq=False)
class Pictures:
    """What a network sees of some photos.

    Attributes:
        images: (R, height, width, 3) uint8; the tiles of a photo stand together, in reading order.
        owners: (R,) place of each picture's photo among the photos that were asked for.
    """

    images: UInt8Image
    owners: IntArray

    def rows_of(self, places: IntArray) -> IntArray:
        """Rows of the photos at these places, in the order of the rows."""
        return np.flatnonzero(np.isin(self.owners, places))

    def names(self, photos: list[str]) -> list[str]:
        """A name for each row: the photo's own, or with the number of its tile."""
        counts = np.bincount(self.owners, minlength=len(photos)).tolist()
        return [
            name if count == 1 else f"{name} tile {number}"
            for name, count in zip(photos, counts, strict=True)
            for number in range(count)
        ]


@contextmanager
def prepared_pictures(
    photos: Photos, indices: IntArray, chain: PrepareChain, *, threads: int, reporter: Reporter
) -> Iterator[Pictures]:
    """Prepare photos into a memory map that is gone afterwards.

    Args:
        photos: All photos.
        indices: (M,) positions of those that are wanted; their order is kept.
        chain: The prepare steps, tiles allowed.
        threads: At least 1.
        reporter: Told how far it is.

    Raises:
        PhotoRefused: a photo changed since it was read.
        StorageError: the pictures do not fit on the disk of temporary files.
    """
    samples = [photos.samples[index] for index in indices]

    def prepare(image: UInt8Image, sample: Sample) -> UInt8Image:
        return chain.views(image, beside_of(sample.origin))

    counts: list[int] = []
    ahead = AHEAD_PER_THREAD if chain.tile is None else 1  # all tiles of a large photo are a lot
    with tempfile.TemporaryFile(prefix="teliti-pictures-") as file:
        try:
            with reporter.task("Preparing photos", len(samples)) as advance:
                for index, pictures in load_prepared(
                    samples, prepare, threads=threads, read=photos.decoded.read, ahead=ahead
                ):
                    if isinstance(pictures, PhotoRefused):
                        raise PhotoRefused(f'"{samples[index].name}" changed while it was used: {pictures.reason}')
                    file.write(np.ascontiguousarray(pictures).data)
                    counts.append(len(pictures))
                    advance(1)
            file.flush()
        except OSError as error:
            raise storage_error(Path(tempfile.gettempdir()) / "teliti-pictures", error) from error
        shape = (sum(counts), *chain.image_size, 3)
        images = np.memmap(file, dtype=np.uint8, mode="r+", shape=shape)
        yield Pictures(images, np.repeat(np.arange(len(samples)), counts))
        del images
