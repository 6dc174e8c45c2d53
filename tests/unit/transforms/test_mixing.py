"""Mixing of batches: photos and label weights are mixed by the same share."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teliti.errors import UserError
from teliti.transforms.mixing import CutMix, Mixup, check_batch, one_hot

LEVELS = np.array([10, 80, 160, 250])


def batch(*, grey: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Four even photos, each of its own grey level and its own class."""
    shape = (4, 20, 30) if grey else (4, 20, 30, 3)
    images = np.broadcast_to(LEVELS.reshape(4, *[1] * (len(shape) - 1)), shape).astype(np.uint8)
    return images, one_hot(np.arange(4), 4)


@pytest.mark.parametrize("grey", [False, True])
@given(st.integers(0, 2**32), st.floats(0.1, 5.0))
def test_mixup_lays_photos_over_each_other_as_their_labels_say(grey: bool, seed: int, alpha: float) -> None:
    images, weights = batch(grey=grey)
    mixed, labels = Mixup(alpha=alpha).mix(images, weights, rng=np.random.default_rng(seed))
    assert (mixed.shape, mixed.dtype) == (images.shape, np.uint8)
    for photo, row in zip(mixed, labels, strict=True):
        np.testing.assert_allclose(photo, row @ LEVELS, atol=0.51)


@pytest.mark.parametrize("grey", [False, True])
@given(st.integers(0, 2**32), st.floats(0.1, 5.0))
def test_cutmix_shows_of_each_photo_the_area_that_the_labels_say(grey: bool, seed: int, alpha: float) -> None:
    images, weights = batch(grey=grey)
    mixed, labels = CutMix(alpha=alpha).mix(images, weights, rng=np.random.default_rng(seed))
    assert (mixed.shape, mixed.dtype) == (images.shape, np.uint8)
    for photo, row in zip(mixed, labels, strict=True):
        seen = [(photo == level).mean() for level in LEVELS]
        np.testing.assert_allclose(row, seen, atol=1e-6)


@pytest.mark.parametrize("operation", [Mixup, CutMix])
@given(seed=st.integers(0, 2**32))
def test_label_weights_still_sum_to_one(operation, seed: int) -> None:
    images, weights = batch()
    before = images.copy(), weights.copy()
    _, labels = operation(alpha=1.0).mix(images, weights, rng=np.random.default_rng(seed))
    np.testing.assert_allclose(labels.sum(axis=1), 1.0, atol=1e-6)
    assert labels.dtype == weights.dtype
    np.testing.assert_array_equal(images, before[0])
    np.testing.assert_array_equal(weights, before[1])


@pytest.mark.parametrize("operation", [Mixup, CutMix])
def test_alpha_zero_mixes_nothing(operation) -> None:
    images, weights = batch()
    mixed, labels = operation(alpha=0.0).mix(images, weights, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(mixed, images)
    np.testing.assert_array_equal(labels, weights)


@pytest.mark.parametrize("operation", [Mixup, CutMix])
def test_the_same_seed_mixes_the_same(operation) -> None:
    images, weights = batch()
    first, again = (operation(alpha=1.0).mix(images, weights, rng=np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])


def test_shares_follow_the_beta_law() -> None:
    images, weights = np.zeros((1500, 1, 1), dtype=np.uint8), one_hot(np.arange(1500), 1500)
    _, labels = Mixup(alpha=0.4).mix(images, weights, rng=np.random.default_rng(0))
    own = labels[np.arange(1500), np.arange(1500)]
    assert own.mean() == pytest.approx(0.5, abs=0.03)
    assert own.var() == pytest.approx(1 / (4 * (2 * 0.4 + 1)), abs=0.015)  # of Beta(a, a)


def test_one_hot_marks_the_class() -> None:
    np.testing.assert_array_equal(one_hot(np.array([2, 0]), 3), [[0, 0, 1], [1, 0, 0]])


@pytest.mark.parametrize("label", [-1, 3])
def test_labels_outside_the_classes_are_refused(label: int) -> None:
    with pytest.raises(UserError, match=f"labels must be class indices from 0 to 2, got {label}"):
        one_hot(np.array([0, label]), 3)


@pytest.mark.parametrize("images", [np.zeros((2, 4, 4, 3)), np.zeros((4, 4), np.uint8)])
def test_other_photos_are_refused(images: np.ndarray) -> None:
    with pytest.raises(UserError, match=r"images must be uint8 of shape \(N, H, W, 3\) or \(N, H, W\)"):
        check_batch(images, np.ones((2, 1)))


@pytest.mark.parametrize("weights", [np.ones(2), np.ones((3, 2)), np.ones((2, 2), dtype=int)])
def test_other_weights_are_refused(weights: np.ndarray) -> None:
    with pytest.raises(UserError, match=r"weights must be floats of shape \(2, classes\)"):
        check_batch(np.zeros((2, 4, 4), np.uint8), weights)
