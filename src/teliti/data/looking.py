"""Every photo read once, decoded at most once, and what was seen kept by content.

A look turns a decoded photo into a row of bytes: its fingerprint, its health. Several looks share one reading. A
second run reads files and decodes nothing that every look knows already; nothing of a photo stays but its rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from teliti.cache import RowCache
from teliti.data.decode import decode_photo
from teliti.data.decoded import DecodedPhotos
from teliti.data.loading import map_ahead
from teliti.errors import PhotoRefused
from teliti.types import Reporter, Sample, UInt8Image

_BLOCK = 256
_HELD_BYTES = 1 << 18  # smaller files are not read twice; a block of them is bounded


@dataclass(frozen=True)
class Look:
    """One kind of row.

    Attributes:
        space: Of the cache; names how the row is made.
        about: One line for people.
        make: The row of a photo, from its pixels, (H, W) or (H, W, 3) uint8, and its encoded bytes; called on threads.
        is_whole: False for a row that the cache damaged; it is made again.
    """

    space: str
    about: str
    make: Callable[[UInt8Image, bytes], bytes]
    is_whole: Callable[[bytes], bool]


@dataclass(frozen=True, slots=True)
class Seen:
    """What the looks saw of one photo.

    Attributes:
        digest: SHA-256 of its encoded bytes.
        rows: One for each look.
    """

    digest: bytes
    rows: tuple[bytes, ...]


def look_at_photos(
    samples: Sequence[Sample],
    looks: Sequence[Look],
    *,
    cache: RowCache,
    threads: int,
    reporter: Reporter,
    decoded: DecodedPhotos | None = None,
) -> Iterator[Seen | PhotoRefused]:
    """Read every photo; decode those that some look does not know.

    Args:
        samples: The photos.
        looks: What is wanted of each.
        cache: Where rows are kept; written block by block, so that an interruption loses little.
        threads: For reading and decoding.
        reporter: Told how far it is.
        decoded: Is given the pixels of every photo that had to be decoded.

    Yields:
        One answer a sample, in order: the rows, or why it is refused.

    Raises:
        StorageError: the cache cannot be written.
    """
    with reporter.task("Reading photos", len(samples)) as advance:
        for start in range(0, len(samples), _BLOCK):
            block = samples[start : start + _BLOCK]
            for answer in _look_at_block(block, looks, cache, threads=threads, decoded=decoded):
                yield answer
                advance(1)


@dataclass(frozen=True, slots=True)
class _File:
    digest: bytes
    data: bytes | None  # None: large, to be read again when it is needed, so that no block of large files is held


def _look_at_block(
    samples: Sequence[Sample],
    looks: Sequence[Look],
    cache: RowCache,
    *,
    threads: int,
    decoded: DecodedPhotos | None,
) -> Iterator[Seen | PhotoRefused]:
    files = list(map_ahead(_read_file, samples, threads=threads))
    known = _known_rows(files, looks, cache)

    def look(item: tuple[Sample, _File | PhotoRefused]) -> Seen | PhotoRefused:
        sample, file = item
        if isinstance(file, PhotoRefused):
            return file
        if file.digest in known:
            return Seen(file.digest, known[file.digest])
        try:
            data = sample.origin.read_bytes() if file.data is None else file.data
            image = decode_photo(data)
        except PhotoRefused as refusal:
            return refusal
        if decoded is not None:
            decoded.keep(sample.name, image)
        digest = file.digest if file.data is data else hashlib.sha256(data).digest()
        return Seen(digest, tuple(one.make(image, data) for one in looks))

    fresh: dict[bytes, tuple[bytes, ...]] = {}
    for answer in map_ahead(look, zip(samples, files, strict=True), threads=threads):
        if isinstance(answer, Seen) and answer.digest not in known:
            fresh[answer.digest] = answer.rows
        yield answer
    for place, one in enumerate(looks) if fresh else ():
        cache.write(one.space, {digest: rows[place] for digest, rows in fresh.items()}, about=one.about)


def _known_rows(
    files: Sequence[_File | PhotoRefused], looks: Sequence[Look], cache: RowCache
) -> dict[bytes, tuple[bytes, ...]]:
    """The rows of the photos that every look knows, by digest."""
    digests = [file.digest for file in files if isinstance(file, _File)]
    found = [
        {digest: row for digest, row in cache.read(one.space, digests).items() if one.is_whole(row)} for one in looks
    ]
    whole = set(found[0]).intersection(*found[1:])
    return {digest: tuple(rows[digest] for rows in found) for digest in whole}


def _read_file(sample: Sample) -> _File | PhotoRefused:
    try:
        data = sample.origin.read_bytes()
    except PhotoRefused as refusal:
        return refusal
    return _File(hashlib.sha256(data).digest(), data if len(data) <= _HELD_BYTES else None)
