"""The chain of deterministic steps: checked when built, closed by the frame, recorded and built again."""

from __future__ import annotations

import json

import numpy as np
import pytest

from teliti.errors import RecipeError
from teliti.imaging.contrast import apply_clahe
from teliti.imaging.framing import crop_to_fill, letterbox, resize
from teliti.transforms.prepare import PrepareChain, Step, build_chain, chain_from_record


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (40, 60, 3), dtype=np.uint8)


@pytest.mark.parametrize(("fit", "function"), [("letterbox", letterbox), ("stretch", resize), ("crop", crop_to_fill)])
def test_a_chain_without_steps_only_frames(fit: str, function, image: np.ndarray) -> None:
    chain = build_chain([], image_size=(24, 32), fit=fit)
    np.testing.assert_array_equal(chain(image), function(image, (24, 32)))
    assert chain.image_size == (24, 32)


def test_steps_run_in_the_order_of_the_recipe_before_the_frame(image: np.ndarray) -> None:
    steps = [{"step": "clahe", "clip_limit": 4.0}, {"step": "clahe", "clip_limit": 1.0, "tile_grid": [2, 2]}]
    chain = build_chain(steps, image_size=(24, 24), fit="stretch")
    expected = apply_clahe(image, clip_limit=4.0, tile_grid=(8, 8))
    expected = resize(apply_clahe(expected, clip_limit=1.0, tile_grid=(2, 2)), (24, 24))
    np.testing.assert_array_equal(chain(image), expected)


def test_the_result_is_contiguous_whatever_came_in(image: np.ndarray) -> None:
    chain = build_chain([], image_size=(40, 60), fit="stretch")
    prepared = chain(image[:, ::-1])
    assert prepared.flags.c_contiguous
    np.testing.assert_array_equal(prepared, image[:, ::-1])


def test_the_record_of_a_chain_builds_the_equal_chain() -> None:
    chain = build_chain([{"step": "clahe", "tile_grid": [3, 4]}], image_size=(24, 32), fit="crop")
    record = json.loads(json.dumps(chain.to_record()))
    assert chain_from_record(record) == chain
    assert record[-1] == {
        "step": "frame", "height": 24, "width": 32, "fit": "crop",
        "resize": "area when shrinking, cubic when growing (OpenCV)",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("step", "said", "hint"),
    [
        ({"step": "clahee"}, "prepare step must be one of clahe, frame, got 'clahee'", 'Did you mean "clahe"?'),
        ({}, "prepare step must be one of clahe, frame, got ''", "Choose one of them."),
        (
            {"step": "clahe", "clip_limit": 0},
            "prepare step 2 (clahe): clip_limit: input should be greater than 0, got 0.",
            "Its parameters are step, clip_limit, tile_grid.",
        ),
        (
            {"step": "clahe", "cliplimit": 2},
            "prepare step 2 (clahe): cliplimit: extra inputs are not permitted, got 2.",
            "Its parameters are step, clip_limit, tile_grid.",
        ),
        (
            {"step": "clahe", "tile_grid": [8, 99]},
            "prepare step 2 (clahe): tile_grid.1: input should be less than or equal to 64, got 99.",
            "Its parameters are step, clip_limit, tile_grid.",
        ),
        (
            {"step": "frame", "height": 8, "width": 8},
            "prepare step 2 must not be frame, which always comes last.",
            "Set data.image_size and data.fit instead.",
        ),
    ],
)
def test_a_step_that_cannot_be_used_is_named(step: dict, said: str, hint: str) -> None:
    with pytest.raises(RecipeError) as caught:
        build_chain([{"step": "clahe"}, step], image_size=(8, 8), fit="crop")
    assert said in caught.value.message
    assert caught.value.hint == hint


def test_a_record_of_another_resize_is_not_taken_for_ours() -> None:
    record = build_chain([], image_size=(8, 8), fit="crop").to_record()
    record[-1]["resize"] = "bilinear"
    with pytest.raises(RecipeError, match=r"prepare step 1 \(frame\): resize: input should be 'area when shrinking"):
        chain_from_record(record)


def test_a_chain_that_does_not_end_with_the_frame_has_no_size() -> None:
    with pytest.raises(RecipeError, match=r"The last prepare step must be frame\. Rebuild the chain"):
        _ = PrepareChain(chain_from_record([{"step": "clahe"}]).steps).image_size


def test_a_step_that_does_not_say_what_it_does_cannot_be_made() -> None:
    with pytest.raises(TypeError, match=r"abstract method '?apply'?"):
        Step()
