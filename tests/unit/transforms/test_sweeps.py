"""Sweeps: mildest first, the neutral level changes nothing, and a level means the same for every photo."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from teliti.metrics.envelope import PROPERTIES
from teliti.transforms.sweeps import SWEEPS, Sweep

BY_NAME = {sweep.name: sweep for sweep in SWEEPS}


def draw_photo(*, colour: bool = True, side: int = 60) -> np.ndarray:
    """A blurred random picture with a bright square, uint8."""
    noise = np.random.default_rng(5).integers(60, 140, (side, side, 3)).astype(np.uint8)
    photo = cv2.GaussianBlur(noise, (0, 0), 2.0)
    photo[side // 3 : side // 2, side // 3 : side // 2] = 190
    return photo if colour else photo[..., 0].copy()


@pytest.mark.parametrize("sweep", SWEEPS, ids=BY_NAME)
@pytest.mark.parametrize("colour", [True, False])
def test_the_neutral_level_changes_nothing(sweep: Sweep, colour: bool) -> None:
    photo = draw_photo(colour=colour)
    for number in range(4):
        np.testing.assert_array_equal(sweep.change(photo, sweep.neutral, number), photo)


@pytest.mark.parametrize("sweep", SWEEPS, ids=BY_NAME)
def test_levels_go_away_from_neutral_and_change_photos_more_and_more(sweep: Sweep) -> None:
    away = [abs(level - sweep.neutral) for level in sweep.levels]
    assert away == sorted(set(away))
    assert away[0] > 0
    photo = draw_photo(side=300)
    before = photo.copy()
    changed = [cv2.resize(sweep.change(photo, level, 0), (300, 300)) for level in sweep.levels]
    distances = [float(np.abs(one.astype(int) - photo).mean()) for one in changed]
    assert distances[-1] > distances[0] > 0.0
    np.testing.assert_array_equal(photo, before)
    assert all(one.dtype == np.uint8 for one in changed)


@pytest.mark.parametrize("sweep", SWEEPS, ids=BY_NAME)
def test_the_same_photo_is_changed_alike_each_time(sweep: Sweep) -> None:
    photo = draw_photo()
    np.testing.assert_array_equal(sweep.change(photo, sweep.levels[2], 7), sweep.change(photo, sweep.levels[2], 7))


@pytest.mark.parametrize("name", ["rotation", "shift", "tint", "occlusion"])
def test_photos_take_turns_where_a_change_has_a_direction(name: str) -> None:
    photo, sweep = draw_photo(), BY_NAME[name]
    assert not np.array_equal(sweep.change(photo, sweep.levels[-1], 0), sweep.change(photo, sweep.levels[-1], 1))


def test_a_level_says_what_it_is() -> None:
    photo = draw_photo(colour=False)
    assert BY_NAME["darker"].change(photo, 0.5, 0).mean() == pytest.approx(photo.mean() / 2, abs=0.6)
    assert BY_NAME["pixels"].change(photo, 0.5, 0).shape == (30, 30)
    noisy = BY_NAME["noise"].change(np.full((200, 200), 120, np.uint8), 8.0, 0)
    assert noisy.std() == pytest.approx(8.0, rel=0.05)
    covered = BY_NAME["occlusion"].change(
        np.pad(np.zeros((50, 100), np.uint8), ((0, 50), (0, 0)), constant_values=254), 0.16, 0
    )
    assert (covered == 127).mean() == pytest.approx(0.16, abs=0.02)
    large = cv2.resize(photo, (600, 600), interpolation=cv2.INTER_CUBIC)
    twice = BY_NAME["blur"].change(large, 1.0, 0)
    np.testing.assert_array_equal(twice, cv2.GaussianBlur(large, (0, 0), 2.0, borderType=cv2.BORDER_REPLICATE))


def test_what_a_sweep_limits_is_in_the_envelope() -> None:
    assert {sweep.limits[0] for sweep in SWEEPS if sweep.limits} == set(PROPERTIES)
