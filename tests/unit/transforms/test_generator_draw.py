"""Drawn parameters: inside their ranges, JSON-ready, and from a generator of one's own."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teliti.workflow.generator import ImageDataGenerator

SHAPE = (40, 20, 3)
FULL = ImageDataGenerator(
    rotation_range=30, width_shift_range=0.25, height_shift_range=5.0, shear_range=12, zoom_range=(0.8, 1.1),
    channel_shift_range=9, brightness_range=(0.5, 1.5), horizontal_flip=True, vertical_flip=True,
)  # fmt: skip


@given(seed=st.integers(0, 2**32 - 1))
def test_parameters_lie_in_their_ranges(seed: int) -> None:
    drawn = FULL.get_random_transform(SHAPE, seed=seed)
    assert abs(drawn["theta"]) <= 30
    assert abs(drawn["ty"]) <= 0.25 * 20
    assert abs(drawn["tx"]) <= 5.0
    assert abs(drawn["shear"]) <= 12
    assert 0.8 <= min(drawn["zx"], drawn["zy"]) <= max(drawn["zx"], drawn["zy"]) <= 1.1
    assert len(drawn["channel_shift_intensity"]) == 3
    assert max(map(abs, drawn["channel_shift_intensity"])) <= 9
    assert 0.5 <= drawn["brightness"] <= 1.5
    assert json.loads(json.dumps(drawn)) == drawn


def test_same_seed_same_parameters_and_the_global_generator_untouched() -> None:
    before = np.random.get_state()[1].copy()
    assert FULL.get_random_transform(SHAPE, seed=4) == FULL.get_random_transform(SHAPE, seed=4)
    assert FULL.get_random_transform(SHAPE) != FULL.get_random_transform(SHAPE)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


@pytest.mark.parametrize(
    ("reach", "possible"),
    [
        (1, {0.0}),
        (3, {-2.0, -1.0, 0.0, 1.0, 2.0}),
        ([2, 5], {-5.0, -2.0, 2.0, 5.0}),
        ([0.1, 0.5], {-10.0, -2.0, 2.0, 10.0}),
        (0, {0.0}),
    ],
)
def test_kinds_of_shift(reach: object, possible: set[float]) -> None:
    generator = ImageDataGenerator(width_shift_range=reach)
    assert {generator.get_random_transform(SHAPE, seed=seed)["ty"] for seed in range(80)} == possible


def test_flips_come_about_half_of_the_time() -> None:
    flips = [FULL.get_random_transform(SHAPE, seed=seed)["flip_horizontal"] for seed in range(400)]
    assert 160 < sum(flips) < 240


def test_one_channel_shift_for_all_where_asked() -> None:
    together = ImageDataGenerator(channel_shift_range=9, channel_shift="together")
    assert isinstance(together.get_random_transform(SHAPE, seed=0)["channel_shift_intensity"], float)


def test_channels_first_takes_its_own_axes() -> None:
    first = ImageDataGenerator(height_shift_range=[0.5], width_shift_range=[0.25], data_format="channels_first")
    drawn = first.get_random_transform((3, 40, 20), seed=0)
    assert (abs(drawn["tx"]), abs(drawn["ty"])) == (20.0, 5.0)
