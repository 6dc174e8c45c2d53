"""The chain of deterministic steps: checked when built, closed by the frame, recorded and built again."""

from __future__ import annotations

import json

import numpy as np
import pytest

from teliti.errors import PhotoRefused, RecipeError
from teliti.imaging.contrast import apply_clahe
from teliti.imaging.framing import crop_to_fill, letterbox, resize
from teliti.transforms.prepare import PrepareChain, Step, build_chain, chain_from_record, chain_without_frame
from teliti.transforms.steps import PixelStep


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
        ({"step": "clahee"}, ", center, channel, channel_order, clahe, colour_plane,", 'Did you mean "clahe"?'),
        ({}, "zca, got ''.", "Choose one of them."),
        (
            {"step": "clahe", "clip_limit": 0},
            "prepare step 2 (clahe): clip_limit must be greater than 0, got 0.",
            "Its parameters are clip_limit, tile_grid.",
        ),
        (
            {"step": "clahe", "cliplimit": 2},
            "prepare step 2 (clahe): cliplimit: extra inputs are not permitted, got 2.",
            "Its parameters are clip_limit, tile_grid.",
        ),
        (
            {"step": "clahe", "tile_grid": [8, 99]},
            "prepare step 2 (clahe): tile_grid.1 must be less than or equal to 64, got 99.",
            "Its parameters are clip_limit, tile_grid.",
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
    with pytest.raises(RecipeError, match=r"prepare step 1 \(frame\): resize must be 'area when shrinking"):
        chain_from_record(record)


def test_a_chain_that_does_not_end_with_the_frame_has_no_size() -> None:
    with pytest.raises(RecipeError, match=r"The last prepare step must be frame\. Rebuild the chain"):
        _ = PrepareChain(chain_from_record([{"step": "clahe"}]).steps).image_size


def test_a_step_that_does_not_say_what_it_does_cannot_be_made() -> None:
    with pytest.raises(TypeError, match=r"abstract method '?run'?"):
        Step()
    with pytest.raises(TypeError, match=r"abstract method '?apply'?"):
        PixelStep()


COURSE = [
    {"step": "clahe"},
    {"step": "binarize"},
    {"step": "remove_elements", "keep_largest": 1},
    {"step": "morphology", "operation": "close"},
    {"step": "crop_to_part"},
    {"step": "mask", "background": "neutral"},
]
"""The course's chain: contrast, binarization, cleaning, morphology, bounding rectangle, mask on the original photo."""


def part_on_noise() -> np.ndarray:
    """A dark 20x12 part with a scratch of colour, on a bright noisy background with one dark speck."""
    image = np.random.default_rng(3).integers(170, 200, (60, 50, 3), dtype=np.uint8)
    image[20:40, 15:27] = 40
    image[30, 15:27] = (200, 30, 30)
    image[5, 5] = 0
    return image


def test_the_mask_is_put_on_the_photo_as_it_was_decoded_and_cropped_with_it() -> None:
    image = part_on_noise()
    chain = build_chain(COURSE, image_size=(20, 20), fit="stretch")
    names, pictures = zip(*chain.trace(image), strict=True)
    assert names == ("clahe", "binarize", "remove_elements", "morphology", "crop_to_part", "mask", "frame")
    masked = pictures[5]
    np.testing.assert_array_equal(masked.shape, (*pictures[4].shape, 3))
    kept = pictures[4] > 0
    np.testing.assert_array_equal(masked[kept], image[19:41, 14:28][kept])  # not the pixels that CLAHE changed
    assert set(masked[~kept].ravel()) == {128}
    np.testing.assert_array_equal(pictures[6], chain(image))


def test_the_views_of_a_chain_without_tiles_are_its_one_picture(image: np.ndarray) -> None:
    chain = build_chain([{"step": "gamma"}], image_size=(24, 32), fit="crop")
    np.testing.assert_array_equal(chain.views(image), chain(image)[None])
    assert chain.tile is None


def test_tiles_go_through_the_rest_of_the_chain_one_by_one(image: np.ndarray) -> None:
    steps = [{"step": "gamma"}, {"step": "tile", "size": 32, "overlap": 0.0}, {"step": "equalize"}]
    chain = build_chain(steps, image_size=(16, 16), fit="stretch")
    views = chain.views(image)
    assert views.shape == (4, 16, 16, 3)
    assert chain.tile is not None
    assert chain.tile.combine == "max"
    rest = (
        build_chain([steps[0]], image_size=(40, 60), fit="stretch"),
        build_chain([steps[2]], image_size=(16, 16), fit="stretch"),
    )
    np.testing.assert_array_equal(views[0], rest[1](rest[0](image)[:32, :32]))
    np.testing.assert_array_equal(views[-1], rest[1](rest[0](image)[8:, 28:]))
    message = r"prepare step 2 \(tile\) makes several pictures of a photo.*Take the tile step out"
    with pytest.raises(RecipeError, match=message):
        chain(image)


def test_the_trace_of_tiles_shows_where_they_lie(image: np.ndarray) -> None:
    chain = build_chain([{"step": "tile", "size": 32}], image_size=(16, 16), fit="stretch")
    (name, outlined), (_, framed) = chain.trace(image)
    assert (name, outlined.shape) == ("tile", image.shape)
    assert (outlined != image).any()
    assert any((framed == view).all() for view in chain.views(image))


def test_number_steps_follow_the_frame_and_leave_the_pixels_alone(image: np.ndarray) -> None:
    steps = [{"step": "gamma"}, {"step": "rescale"}, {"step": "standardize", "by": "sample"}]
    chain = build_chain(steps, image_size=(24, 32), fit="crop")
    assert [record["step"] for record in chain.to_record()] == ["gamma", "frame", "rescale", "standardize"]
    assert [step.step for step in chain.numbers] == ["rescale", "standardize"]
    assert chain.image_size == (24, 32)
    np.testing.assert_array_equal(chain(image), build_chain(steps[:1], image_size=(24, 32), fit="crop")(image))
    assert chain_from_record(chain.to_record()) == chain


def test_whitening_that_would_not_fit_is_refused_when_the_chain_is_built() -> None:
    message = (
        r"prepare step 2 \(zca\): ZCA whitening of 224x224x3 photos would need 90\.6 GB for its matrix, over the limit "
        r"of 0\.2 GB\. Set data\.image_size to 48 or less"
    )
    with pytest.raises(RecipeError, match=message):
        build_chain([{"step": "gamma"}, {"step": "zca"}], image_size=(224, 224), fit="crop")


def test_a_refusal_names_the_step(image: np.ndarray) -> None:
    chain = build_chain([{"step": "crop", "top": 50, "unit": "pixels"}], image_size=(8, 8), fit="crop")
    with pytest.raises(
        PhotoRefused, match=r"prepare step 1 \(crop\): nothing of the photo, 60 pixels wide and 40 high, lies"
    ):
        chain(image)


def test_a_photo_of_too_many_tiles_names_the_step() -> None:
    chain = build_chain([{"step": "tile", "size": 1}], image_size=(8, 8), fit="crop")
    with pytest.raises(PhotoRefused, match=r"prepare step 1 \(tile\): it would be cut into 90,000 tiles"):
        chain.views(np.zeros((300, 300, 3), np.uint8))
    with pytest.raises(PhotoRefused, match=r"prepare step 1 \(tile\): it would be cut into"):
        chain.check_photo(np.zeros((300, 300, 3), np.uint8))


def test_the_closing_frame_is_not_the_users() -> None:
    for build in (chain_without_frame, lambda steps: build_chain(steps, image_size=(8, 8), fit="crop")):
        with pytest.raises(RecipeError, match=r"prepare step 1 must not be frame, which always comes last"):
            build([{"step": "frame"}])
        with pytest.raises(RecipeError) as caught:
            build([{"step": "frane"}])
        assert " frame," not in caught.value.message
        assert caught.value.hint == "Choose one of them."


def test_a_value_of_several_kinds_is_named_by_its_key_alone() -> None:
    with pytest.raises(RecipeError, match=r"prepare step 1 \(tile\): size must be greater than or equal to 1"):
        build_chain([{"step": "tile", "size": 0}], image_size=(8, 8), fit="crop")


def test_a_grey_photo_runs_in_one_channel_where_all_steps_allow_it() -> None:
    grey = part_on_noise()[..., 1].copy()
    for steps, expected in ((COURSE, True), ([{"step": "channel_order"}], False), ([], True)):
        chain = build_chain(steps, image_size=(20, 20), fit="letterbox")
        assert chain.is_channelwise is expected
        assert (chain.trace(grey)[0][1].ndim == 2) is (steps == COURSE)
        np.testing.assert_array_equal(chain(grey), chain(np.repeat(grey[..., None], 3, axis=2)))


def test_a_record_of_the_first_bundles_still_loads() -> None:
    record = [
        {"step": "clahe", "clip_limit": 2.0, "tile_grid": [8, 8]},
        {
            "step": "frame", "height": 24, "width": 32, "fit": "letterbox",
            "resize": "area when shrinking, cubic when growing (OpenCV)",
        },
    ]  # fmt: skip
    assert chain_from_record(record) == build_chain([{"step": "clahe"}], image_size=(24, 32), fit="letterbox")


def test_a_rule_about_several_parameters_speaks_for_itself() -> None:
    with pytest.raises(RecipeError) as caught:
        build_chain([{"step": "binarize", "method": "fixed"}], image_size=(8, 8), fit="stretch")
    assert caught.value.message == 'prepare step 1 (binarize): method "fixed" needs a threshold from 0 to 255.'
