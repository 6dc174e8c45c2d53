"""Fingerprints of many photos without their thumbnails in memory: these wait in a temporary file.

A thumbnail is 4 KB; of 100,000 photos that is 400 MB, which a check shall not need. The file has no name where the
system allows it and goes with the object.
"""

from __future__ import annotations

import tempfile
import threading
import weakref
from array import array
from collections.abc import Sequence
from typing import overload

import numpy as np

from teliti.data.fingerprints import THUMBNAIL_SIDE, Fingerprint
from teliti.errors import StorageError
from teliti.files import storage_error

_BYTES = THUMBNAIL_SIDE**2


class StoredFingerprints(Sequence[Fingerprint]):
    """Fingerprints in the order in which they were added; each look reads its thumbnail back. Safe on threads."""

    def __init__(self) -> None:
        self._digests = bytearray()
        self._sizes = array("I")
        self._lock = threading.Lock()
        self._file = tempfile.TemporaryFile(prefix="teliti-thumbnails-")  # noqa: SIM115
        weakref.finalize(self, self._file.close)  # lives as long as this object

    def append(self, mark: Fingerprint) -> None:
        """Add one.

        Raises:
            StorageError: the disk for temporary files is full.
        """
        with self._lock:
            try:
                self._file.seek(len(self) * _BYTES)
                self._file.write(mark.thumbnail.tobytes())
            except OSError as error:
                raise self._refusal(error) from error
            self._digests += mark.digest
            self._sizes.extend((mark.height, mark.width))

    def digest(self, index: int) -> bytes:
        """The SHA-256 of one photo's bytes; reads no file."""
        return bytes(self._digests[32 * index : 32 * index + 32])

    def __len__(self) -> int:
        return len(self._sizes) // 2

    @overload
    def __getitem__(self, index: int) -> Fingerprint: ...

    @overload
    def __getitem__(self, index: slice) -> list[Fingerprint]: ...

    def __getitem__(self, index: int | slice) -> Fingerprint | list[Fingerprint]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        with self._lock:
            try:
                self._file.seek(place * _BYTES)
                data = self._file.read(_BYTES)
            except OSError as error:
                raise self._refusal(error) from error
        pixels = np.frombuffer(data, dtype=np.uint8).reshape(THUMBNAIL_SIDE, THUMBNAIL_SIDE)
        return Fingerprint(self.digest(place), self._sizes[2 * place], self._sizes[2 * place + 1], pixels)

    def _refusal(self, error: OSError) -> StorageError:
        from pathlib import Path

        return storage_error(Path(tempfile.gettempdir()), error)
