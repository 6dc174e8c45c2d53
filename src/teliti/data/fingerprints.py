"""Every photo read once: SHA-256 of its bytes, its size, and a small grey picture to compare photos by.

Fingerprints are cached by digest, so that a second run reads files but decodes nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import cv2
import numpy as np

from teliti.cache import RowCache
from teliti.data.decoded import DecodedPhotos
from teliti.data.looking import Look, look_at_photos
from teliti.errors import PhotoRefused
from teliti.types import Refused, Reporter, Sample, UInt8Image

THUMBNAIL_SIDE = 64
SPACE = "fingerprint-1"
_ABOUT = "photo fingerprints: size and 64 x 64 grey thumbnail"
_HEAD = struct.Struct("<II")
_ROW_BYTES = _HEAD.size + THUMBNAIL_SIDE**2


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


@runtime_checkable
class HasDigests(Protocol):
    """A sequence of fingerprints that tells a digest without the thumbnail."""

    def digest(self, index: int) -> bytes:
        """The SHA-256 of one photo's bytes."""
        ...


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
    answers = look_at_photos(
        samples, [fingerprint_look()], cache=cache, threads=threads, reporter=reporter, decoded=decoded
    )
    for sample, answer in zip(samples, answers, strict=True):
        if isinstance(answer, PhotoRefused):
            refused.append(Refused(sample.name, answer.reason))
            found.append(None)
        else:
            found.append(Fingerprint.from_row(answer.digest, answer.rows[0]))
    return found, refused


def fingerprint_look() -> Look:
    """How the fingerprint of a photo is made and kept."""

    def make(image: UInt8Image, data: bytes) -> bytes:  # noqa: ARG001 - the pixels say it all
        return fingerprint_image(image, b"").to_row()

    return Look(SPACE, _ABOUT, make, is_whole=lambda row: len(row) == _ROW_BYTES)
