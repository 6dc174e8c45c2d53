"""IDX files, the form of MNIST and its relatives: `PREFIX-images-idx3-ubyte` with `PREFIX-labels-idx1-ubyte`.

Plain or gzip. A `train` prefix makes the train part, `t10k` or `test` the test part, `val` the validation part.
Source: LeCun, Cortes, Burges, "The MNIST database", file format section.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from dataclasses import dataclass
from gzip import GzipFile

from teliti.data.listing import Listing
from teliti.data.origins import ArrayOrigin
from teliti.errors import CatalogError, PhotoRefused
from teliti.types import Catalog, Refused, Sample, Split

MAX_UNPACKED_BYTES = 1024**3
_IMAGES = re.compile(r"(?P<prefix>[^/]*?)[-_.]?images[-_.]idx[34][-_.]ubyte(\.gz)?", re.IGNORECASE)
_LABELS = re.compile(r"(?P<prefix>[^/]*?)[-_.]?labels[-_.]idx1[-_.]ubyte(\.gz)?", re.IGNORECASE)
_PARTS: dict[str, Split] = {"train": "train", "t10k": "test", "test": "test", "val": "val", "valid": "val"}
_UNSIGNED_BYTE = 8
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class _IdxFile:
    name: str
    shape: tuple[int, ...]
    values: bytes


def is_idx_name(name: str) -> bool:
    """True for the name of an IDX images or labels file."""
    last = name.rpartition("/")[2]
    return bool(_IMAGES.fullmatch(last) or _LABELS.fullmatch(last))


def catalog_from_idx(listing: Listing) -> Catalog:
    """The catalog of all pairs of IDX files at the top of a listing. The label numbers are class names.

    Raises:
        CatalogError: a file without its partner, damaged, cut short, too large, or counts that differ.
    """
    images, labels = _by_prefix(listing, _IMAGES), _by_prefix(listing, _LABELS)
    if not images or images.keys() != labels.keys():
        alone = sorted([images.get(key) or labels[key] for key in images.keys() ^ labels.keys()])
        raise CatalogError(
            f'"{listing.source}" must hold an images file and a labels file of each part, '
            f"got {', '.join(alone) or 'none'} without a partner.",
            hint="The names must be like train-images-idx3-ubyte.gz and train-labels-idx1-ubyte.gz.",
        )
    splits = {prefix: _PARTS.get(prefix.lower()) for prefix in images}
    is_split = len(images) > 1 and None not in splits.values()
    samples: list[Sample] = []
    for prefix in sorted(images):
        samples += _read_pair(
            listing, images[prefix], labels[prefix], prefix=prefix, split=splits[prefix] if is_split else None
        )
    used = {*images.values(), *labels.values()}
    others = [
        Refused(name, "another file of this part is used" if is_idx_name(name) else "not an IDX file")
        for name in listing.files
        if name not in used
    ]
    classes = sorted({str(sample.label) for sample in samples})
    return Catalog(
        listing.source, tuple(samples), (*listing.refused, *others), "classification", tuple(classes),
        has_given_split=is_split, labels_from=f"IDX files {', '.join(sorted(labels.values()))}",
    )  # fmt: skip


def _by_prefix(listing: Listing, pattern: re.Pattern[str]) -> dict[str, str]:
    matches = ((name, pattern.fullmatch(name)) for name in listing.files)
    return {match["prefix"]: name for name, match in matches if match}


def _read_pair(listing: Listing, images: str, labels: str, *, prefix: str, split: Split | None) -> list[Sample]:
    photos, targets = _read_idx(listing, images), _read_idx(listing, labels)
    if len(photos.shape) not in {3, 4} or 0 in photos.shape or photos.shape[3:] not in {(), (1,), (3,)}:
        raise _idx_error(images, f"its shape must be (photos, rows, columns), got {photos.shape}")
    if len(targets.shape) != 1 or targets.shape[0] != photos.shape[0]:
        raise _idx_error(labels, f"must have one label for each of the {photos.shape[0]:,} photos, got {targets.shape}")
    height, width, channels = photos.shape[1], photos.shape[2], (*photos.shape[3:], 1)[0]
    size = height * width * channels
    return [
        Sample(
            f"{prefix or 'photo'}/{index:05d}",
            ArrayOrigin(photos.values[index * size : (index + 1) * size], height, width, channels),
            str(target),
            split,
        )
        for index, target in enumerate(targets.values)
    ]


def _read_idx(listing: Listing, name: str) -> _IdxFile:
    try:
        data = _unpacked(listing.files[name].read_bytes(), name)
    except PhotoRefused as error:
        raise _idx_error(name, error.reason) from error
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] != _UNSIGNED_BYTE:
        raise _idx_error(name, "it does not start like an IDX file of unsigned bytes")
    start = 4 + 4 * data[3]
    if len(data) < start:
        raise _idx_error(name, "cut short")
    shape = struct.unpack(f">{data[3]}I", data[4:start])
    count = 1
    for side in shape:
        count *= side
    if len(data) - start != count:
        raise _idx_error(name, f"must hold {count:,} values after its header, got {len(data) - start:,}")
    return _IdxFile(name, shape, data[start:])


def _unpacked(data: bytes, name: str) -> bytes:
    if not data.startswith(_GZIP):
        return data
    try:
        unpacked = GzipFile(fileobj=io.BytesIO(data)).read(MAX_UNPACKED_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise _idx_error(name, "damaged or cut short gzip file") from error
    if len(unpacked) > MAX_UNPACKED_BYTES:
        raise _idx_error(name, f"unpacks to more than the limit of {MAX_UNPACKED_BYTES / 1e6:,.0f} MB")
    return unpacked


def _idx_error(name: str, cause: str) -> CatalogError:
    return CatalogError(f'"{name}" could not be read as an IDX file: {cause}.', hint="Download or write the file anew.")
