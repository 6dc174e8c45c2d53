"""Augmentation by torch against the same draws by NumPy and OpenCV, and the rule that divides a chain."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from teliti.training.augment_tensors import blur_levels, luminance_of, map_levels, to_levels, turn_colours, warp_photos
from teliti.training.device_augment import DeviceAugment, LeftToDo
from teliti.transforms.augment import Draw, build_augment, photo_rng
from teliti.transforms.mixing import one_hot
from teliti.transforms.operations_colour import colour_matrix

FEW = settings(max_examples=5)
CHAIN = [
    {"step": "flip", "vertical": 0.5}, {"step": "rotate", "degrees": 40, "fill": "reflect"}, {"step": "contrast"},
    {"step": "channel_shift", "p": 0.5}, {"step": "blur", "p": 0.5}, {"step": "erase", "fill": "mean"},
    {"step": "mixup", "alpha": 1.0}, {"step": "cutmix"},
]  # fmt: skip


def photos(count: int = 4, size: tuple[int, int] = (11, 14), *, seed: int = 0) -> np.ndarray:
    """Noise, on which an interpolation that is off by a hundredth of a pixel shows."""
    return np.random.default_rng(seed).integers(0, 256, (count, *size, 3), dtype=np.uint8)


def both_ways(steps: list[dict[str, Any]], images: np.ndarray, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The photos by the chain, each alone and then mixed, and by `DeviceAugment` on the CPU, all at once."""
    chain = build_augment(steps)
    drawn = [chain.draw(photo_rng(seed, str(place), 0), images.shape[1:3]) for place in range(len(images))]
    rows = np.stack([chain.apply(image, draw).image for image, draw in zip(images, drawn, strict=True)])
    mixed, _ = chain.mix(rows, one_hot(np.arange(len(images)), len(images)), rng=np.random.default_rng(seed))
    return mixed, on_device(DeviceAugment(chain), images, seed=seed)


def on_device(divided: DeviceAugment, images: np.ndarray, *, seed: int = 0) -> np.ndarray:
    begun = [divided.begin(image, photo_rng(seed, str(place), 0)) for place, image in enumerate(images)]
    draws: tuple[Draw, ...] = tuple(draw for _, draw in begun)
    mixtures = divided.chain.draw_mixtures(len(images), images.shape[1:3], rng=np.random.default_rng(seed))
    sent = torch.from_numpy(np.stack([image for image, _ in begun]))
    return divided.finish(sent, LeftToDo(draws, tuple(mixtures))).numpy()


def differences(steps: list[dict[str, Any]], images: np.ndarray, *, seed: int = 0) -> np.ndarray:
    expected, found = both_ways(steps, images, seed=seed)
    assert found.dtype == np.uint8
    return np.abs(found.astype(int) - expected)


@pytest.mark.parametrize(
    "step",
    [
        {"step": "flip", "horizontal": 0.5, "vertical": 0.5}, {"step": "turn"}, {"step": "brightness", "factor": 0.9},
        {"step": "contrast", "factor": 0.9}, {"step": "channel_shift", "amount": 200},
        {"step": "channel_shift", "amount": 99, "per_channel": False}, {"step": "erase", "fill": "mean"},
        {"step": "erase", "fill": 37, "area": [0.0, 0.9]}, {"step": "cutmix"},
        {"step": "colour_jitter", "saturation": [0, 10], "hue": 180}, {"step": "shift", "width": 0.0, "height": 0.0},
    ],
)  # fmt: skip
@FEW
@given(seed=st.integers(0, 99))
def test_what_is_counted_in_whole_levels_and_pixels_is_equal(step: dict[str, Any], seed: int) -> None:
    assert differences([step], photos(size=(12, 12), seed=seed), seed=seed).max() == 0


@pytest.mark.parametrize("fill", ["nearest", "reflect", "wrap", "constant"])
@pytest.mark.parametrize(
    "step",
    [
        {"step": "rotate", "degrees": 180}, {"step": "shift", "width": 1, "height": 1},
        {"step": "zoom", "scale": [0.1, 10], "keep_shape": False}, {"step": "shear", "horizontal": 40, "vertical": 40},
        {"step": "crop_and_pad", "crop": 0.4, "pad": 0.5}, {"step": "turn"},
    ],
)  # fmt: skip
def test_a_warp_is_that_of_opencv_to_a_level(step: dict[str, Any], fill: str) -> None:
    found = differences([{**step, "fill": fill, "fill_value": [10, 200, 90]}], photos(8), seed=3)
    assert found.max() <= 1
    assert found.mean() < 0.01


@pytest.mark.parametrize(
    ("step", "most"),
    [
        ({"step": "blur", "sigma": [0, 6]}, 1), ({"step": "decolourise"}, 1), ({"step": "enhance_edges"}, 1),
        ({"step": "mixup", "alpha": 1.0}, 1), ({"step": "blur", "sigma": 0}, 0),
        ({"step": "enhance_edges", "strength": 0}, 0),
    ],
)  # fmt: skip
def test_a_weighted_sum_is_that_of_opencv_to_a_level(step: dict[str, Any], most: int) -> None:
    found = differences([step], photos(6, (17, 12)))
    assert found.max() <= most
    assert found.mean() < 0.3


def test_a_whole_chain_is_that_of_the_cpu_to_a_few_levels() -> None:
    """Contrast and mixing carry a level of the warp on; nothing else does."""
    found = differences(CHAIN, photos(8, (24, 20)), seed=5)
    assert found.max() <= 4
    assert found.mean() < 0.3


def test_noise_has_the_drawn_strength_and_is_the_same_every_time() -> None:
    grey = np.full((3, 64, 64, 3), 128, dtype=np.uint8)
    divided = DeviceAugment(build_augment([{"step": "noise", "std": [12, 12]}]))
    noisy = on_device(divided, grey).astype(float) - 128.0
    assert noisy.std() == pytest.approx(12.0, abs=0.2)
    assert abs(noisy.mean()) < 0.2
    assert np.array_equal(on_device(divided, grey).astype(float) - 128.0, noisy)
    assert abs(np.corrcoef(noisy[0].ravel(), noisy[1].ravel())[0, 1]) < 0.05
    assert not np.array_equal(noisy[..., 0], noisy[..., 1])
    alike = on_device(DeviceAugment(build_augment([{"step": "noise", "per_channel": False}])), grey)
    assert np.array_equal(alike[..., 0], alike[..., 1])


def test_what_is_erased_by_noise_is_the_rectangle_of_the_cpu() -> None:
    images = np.full((6, 20, 20, 3), 7, dtype=np.uint8)
    expected, found = both_ways([{"step": "erase", "area": [0.1, 0.5]}], images)
    assert ((expected != 7).any(axis=3) == (found != 7).any(axis=3)).mean() > 0.99  # noise may be 7 by chance
    assert np.unique(found).size > 200


def test_a_photos_pixels_do_not_depend_on_its_batch() -> None:
    images = photos(6)
    divided = DeviceAugment(
        build_augment([{"step": "rotate", "p": 0.5}, {"step": "noise", "p": 0.5}, {"step": "blur"}])
    )
    assert np.array_equal(on_device(divided, images)[:2], on_device(divided, images[:2]))


def test_the_photos_that_are_given_stay_as_they_are() -> None:
    images = photos()
    before = images.copy()
    both_ways(CHAIN, images)
    assert np.array_equal(images, before)


def test_a_grey_photo_has_one_channel() -> None:
    levels = photos(3)[..., :1]
    steps = [{"step": "rotate"}, {"step": "channel_shift"}, {"step": "colour_jitter"}, {"step": "decolourise"},
             {"step": "enhance_edges"}, {"step": "noise", "std": 0}]  # fmt: skip
    chain = build_augment(steps)
    found = on_device(DeviceAugment(chain), levels)
    for place, image in enumerate(levels):
        expected = chain(image[..., 0], photo_rng(0, str(place), 0)).astype(int)
        assert np.abs(found[place, ..., 0] - expected).max() <= 2


@pytest.mark.parametrize(
    ("steps", "on_cpu"),
    [
        ([{"step": "blur"}, {"step": "noise"}], 0),
        ([{"step": "flip"}, {"step": "blur"}, {"step": "jpeg"}, {"step": "erase"}], 2),
        ([{"step": "jpeg"}, {"step": "noise"}, {"step": "salient_edges"}, {"step": "mixup"}], 3),
    ],
)
def test_everything_after_the_last_operation_without_a_form_is_done_on_the_device(
    steps: list[dict[str, Any]], on_cpu: int
) -> None:
    chain, image = build_augment(steps), photos(1, (16, 16))[0]
    divided = DeviceAugment(chain)
    begun, draw = divided.begin(image, photo_rng(0, "a", 0))
    assert divided.has_work
    assert np.array_equal(begun, chain.change_first(image, draw, pixel_operations=on_cpu) if on_cpu else image)


def test_a_divided_chain_is_that_of_the_cpu_to_a_level() -> None:
    found = differences([{"step": "rotate"}, {"step": "jpeg"}, {"step": "blur", "p": 0.6}], photos(6, (16, 16)))
    assert found.max() <= 1


def test_a_chain_without_any_form_has_no_work_for_the_device() -> None:
    assert not DeviceAugment(build_augment([{"step": "flip"}, {"step": "detexturise"}])).has_work
    assert DeviceAugment(build_augment([{"step": "detexturise"}, {"step": "cutmix"}])).has_work


def test_a_process_gets_its_part_of_the_mixed_photos() -> None:
    images, chain = photos(5), build_augment([{"step": "mixup", "alpha": 1.0}])
    draws = tuple(chain.draw(photo_rng(0, str(place), 0), (11, 14)) for place in range(5))
    mixtures = tuple(chain.draw_mixtures(5, (11, 14), rng=np.random.default_rng(0)))
    whole, part = (
        DeviceAugment(chain).finish(torch.from_numpy(images), LeftToDo(draws, mixtures, own))
        for own in (slice(None), slice(2, 4))
    )
    assert torch.equal(whole[2:4], part)


@FEW
@given(seed=st.integers(0, 99), sigma=st.floats(0.3, 5.0))
def test_the_pieces_by_their_own_oracles(seed: int, sigma: float) -> None:
    images = photos(2, (9, 13), seed=seed)
    sent = torch.from_numpy(images)
    rng = np.random.default_rng(seed)
    tables = rng.integers(0, 256, (2, 256, 3), dtype=np.uint8)
    by_hand = [[[tables[n, images[n, y, x, c], c] for c in range(3)] for x in range(13)] for n in (1,) for y in (4,)]
    assert map_levels(sent, tables)[1, 4].tolist() == by_hand[0]
    assert np.array_equal(luminance_of(sent)[0, ..., 0], cv2.cvtColor(images[0], cv2.COLOR_RGB2GRAY))
    matrix = colour_matrix(1.7, 77.0)
    exact = np.clip(np.rint(images[0] @ matrix.T), 0, 255)
    assert np.abs(turn_colours(sent, [matrix, matrix])[0].numpy() - exact).max() <= 1
    blurred = cv2.GaussianBlur(images[1].astype(np.float32), (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    assert np.abs(blur_levels(sent.float(), [1.0, sigma], widths=4)[1].numpy() - blurred).max() < 0.01


def test_a_shift_by_half_a_pixel_is_the_mean_of_two() -> None:
    row = torch.tensor([0, 10, 20, 60], dtype=torch.uint8).view(1, 1, 4, 1)
    half = [(1.0, 0.0, 0.5, 0.0, 1.0, 0.0)]
    assert warp_photos(row, half, fill="nearest").flatten().tolist() == [0, 5, 15, 40]
    assert warp_photos(row, half, fill="wrap").flatten().tolist() == [30, 5, 15, 40]
    assert warp_photos(row, half, fill="constant", value=100.0).flatten().tolist() == [50, 5, 15, 40]


def test_levels_are_rounded_to_even_and_kept_in_their_range() -> None:
    assert to_levels(torch.tensor([-3.0, 0.5, 1.5, 254.6, 300.0])).tolist() == [0, 0, 2, 255, 255]
