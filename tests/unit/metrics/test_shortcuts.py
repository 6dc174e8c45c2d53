"""A property that tells the label is found; one that does not is left alone."""

import numpy as np
import pytest

import teliti.metrics.shortcuts as room
from teliti.metrics.shortcuts import holm, measure_shortcut


@pytest.fixture
def labels():
    return np.repeat([0, 1, 2], [100, 60, 40])


@pytest.mark.parametrize("gap", [2.0, 3.0])
def test_a_brighter_class_is_told_by_its_brightness(labels, gap):
    values = np.random.default_rng(0).normal(0, 1, 200) + gap * (labels == 1)
    found = measure_shortcut(values, labels, seed=0)
    assert found.p_value < 0.01
    assert found.interval[0] > found.chance == pytest.approx(1 / 3)
    assert found.interval[0] <= found.score <= found.interval[1]


def test_a_name_that_belongs_to_a_class_tells_it(labels):
    cameras = np.array(["", "A", "B"])[labels]
    assert measure_shortcut(cameras, labels, seed=0).score == 1.0


def test_what_is_unknown_for_one_class_tells_it(labels):
    values = np.where(labels == 0, np.nan, 1.0)
    assert measure_shortcut(values, labels, seed=0).score == pytest.approx(2 / 3)


def test_chance_is_not_called_a_shortcut(labels, monkeypatch):
    """The p-values of noise are uniform: about one in twenty is below 0.05."""
    monkeypatch.setattr(room, "SHUFFLES", 99)
    rng = np.random.default_rng(1)
    p_values = [measure_shortcut(rng.normal(size=200), labels, seed=seed).p_value for seed in range(100)]
    assert 0.0 <= np.mean(np.array(p_values) <= 0.05) <= 0.12
    assert 0.3 < np.mean(p_values) < 0.7


@pytest.mark.parametrize("values", [np.ones(200), np.full(200, np.nan), np.array(["x"] * 200)])
def test_a_property_that_never_varies_is_not_tested(labels, values):
    assert measure_shortcut(values, labels, seed=0) is None


def test_one_class_cannot_be_told_apart():
    assert measure_shortcut(np.arange(30.0), np.zeros(30, int), seed=0) is None


def test_of_many_photos_a_seeded_choice_is_tested(monkeypatch):
    monkeypatch.setattr(room, "MOST_PHOTOS", 50)
    labels = np.arange(500) % 2
    found = measure_shortcut(labels + 0.0, labels, seed=0)
    assert (found.photos, found.score) == (50, 1.0)


def test_holm_on_a_worked_example():
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]
    assert holm(np.array([])).tolist() == []
