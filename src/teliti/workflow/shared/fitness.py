"""Which photos can go through prepare steps: the others are refused before anything is computed.

Most steps take every photo. A step that may refuse one, for instance a crop of pixels, goes by the photo's size, which
is known without decoding. Only where an earlier step sizes its result by what it sees must the steps run on the photo;
their answers are cached by content.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from teliti.cache import RowCache
from teliti.data.beside import beside_of
from teliti.data.conditions import Conditions
from teliti.data.fingerprints import Fingerprint
from teliti.data.loading import map_ahead
from teliti.errors import PhotoRefused
from teliti.files import sha256_hex
from teliti.transforms.prepare import PrepareChain
from teliti.types import Refused, Reporter, Sample, UInt8Image

_FORMAT = 1
_FITS = b"+"  # a reason is never this
_BLOCK = 256


@dataclass(frozen=True)
class Readable:
    """A photo that can be decoded.

    Attributes:
        sample: Where it is.
        mark: Its fingerprint.
        conditions: Its light, blur, size and scale; None where they were not measured.
        beside: SHA-256 of the files beside it, 32 bytes each.
    """

    sample: Sample
    mark: Fingerprint
    conditions: Conditions | None = None
    beside: bytes = b""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.mark.height, self.mark.width

    @property
    def key(self) -> bytes:
        """Names the contents of the photo and of the files beside it, 32 bytes."""
        return hashlib.sha256(self.mark.digest + self.beside).digest() if self.beside else self.mark.digest


def without_unfit(
    photos: Sequence[Readable],
    chains: Sequence[PrepareChain],
    *,
    cache: RowCache,
    threads: int,
    reporter: Reporter,
    read: Callable[[Sample], UInt8Image],
) -> tuple[list[Readable], list[Refused]]:
    """The photos that every chain can prepare, and the others with the first reason.

    Args:
        photos: Readable ones, with the files beside them.
        chains: Prepare steps, with or without the closing frame.
        cache: Where answers are kept that took decoding.
        threads: For decoding and preparing.
        reporter: Told how far it is.
        read: Where pixels come from; raises PhotoRefused.

    Raises:
        StorageError: the cache cannot be written.
    """
    usable, refused = list(photos), list[Refused]()
    for chain in chains:
        if chain.refuses_by == "nothing":
            continue
        if chain.refuses_by == "size":
            by_size = {size: _reason_by_size(chain, size) for size in {photo.size for photo in usable}}
            reasons = [by_size[photo.size] for photo in usable]
        else:
            reasons = _reasons(usable, chain, cache=cache, threads=threads, reporter=reporter, read=read)
        judged = list(zip(usable, reasons, strict=True))
        refused += [Refused(photo.sample.name, reason) for photo, reason in judged if reason is not None]
        usable = [photo for photo, reason in judged if reason is None]
    return usable, refused


def _reason_by_size(chain: PrepareChain, size: tuple[int, int]) -> str | None:
    try:
        chain.check_size(size)
    except PhotoRefused as refusal:
        return refusal.reason
    return None


def _reasons(
    photos: Sequence[Readable],
    chain: PrepareChain,
    *,
    cache: RowCache,
    threads: int,
    reporter: Reporter,
    read: Callable[[Sample], UInt8Image],
) -> list[str | None]:
    """Why each photo cannot be prepared; None where it can."""
    record = json.dumps([_FORMAT, chain.to_record()], sort_keys=True)
    space = f"fitness-{sha256_hex(record.encode())[:32]}"
    rows = cache.read(space, [photo.key for photo in photos])
    missing = list({photo.key: photo for photo in photos if photo.key not in rows}.values())

    def look(photo: Readable) -> bytes | PhotoRefused:
        try:
            image = read(photo.sample)
        except PhotoRefused as refusal:  # it vanished: nothing to remember
            return refusal
        try:
            chain.check_photo(image, beside_of(photo.sample.origin))
        except PhotoRefused as refusal:
            return refusal.reason.encode("utf-8", "surrogateescape")
        return _FITS

    with reporter.task("Checking photos", len(missing)) as advance:
        for start in range(0, len(missing), _BLOCK):
            block = missing[start : start + _BLOCK]
            fresh = dict[bytes, bytes]()
            for photo, answer in zip(block, map_ahead(look, block, threads=threads), strict=True):
                if isinstance(answer, PhotoRefused):
                    rows[photo.key] = answer.reason.encode("utf-8", "surrogateescape")
                else:
                    fresh[photo.key] = answer
                advance(1)
            cache.write(space, fresh, about="whether photos can be prepared")
            rows |= fresh
    answers = [rows[photo.key] for photo in photos]
    return [None if answer == _FITS else answer.decode("utf-8", "surrogateescape") for answer in answers]
