"""Photos that were decoded once and are needed again soon: their pixels wait in a temporary file.

Fingerprints and features both need the decoded photo, and for small photos decoding is most of the reading. The file
lies beside nothing and has no name where the system allows it; it is bounded, and what does not fit is decoded again.
Memory stays free, since the pages belong to the system's file cache.
"""

from __future__ import annotations

import math
import tempfile
import threading
import weakref

import numpy as np

from teliti.data.decode import decode_photo
from teliti.types import Sample, UInt8Image

MOST_BYTES = 1 << 30


class DecodedPhotos:
    """Decoded photos by the name of their sample. Safe to use from several threads.

    Args:
        most_bytes: The file never grows beyond this; later photos are decoded again.
    """

    def __init__(self, *, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._places: dict[str, tuple[int, tuple[int, ...]]] = {}
        self._end = 0
        self._lock = threading.Lock()
        self._file = tempfile.TemporaryFile(prefix="teliti-decoded-", buffering=0)  # noqa: SIM115
        weakref.finalize(self, self._file.close)  # lives as long as this object

    def __reduce__(self) -> tuple[type[DecodedPhotos], tuple[()]]:
        """Pixels stay in the process that decoded them; elsewhere there are none yet."""
        return DecodedPhotos, ()

    def __len__(self) -> int:
        """How many photos are kept."""
        return len(self._places)

    def keep(self, name: str, image: UInt8Image) -> None:
        """Keep a photo, if there is room; a full disk only means that it is decoded again.

        Args:
            name: The sample's.
            image: (H, W) or (H, W, 3) uint8, as decoded.
        """
        data = np.ascontiguousarray(image).data.cast("B")
        with self._lock:
            if self._end + len(data) > self._most_bytes:
                return
            try:
                self._file.seek(self._end)
                written = self._file.write(data)
            except OSError:
                written = 0
            if written != len(data):
                self._most_bytes = self._end  # no further try
                return
            self._places[name] = (self._end, image.shape)
            self._end += len(data)

    def read(self, sample: Sample) -> UInt8Image:
        """A photo's pixels: the kept ones, or decoded from its origin.

        Returns:
            (H, W) grey or (H, W, 3) RGB, uint8.

        Raises:
            PhotoRefused: not kept, and it cannot be read or decoded.
        """
        place = self._places.get(sample.name)
        if place is not None:
            start, shape = place
            image: UInt8Image = np.empty(shape, dtype=np.uint8)
            with self._lock:
                self._file.seek(start)
                count = self._file.readinto(image.data.cast("B"))
            if count == math.prod(shape):
                return image
        return read_photo(sample)

    def read_and_keep(self, sample: Sample) -> UInt8Image:
        """The same; what had to be decoded is kept for the next time.

        Returns:
            (H, W) grey or (H, W, 3) RGB, uint8.

        Raises:
            PhotoRefused: not kept, and it cannot be read or decoded.
        """
        image = self.read(sample)
        if sample.name not in self._places:
            self.keep(sample.name, image)
        return image


def read_photo(sample: Sample) -> UInt8Image:
    """A photo's pixels, decoded from its origin.

    Returns:
        (H, W) grey or (H, W, 3) RGB, uint8.

    Raises:
        PhotoRefused: it cannot be read or decoded.
    """
    return decode_photo(sample.origin.read_bytes())
