"""Features of photos: computed once, kept by content, resumed after an interruption."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from parts import draw_part
from teliti.cache import RowCache
from teliti.data.origins import ArrayOrigin
from teliti.errors import PhotoRefused
from teliti.recipe import ModelRecipe
from teliti.training.features import extraction as features_module
from teliti.training.features.backbone_file import prepare_backbone
from teliti.training.features.engines import PHOTOS_PER_CALL, EngineChoice, open_engine
from teliti.training.features.extraction import Features, FeatureSource, compute_features
from teliti.transforms.prepare import build_chain
from teliti.types import Sample, SilentReporter

SIZE = (64, 64)


def make_samples(count: int, *, first: int = 0) -> list[Sample]:
    """Photos of made-up parts in memory; the same number gives the same bytes."""
    samples = []
    for number in range(first, first + count):
        pixels = draw_part(number, scratched=number % 2 == 1)
        origin = ArrayOrigin(pixels.tobytes(), *pixels.shape)
        samples.append(Sample(f"part-{number}", origin, label="part"))
    return samples


@pytest.fixture(scope="module")
def source() -> FeatureSource:
    backbone = prepare_backbone(ModelRecipe(stages=("head",), pooling="avg"), image_size=SIZE, seed=7)
    chain = build_chain([], image_size=SIZE, fit="letterbox")
    return FeatureSource(chain, backbone, EngineChoice("onnxruntime", "f32", "1"), threads=1)


@pytest.fixture
def cache(tmp_path: Path) -> RowCache:
    return RowCache(tmp_path)


class WatchedEngine:
    """The real engine, which notes the batches it gets and can be stopped before one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.batches: list[np.ndarray] = []
        self.stop_before: int | None = None
        monkeypatch.setattr(features_module, "open_engine", self._open)

    def _open(self, *place: object, **options: object) -> WatchedEngine:
        self._engine = open_engine(*place, **options)
        return self

    def run(self, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for batch in batches:
            if self.stop_before == len(self.batches):
                raise KeyboardInterrupt
            self.batches.append(batch)
            yield from self._engine.run([batch])


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> WatchedEngine:
    return WatchedEngine(monkeypatch)


def compute(samples: list[Sample], source: FeatureSource, cache: RowCache) -> Features:
    digests = [hashlib.sha256(sample.origin.read_bytes()).digest() for sample in samples]
    return compute_features(samples, digests, source, cache=cache, reporter=SilentReporter())


def test_features_are_rows_in_the_order_of_the_photos(source: FeatureSource, cache: RowCache) -> None:
    samples = make_samples(6)
    features = compute(samples, source, cache)
    assert (features.matrix.shape, features.matrix.dtype, features.computed) == ((6, 1280), np.float32, 6)
    image = source.chain(draw_part(5, scratched=True))
    runner = open_engine(source.engine, source.backbone, threads=1)
    expected = next(iter(runner.run([image[None]])))[0]
    np.testing.assert_array_equal(features.matrix[5], expected)


def test_ten_new_photos_cost_ten_features(source: FeatureSource, cache: RowCache, engine: WatchedEngine) -> None:
    first = compute(make_samples(5), source, cache)
    engine.batches.clear()
    both = compute([*make_samples(10, first=50), *make_samples(5)], source, cache)
    assert both.computed == 10
    assert len(engine.batches) == 10
    np.testing.assert_array_equal(both.matrix[10:], first.matrix)


def test_known_photos_open_no_engine(source: FeatureSource, cache: RowCache, engine: WatchedEngine) -> None:
    first = compute(make_samples(4), source, cache)
    engine.batches.clear()
    again = compute(make_samples(4)[::-1], source, cache)
    assert (again.computed, engine.batches) == (0, [])
    np.testing.assert_array_equal(again.matrix, first.matrix[::-1])


def test_equal_bytes_are_computed_once(source: FeatureSource, cache: RowCache, engine: WatchedEngine) -> None:
    sample = make_samples(1)[0]
    copies = [replace(sample, name=f"copy-{number}") for number in range(9)]
    features = compute(copies, source, cache)
    assert (features.computed, len(engine.batches)) == (1, 1)
    assert features.matrix.shape == (9, 1280)
    assert (features.matrix == features.matrix[0]).all()


def test_every_batch_is_full_so_that_no_photo_is_treated_differently(
    source: FeatureSource, cache: RowCache, engine: WatchedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PHOTOS_PER_CALL, "onnxruntime", 4)
    features = compute(make_samples(6), source, cache)
    assert [batch.shape for batch in engine.batches] == [(4, *SIZE, 3)] * 2
    alone = compute(make_samples(1, first=5), source, RowCache(cache.folder / "other"))
    np.testing.assert_array_equal(alone.matrix[0], features.matrix[5])


def test_the_bits_do_not_depend_on_the_threads(source: FeatureSource, cache: RowCache) -> None:
    alone = compute(make_samples(9), source, cache)
    together = compute(make_samples(9), replace(source, threads=3), RowCache(cache.folder / "other"))
    np.testing.assert_array_equal(together.matrix, alone.matrix)


def test_an_interruption_keeps_the_rows_it_has_and_the_next_run_goes_on(
    source: FeatureSource, cache: RowCache, engine: WatchedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features_module, "_ROWS_PER_WRITE", 4)
    engine.stop_before = 12
    with pytest.raises(KeyboardInterrupt):
        compute(make_samples(20), source, cache)
    engine.stop_before = None
    resumed = compute(make_samples(20), source, cache)
    assert resumed.computed == 8
    uninterrupted = compute(make_samples(20), source, RowCache(cache.folder / "other"))
    np.testing.assert_array_equal(resumed.matrix, uninterrupted.matrix)


def test_a_photo_that_changed_since_it_was_read_is_named(source: FeatureSource, cache: RowCache) -> None:
    samples = make_samples(3)
    digests = [hashlib.sha256(sample.origin.read_bytes()).digest() for sample in samples]
    samples[1] = replace(samples[1], origin=ArrayOrigin(b"", 0, 0, 3))
    with pytest.raises(PhotoRefused, match=r'"part-1" changed while it was used: damaged'):
        compute_features(samples, digests, source, cache=cache, reporter=SilentReporter())


def test_progress_counts_the_photos_computed(source: FeatureSource, cache: RowCache) -> None:
    started: list[tuple[str, int | None]] = []
    steps: list[int] = []

    class Watching(SilentReporter):
        def task(self, title: str, total: int | None):
            started.append((title, total))
            return nullcontext(steps.append)

    samples = make_samples(6)
    digests = [hashlib.sha256(sample.origin.read_bytes()).digest() for sample in samples]
    compute_features(samples[:2], digests[:2], source, cache=cache, reporter=SilentReporter())
    compute_features(samples, digests, source, cache=cache, reporter=Watching())
    assert started == [("Computing features", 4)]
    assert sum(steps) == 4


def test_everything_that_the_numbers_depend_on_is_in_the_space(source: FeatureSource) -> None:
    others = [
        replace(source, chain=build_chain([{"step": "clahe"}], image_size=SIZE, fit="letterbox")),
        replace(source, chain=build_chain([], image_size=SIZE, fit="crop")),
        replace(source, backbone=replace(source.backbone, key="another")),
        replace(source, engine=EngineChoice("openvino", "f32", "1")),
        replace(source, engine=EngineChoice("onnxruntime", "bf16", "1")),
        replace(source, engine=EngineChoice("onnxruntime", "f32", "2")),
        replace(source, engine=EngineChoice("torch", "f32", "1")),
        replace(source, engine=EngineChoice("torch", "f32", "1", device="cuda")),
        replace(source, engine=EngineChoice("torch", "f32", "1"), threads=2),
    ]
    spaces = {source.space, *(other.space for other in others)}
    assert len(spaces) == len(others) + 1


def test_what_the_numbers_do_not_depend_on_is_not(source: FeatureSource) -> None:
    probed = replace(source.engine, probe=({"engine": "onnxruntime", "photos_per_s": 3.0},))
    assert replace(source, threads=7, engine=probed).space == source.space


def test_the_line_for_people_names_the_features(source: FeatureSource) -> None:
    assert source.about == "tf_efficientnet_lite0 64x64 stages head avg onnxruntime f32"
