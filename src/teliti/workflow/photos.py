"""From a source to usable photos with labels: catalog, fingerprints, refusals. The first step of every job."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from teliti.cache import RowCache
from teliti.data.catalog import read_catalog
from teliti.data.decoded import DecodedPhotos
from teliti.data.fingerprints import Fingerprint, fingerprint_photos
from teliti.errors import CatalogError
from teliti.files import sha256_hex
from teliti.types import Catalog, Refused, Reporter, Sample

_SHOWN = 3


@dataclass(frozen=True)
class Photos:
    """The photos of a job that can be used.

    Attributes:
        catalog: As read; its samples are `samples` of this record plus the refused ones.
        samples: (N) usable photos.
        fingerprints: (N) digest, size and thumbnail of each.
        targets: (N,) class index (int64), or number (float64) for regression.
        refused: Every file that was given and is not used.
        decoded: Pixels of the photos that were decoded while reading; kept for the features.
    """

    catalog: Catalog
    samples: tuple[Sample, ...]
    fingerprints: tuple[Fingerprint, ...]
    targets: NDArray[Any]
    refused: tuple[Refused, ...]
    decoded: DecodedPhotos = field(default_factory=DecodedPhotos, compare=False, repr=False)

    @property
    def digests(self) -> list[bytes]:
        """SHA-256 of each photo's bytes."""
        return [fingerprint.digest for fingerprint in self.fingerprints]

    @property
    def digest(self) -> str:
        """SHA-256 over the names, labels and contents of the usable photos, in order."""
        lines = (
            f"{sample.name!r} {sample.label!r} {sample.split!r} {sample.group!r} {mark.digest.hex()}"
            for sample, mark in zip(self.samples, self.fingerprints, strict=True)
        )
        return sha256_hex("\n".join(lines).encode("utf-8", "surrogateescape"))

    def counts(self) -> list[int]:
        """Photos per class, in the order of the classes."""
        return [int(count) for count in np.bincount(self.targets, minlength=len(self.catalog.classes))]


def read_photos(source: str, *, use_group: bool, cache: RowCache, threads: int, reporter: Reporter) -> Photos:
    """Read every photo of a source once.

    Raises:
        CatalogError: the source cannot be read, or no photo of it (or of one of its classes) can be used.
    """
    catalog = read_catalog(source, use_group=use_group)
    decoded = DecodedPhotos()
    found, unreadable = fingerprint_photos(
        catalog.samples, cache=cache, threads=threads, reporter=reporter, decoded=decoded
    )
    usable = [(sample, mark) for sample, mark in zip(catalog.samples, found, strict=True) if mark is not None]
    refused = (*catalog.refused, *unreadable)
    if not usable:
        reasons = "; ".join(f"{r.name}: {r.reason}" for r in refused[:_SHOWN])
        raise CatalogError(
            f'"{source}" has no usable photo: {len(refused)} files were refused ({reasons}).',
            hint="Give photos in JPEG, PNG, BMP, TIFF, WebP, PPM or GIF.",
        )
    for note in catalog.notes:
        reporter.note(note)
    if refused:
        reporter.note(f"{len(refused)} of {len(catalog.samples) + len(catalog.refused)} files refused.")
    samples = tuple(sample for sample, _ in usable)
    catalog = _keep_used_classes(catalog, samples, refused)
    marks = tuple(mark for _, mark in usable)
    return Photos(catalog, samples, marks, _targets(catalog, samples), refused, decoded)


def _keep_used_classes(catalog: Catalog, samples: tuple[Sample, ...], refused: tuple[Refused, ...]) -> Catalog:
    if catalog.task == "regression":
        return catalog
    used = {sample.label for sample in samples}
    lost = [name for name in catalog.classes if name not in used]
    if lost:
        reasons = "; ".join(f"{r.name}: {r.reason}" for r in refused[:_SHOWN])
        raise CatalogError(
            f'Class "{lost[0]}" has no usable photo ({reasons or "it is empty"}).',
            hint="Add photos to it or remove the class.",
        )
    return replace(catalog, classes=tuple(name for name in catalog.classes if name in used))


def _targets(catalog: Catalog, samples: tuple[Sample, ...]) -> NDArray[Any]:
    if catalog.task == "regression":
        return np.array([float(sample.label or 0.0) for sample in samples], dtype=np.float64)
    index = {name: number for number, name in enumerate(catalog.classes)}
    return np.array([index[str(sample.label)] for sample in samples], dtype=np.int64)
