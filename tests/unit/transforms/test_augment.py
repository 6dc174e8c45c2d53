"""A chain of augmentations: one warp, one table, the same pixels from one seed, and all on a photo follows."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import teliti.transforms.augment as augment_module
from teliti.errors import RecipeError, UserError
from teliti.imaging.geometry import as_matrix, invert, warp
from teliti.transforms.augment import AugmentChain, augment_from_record, build_augment, photo_rng
from teliti.transforms.mixing import one_hot

EVERYDAY = [
    {"step": "flip", "horizontal": 0.5, "vertical": 0.5},
    {"step": "rotate", "degrees": 20},
    {"step": "shift", "width": 0.1, "height": 0.1},
    {"step": "shear", "horizontal": 10},
    {"step": "zoom", "scale": 0.2, "keep_shape": False},
    {"step": "brightness", "factor": 0.3},
    {"step": "contrast", "factor": 0.3},
    {"step": "channel_shift", "amount": 20},
    {"step": "noise", "std": 5, "p": 0.5},
    {"step": "erase", "p": 0.5},
]


def photo(side: int = 48) -> np.ndarray:
    """Slow waves and a bright square, (side, side, 3)."""
    y, x = np.mgrid[0:side, 0:side] / side
    image = np.rint(110 + 60 * np.stack([np.sin(4 * x), np.cos(3 * y), np.sin(3 * x * y)], axis=-1)).astype(np.uint8)
    image[12:24, 18:30] = 240
    return image


def drawn(chain: AugmentChain, seed: int = 0):
    return chain.draw(np.random.default_rng(seed), (48, 48))


def test_geometry_is_one_warp_by_the_product_of_all_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = build_augment(EVERYDAY[:5])
    draw = drawn(chain)
    product = np.eye(3)
    for operation, values in zip(chain.operations, draw.values, strict=True):
        product = as_matrix(operation.matrix(values, (48, 48))) @ product
    calls = []
    monkeypatch.setattr(
        augment_module, "warp", lambda image, matrix, **rest: calls.append(matrix) or warp(image, matrix, **rest)
    )
    result = chain.apply(photo(), draw).image
    assert len(calls) == 1
    np.testing.assert_allclose(as_matrix(calls[0]), product, atol=1e-9)
    np.testing.assert_array_equal(result, warp(photo(), chain.affine(draw)))


@pytest.mark.parametrize("grey", [False, True])
@given(st.integers(0, 2**32))
def test_tables_compose_in_the_chains_order(grey: bool, seed: int) -> None:
    chain = build_augment([{"step": "channel_shift"}, *EVERYDAY[5:8]])
    draw = drawn(chain, seed)
    image = photo()[..., 0] if grey else photo()
    expected = image
    for operation, values in zip(chain.operations, draw.values, strict=True):
        table = operation.table(values)
        if table.ndim == 2:
            table = table[:, :1] if grey else table
            channels = np.atleast_3d(expected)
            expected = np.stack([table[channels[..., c], c] for c in range(table.shape[1])], axis=-1).reshape(
                image.shape
            )
        else:
            expected = table[expected]
    np.testing.assert_array_equal(chain.apply(image, draw).image, expected)


@given(st.floats(0.0, 10.0))
def test_brightness_alone_needs_no_table_and_gives_what_it_would(factor: float) -> None:
    chain = build_augment([{"step": "brightness", "factor": [factor, factor]}])
    every_level = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 5, axis=1)
    table = chain.operations[0].table({"factor": factor})
    np.testing.assert_array_equal(chain(every_level, np.random.default_rng(0)), table[every_level])


@pytest.mark.parametrize("shape", [(48, 48, 3), (48, 48), (1, 1, 3), (5, 3)])
@given(seed=st.integers(0, 2**32))
def test_dtype_and_size_stay_and_the_photo_is_not_written_to(shape: tuple[int, ...], seed: int) -> None:
    image = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    before = image.copy()
    result = build_augment(EVERYDAY)(image, np.random.default_rng(seed))
    assert (result.shape, result.dtype) == (shape, np.uint8)
    np.testing.assert_array_equal(image, before)


@given(st.integers(0, 2**32))
def test_nothing_drawn_nothing_changed(seed: int) -> None:
    chain = build_augment([{**entry, "p": 0.0} for entry in EVERYDAY])
    image = photo()
    assert chain(image, np.random.default_rng(seed)) is image
    assert chain.describe(drawn(chain, seed)) == "unchanged"


def test_an_empty_chain_does_nothing() -> None:
    image = photo()
    assert build_augment([])(image, np.random.default_rng(0)) is image


@given(st.integers(0, 2**32))
def test_there_and_back_returns_the_interior(seed: int) -> None:
    chain = build_augment(EVERYDAY[:5])
    matrix = chain.affine(drawn(chain, seed))
    y, x = np.mgrid[0:48, 0:48] / 48
    smooth = np.rint(110 + 60 * np.sin(4 * x + 3 * y)).astype(np.uint8)
    returned = warp(warp(smooth, matrix), invert(matrix))
    assert np.abs(returned.astype(int) - smooth)[18:30, 18:30].max() <= 3


@pytest.mark.parametrize("fill", ["nearest", "constant", "reflect", "wrap"])
@given(seed=st.integers(0, 2**32))
def test_masks_and_boxes_stay_with_the_pixels(fill: str, seed: int) -> None:
    image = np.zeros((48, 48), dtype=np.uint8)
    image[18:28, 16:30] = 255
    chain = build_augment([{**EVERYDAY[0], "fill": fill}, *EVERYDAY[1:5]])
    moved = chain.apply(image, drawn(chain, seed), masks=[image], boxes_xyxy=np.array([[16, 18, 30, 28]]))
    (mask,), (box,) = moved.masks, moved.boxes_xyxy
    np.testing.assert_array_equal(mask[(moved.image > 190)], 255)
    np.testing.assert_array_equal(mask[(moved.image < 65)], 0)
    rows, columns = np.nonzero(mask)
    assert box[0] - 0.51 <= columns.min() < columns.max() + 1 <= box[2] + 0.51
    assert box[1] - 0.51 <= rows.min() < rows.max() + 1 <= box[3] + 0.51


def test_flips_alone_are_exact() -> None:
    chain = build_augment([{"step": "flip", "horizontal": 1.0}, {"step": "turn", "quarters": [1]}])
    np.testing.assert_array_equal(chain(photo(), np.random.default_rng(0)), np.rot90(photo()[:, ::-1]))


def test_the_same_photo_and_view_give_the_same_pixels_in_any_order_and_thread() -> None:
    chain = build_augment(EVERYDAY)
    jobs = [(name, view) for name in ("a.png", "b.png", "c.png") for view in range(4)]

    def work(job: tuple[str, int]) -> tuple[tuple[str, int], bytes]:
        return job, chain(photo(), photo_rng(7, *job)).tobytes()

    alone = dict(map(work, jobs))
    with ThreadPoolExecutor(4) as pool:
        together = dict(pool.map(work, jobs[::-1]))
    assert alone == together
    assert len(set(alone.values())) == len(jobs)


def test_seed_key_and_view_each_count() -> None:
    streams = [photo_rng(seed, key, view).random() for seed in (1, 2) for key in ("a", "b") for view in (0, 1)]
    assert len(set(streams)) == 8
    assert photo_rng(1, "a", 0).random() == photo_rng(1, b"a", 0).random()


def test_pixels_of_a_seed_never_change() -> None:
    """A change here means that augmented photos of an old run cannot be made again: say so in the changelog."""
    draw = build_augment([{"step": "rotate", "degrees": 20}]).draw(photo_rng(7, "part-1.png", 3), (48, 48))
    assert draw.values[0]["degrees"] == pytest.approx(6.625065924383588, abs=1e-12)


def test_values_of_one_operation_do_not_depend_on_the_settings_of_another() -> None:
    changed = [{"step": "flip", "p": 0.0}, *EVERYDAY[1:]]
    usual, other = drawn(build_augment(EVERYDAY), 5), drawn(build_augment(changed), 5)
    assert usual.values[1:] == other.values[1:]


@given(st.integers(0, 2**32))
def test_a_draw_survives_json_and_makes_the_same_photo(seed: int) -> None:
    chain = build_augment(EVERYDAY)
    draw = drawn(chain, seed)
    again = chain.draw_from_record(json.loads(json.dumps(draw.to_record())))
    assert again == draw
    np.testing.assert_array_equal(chain.apply(photo(), again).image, chain.apply(photo(), draw).image)


def test_a_draw_of_another_chain_is_refused() -> None:
    record = drawn(build_augment(EVERYDAY[:2])).to_record()
    with pytest.raises(RecipeError, match="The draw must be of the chain shift, got one of flip, rotate"):
        build_augment([{"step": "shift"}]).draw_from_record(record)


def test_a_draw_applies_to_another_size() -> None:
    chain = build_augment([{"step": "shift", "width": [0.25, 0.25], "height": 0}])
    draw = drawn(chain)
    np.testing.assert_array_equal(chain.apply(photo()[:20, :40], draw).image[:, 10:], photo()[:20, :30])


def test_a_record_builds_the_equal_chain() -> None:
    chain = build_augment([*EVERYDAY, {"step": "mixup", "alpha": 0.3}])
    again = augment_from_record(json.loads(json.dumps(chain.to_record())))
    assert again.operations == chain.operations
    np.testing.assert_array_equal(again(photo(), photo_rng(1, "a", 0)), chain(photo(), photo_rng(1, "a", 0)))


def test_a_draw_is_described_in_words() -> None:
    chain = build_augment(
        [{"step": "rotate", "degrees": [5, 5]}, {"step": "noise", "p": 0.0}, {"step": "brightness", "factor": [2, 2]}]
    )
    assert chain.describe(drawn(chain)) == "rotated by 5.0 degrees; brightness times 2.00"


def test_the_fill_is_one_for_the_chain() -> None:
    chain = build_augment([{"step": "rotate"}, {"step": "shift", "fill": "constant", "fill_value": [1, 2, 3]},
                           {"step": "zoom", "fill": "constant"}])  # fmt: skip
    assert (chain.fill, chain.fill_value) == ("constant", (1.0, 2.0, 3.0))
    assert build_augment([{"step": "rotate"}]).fill == "nearest"


def test_two_fills_are_refused() -> None:
    with pytest.raises(RecipeError, match="fill must be one for all geometric augmentations, got reflect and wrap"):
        build_augment([{"step": "rotate", "fill": "wrap"}, {"step": "shift", "fill": "reflect"}])


def test_batches_are_mixed_by_probability() -> None:
    images, weights = np.stack([photo(), 255 - photo()]), one_hot(np.array([0, 1]), 2)
    never = build_augment([{"step": "mixup", "alpha": 1.0, "p": 0.0}])
    assert never.mix(images, weights, rng=np.random.default_rng(0))[0] is images
    both = build_augment([{"step": "mixup", "alpha": 1.0}, {"step": "cutmix"}])
    assert both.mixes
    assert not build_augment(EVERYDAY).mixes
    mixed, labels = both.mix(images, weights, rng=np.random.default_rng(1))
    assert (mixed != images).any()
    np.testing.assert_allclose(labels.sum(axis=1), 1.0, atol=1e-6)


def test_a_batch_of_numbers_is_refused() -> None:
    chain = build_augment([{"step": "mixup"}])
    with pytest.raises(UserError, match="images must be uint8"):
        chain.mix(np.zeros((2, 4, 4, 3)), np.ones((2, 2)), rng=np.random.default_rng(0))


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"step": "rotat"}, r'augment step 2: augmentation must be one of .*, got \'rotat\'. Did you mean "rotate"\?'),
        ({}, r"augment step 2: augmentation must be one of .*, got ''"),
        ({"step": "rotate", "degree": 5}, r'\(rotate\): degree is not one of its parameters. Did you mean "degrees"'),
        ({"step": "rotate", "zzz": 5}, r"zzz is not one of its parameters. Its parameters are p, fill, fill_value, "),
        ({"step": "rotate", "degrees": 200},
         r"\(rotate\): degrees must be a number or a pair \(low, high\) that stays within -180 to 180, got 200"),
        ({"step": "flip", "p": 1.5}, r"\(flip\): p must be less than or equal to 1, got 1.5"),
        ({"step": "rotate", "fill": "mirror"}, r"fill must be 'nearest', 'constant', .*, got 'mirror'"),
        ({"step": "jpeg", "quality": 0}, r"quality must be greater than or equal to 1, got 0"),
        ({"step": "turn", "quarters": []}, r"\(turn\): quarters .*, got \[\]"),
    ],
)  # fmt: skip
def test_mistakes_name_the_entry_and_the_way_out(entry: dict, sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        build_augment([{"step": "flip"}, entry])


@pytest.mark.parametrize("image", [np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8), np.zeros(4, np.uint8)])
def test_other_photos_are_refused(image: np.ndarray) -> None:
    chain = build_augment([{"step": "flip"}])
    with pytest.raises(UserError, match=r"The photo must be uint8 of shape \(H, W, 3\) or \(H, W\), got"):
        chain(image, np.random.default_rng(0))
    with pytest.raises(UserError, match="The photo must be uint8"):
        chain.apply(image, drawn(chain))


@pytest.mark.parametrize("mask", [np.zeros((48, 47), np.uint8), np.zeros((48, 48), bool)])
def test_other_masks_are_refused(mask: np.ndarray) -> None:
    chain = build_augment([{"step": "flip"}])
    with pytest.raises(UserError, match=r"A mask must be uint8 of shape \(48, 48\), as its photo, got"):
        chain.apply(photo(), drawn(chain), masks=[mask])
