"""Conditions of a photo: each number follows what it is named after, and nothing else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from teliti.data.conditions import Conditions, condition_look, measure_conditions


def draw_disc(*, side: int = 240, radius: int = 60, level: int = 180) -> np.ndarray:
    """A bright disc on a dark, slightly noisy ground, (side, side) uint8."""
    photo = np.random.default_rng(3).integers(20, 40, (side, side)).astype(np.uint8)
    cv2.circle(photo, (side // 2, side // 2), radius, level, -1)
    return photo


def test_light_is_the_mean_grey_level() -> None:
    assert measure_conditions(np.full((50, 70), 93, np.uint8)).light == pytest.approx(93.0)
    photo = draw_disc()
    half = cv2.convertScaleAbs(photo, alpha=0.5)
    assert measure_conditions(half).light == pytest.approx(0.5 * measure_conditions(photo).light, abs=1.0)


def test_more_blur_is_more_and_light_is_no_blur() -> None:
    photo = draw_disc()
    values = [measure_conditions(cv2.GaussianBlur(photo, (0, 0), sigma)).blur for sigma in (0.5, 1.0, 2.0, 4.0)]
    assert values == sorted(values)
    assert values[-1] - values[0] > 0.3
    darker = measure_conditions(cv2.convertScaleAbs(photo, alpha=0.7)).blur
    assert darker == pytest.approx(measure_conditions(photo).blur, abs=0.02)


def test_a_photo_without_detail_is_blurred() -> None:
    assert measure_conditions(np.full((40, 40), 7, np.uint8)).blur == 1.0


@pytest.mark.parametrize("radius", [40, 60, 90])
def test_scale_is_the_root_of_the_part_s_share(radius: int) -> None:
    expected = np.sqrt(np.pi) * radius / 240
    assert measure_conditions(draw_disc(radius=radius)).scale == pytest.approx(expected, rel=0.05)


def test_size_is_the_longer_side() -> None:
    assert measure_conditions(np.zeros((30, 80), np.uint8)).size == 80.0


def test_colour_and_grey_of_one_photo_agree() -> None:
    grey = draw_disc()
    assert measure_conditions(np.repeat(grey[..., None], 3, axis=2)) == measure_conditions(grey)


@pytest.mark.parametrize("side", [1, 2, 3, 255, 257, 513, 1100, 2500])
def test_every_size_has_numbers_and_a_larger_copy_has_nearly_the_same(side: int) -> None:
    photo = cv2.resize(draw_disc(side=300, radius=75), (side, side), interpolation=cv2.INTER_AREA)
    found = measure_conditions(photo)
    assert all(np.isfinite(value) for value in found.to_record().values())
    if side >= 255:
        assert found.light == pytest.approx(measure_conditions(draw_disc(side=300, radius=75)).light, abs=3.0)
        assert found.scale == pytest.approx(0.443, abs=0.03)


def test_a_row_gives_the_conditions_back() -> None:
    look = condition_look()
    row = look.make(draw_disc(), b"")
    assert look.is_whole(row)
    assert not look.is_whole(row[:-1])
    assert Conditions.from_row(row) == measure_conditions(draw_disc())
