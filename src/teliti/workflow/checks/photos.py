"""What a check looks at: the photos of a source with their health, also where labels are missing or wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from teliti.cache import RowCache
from teliti.data.decoded import DecodedPhotos
from teliti.data.duplicates import DuplicatePair, find_duplicates, group_pairs
from teliti.data.findings import Finding
from teliti.data.fingerprints import Fingerprint, fingerprint_look
from teliti.data.health import health_look
from teliti.data.health_table import HealthTable
from teliti.data.looking import look_at_photos
from teliti.data.split import merge_groups
from teliti.data.thumbnail_file import StoredFingerprints
from teliti.errors import CatalogError, PhotoRefused
from teliti.recipe import Recipe
from teliti.types import Catalog, IntArray, Refused, Reporter, Sample
from teliti.workflow.shared.photos import Photos, class_targets
from teliti.workflow.shared.samples import read_own_photos

EMPTY_CATALOG = Catalog("", (), (), "classification", ())


@dataclass(frozen=True)
class Examined:
    """The photos of a check.

    Attributes:
        catalog: As read.
        samples: (N) photos that can be read.
        healths: (N) their numbers.
        fingerprints: (N) for duplicates; thumbnails wait in a file.
        refused: Files that are not used.
        decoded: Pixels that were decoded on the way; None where nobody will ask again.
    """

    catalog: Catalog
    samples: tuple[Sample, ...]
    healths: HealthTable
    fingerprints: StoredFingerprints
    refused: tuple[Refused, ...]
    decoded: DecodedPhotos | None = None

    @property
    def names(self) -> list[str]:
        """(N) names."""
        return [sample.name for sample in self.samples]

    @property
    def is_labelled(self) -> bool:
        """True where the photos have classes."""
        return bool(self.catalog.classes)

    def groups(self, pairs: Sequence[DuplicatePair]) -> IntArray:
        """(N,) int64; photos of one group, the user's or near-duplicates, share a number."""
        return merge_groups([sample.group for sample in self.samples], group_pairs(len(self.samples), pairs))

    def labels(self) -> IntArray:
        """(N,) class index; only where the photos have classes."""
        return np.asarray(class_targets(self.catalog, self.samples), dtype=np.int64)

    def as_photos(self) -> Photos:
        """The same photos as training sees them."""
        used = {sample.label for sample in self.samples}
        classes = tuple(name for name in self.catalog.classes if name in used)
        catalog = replace(self.catalog, classes=classes)
        targets = class_targets(catalog, self.samples) if classes else np.zeros(len(self.samples), dtype=np.int64)
        return Photos(
            catalog, self.samples, self.fingerprints, targets, self.refused, self.decoded or DecodedPhotos(most_bytes=0)
        )


def read_for_check(source: str, recipe: Recipe, *, masks: Sequence[str] = ()) -> tuple[Catalog, list[Finding]]:
    """The catalog, or one without photos and a finding for each wrong row of the label file.

    Args:
        source: As for training; a folder or zip may be without labels.
        recipe: Names files that lie beside photos and are none themselves.
        masks: Name patterns of further ones.

    Raises:
        CatalogError: nothing usable there.
    """
    try:
        return _without_several(read_own_photos(source, recipe, masks=masks)), []
    except CatalogError as error:
        if not error.problems:
            raise
        findings = [Finding("label_file", "error", problem, (source,)) for problem in error.problems]
    return replace(EMPTY_CATALOG, source=source), findings


def _without_several(catalog: Catalog) -> Catalog:
    """Photos with several labels or numbers as photos without labels: those are judged one a photo, or not at all."""
    if catalog.task != "multilabel" and not catalog.number_names:
        return catalog
    samples = tuple(replace(sample, label=None) for sample in catalog.samples)
    note = "The labels are not judged: photos have several labels or numbers. The photos themselves are."
    return replace(
        catalog, samples=samples, task="classification", classes=(), number_names=(), notes=(*catalog.notes, note)
    )


def examine(catalog: Catalog, *, cache: RowCache, threads: int, reporter: Reporter, keep_pixels: bool) -> Examined:
    """Read every photo once. Memory: its name and place, and a hundred bytes of numbers; the rest waits in files.

    Args:
        catalog: From `read_for_check`.
        cache: Where rows are kept.
        threads: For reading and decoding.
        reporter: Told how far it is.
        keep_pixels: Features will be computed from them soon.

    Raises:
        StorageError: the cache or the disk for temporary files is full.
    """
    decoded = DecodedPhotos() if keep_pixels else None
    looks = [fingerprint_look(), health_look()]
    answers = look_at_photos(catalog.samples, looks, cache=cache, threads=threads, reporter=reporter, decoded=decoded)
    samples, refused = list[Sample](), list[Refused]()
    healths, marks = HealthTable(), StoredFingerprints()
    for sample, answer in zip(catalog.samples, answers, strict=True):
        if isinstance(answer, PhotoRefused):
            refused.append(Refused(sample.name, answer.reason))
            continue
        samples.append(sample)
        healths.append(answer.rows[1])
        marks.append(Fingerprint.from_row(answer.digest, answer.rows[0]))
    readable = tuple(samples) if refused else catalog.samples
    return Examined(catalog, readable, healths, marks, (*catalog.refused, *refused), decoded)


def find_pairs(examined: Examined, reporter: Reporter) -> list[DuplicatePair]:
    """The confirmed near-duplicates."""
    with reporter.task("Looking for duplicates", None) as advance:
        pairs = find_duplicates(examined.fingerprints)
        advance(len(examined.samples))
    return pairs
