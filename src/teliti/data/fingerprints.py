"""Every photo read once: SHA-256 of its bytes, its size, and a small grey picture to compare photos by.

Fingerprints are cached by digest, so that a second run reads files but decodes nothing.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from teliti.cache import RowCache
from teliti.data.decode import decode_photo
from teliti.data.decoded import DecodedPhotos
from teliti.data.loading import map_ahead
from teliti.errors import PhotoRefused
from teliti.types import Refused, Reporter, Sample, UInt8Image

THUMBNAIL_SIDE = 64
SPACE = "fingerprint-1"
_ABOUT = "photo fingerprints: size and 64 x 64 grey thumbnail"
_HEAD = struct.Struct("<II")
_ROW_BYTES = _HEAD.size + THUMBNAIL_SIDE**2
_BLOCK = 256
_HELD_BYTES = 1 << 18  # smaller files are not read twice; a block of them is bounded


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """What is known of a photo without keeping it.

    Attributes:
        digest: SHA-256 of the encoded file, 32 bytes.
        height: Pixels, upright.
        width: Pixels, upright.
        thumbnail: (64, 64) uint8 grey, the whole photo averaged over areas, aspect ratio not kept.
    """

    digest: bytes
    height: int
    width: int
    thumbnail: UInt8Image

    def to_row(self) -> bytes:
        """What the cache keeps: height, width, thumbnail."""
        return _HEAD.pack(self.height, self.width) + self.thumbnail.tobytes()

    @classmethod
    def from_row(cls, digest: bytes, row: bytes) -> Fingerprint:
        """Inverse of `to_row`."""
        height, width = _HEAD.unpack_from(row)
        pixels = np.frombuffer(row, dtype=np.uint8, offset=_HEAD.size)
        return cls(digest, height, width, pixels.reshape(THUMBNAIL_SIDE, THUMBNAIL_SIDE))


def fingerprint_image(image: UInt8Image, digest: bytes) -> Fingerprint:
    """The fingerprint of a decoded photo.

    Args:
        image: (H, W, 3) uint8 RGB, or (H, W) grey.
        digest: SHA-256 of its encoded bytes.
    """
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (THUMBNAIL_SIDE, THUMBNAIL_SIDE), interpolation=cv2.INTER_AREA)
    return Fingerprint(digest, image.shape[0], image.shape[1], np.asarray(small, dtype=np.uint8))


def fingerprint_photos(
    samples: Sequence[Sample],
    *,
    cache: RowCache,
    threads: int,
    reporter: Reporter,
    decoded: DecodedPhotos | None = None,
) -> tuple[list[Fingerprint | None], list[Refused]]:
    """Read every photo once; decode those that the cache does not know.

    Args:
        samples: The photos.
        cache: Where fingerprints are kept; written block by block, so that an interruption loses little.
        threads: For reading and decoding.
        reporter: Told how far it is.
        decoded: Is given the pixels of every photo that had to be decoded.

    Returns:
        One fingerprint a sample, None where it is refused; and the refusals in the order of the samples.

    Raises:
        StorageError: the cache cannot be written.
    """
    found: list[Fingerprint | None] = []
    refused: list[Refused] = []
    with reporter.task("Reading photos", len(samples)) as advance:
        for start in range(0, len(samples), _BLOCK):
            block = samples[start : start + _BLOCK]
            for sample, answer in zip(
                block, _fingerprint_block(block, cache, threads=threads, decoded=decoded), strict=True
            ):
                if isinstance(answer, PhotoRefused):
                    refused.append(Refused(sample.name, answer.reason))
                found.append(None if isinstance(answer, PhotoRefused) else answer)
                advance(1)
    return found, refused


def _fingerprint_block(
    samples: Sequence[Sample], cache: RowCache, *, threads: int, decoded: DecodedPhotos | None
) -> Iterator[Fingerprint | PhotoRefused]:
    files = list(map_ahead(_read_file, samples, threads=threads))
    known = cache.read(SPACE, [file.digest for file in files if isinstance(file, _File)])
    rows = {digest: row for digest, row in known.items() if len(row) == _ROW_BYTES}  # a damaged row is made again

    def look(item: tuple[Sample, _File | PhotoRefused]) -> Fingerprint | PhotoRefused:
        sample, file = item
        if isinstance(file, PhotoRefused):
            return file
        if file.digest in rows:
            return Fingerprint.from_row(file.digest, rows[file.digest])
        try:
            data = sample.origin.read_bytes() if file.data is None else file.data
            image = decode_photo(data)
        except PhotoRefused as refusal:
            return refusal
        if decoded is not None:
            decoded.keep(sample.name, image)
        return fingerprint_image(image, file.digest if file.data is data else hashlib.sha256(data).digest())

    fresh: dict[bytes, bytes] = {}
    for answer in map_ahead(look, zip(samples, files, strict=True), threads=threads):
        if isinstance(answer, Fingerprint) and answer.digest not in rows:
            fresh[answer.digest] = answer.to_row()
        yield answer
    if fresh:
        cache.write(SPACE, fresh, about=_ABOUT)


@dataclass(frozen=True, slots=True)
class _File:
    digest: bytes
    data: bytes | None  # None: large, to be read again when it is needed, so that no block of large files is held


def _read_file(sample: Sample) -> _File | PhotoRefused:
    try:
        data = sample.origin.read_bytes()
    except PhotoRefused as refusal:
        return refusal
    return _File(hashlib.sha256(data).digest(), data if len(data) <= _HELD_BYTES else None)
