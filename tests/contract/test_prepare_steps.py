"""One menu over every registered prepare step: kind and size of the result, determinism, record, threads, grey."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from teliti.errors import RecipeError
from teliti.transforms.prepare import STEPS, Step, build_chain, chain_from_record
from teliti.transforms.steps import Kind, NumberStep, Working

PARAMETERS: dict[str, list[dict]] = {
    "binarize": [
        {},
        {"method": "fixed", "threshold": 99, "polarity": "dark"},
        {"method": "triangle"},
        {"method": "adaptive_mean", "block_size": 5},
        {"method": "adaptive_gaussian", "offset": 2.5, "polarity": "bright"},
    ],
    "center": [{}, {"by": "sample", "per_channel": True}],
    "channel": [{}, {"channel": "b"}],
    "channel_order": [{}, {"order": "gbr"}],
    "clahe": [{}, {"clip_limit": 5.0, "tile_grid": [2, 3]}],
    "colour_plane": [{}, {"plane": "hue"}, {"plane": "lightness"}],
    "crop": [{}, {"top": 0.25, "left": 0.5, "height": 0.5, "width": 0.5}],
    "crop_to_part": [{}, {"margin": 2, "unit": "pixels"}],
    "decolourise": [{}, {"strength": 0.4}],
    "despeckle": [{}, {"size": 5, "threshold": 10}],
    "detexturise": [{}, {"strength": 0.5, "rounds": 1}],
    "enhance_edges": [{}, {"strength": 3.0}],
    "equalize": [{}],
    "fill_holes": [{}, {"max_area": 6, "unit": "pixels", "connectivity": 4}],
    "filter": [{}, {"kernel": "sobel", "negative": "middle"}, {"kernel": [[0, 1], [1, -1]], "stride": 2}],
    "flatten_illumination": [{}, {"method": "subtract", "sigma": 0.5}],
    "frame": [{"height": 20, "width": 31}, {"height": 64, "width": 64, "fit": "stretch"}],
    "gamma": [{}, {"gamma": 2.2}],
    "grey": [{}],
    "mask": [{}, {"background": "blurred", "blur": 3.0}, {"background": "mean"}, {"background": "neutral"}],
    "mask_from_file": [{}, {"apply": False, "pattern": "../masks/{stem}.png", "part": "dark"}],
    "median": [{}, {"size": 7}],
    "morphology": [{}, {"operation": "gradient", "shape": "cross", "size": [3, 7], "iterations": 2}],
    "remove_elements": [{}, {"keep_largest": 1, "clear_border": True}],
    "rescale": [{}, {"factor": 2.0, "offset": -1.0}],
    "salient_edges": [{}, {"low": 1.0, "high": 5.0}],
    "segment": [
        {},
        {"method": "kmeans", "clusters": 3},
        {"method": "watershed", "core": 0.8},
        {"method": "grabcut", "apply": True, "background": "blurred"},
    ],
    "standardize": [{}, {"by": "sample", "eps": 1e-3}],
    "tile": [{"size": 16}, {"size": [8, 30], "overlap": 0.5, "combine": "mean"}],
    "upright": [{}, {"long_side": "horizontal", "margin": 1, "unit": "pixels"}],
    "zca": [{}, {"eps": 0.1, "max_megabytes": 600}],
}
"""Every step with parameters to try; a new step must be added here."""

SHAPES = [(1, 1), (5, 3), (33, 48), (64, 64), (300, 2)]
CASES = [(name, parameters) for name, several in PARAMETERS.items() for parameters in several]
every_case = pytest.mark.parametrize(("name", "parameters"), CASES)


def make(name: str, parameters: dict) -> Step:
    return STEPS.get(name).model_validate({"step": name, **parameters})


def photo(shape: tuple[int, int], kind: Kind = "colour") -> np.ndarray:
    """A turned bright part on a darker background with noise; of the kind that is asked for."""
    rng = np.random.default_rng(sum(shape))
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    along, across = (rows - shape[0] / 2) * 0.8 + (columns - shape[1] / 3) * 0.6, columns * 0.8 - rows * 0.6
    part = (np.abs(along) < 0.3 * shape[0]) & (np.abs(across) < 0.3 * max(shape))
    if kind == "binary":
        return np.where(part, 255, 0).astype(np.uint8)
    noise = rng.integers(0, 60, shape if kind == "grey" else (*shape, 3))
    return (noise + np.where(part, 180, 30).reshape(*shape, *[1] * (noise.ndim - 2))).astype(np.uint8)


def working(shape: tuple[int, int], kind: Kind) -> Working:
    image = photo(shape, kind)
    original = image if kind == "colour" else photo(shape, "colour")
    return Working(image, original, lambda _: photo(shape, "binary"), kind)


def runnable(name: str, parameters: dict) -> list[dict]:
    """The step, after one that makes the kind of picture it takes."""
    step = make(name, parameters)
    return [*([] if "colour" in step.takes else [{"step": "binarize"}]), {"step": name, **parameters}]


def test_no_step_is_left_out() -> None:
    assert set(PARAMETERS) == set(STEPS.names())


@every_case
@pytest.mark.parametrize("shape", SHAPES)
def test_every_kind_that_it_takes_gives_the_kind_and_size_that_it_says(
    name: str, parameters: dict, shape: tuple[int, int]
) -> None:
    step = make(name, parameters)
    assert step.takes
    for kind in sorted(step.takes):
        before = working(shape, kind)
        after = step.run(before)
        assert after.image.dtype == np.uint8
        assert after.image.size > 0
        assert after.image.ndim == (3 if step.gives(kind) == "colour" else 2), kind
        if step.gives(kind) == "binary":
            assert set(np.unique(after.image)) <= {0, 255}
        if step.moves:
            assert after.original.shape[:2] == after.image.shape[:2]
        elif step.keeps_size:
            assert after.image.shape[:2] == shape


@every_case
def test_the_same_photo_gives_the_same_pixels_and_is_not_written_to(name: str, parameters: dict) -> None:
    for kind in sorted(make(name, parameters).takes):
        photos = working((33, 48), kind)
        before = photos.image.copy(), photos.original.copy()
        for array in (photos.image, photos.original):
            array.flags.writeable = False
        first, second = (make(name, parameters).run(photos) for _ in range(2))
        np.testing.assert_array_equal(first.image, second.image)
        np.testing.assert_array_equal(first.original, second.original)
        np.testing.assert_array_equal(photos.image, before[0])
        np.testing.assert_array_equal(photos.original, before[1])


@every_case
def test_the_record_has_every_parameter_and_builds_the_equal_step(name: str, parameters: dict) -> None:
    step = make(name, parameters)
    record = step.model_dump(mode="json")
    assert set(record) == set(type(step).model_fields)
    assert STEPS.get(name).model_validate(json.loads(json.dumps(record))) == step


@pytest.mark.parametrize("name", STEPS.names())
def test_a_parameter_that_it_does_not_have_is_refused(name: str) -> None:
    with pytest.raises(RecipeError, match=rf"prepare step 1 \({name}\): no_such_parameter"):
        chain_from_record([{"step": name, **PARAMETERS[name][0], "no_such_parameter": 1}])


IMAGE_CASES = [case for case in CASES if case[0] != "frame"]


@pytest.mark.parametrize(("name", "parameters"), IMAGE_CASES)
def test_a_chain_with_it_gives_the_networks_size_also_when_it_is_read_back(name: str, parameters: dict) -> None:
    chain = build_chain(runnable(name, parameters), image_size=(16, 24), fit="letterbox")
    again = chain_from_record(json.loads(json.dumps(chain.to_record())))
    assert again == chain
    for image in (photo((33, 48)), photo((7, 5)), photo((33, 48), "grey")):
        mask = photo(image.shape[:2], "binary")
        views = chain.views(image, lambda _, mask=mask: mask)
        assert views.shape[1:] == (16, 24, 3)
        assert len(views) == 1 or chain.tile is not None
        assert views.flags.c_contiguous
        np.testing.assert_array_equal(again.views(image, lambda _, mask=mask: mask), views)


@pytest.mark.parametrize(("name", "parameters"), IMAGE_CASES)
def test_threads_do_not_change_the_pixels(name: str, parameters: dict) -> None:
    chain = build_chain(runnable(name, parameters), image_size=(24, 16), fit="stretch")
    photos = [photo((height, 40)) for height in (20, 31, 33, 47, 20, 31)]

    def prepare(image: np.ndarray) -> np.ndarray:
        return chain.views(image, lambda _: photo(image.shape[:2], "binary"))

    alone = [prepare(image) for image in photos]
    with ThreadPoolExecutor(4) as pool:
        for one, other in zip(alone, pool.map(prepare, photos), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("name", "parameters"), IMAGE_CASES)
@pytest.mark.parametrize("fit", ["letterbox", "stretch", "crop"])
def test_a_grey_photo_in_one_channel_gets_the_bits_of_three_equal_ones(name: str, parameters: dict, fit: str) -> None:
    steps = runnable(name, parameters)
    for size in ((16, 24), (56, 40)):
        chain = build_chain(steps, image_size=size, fit=fit)
        for shape in [*SHAPES, (47, 101)]:
            grey, mask = photo(shape, "grey"), photo(shape, "binary")
            in_three = chain.views(np.repeat(grey[..., None], 3, axis=2), lambda _, mask=mask: mask)
            np.testing.assert_array_equal(chain.views(grey, lambda _, mask=mask: mask), in_three)


RUN_IN_THREE = {"channel", "channel_order", "colour_plane", "detexturise"}


@pytest.mark.parametrize("name", sorted(set(STEPS.names()) - {"frame"}))
def test_which_steps_run_in_one_channel_is_known(name: str) -> None:
    chain = build_chain(runnable(name, PARAMETERS[name][0]), image_size=(16, 16), fit="stretch")
    assert chain.is_channelwise == (name not in RUN_IN_THREE)


@pytest.mark.parametrize("name", STEPS.names())
def test_numbers_leave_the_pixels_alone(name: str) -> None:
    step = make(name, PARAMETERS[name][0])
    if isinstance(step, NumberStep):
        before = working((5, 7), "colour")
        assert step.run(before) is before
    else:
        assert name not in {"rescale", "center", "standardize", "zca"}
