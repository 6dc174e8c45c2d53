"""One menu over every registered augmentation: kind and size of the result, repeatability, nothing at strength zero."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teliti.transforms import policy_named
from teliti.transforms.augment import OPERATIONS, AugmentChain, augment_from_record, build_augment, photo_rng
from teliti.transforms.mixing import one_hot
from teliti.transforms.operations import BatchOperation, GeometricOperation, IntensityOperation, PhotoOperation

POLICIES = sorted(name for name in OPERATIONS.names() if OPERATIONS.get(name).__module__ == policy_named.__name__)
STRONG = {
    "blur": {"sigma": [1, 4]},
    "brightness": {"factor": 0.9},
    "channel_shift": {"amount": 200},
    "colour_jitter": {"saturation": 1.0, "hue": 180},
    "contrast": {"factor": 0.9},
    "crop_and_pad": {"crop": 0.4, "pad": 0.5, "fill": "reflect"},
    "cutmix": {"alpha": 1.0},
    "decolourise": {"strength": [1, 1]},
    "detexturise": {"sigma_space": 2, "sigma_level": 80},
    "enhance_edges": {"strength": [1, 10]},
    "erase": {"area": [0.1, 0.9], "fill": "mean"},
    "flip": {"horizontal": 1.0, "vertical": 1.0},
    "jpeg": {"quality": 1},
    "mixup": {"alpha": 1.0},
    "noise": {"std": [10, 128]},
    "rotate": {"degrees": 180, "fill": "wrap"},
    "salient_edges": {"low": 1, "high": 2},
    "shear": {"horizontal": 40, "vertical": 40},
    "shift": {"width": 1, "height": 1, "fill": "constant", "fill_value": 30},
    "turn": {"quarters": [1, 2, 3]},
    "zoom": {"scale": [0.1, 10], "keep_shape": False},
    **{name: {} for name in POLICIES},
}
"""Every augmentation with parameters near their ends; a new one must be added here and in `NONE`."""

NONE = {
    "blur": {"sigma": 0},
    "brightness": {"factor": 0},
    "channel_shift": {"amount": 0},
    "colour_jitter": {"saturation": 0, "hue": 0},
    "contrast": {"factor": 0},
    "crop_and_pad": {"crop": 0, "pad": 0},
    "cutmix": {"alpha": 0},
    "decolourise": {"strength": 0},
    "detexturise": {"strength": 0},
    "enhance_edges": {"strength": 0},
    "erase": {"area": 0},
    "flip": {"horizontal": 0, "vertical": 0},
    "jpeg": {"quality": 100},
    "mixup": {"alpha": 0},
    "noise": {"std": 0},
    "rotate": {"degrees": 0},
    "salient_edges": {"strength": 0},
    "shear": {"horizontal": 0, "vertical": 0},
    "shift": {"width": 0, "height": 0},
    "turn": {"quarters": [0]},
    "zoom": {"scale": 0},
    **{name: {"p": 0} for name in POLICIES},  # a policy has no strength, only a chance
}
"""Every augmentation at strength zero."""

PHOTO = sorted(name for name in OPERATIONS.names() if issubclass(OPERATIONS.get(name), PhotoOperation))
BATCH = sorted(name for name in OPERATIONS.names() if issubclass(OPERATIONS.get(name), BatchOperation))
SHAPES = [(1, 1, 3), (5, 3), (33, 48, 3), (48, 33), (2, 300, 3)]
seeds = st.integers(0, 2**32)
few = settings(max_examples=8)  # of each combination in the menu


def chain_of(name: str, parameters: dict) -> AugmentChain:
    return build_augment([{"step": name, **parameters}])


def noise(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(0, 256, shape, dtype=np.uint8)


def test_no_augmentation_is_left_out() -> None:
    assert set(STRONG) == set(NONE) == set(OPERATIONS.names())
    assert sorted(PHOTO + BATCH) == sorted(OPERATIONS.names())


@pytest.mark.parametrize("parameters", [STRONG, {name: {} for name in STRONG}], ids=["strong", "defaults"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", PHOTO)
@few
@given(seed=seeds)
def test_dtype_and_size_stay(name: str, shape: tuple[int, ...], parameters: dict, seed: int) -> None:
    image = noise(shape)
    before = image.copy()
    result = chain_of(name, parameters[name])(image, np.random.default_rng(seed))
    assert (result.shape, result.dtype) == (shape, np.uint8)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", PHOTO)
@few
@given(seed=seeds)
def test_strength_zero_is_the_identity(name: str, shape: tuple[int, ...], seed: int) -> None:
    np.testing.assert_array_equal(chain_of(name, NONE[name])(noise(shape), np.random.default_rng(seed)), noise(shape))


@pytest.mark.parametrize("name", PHOTO)
@few
@given(seed=seeds)
def test_probability_zero_is_the_identity(name: str, seed: int) -> None:
    chain = chain_of(name, {**STRONG[name], "p": 0.0})
    np.testing.assert_array_equal(chain(noise((33, 48, 3)), np.random.default_rng(seed)), noise((33, 48, 3)))


@pytest.mark.parametrize("name", PHOTO)
def test_it_does_something(name: str) -> None:
    image = noise((33, 48, 3))
    assert any((chain_of(name, STRONG[name])(image, photo_rng(1, "a", view)) != image).any() for view in range(4))


@pytest.mark.parametrize("name", PHOTO)
def test_the_same_seed_gives_the_same_pixels(name: str) -> None:
    first, again = (chain_of(name, STRONG[name])(noise((33, 48, 3)), photo_rng(3, "a", 1)) for _ in range(2))
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("name", PHOTO)
@few
@given(seed=seeds)
def test_a_draw_can_be_kept_as_json(name: str, seed: int) -> None:
    chain = chain_of(name, STRONG[name])
    draw = chain.draw(np.random.default_rng(seed), (33, 48))
    assert chain.draw_from_record(json.loads(json.dumps(draw.to_record()))) == draw
    assert chain.describe(draw) not in {"", "unchanged"}


@pytest.mark.parametrize("name", OPERATIONS.names())
def test_a_record_builds_the_equal_operation(name: str) -> None:
    chain = chain_of(name, STRONG[name])
    assert augment_from_record(json.loads(json.dumps(chain.to_record()))).operations == chain.operations


@pytest.mark.parametrize("name", PHOTO)
@few
@given(seed=seeds)
def test_only_geometry_moves_masks_and_boxes(name: str, seed: int) -> None:
    mask, boxes = noise((33, 48)), np.array([[3.0, 4.0, 20.0, 30.0]], dtype=np.float32)
    chain = chain_of(name, STRONG[name])
    moved = chain.apply(
        noise((33, 48, 3)), chain.draw(np.random.default_rng(seed), (33, 48)), masks=[mask], boxes_xyxy=boxes
    )
    assert (moved.masks[0].shape, moved.boxes_xyxy.shape) == (mask.shape, boxes.shape)
    if not issubclass(OPERATIONS.get(name), GeometricOperation):
        np.testing.assert_array_equal(moved.masks[0], mask)
        np.testing.assert_array_equal(moved.boxes_xyxy, boxes)


@pytest.mark.parametrize("name", [name for name in PHOTO if issubclass(OPERATIONS.get(name), GeometricOperation)])
@few
@given(seed=seeds)
def test_geometry_treats_a_grey_photo_as_one_channel_of_it(name: str, seed: int) -> None:
    grey, chain = noise((33, 48)), chain_of(name, STRONG[name])
    draw = chain.draw(np.random.default_rng(seed), (33, 48))
    colour = chain.apply(np.repeat(grey[..., None], 3, axis=2), draw).image
    np.testing.assert_array_equal(colour, np.repeat(chain.apply(grey, draw).image[..., None], 3, axis=2))


@pytest.mark.parametrize("name", [name for name in PHOTO if issubclass(OPERATIONS.get(name), IntensityOperation)])
@few
@given(seed=seeds)
def test_tables_keep_the_order_of_grey_levels(name: str, seed: int) -> None:
    operation = OPERATIONS.get(name)(step=name, **STRONG[name])
    table = operation.table(operation.draw(np.random.default_rng(seed).random(operation.units).tolist()))
    assert table.shape in {(256,), (256, 3)}
    assert (np.diff(table.astype(int), axis=0) >= 0).all()


@pytest.mark.parametrize("parameters", [STRONG, NONE], ids=["strong", "none"])
@pytest.mark.parametrize("shape", [(4, 9, 11, 3), (1, 9, 11), (3, 1, 1, 3)])
@pytest.mark.parametrize("name", BATCH)
def test_batches_keep_their_shape_and_their_label_weights(name: str, shape: tuple[int, ...], parameters: dict) -> None:
    images, weights = noise(shape), one_hot(np.arange(shape[0]) % 2, 2)
    mixed, labels = chain_of(name, parameters[name]).mix(images, weights, rng=np.random.default_rng(0))
    assert (mixed.shape, mixed.dtype, labels.shape) == (shape, np.uint8, weights.shape)
    np.testing.assert_allclose(labels.sum(axis=1), 1.0, atol=1e-6)
    if parameters is NONE:
        np.testing.assert_array_equal(mixed, images)
        np.testing.assert_array_equal(labels, weights)
