"""From a source to usable photos with labels: catalog, fingerprints, refusals. The first step of every job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from posixpath import normpath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from teliti.cache import RowCache
from teliti.data.beside import check_companions, find_companions, require_masks_apart, without_companions
from teliti.data.catalog import read_catalog
from teliti.data.conditions import Conditions, condition_look
from teliti.data.decoded import DecodedPhotos
from teliti.data.fingerprints import Fingerprint, fingerprint_look
from teliti.data.label_cells import WantedTask
from teliti.data.looking import look_at_photos
from teliti.data.origins import from_anywhere
from teliti.data.samples import builtin_names
from teliti.errors import CatalogError, PhotoRefused
from teliti.files import sha256_hex
from teliti.transforms.prepare import PrepareChain
from teliti.types import Catalog, Refused, Reporter, Sample
from teliti.workflow.shared.fitness import Readable, without_unfit
from teliti.workflow.shared.shared_pictures import SharedPictures

_SHOWN = 3


@dataclass(frozen=True)
class Photos:
    """The photos of a job that can be used.

    Attributes:
        catalog: As read; its samples are `samples` of this record plus the refused ones.
        samples: (N) usable photos.
        fingerprints: (N) digest, size and thumbnail of each.
        targets: (N,) class index (int64) or number (float64); (N, K) of 0 and 1 (int64) where a photo may have several
            labels, and several numbers (float64).
        refused: Every file that was given and is not used.
        decoded: Pixels of the photos that were decoded while reading; kept for the features.
        beside: (N) SHA-256 of the files that lie beside each photo, 32 bytes a file; empty where none do.
        conditions: (N) light, blur, size and scale of each; empty where they were not measured.
        pictures: What a preparation made of the photos that the job uses, for all trainings; None: each makes its own.
    """

    catalog: Catalog
    samples: tuple[Sample, ...]
    fingerprints: Sequence[Fingerprint]
    targets: NDArray[Any]
    refused: tuple[Refused, ...]
    decoded: DecodedPhotos = field(default_factory=DecodedPhotos, compare=False, repr=False)
    beside: tuple[bytes, ...] = ()
    conditions: tuple[Conditions, ...] = ()
    pictures: SharedPictures | None = field(default=None, compare=False, repr=False)

    @property
    def digests(self) -> list[bytes]:
        """SHA-256 of each photo's bytes."""
        return [fingerprint.digest for fingerprint in self.fingerprints]

    @property
    def digest(self) -> str:
        """SHA-256 over the names, labels and contents of the usable photos and of the files beside them, in order."""
        beside = [f" {digest.hex()}" for digest in self.beside] or [""] * len(self.samples)
        lines = (
            f"{sample.name!r} {sample.label!r} {sample.split!r} {sample.group!r} {mark.digest.hex()}{own}"
            for sample, mark, own in zip(self.samples, self.fingerprints, beside, strict=True)
        )
        return sha256_hex("\n".join(lines).encode("utf-8", "surrogateescape"))

    def counts(self) -> list[int]:
        """Photos per class, in the order of the classes; of labels those that have each."""
        if self.targets.ndim == 2:
            return [int(count) for count in (self.targets > 0).sum(axis=0)]
        return [int(count) for count in np.bincount(self.targets, minlength=len(self.catalog.classes))]


def stay_findable(source: str | Path) -> str:
    """A path in full, so that it is found from any folder; a built-in name and an address as they are."""
    name = str(source)
    return name if name in builtin_names() or not Path(name).exists() else str(Path(name).absolute())


def shareable_photos(photos: Photos) -> Photos:
    """The same for another process, which may have another working folder; pixels stay here."""
    samples = tuple(replace(sample, origin=from_anywhere(sample.origin)) for sample in photos.samples)
    return replace(photos, samples=samples)


def read_photos(
    source: str,
    *,
    use_group: bool,
    cache: RowCache,
    threads: int,
    reporter: Reporter,
    chains: Sequence[PrepareChain] = (),
    aside: Sequence[str] = (),
    task: WantedTask = "auto",
) -> Photos:
    """Read every photo of a source once.

    Args:
        source: A path or a built-in name.
        use_group: Take a label file's `group` column.
        cache: Where fingerprints are kept.
        threads: For reading and decoding.
        reporter: Told how far it is.
        chains: Prepare steps that the photos will go through. Files that they need beside a photo, for instance masks,
            are no photos themselves; a photo without them, or that a step refuses, is refused.
        aside: Name patterns of further files beside photos that are no photos themselves; none need be there.
        task: What the labels of a label file are.

    Raises:
        CatalogError: the source cannot be read, or no photo of it (or of one of its classes) can be used.
    """
    patterns = tuple(dict.fromkeys(pattern for chain in chains for pattern in chain.beside_patterns))
    beside = tuple(dict.fromkeys([*patterns, *aside]))
    catalog = read_catalog(source, use_group=use_group, task=task)
    require_masks_apart([sample.name for sample in catalog.samples], beside)
    catalog = leave_out_companions(catalog, beside)
    decoded = DecodedPhotos()
    readable, unreadable = _read_all(catalog.samples, cache=cache, threads=threads, reporter=reporter, decoded=decoded)
    complete, incomplete = _with_companions(readable, patterns, threads=threads)
    usable, unfit = without_unfit(complete, chains, cache=cache, threads=threads, reporter=reporter, read=decoded.read)
    refused = (*catalog.refused, *unreadable, *incomplete, *unfit)
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
    samples = tuple(item.sample for item in usable)
    catalog = _keep_used_classes(catalog, samples, refused)
    if catalog.task == "multilabel":
        _check_labels(catalog, samples)
    marks = tuple(item.mark for item in usable)
    digests = tuple(item.beside for item in usable) if patterns else ()
    conditions = tuple(item.conditions for item in usable if item.conditions is not None)
    return Photos(catalog, samples, marks, class_targets(catalog, samples), refused, decoded, digests, conditions)


def _read_all(
    samples: Sequence[Sample], *, cache: RowCache, threads: int, reporter: Reporter, decoded: DecodedPhotos
) -> tuple[list[Readable], list[Refused]]:
    """Fingerprint and conditions of every photo that can be decoded, and the others with the reason."""
    looks = [fingerprint_look(), condition_look()]
    answers = look_at_photos(samples, looks, cache=cache, threads=threads, reporter=reporter, decoded=decoded)
    readable, refused = list[Readable](), list[Refused]()
    for sample, answer in zip(samples, answers, strict=True):
        if isinstance(answer, PhotoRefused):
            refused.append(Refused(sample.name, answer.reason))
        else:
            mark, conditions = answer.rows
            fingerprint = Fingerprint.from_row(answer.digest, mark)
            readable.append(Readable(sample, fingerprint, Conditions.from_row(conditions)))
    return readable, refused


def leave_out_companions(catalog: Catalog, patterns: Sequence[str]) -> Catalog:
    """The catalog without files that lie beside a photo for its sake, and without classes that held only such files.

    Args:
        catalog: As read.
        patterns: Their name patterns, see `teliti.data.beside`.

    Raises:
        CatalogError: fewer than two classes are left, or no photo.
    """
    samples, left_out = without_companions(catalog.samples, patterns)
    beside = find_companions([item.name for item in catalog.refused], [sample.name for sample in samples], patterns)
    refused = tuple(
        item for item in catalog.refused if normpath(item.name) not in beside
    )  # a label file lists no masks
    left_out += len(catalog.refused) - len(refused)
    if not left_out:
        return catalog
    labels = {sample.label for sample in samples}
    if len(labels) < 2 and len(samples) < len(catalog.samples):
        raise CatalogError(
            f'"{catalog.source}" must have photos of at least two classes beside their masks, got {len(labels)}.',
            hint="Check the name pattern of the masks.",
        )
    used = {name for sample in samples for name in sample.class_names}
    classes = tuple(name for name in catalog.classes if name in used)
    note = f"{left_out} files beside photos are their masks or boxes, and no photos."
    return replace(catalog, samples=tuple(samples), refused=refused, classes=classes, notes=(*catalog.notes, note))


def _with_companions(
    readable: Sequence[Readable], patterns: Sequence[str], *, threads: int
) -> tuple[list[Readable], list[Refused]]:
    """The photos whose files beside them can be used, and the others with the reason."""
    if not patterns:
        return list(readable), []
    samples, sizes = [item.sample for item in readable], [item.size for item in readable]
    answers = check_companions(samples, sizes, patterns, threads=threads)
    usable, refused = list[Readable](), list[Refused]()
    for item, answer in zip(readable, answers, strict=True):
        if isinstance(answer, PhotoRefused):
            refused.append(Refused(item.sample.name, answer.reason))
        else:
            usable.append(replace(item, beside=answer))
    return usable, refused


def _keep_used_classes(catalog: Catalog, samples: tuple[Sample, ...], refused: tuple[Refused, ...]) -> Catalog:
    if catalog.task == "regression":
        return catalog
    used = {name for sample in samples for name in sample.class_names}
    lost = [name for name in catalog.classes if name not in used]
    if lost:
        reasons = "; ".join(f"{r.name}: {r.reason}" for r in refused[:_SHOWN])
        raise CatalogError(
            f'Class "{lost[0]}" has no usable photo ({reasons or "it is empty"}).',
            hint="Add photos to it or remove the class.",
        )
    return replace(catalog, classes=tuple(name for name in catalog.classes if name in used))


def _check_labels(catalog: Catalog, samples: Sequence[Sample]) -> None:
    """Every label must be on some photos and not on all of them, or there is nothing to learn."""
    if len(catalog.classes) < 2:
        raise CatalogError(
            f'"{catalog.source}" must have at least two labels, got {", ".join(catalog.classes)}.',
            hint="For one kind of defect name two classes, for instance good and scratch.",
        )
    everywhere = set(catalog.classes).intersection(*(sample.class_names for sample in samples))
    if everywhere:
        raise CatalogError(
            f'"{catalog.source}" must have photos without each label, got none without "{min(everywhere)}".',
            hint="Add photos without it, or leave the label out.",
        )


def label_matrix(found: Sequence[Sequence[str]], classes: Sequence[str]) -> NDArray[np.int64]:
    """(N, K) of 0 and 1 from the names of each photo's labels."""
    return np.array([[int(name in own) for name in classes] for own in found], dtype=np.int64)


def class_targets(catalog: Catalog, samples: Sequence[Sample]) -> NDArray[Any]:
    """(N,) class index (int64) or number (float64); (N, K) of 0 and 1 for labels, or several numbers."""
    if catalog.task == "regression":
        numbers = np.array([sample.numbers for sample in samples], dtype=np.float64)
        return numbers if catalog.number_names else numbers[:, 0]
    if catalog.task == "multilabel":
        return label_matrix([sample.class_names for sample in samples], catalog.classes)
    index = {name: number for number, name in enumerate(catalog.classes)}
    return np.array([index[str(sample.label)] for sample in samples], dtype=np.int64)
