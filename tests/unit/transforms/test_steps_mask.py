"""Masks: made by steps, found by segmentation, or read from a file beside the photo."""

from __future__ import annotations

import numpy as np
import pytest

from teliti.errors import PhotoRefused, RecipeError, UserError
from teliti.transforms.prepare import build_chain, chain_from_record
from teliti.transforms.steps import Working
from teliti.transforms.steps_mask import MaskFromFile, Segment


@pytest.fixture
def image() -> np.ndarray:
    """A red disc with texture on a grey-green background, (48, 56, 3)."""
    rng = np.random.default_rng(11)
    rows, columns = np.mgrid[:48, :56]
    disc = (rows - 24) ** 2 + (columns - 30) ** 2 < 14**2
    colours = np.where(disc[..., None], (240, 100, 60), (60, 80, 70))
    return np.clip(colours + rng.normal(0, 6, (48, 56, 3)), 0, 255).astype(np.uint8)


@pytest.fixture
def disc() -> np.ndarray:
    rows, columns = np.mgrid[:48, :56]
    return np.where((rows - 24) ** 2 + (columns - 30) ** 2 < 14**2, 255, 0).astype(np.uint8)


@pytest.mark.parametrize("method", ["otsu", "kmeans", "watershed", "grabcut"])
def test_segment_gives_the_mask_or_the_photo_under_it(method: str, image: np.ndarray, disc: np.ndarray) -> None:
    photo = Working(image, image)
    mask = Segment(method=method).run(photo).image
    assert set(np.unique(mask)) == {0, 255}
    assert ((mask > 0) & (disc > 0)).sum() / ((mask > 0) | (disc > 0)).sum() > 0.9
    applied = Segment(method=method, apply=True, value=9).run(photo).image
    np.testing.assert_array_equal(applied, np.where(mask[..., None] > 0, image, 9))
    steps = [{"step": "segment", "method": method}, {"step": "mask", "value": 9}]
    two = build_chain(steps, image_size=(48, 56), fit="stretch")
    np.testing.assert_array_equal(two(image), applied)


def test_what_segment_finds_can_be_cleaned_before_it_is_applied(image: np.ndarray) -> None:
    image = image.copy()
    image[2:6, 2:6] = (250, 250, 250)  # a bright speck that is no part
    steps = [{"step": "segment"}, {"step": "remove_elements", "keep_largest": 1}, {"step": "mask"}]
    prepared = build_chain(steps, image_size=(48, 56), fit="stretch")(image)
    assert (prepared[:8, :8] == 0).all()
    assert (prepared[24, 30] == image[24, 30]).all()


def test_a_mask_is_read_beside_the_photo(image: np.ndarray, disc: np.ndarray) -> None:
    asked: list[str] = []

    def beside(pattern: str) -> np.ndarray:
        asked.append(pattern)
        return disc

    steps = [{"step": "gamma"}, {"step": "mask_from_file", "pattern": "../masks/{stem}.png"}]
    chain = build_chain(steps, image_size=(48, 56), fit="stretch")
    np.testing.assert_array_equal(chain(image, beside=beside), np.where(disc[..., None] > 0, image, 0))
    assert asked == ["../masks/{stem}.png"]


@pytest.mark.parametrize("colour", [False, True])
def test_a_mask_file_may_be_grey_or_colour_and_the_part_bright_or_dark(disc: np.ndarray, colour: bool) -> None:
    soft = np.where(disc > 0, 140, 110).astype(np.uint8)
    given = np.repeat(soft[..., None], 3, axis=2) if colour else soft
    photo = Working(given, given, lambda _: given)
    np.testing.assert_array_equal(MaskFromFile(apply=False).run(photo).image, disc)
    np.testing.assert_array_equal(MaskFromFile(apply=False, part="dark").run(photo).image, 255 - disc)


def test_a_bare_array_has_no_place_where_a_mask_could_lie(image: np.ndarray) -> None:
    chain = build_chain([{"step": "mask_from_file"}], image_size=(8, 8), fit="crop")
    with pytest.raises(UserError, match=r"needs a mask file beside each photo .*a bare array has none\. Give the"):
        chain(image)


def test_a_mask_file_of_another_size_refuses_the_photo(image: np.ndarray) -> None:
    chain = build_chain([{"step": "mask_from_file"}], image_size=(8, 8), fit="crop")
    message = r"prepare step 1 \(mask_from_file\): its mask file is 4x5, the photo 48x56"
    with pytest.raises(PhotoRefused, match=message):
        chain(image, beside=lambda _: np.zeros((4, 5), dtype=np.uint8))


def test_a_missing_file_is_said_with_the_step(image: np.ndarray) -> None:
    def beside(pattern: str) -> np.ndarray:
        raise PhotoRefused(f"no mask file {pattern}")

    chain = build_chain([{"step": "mask_from_file"}], image_size=(8, 8), fit="crop")
    with pytest.raises(PhotoRefused, match=r"prepare step 1 \(mask_from_file\): no mask file {stem}_mask.png"):
        chain(image, beside=beside)


@pytest.mark.parametrize("pattern", ["mask.png", "{stem}_{kind}.png", "{stem}{.png", "{}.png"])
def test_a_pattern_names_the_photo(pattern: str) -> None:
    with pytest.raises(RecipeError, match=r"pattern must have {stem} in it, and no other braces"):
        chain_from_record([{"step": "mask_from_file", "pattern": pattern}])


@pytest.mark.parametrize("pattern", ["/masks/{stem}.png", "..\\{stem}.png", "C:{stem}.png", "{stem}\0.png"])
def test_a_pattern_is_a_relative_path(pattern: str) -> None:
    with pytest.raises(RecipeError, match="pattern must be a relative path with forward slashes"):
        chain_from_record([{"step": "mask_from_file", "pattern": pattern}])


def test_grey_photos_are_masked_in_one_channel(image: np.ndarray) -> None:
    grey = np.ascontiguousarray(image[..., 0])
    chain = build_chain([{"step": "segment", "apply": True}], image_size=(48, 56), fit="stretch")
    assert chain.trace(grey)[0][1].ndim == 2
    np.testing.assert_array_equal(chain(grey)[..., 2], np.where(Segment().mask(Working(grey, grey)) > 0, grey, 0))
