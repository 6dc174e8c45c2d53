"""Features of photos from a frozen backbone, computed once and kept by content.

A row's key is the photo's SHA-256 within a space that names everything else its numbers depend on: prepare
steps, backbone, weights, stages, pooling, engine, precision and versions. Ten new photos cost ten rows; a run
that is interrupted keeps the rows it has.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from teliti.cache import RowCache
from teliti.data.decoded import read_photo
from teliti.data.loading import load_prepared
from teliti.errors import PhotoRefused
from teliti.files import sha256_hex
from teliti.training.backbone_file import BackboneFile
from teliti.training.engines import PHOTOS_PER_CALL, Batch, EngineChoice, open_engine
from teliti.transforms.prepare import PrepareChain
from teliti.types import Reporter, Sample, UInt8Image

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
        name = self.engine.name
        engine = [name, self.engine.precision, self.engine.version, PHOTOS_PER_CALL[name]]
        if name == "torch":
            engine.append(self.threads)  # torch splits one sum over its threads
        facts = [self.chain.to_record(), self.backbone.key, engine]
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


@dataclass(frozen=True)
class Features:
    """Features of a list of photos.

    Attributes:
        matrix: (N, D) float32, in the order of the photos.
        computed: How many rows were computed now; the others came from the cache.
    """

    matrix: NDArray[np.float32]
    computed: int


def compute_features(
    samples: Sequence[Sample],
    digests: Sequence[bytes],
    source: FeatureSource,
    *,
    cache: RowCache,
    reporter: Reporter,
    read: Callable[[Sample], UInt8Image] = read_photo,
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
    space = source.space
    rows = cache.read(space, digests)
    missing = {digest: sample for sample, digest in zip(samples, digests, strict=True) if digest not in rows}
    if missing:
        with reporter.task("Computing features", len(missing)) as advance:
            for fresh in _compute_rows(missing, source, read):
                cache.write(space, fresh, about=source.about)
                rows.update(fresh)
                advance(len(fresh))
    matrix = np.stack([np.frombuffer(rows[digest], dtype=np.float32) for digest in digests])
    return Features(matrix, len(missing))


def _compute_rows(
    missing: Mapping[bytes, Sample], source: FeatureSource, read: Callable[[Sample], UInt8Image]
) -> Iterator[dict[bytes, bytes]]:
    """Rows by digest, a few batches at a time."""
    engine = open_engine(source.engine, source.backbone, threads=source.threads)
    digests = iter(missing)
    fresh: dict[bytes, bytes] = {}
    for features in engine.run(_batches(list(missing.values()), source, read)):
        fresh.update((digest, row.tobytes()) for row, digest in zip(features, digests, strict=False))
        if len(fresh) >= _ROWS_PER_WRITE:
            yield fresh
            fresh = {}
    if fresh:
        yield fresh


def _batches(samples: Sequence[Sample], source: FeatureSource, read: Callable[[Sample], UInt8Image]) -> Iterator[Batch]:
    """Batches of the engine's own size; the last one is filled up with its first photo."""
    size = PHOTOS_PER_CALL[source.engine.name]
    batch: list[NDArray[np.uint8]] = []
    for index, image in load_prepared(samples, source.chain, threads=source.threads, read=read):
        if isinstance(image, PhotoRefused):
            raise PhotoRefused(f'"{samples[index].name}" changed while it was used: {image.reason}')
        batch.append(image)
        if len(batch) == size:
            yield np.stack(batch)
            batch = []
    if batch:
        yield np.stack(batch + [batch[0]] * (size - len(batch)))
