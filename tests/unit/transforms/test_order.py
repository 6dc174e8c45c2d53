"""A chain that cannot work is refused before anything runs, with the step's number and name and the way out."""

from __future__ import annotations

import pytest

from teliti.errors import RecipeError
from teliti.transforms.order import check_order, fits_grey, kinds_between
from teliti.transforms.prepare import build_chain, chain_from_record


@pytest.mark.parametrize(
    ("names", "said", "hint"),
    [
        (
            ["clahe", "remove_elements"],
            "prepare step 2 (remove_elements) takes a binary image, but step 1 (clahe) gives colour.",
            "Put binarize before it.",
        ),
        (["fill_holes"], "prepare step 1 (fill_holes) takes a binary image, but a photo is colour.", "Put binarize"),
        (
            ["clahe", "binarize", "median", "clahe"],
            "prepare step 4 (clahe) takes a colour or grey image, but step 3 (median) gives binary.",
            "Put mask before it, which brings the photo back, or put it before step 2 (binarize).",
        ),
        (
            ["grey", "gamma", "channel"],
            "prepare step 3 (channel) takes a colour image, but step 2 (gamma) gives grey.",
            "Put it before step 1 (grey).",
        ),
        (
            ["rescale", "clahe"],
            "prepare step 2 (clahe) works on an image, but step 1 (rescale) gives numbers.",
            "Put it before step 1 (rescale).",
        ),
        (["tile", "tile"], "prepare step 2 (tile) cuts tiles, and step 1 (tile) does so already.", "Keep one of them."),
        (
            ["crop_to_part", "clahe", "mask_from_file"],
            "prepare step 3 (mask_from_file) needs the photo as it was decoded, but step 1 (crop_to_part) moves its "
            "pixels.",
            "Put it before step 1 (crop_to_part).",
        ),
    ],
)
def test_a_mistake_is_named_with_the_way_out(names: list[str], said: str, hint: str) -> None:
    with pytest.raises(RecipeError) as caught:
        build_chain([{"step": name} for name in names], image_size=(16, 16), fit="crop")
    assert caught.value.message == said
    assert caught.value.hint.startswith(hint)


def test_a_mask_for_a_photo_of_another_size_is_found_before_anything_runs() -> None:
    steps = [{"step": "filter", "padding": "valid"}, {"step": "binarize"}, {"step": "mask"}]
    with pytest.raises(RecipeError) as caught:
        chain_from_record(steps)
    assert caught.value.message == (
        "prepare step 3 (mask) puts a mask on the photo, but step 1 (filter) changes the size of the picture that the "
        "mask is made from."
    )
    assert caught.value.hint == "Let filter keep the size, or put it after step 3 (mask)."
    assert chain_from_record([{"step": "filter"}, *steps[1:]]).steps
    assert chain_from_record([*steps[1:], steps[0]]).steps


def test_a_mask_brings_the_photo_back_so_that_colour_steps_may_follow() -> None:
    chain = chain_from_record([{"step": name} for name in ("binarize", "fill_holes", "mask", "channel", "gamma")])
    assert kinds_between(chain.steps, "colour") == ["colour", "binary", "binary", "colour", "grey", "grey"]


@pytest.mark.parametrize(
    ("names", "fits"), [(["clahe", "binarize", "mask", "clahe"], True), (["channel"], False), (["mask"], False)]
)
def test_whether_a_grey_photo_can_run_in_one_channel(names: list[str], fits: bool) -> None:
    steps = [chain_from_record([{"step": name}]).steps[0] if name != "mask" else mask_step() for name in names]
    assert fits_grey(steps) is fits


def mask_step():
    return chain_from_record([{"step": "binarize"}, {"step": "mask"}]).steps[1]


def test_no_step_at_all_is_an_order_too() -> None:
    check_order([])
