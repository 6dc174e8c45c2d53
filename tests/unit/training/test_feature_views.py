"""Several pictures of a photo: tiles, augmented views, masks beside it; each computed once and found again."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import teliti
from parts import draw_part, encode_png
from teliti.cache import RowCache
from teliti.data.origins import ArrayOrigin, FileOrigin
from teliti.errors import PhotoRefused
from teliti.recipe import ModelRecipe
from teliti.training.features import extraction as features_module
from teliti.training.features.backbone_file import prepare_backbone
from teliti.training.features.engines import EngineChoice, open_engine
from teliti.training.features.extraction import Features, FeatureSource, Views, add_views, compute_features
from teliti.transforms.augment import build_augment, photo_rng
from teliti.transforms.prepare import build_chain
from teliti.types import Sample, SilentReporter

SOURCE = Path(teliti.__file__).parents[1]
SIZE = (32, 32)
TILE = {"step": "tile", "size": 32, "overlap": 0.3}  # 48 px: four tiles
FLIP = [{"step": "flip", "horizontal": 0.5, "vertical": 0.5}, {"step": "rotate", "degrees": 20}]
SIDES = [48, 30, 48, 64]  # 4, 1, 4 and 9 tiles


@dataclass(frozen=True)
class Job:
    """Photos, and how features are computed and kept."""

    samples: list[Sample]
    source: FeatureSource
    cache: RowCache

    @property
    def digests(self) -> list[bytes]:
        return [hashlib.sha256(sample.origin.read_bytes()).digest() for sample in self.samples]

    def plain(self) -> Features:
        return compute_features(self.samples, self.digests, self.source, cache=self.cache, reporter=SilentReporter())

    def with_views(self, views: Views, photos: list[int]) -> Features:
        return add_views(
            self.plain(), views, self.source, photos=np.array(photos), samples=self.samples, digests=self.digests,
            cache=self.cache, reporter=SilentReporter(),
        )  # fmt: skip


def make_samples(sides: list[int], *, first: int = 0) -> list[Sample]:
    samples = []
    for number, side in enumerate(sides, start=first):
        pixels = draw_part(number, scratched=number % 2 == 1, side=side)
        samples.append(Sample(f"part-{number}", ArrayOrigin(pixels.tobytes(), *pixels.shape)))
    return samples


@pytest.fixture(scope="module")
def source() -> FeatureSource:
    """A small network of random numbers behind a chain that cuts tiles."""
    model = ModelRecipe(backbone="test_resnet", weights="random", stages=("head",), pooling="avg")
    backbone = prepare_backbone(model, image_size=SIZE, seed=7)
    chain = build_chain([TILE], image_size=SIZE, fit="stretch")
    return FeatureSource(chain, backbone, EngineChoice("onnxruntime", "f32", "1"), threads=1)


@pytest.fixture
def job(source: FeatureSource, tmp_path: Path) -> Job:
    return Job(make_samples(SIDES), source, RowCache(tmp_path))


@pytest.fixture
def views() -> Views:
    return Views(build_augment(FLIP), count=3, seed=11)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for every engine that is opened."""
    calls: list[int] = []

    def watch(*place: object, **options: object) -> object:
        calls.append(1)
        return open_engine(*place, **options)

    monkeypatch.setattr(features_module, "open_engine", watch)
    return calls


def run_by_hand(source: FeatureSource, pictures: list[np.ndarray]) -> np.ndarray:
    engine = open_engine(source.engine, source.backbone, threads=1)
    return np.concatenate(list(engine.run([picture[None] for picture in pictures])))


def pixels_of(sample: Sample) -> np.ndarray:
    origin = sample.origin
    return np.frombuffer(origin.pixels, np.uint8).reshape(origin.height, origin.width, origin.channels)


def test_a_photo_has_a_row_for_each_of_its_tiles(job: Job) -> None:
    features = job.plain()
    assert features.counts.tolist() == [4, 1, 4, 9]
    assert features.owners.tolist() == [0] * 4 + [1] + [2] * 4 + [3] * 9
    assert (features.originals, features.computed) == (18, 4)
    tiles = [tile for sample in job.samples for tile in job.source.chain.views(pixels_of(sample))]
    np.testing.assert_array_equal(features.matrix, run_by_hand(job.source, tiles))


def test_the_rows_of_photos_come_in_the_order_asked_for(job: Job) -> None:
    features = job.plain()
    assert features.rows_of(np.array([2, 1])).tolist() == [5, 6, 7, 8, 4]
    assert features.augmented_rows_of(np.array([2, 1])).tolist() == []


def test_the_rows_of_views_are_those_of_the_pictures_augmented_by_hand(job: Job, views: Views) -> None:
    features = job.with_views(views, [0, 3])
    expected = []
    for photo in (0, 3):
        tiles = job.source.chain.views(pixels_of(job.samples[photo]))
        for view in (1, 2, 3):
            for number, tile in enumerate(tiles):
                rng = photo_rng(11, job.digests[photo] + number.to_bytes(4, "big"), view)
                expected.append(views.chain(tile, rng))
    assert any(not np.array_equal(expected[0], other) for other in expected[1:])
    np.testing.assert_array_equal(features.matrix[features.originals :], run_by_hand(job.source, expected))
    np.testing.assert_array_equal(features.matrix[: features.originals], job.plain().matrix)
    assert features.owners[features.originals :].tolist() == [0] * 12 + [3] * 27
    assert features.augmented_rows_of(np.array([3])).tolist() == list(range(18 + 12, 18 + 12 + 27))
    assert features.augmented_rows_of(np.array([1, 2])).tolist() == []
    assert features.counts.tolist() == [4, 1, 4, 9]  # views are no pictures of the photo as it is


def test_the_bits_do_not_depend_on_the_threads(job: Job, views: Views) -> None:
    alone = job.with_views(views, [0, 1, 2, 3])
    other = replace(job, source=replace(job.source, threads=3), cache=RowCache(job.cache.folder / "other"))
    together = other.with_views(views, [0, 1, 2, 3])
    np.testing.assert_array_equal(together.matrix, alone.matrix)
    np.testing.assert_array_equal(together.owners, alone.owners)


def test_what_is_known_is_not_computed_again(job: Job, views: Views, opened: list[int]) -> None:
    first = job.with_views(views, [0, 3])
    assert (first.computed, len(opened)) == (4 + 2, 2)
    again = job.with_views(views, [0, 3])
    assert (again.computed, len(opened)) == (0, 2)
    np.testing.assert_array_equal(again.matrix, first.matrix)
    more = job.with_views(views, [3, 1])
    assert more.computed == 1
    np.testing.assert_array_equal(more.matrix[18:45], first.matrix[30:])


def test_ten_new_photos_cost_ten(job: Job, views: Views) -> None:
    job.with_views(views, [0, 1, 2, 3])
    both = replace(job, samples=[*make_samples([48] * 10, first=50), *job.samples])
    features = both.with_views(views, list(range(14)))
    assert features.computed == 10 + 10
    assert len(features.matrix) == (10 * 4 + 18) * (1 + 3)


def test_the_space_names_all_that_the_views_depend_on(source: FeatureSource, views: Views) -> None:
    stronger = build_augment([{**FLIP[0], "horizontal": 0.6}, FLIP[1]])
    others = [
        replace(views, seed=12),
        replace(views, count=4),
        replace(views, chain=stronger),
        replace(views, chain=build_augment(FLIP[::-1])),
    ]
    spaces = [source.space, *(source.space_of(each) for each in (views, *others))]
    assert len(set(spaces)) == len(spaces) == 6
    assert source.space_of(Views(build_augment(FLIP), count=3, seed=11)) == source.space_of(views)


def test_another_seed_gives_other_pictures(job: Job, views: Views) -> None:
    first, other = (job.with_views(replace(views, seed=seed), [0]).matrix[18:] for seed in (11, 12))
    assert not np.array_equal(first, other)


def test_an_interruption_among_the_views_keeps_what_it_has(
    job: Job, views: Views, monkeypatch: pytest.MonkeyPatch
) -> None:
    job.plain()
    monkeypatch.setattr(features_module, "_ROWS_PER_WRITE", 1)
    augment, calls = Views.__call__, []

    def stop_at_the_fourth(self: Views, pictures: np.ndarray, digest: bytes) -> np.ndarray:
        calls.append(digest)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return augment(self, pictures, digest)

    monkeypatch.setattr(Views, "__call__", stop_at_the_fourth)
    with pytest.raises(KeyboardInterrupt):
        job.with_views(views, [0, 1, 2, 3])
    monkeypatch.undo()
    resumed = job.with_views(views, [0, 1, 2, 3])
    assert 0 < resumed.computed < 4
    other = replace(job, cache=RowCache(job.cache.folder / "other"))
    np.testing.assert_array_equal(resumed.matrix, other.with_views(views, [0, 1, 2, 3]).matrix)


@pytest.fixture
def masked(source: FeatureSource, tmp_path: Path) -> Callable[[], Job]:
    """Two photos of equal bytes with different masks beside them."""
    photo = draw_part(1, scratched=True)
    for number in (0, 1):
        mask = np.zeros_like(photo)
        mask[:, 10 + 20 * number :] = 255
        (tmp_path / f"p{number}.png").write_bytes(encode_png(photo))
        (tmp_path / f"p{number}_mask.png").write_bytes(encode_png(mask))
    chain = build_chain([{"step": "mask_from_file"}], image_size=SIZE, fit="stretch")
    samples = [Sample(f"p{number}.png", FileOrigin(str(tmp_path / f"p{number}.png"))) for number in (0, 1)]
    return lambda: Job(samples, replace(source, chain=chain), RowCache(tmp_path / "cache"))


def test_another_mask_is_another_row(masked: Callable[[], Job], tmp_path: Path) -> None:
    first = masked().plain()
    assert first.computed == 2
    assert not np.array_equal(first.matrix[0], first.matrix[1])
    assert masked().plain().computed == 0
    (tmp_path / "p1_mask.png").write_bytes((tmp_path / "p0_mask.png").read_bytes())
    changed = masked().plain()
    assert changed.computed == 0  # the same photo with the same mask is known already
    np.testing.assert_array_equal(changed.matrix[0], changed.matrix[1])


def test_a_mask_that_vanished_is_named(masked: Callable[[], Job], tmp_path: Path) -> None:
    (tmp_path / "p1_mask.png").unlink()
    with pytest.raises(PhotoRefused, match=r'"p1\.png" cannot be used: "p1_mask\.png" beside it: the file does not'):
        masked().plain()


_EXPORT = """
from teliti.recipe import ModelRecipe
from teliti.training.features.backbone_file import prepare_backbone
model = ModelRecipe(backbone="test_resnet", weights="random", stages=("head",), pooling="avg")
print(prepare_backbone(model, image_size=(32, 32), seed=7).path)
"""


def test_two_processes_export_the_same_bits(source: FeatureSource, tmp_path: Path) -> None:
    surroundings = {**os.environ, "PYTHONPATH": str(SOURCE), "TELITI_CACHE": str(tmp_path), "PYTHONHASHSEED": "99"}
    done = subprocess.run([sys.executable, "-c", _EXPORT], env=surroundings, capture_output=True, text=True, check=True)
    here, there = source.backbone.path, Path(done.stdout.split()[-1])
    assert there.is_relative_to(tmp_path)
    image = np.random.default_rng(0).integers(0, 256, (3, *SIZE, 3), dtype=np.uint8)
    answers = [
        onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"image": image})[0]
        for path in (here, there)
    ]
    np.testing.assert_array_equal(answers[0], answers[1])
    assert here.read_bytes() == there.read_bytes()
