"""Photos that a prepare step refuses: named once with the reason before anything is computed, and the run goes on."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import teliti
from parts import encode_png, write_parts
from teliti.cache import RowCache
from teliti.data.decoded import DecodedPhotos, read_photo
from teliti.data.fingerprints import fingerprint_photos
from teliti.data.origins import FileOrigin
from teliti.errors import PhotoRefused
from teliti.recipe import parse_recipe
from teliti.transforms.prepare import PrepareChain, build_chain, chain_from_record
from teliti.types import Sample, SilentReporter
from teliti.workflow.shared.fitness import Readable, without_unfit
from teliti.workflow.shared.photos import read_photos

CROP = {"step": "crop", "unit": "pixels", "top": 24, "left": 24}
VALID = {"step": "filter", "kernel": "gaussian_5x5", "padding": "valid"}
TO_PART = {"step": "crop_to_part", "margin": 0.0}


def steps(*records: dict) -> PrepareChain:
    return chain_from_record(records)


class Reads:
    """Reads pixels, and counts how often."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, sample: Sample) -> np.ndarray:
        self.count += 1
        return read_photo(sample)


def readable(folder: Path, *images: np.ndarray) -> list[Readable]:
    samples = []
    for number, image in enumerate(images):
        (folder / f"{number}.png").write_bytes(encode_png(image))
        samples.append(Sample(f"{number}.png", FileOrigin(str(folder / f"{number}.png"))))
    cache = RowCache(folder / "cache")
    marks, _ = fingerprint_photos(samples, cache=cache, threads=1, reporter=SilentReporter(), decoded=DecodedPhotos())
    return [Readable(sample, mark) for sample, mark in zip(samples, marks, strict=True) if mark is not None]


def judge(photos: list[Readable], *chains: PrepareChain, folder: Path, read: Reads) -> list[tuple[str, str]]:
    usable, refused = without_unfit(
        photos, chains, cache=RowCache(folder / "cache"), threads=1, reporter=SilentReporter(), read=read
    )
    assert {item.sample.name for item in usable} | {item.name for item in refused} == {
        photo.sample.name for photo in photos
    }
    return [(item.name, item.reason) for item in refused]


@pytest.mark.parametrize(
    ("chain", "by"),
    [
        (steps(), "nothing"),
        (steps({"step": "clahe"}, TO_PART, {"step": "crop", "top": 0.5}, {"step": "filter"}), "nothing"),
        (steps({"step": "crop", "unit": "pixels", "height": 8}), "nothing"),
        (steps({"step": "clahe"}, CROP, TO_PART), "size"),
        (steps({"step": "tile", "size": 8}), "size"),
        (steps({"step": "mask_from_file"}, VALID), "size"),
        (steps(TO_PART, CROP), "pixels"),
        (steps({"step": "upright"}, {"step": "tile", "size": 8}), "pixels"),
    ],
)
def test_a_chain_knows_what_it_refuses_by(chain: PrepareChain, by: str) -> None:
    assert chain.refuses_by == by


def test_without_a_step_that_may_refuse_nothing_is_read(tmp_path: Path) -> None:
    read, photos = Reads(), readable(tmp_path, np.zeros((4, 4, 3), np.uint8))
    assert judge(photos, steps(), steps({"step": "clahe"}), folder=tmp_path, read=read) == []
    assert read.count == 0


def test_a_photo_is_refused_by_its_size_without_being_read_and_once_for_several_chains(tmp_path: Path) -> None:
    read = Reads()
    photos = readable(tmp_path, *(np.zeros((side, side, 3), np.uint8) for side in (48, 20, 30)))
    refused = judge(photos, steps(CROP), steps(CROP, VALID, VALID), folder=tmp_path, read=read)
    assert refused == [
        ("1.png", "prepare step 1 (crop): nothing of the photo, 20 pixels wide and 20 high, lies in the rectangle"),
        ("2.png", "prepare step 3 (filter): 2x2 pixels are too few for a kernel of 5x5 without padding"),
    ]
    assert read.count == 0


def test_a_photo_that_is_refused_for_what_it_shows_is_read_once_and_remembered(tmp_path: Path) -> None:
    read, images = Reads(), []
    for side in (40, 6):
        images.append(np.full((48, 48, 3), 20, np.uint8))
        images[-1][4 : 4 + side, 4 : 4 + side] = 220
    photos, chain = readable(tmp_path, *images), steps(TO_PART, CROP)
    for _ in range(2):
        ((name, reason),) = judge(photos, chain, folder=tmp_path, read=read)
        assert name == "1.png"
        assert reason == "prepare step 2 (crop): nothing of the photo, 6 pixels wide and 6 high, lies in the rectangle"
    assert read.count == 2


def test_a_photo_that_vanished_is_refused_and_not_remembered(tmp_path: Path) -> None:
    photos, chain = readable(tmp_path, np.zeros((48, 48, 3), np.uint8)), steps(TO_PART, CROP)
    data = (tmp_path / "0.png").read_bytes()
    (tmp_path / "0.png").unlink()
    assert judge(photos, chain, folder=tmp_path, read=Reads()) == [("0.png", "the file does not exist (any more)")]
    (tmp_path / "0.png").write_bytes(data)
    assert judge(photos, chain, folder=tmp_path, read=Reads()) == []


@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    colour=st.booleans(),
    chosen=st.lists(
        st.sampled_from(
            [CROP, VALID, {**VALID, "padding": 1, "stride": 3}, {"step": "filter", "stride": 2}, {"step": "gamma"},
             {"step": "crop", "top": 0.4, "width": 0.3}, {"step": "crop", "unit": "pixels", "left": 3, "width": 9}]
        ),
        max_size=4,
    ),
    tile=st.none() | st.sampled_from([6, 13]),
)  # fmt: skip
def test_the_check_by_size_says_what_the_whole_chain_says(
    size: tuple[int, int], colour: bool, chosen: list[dict], tile: int | None
) -> None:
    records = chosen if tile is None else [*chosen[:2], {"step": "tile", "size": tile, "overlap": 0.0}, *chosen[2:]]
    chain = build_chain(records, image_size=(8, 8), fit="stretch")
    image = np.random.default_rng(0).integers(0, 256, (*size, 3) if colour else size, np.uint8)

    def outcome(run) -> str:
        try:
            run()
        except PhotoRefused as refusal:
            return refusal.reason
        return "fits"

    whole = outcome(lambda: chain.views(image))
    assert chain.refuses_by in {"nothing", "size"}
    assert outcome(lambda: chain.check_size(size)) == whole
    assert outcome(lambda: chain.check_photo(image)) == whole
    assert chain.refuses_by == "size" or whole == "fits"


def test_training_names_the_photo_counts_it_and_goes_on(tmp_path: Path) -> None:
    folder = write_parts(tmp_path / "parts", per_class=12)
    odd = folder / "good" / "odd.png"
    odd.write_bytes(encode_png(np.full((20, 20, 3), 90, np.uint8)))
    recipe = parse_recipe(
        {
            "data": {"image_size": 32, "folds": 0},
            "model": {"backbone": "test_resnet", "weights": "random", "stages": ["head"], "head": "logistic", "c": 1.0},
            "train": {"engine": "onnxruntime", "threads": 1},
            "prepare": [{**CROP, "top": 22, "left": 22}],
        }
    )
    record = teliti.train(folder, recipe=recipe, out=tmp_path / "run")
    assert record["data"]["photos"] == 24
    reason = "prepare step 1 (crop): nothing of the photo, 20 pixels wide and 20 high, lies in the rectangle"
    lines = (tmp_path / "run" / "refused.csv").read_text().splitlines()[1:]
    assert lines == [f'good/odd.png,"{reason}"']
    answer = teliti.predict(record["bundle"], odd)
    assert [one["reason"] for one in answer["refused"]] == [reason]  # an inspection says the same


def test_a_comparison_leaves_it_out_of_all_variants(tmp_path: Path) -> None:
    folder = write_parts(tmp_path / "parts", per_class=3)
    cv2.imwrite(str(folder / "scratch" / "odd.png"), np.full((20, 20), 90, np.uint8))
    photos = read_photos(
        str(folder), use_group=True, cache=RowCache(), threads=1, reporter=SilentReporter(),
        chains=[steps(), steps(CROP)],
    )  # fmt: skip
    assert len(photos.samples) == 6
    assert [item.name for item in photos.refused] == ["scratch/odd.png"]
