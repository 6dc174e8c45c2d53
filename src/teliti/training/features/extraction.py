"""Features of photos from a frozen backbone, computed once and kept by content.

A row's key is the photo's SHA-256 within a space that names everything else its numbers depend on: prepare
steps, backbone, weights, stages, pooling, engine, precision and versions. Ten new photos cost ten rows; a run
that is interrupted keeps the rows it has. A photo gives one picture, or several: the tiles of a large photo, and
augmented views of a training photo; all pictures of a photo stand in one row.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from teliti.cache import RowCache
from teliti.data.beside import beside_of, read_beside
from teliti.data.decoded import read_photo
from teliti.data.loading import AHEAD_PER_THREAD, load_prepared
from teliti.errors import PhotoRefused
from teliti.files import sha256_hex
from teliti.training.features.backbone_file import BackboneFile
from teliti.training.features.engines import PHOTOS_PER_CALL, Batch, EngineChoice, open_engine
from teliti.transforms.augment import AugmentChain, photo_rng
from teliti.transforms.prepare import PrepareChain
from teliti.types import IntArray, Record, Reporter, Sample, UInt8Image

Pixels = Callable[[Sample], UInt8Image]
_ROWS_PER_WRITE = 32


@dataclass(frozen=True)
class FeatureSource:
    """Everything that the features of a photo depend on, apart from the photo.

    Attributes:
        chain: Prepare steps, the closing frame included.
        backbone: The exported network.
        engine: What runs it.
        threads: Decoding and inference; the numbers do not depend on it, except torch's.
    """

    chain: PrepareChain
    backbone: BackboneFile
    engine: EngineChoice
    threads: int

    @property
    def space(self) -> str:
        """The cache space of these features."""
        return self.space_of(None)

    def space_of(self, views: Views | None) -> str:
        """The cache space of the photos as they are, or of their augmented views."""
        name = self.engine.name
        engine = [name, self.engine.precision, self.engine.version, PHOTOS_PER_CALL[name]]
        if name == "torch":
            engine += [self.threads, self.engine.device]  # torch splits one sum over its threads
        facts: list[object] = [self.chain.to_record(), self.backbone.key, engine]
        if views is not None:
            facts.append(views.to_record())
        return "features-" + sha256_hex(json.dumps(facts, sort_keys=True).encode())[:32]

    @property
    def about(self) -> str:
        """One line for people."""
        facts = self.backbone.facts
        size = "x".join(str(side) for side in facts["image_size"])
        stages = ",".join(str(stage) for stage in facts["stages"])
        return (
            f"{facts['backbone']} {size} stages {stages} {facts['pooling']} {self.engine.name} {self.engine.precision}"
        )

    @property
    def dimensions(self) -> int:
        """Numbers of one picture."""
        return int(self.backbone.facts["dimensions"])

    def pictures(self, image: UInt8Image, sample: Sample) -> UInt8Image:
        """What the network sees of a photo, (T, height, width, 3) uint8: its tiles, or the one prepared picture."""
        return self.chain.views(image, beside_of(sample.origin))

    def row_key(self, sample: Sample, digest: bytes) -> bytes:
        """The photo's SHA-256; where files beside the photo matter, one of all of them.

        Raises:
            PhotoRefused: a file beside the photo cannot be read.
        """
        patterns = self.chain.beside_patterns
        if not patterns:
            return digest
        beside = b"".join(hashlib.sha256(read_beside(sample.origin, pattern)).digest() for pattern in patterns)
        return hashlib.sha256(digest + beside).digest()


@dataclass(frozen=True)
class Views:
    """Augmented views of each photo: the same photo and seed give the same views.

    Attributes:
        chain: The random steps.
        count: Views a picture.
        seed: Of the draws.
    """

    chain: AugmentChain
    count: int
    seed: int

    def to_record(self) -> Record:
        """What the pixels depend on."""
        return {"augment": self.chain.to_record(), "views": self.count, "seed": self.seed}

    def __call__(self, pictures: UInt8Image, digest: bytes) -> UInt8Image:
        """(T, h, w, 3) prepared pictures of a photo to (count x T, h, w, 3), all tiles of a view together."""
        return np.stack(
            [
                self.chain(picture, photo_rng(self.seed, digest + tile.to_bytes(4, "big"), view))
                for view in range(1, self.count + 1)
                for tile, picture in enumerate(pictures)
            ]
        )


@dataclass(frozen=True, eq=False)
class Features:
    """Features of a list of photos, a row for each picture.

    Attributes:
        matrix: (R, D) float32; first the pictures of the photos as they are, in the order of the photos, then those of
            augmented views.
        owners: (R,) position of each row's photo.
        originals: How many of the rows are of photos as they are.
        computed: How many photos were computed now; the others came from the cache.
    """

    matrix: NDArray[np.float32]
    owners: IntArray
    originals: int
    computed: int

    @cached_property
    def counts(self) -> IntArray:
        """(N,) pictures of each photo as it is: 1, or its number of tiles."""
        return np.bincount(self.owners[: self.originals])

    def rows_of(self, photos: IntArray) -> IntArray:
        """Rows of photos as they are, in the order of the given positions, the pictures of a photo together."""
        if self.originals == len(self.counts):
            return photos
        starts = np.cumsum(self.counts) - self.counts
        return np.concatenate([np.arange(starts[photo], starts[photo] + self.counts[photo]) for photo in photos])

    def augmented_rows_of(self, photos: IntArray) -> IntArray:
        """Rows of augmented views of photos."""
        return self.originals + np.flatnonzero(np.isin(self.owners[self.originals :], photos))


def compute_features(
    samples: Sequence[Sample],
    digests: Sequence[bytes],
    source: FeatureSource,
    *,
    cache: RowCache,
    reporter: Reporter,
    read: Pixels = read_photo,
) -> Features:
    """Features of photos, from the cache where they are known.

    Args:
        samples: The photos; each was read and decoded before (`fingerprint_photos`).
        digests: SHA-256 of each photo's bytes, 32 bytes, same order.
        source: How features are computed.
        cache: Where rows are kept.
        reporter: Told about the photos computed.
        read: Where the pixels of a photo come from.

    Raises:
        PhotoRefused: a photo changed or vanished since it was read.
        StorageError: the cache cannot be written.
    """
    job = _Job(source, None, cache, reporter, read)
    rows, computed = job.rows(samples, digests, title="Computing features")
    matrix = np.concatenate(rows)
    owners = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    return Features(matrix, owners, len(matrix), computed)


def add_views(
    features: Features,
    views: Views,
    source: FeatureSource,
    *,
    photos: IntArray,
    samples: Sequence[Sample],
    digests: Sequence[bytes],
    cache: RowCache,
    reporter: Reporter,
    read: Pixels = read_photo,
) -> Features:
    """The same features with rows of augmented views of some photos behind them.

    Args:
        features: From `compute_features`, of all photos.
        views: The random steps.
        source: How features are computed.
        photos: Positions of the photos that get views: those that are learnt from.
        samples: All photos.
        digests: SHA-256 of each photo's bytes.
        cache: Where rows are kept.
        reporter: Told about the photos computed.
        read: Where the pixels of a photo come from.

    Raises:
        PhotoRefused: a photo changed or vanished since it was read.
        StorageError: the cache cannot be written.
    """
    job = _Job(source, views, cache, reporter, read)
    chosen = photos.tolist()
    rows, computed = job.rows(
        [samples[photo] for photo in chosen], [digests[photo] for photo in chosen], title="Computing augmented views"
    )
    owners = np.repeat(photos, [len(row) for row in rows])
    return Features(
        np.concatenate([features.matrix, *rows]),
        np.concatenate([features.owners, owners]),
        features.originals,
        features.computed + computed,
    )


@dataclass(frozen=True)
class _Job:
    source: FeatureSource
    views: Views | None
    cache: RowCache
    reporter: Reporter
    read: Pixels

    def rows(
        self, samples: Sequence[Sample], digests: Sequence[bytes], *, title: str
    ) -> tuple[list[NDArray[np.float32]], int]:
        """(T, D) features of the pictures of each photo, and how many photos were computed."""
        space = self.source.space_of(self.views)
        keys = [self._key(sample, digest) for sample, digest in zip(samples, digests, strict=True)]
        rows = self.cache.read(space, keys)
        missing = {key: sample for sample, key in zip(samples, keys, strict=True) if key not in rows}
        if missing:
            with self.reporter.task(title, len(missing)) as advance:
                for fresh in self._compute(missing):
                    self.cache.write(space, fresh, about=self.source.about)
                    rows.update(fresh)
                    advance(len(fresh))
        width = self.source.dimensions
        return [np.frombuffer(rows[key], dtype=np.float32).reshape(-1, width) for key in keys], len(missing)

    def _key(self, sample: Sample, digest: bytes) -> bytes:
        try:
            return self.source.row_key(sample, digest)
        except PhotoRefused as refusal:
            raise PhotoRefused(f'"{sample.name}" cannot be used: {refusal.reason}') from refusal

    def _compute(self, missing: Mapping[bytes, Sample]) -> Iterator[dict[bytes, bytes]]:
        """Rows by key, some photos at a time."""
        engine = open_engine(self.source.engine, self.source.backbone, threads=self.source.threads)
        keys, counts = iter(missing), deque[int]()
        ready: list[NDArray[np.float32]] = []
        fresh: dict[bytes, bytes] = {}
        for features in engine.run(self._batches(missing, counts)):
            ready.extend(features)
            while counts and len(ready) >= counts[0]:
                count = counts.popleft()
                fresh[next(keys)] = b"".join(row.tobytes() for row in ready[:count])
                del ready[:count]
            if len(fresh) >= _ROWS_PER_WRITE:
                yield fresh
                fresh = {}
        if fresh:
            yield fresh

    def _batches(self, missing: Mapping[bytes, Sample], counts: deque[int]) -> Iterator[Batch]:
        """Batches of the engine's own size; the last one is filled up with its first picture."""
        size = PHOTOS_PER_CALL[self.source.engine.name]
        batch: list[NDArray[np.uint8]] = []
        samples = list(missing.values())
        digests = {sample.name: key for key, sample in missing.items()}

        def pictures(image: UInt8Image, sample: Sample) -> UInt8Image:
            own = self.source.pictures(image, sample)
            return own if self.views is None else self.views(own, digests[sample.name])

        ahead = AHEAD_PER_THREAD if self.source.chain.tile is None else 1  # all tiles of a large photo are a lot
        threads = self.source.threads
        for index, prepared in load_prepared(samples, pictures, threads=threads, read=self.read, ahead=ahead):
            if isinstance(prepared, PhotoRefused):
                raise PhotoRefused(f'"{samples[index].name}" changed while it was used: {prepared.reason}')
            counts.append(len(prepared))
            for picture in prepared:
                batch.append(picture)
                if len(batch) == size:
                    yield np.stack(batch)
                    batch = []
        if batch:
            yield np.stack(batch + [batch[0]] * (size - len(batch)))
