"""Centring, standardisation and whitening against float64 formulas, scikit-learn and the plain definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teliti.errors import UserError
from teliti.imaging.standardize import (
    ChannelMoments,
    ZcaFit,
    center_sample,
    check_zca_memory,
    estimate_zca_bytes,
    rescale,
    standardize_feature,
    standardize_sample,
    whiten,
)

EPS = 1e-6


def photos(count: int, shape: tuple[int, int, int] = (4, 5, 3), *, seed: int = 0) -> np.ndarray:
    """Photos whose pixels depend on each other, (N, H, W, C) float64 of whole numbers."""
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(count, int(np.prod(shape)))) @ rng.normal(size=(int(np.prod(shape)),) * 2)
    return np.clip(128 + 9 * mixed, 0, 255).round().reshape(count, *shape)


def test_rescaling_multiplies_then_adds() -> None:
    np.testing.assert_allclose(rescale(photos(2), factor=2 / 255, offset=-1.0), photos(2) * 2 / 255 - 1)


def test_a_photo_is_centred_by_its_own_mean_over_all_channels_or_by_channel() -> None:
    batch = photos(3)
    for one, photo in zip(center_sample(batch, per_channel=False), batch, strict=True):
        np.testing.assert_allclose(one, photo - photo.mean())
    by_channel = center_sample(batch, per_channel=True)
    np.testing.assert_allclose(by_channel.mean(axis=(1, 2)), 0, atol=1e-12)


def test_a_photo_is_standardised_by_its_own_deviation_over_all_channels_or_by_channel() -> None:
    batch = photos(3)
    for one, photo in zip(standardize_sample(batch, per_channel=False, eps=EPS), batch, strict=True):
        np.testing.assert_allclose(one, (photo - photo.mean()) / (photo.std() + EPS))
    by_channel = standardize_sample(batch, per_channel=True, eps=EPS)
    np.testing.assert_allclose(by_channel.std(axis=(1, 2)), 1, atol=1e-6)


def test_a_photo_of_one_value_becomes_zeros() -> None:
    assert not standardize_sample(np.full((1, 4, 4, 3), 80.0), per_channel=False, eps=EPS).any()


def test_features_are_standardised_as_scikit_learn_does() -> None:
    from sklearn.preprocessing import StandardScaler

    batch = photos(6)
    moments = ChannelMoments()
    moments.update(batch)
    expected = StandardScaler().fit_transform(batch.reshape(-1, 3)).reshape(batch.shape)
    np.testing.assert_allclose(
        standardize_feature(batch, mean=moments.mean, std=moments.std, eps=EPS), expected, atol=1e-6
    )


def test_a_channel_that_is_constant_in_training_is_only_centred() -> None:
    found = standardize_feature(np.full((1, 1, 1, 2), 9.0), mean=np.array([7.0, 7.0]), std=np.array([0.0, 2.0]), eps=0)
    np.testing.assert_array_equal(found.ravel(), [2.0, 1.0])


@given(st.lists(st.integers(1, 7), min_size=1, max_size=6), st.sampled_from([0.0, 1e9]))
def test_moments_of_any_batches_are_those_of_all_photos_together(counts: list[int], far: float) -> None:
    batch = photos(sum(counts)) + far  # far from zero the textbook formula of sums of squares has no digits left
    moments = ChannelMoments()
    start = 0
    for count in counts:
        moments.update(batch[start : start + count])
        start += count
    np.testing.assert_allclose(moments.mean, batch.mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(moments.std, batch.std(axis=(0, 1, 2)), rtol=1e-6)
    assert moments.count == batch[..., 0].size


@pytest.mark.parametrize("name", ["mean", "std"])
def test_nothing_has_no_moments(name: str) -> None:
    with pytest.raises(UserError, match=r"fitted on training photos, got none\. Give at least one"):
        getattr(ChannelMoments(), name)


@pytest.mark.parametrize(("side", "size"), [(32, "0.0377 GB"), (64, "0.604 GB"), (224, "90.6 GB")])
def test_the_memory_of_whitening_is_known_before(side: int, size: str) -> None:
    assert f"{estimate_zca_bytes((side, side, 3)) / 1e9:.3g} GB" == size


def test_whitening_that_would_not_fit_says_which_size_would() -> None:
    message = (
        r"ZCA whitening of 224x224x3 photos would need 90\.6 GB for its matrix, over the limit of 0\.5 GB\. "
        r"Set data\.image_size to 61 or less"
    )
    with pytest.raises(UserError, match=message):
        check_zca_memory((224, 224, 3), limit_bytes=500_000_000)
    check_zca_memory((61, 61, 3), limit_bytes=500_000_000)
    with pytest.raises(UserError):
        check_zca_memory((62, 62, 3), limit_bytes=500_000_000)


def whiten_plainly(batch: np.ndarray, eps: float) -> np.ndarray:
    """The definition: singular value decomposition of the centred photos, all at once."""
    rows = (batch - batch.mean(axis=(0, 1, 2))).reshape(len(batch), -1)
    u, s, _ = np.linalg.svd(rows.T, full_matrices=False)
    return (rows @ (u * (np.sqrt(len(rows)) / (s + eps))) @ u.T).reshape(batch.shape)


@pytest.mark.parametrize("count", [8, 59, 61, 200])
@pytest.mark.parametrize("eps", [EPS, 10.0])
def test_whitening_in_batches_is_the_definition_with_fewer_and_with_more_photos_than_values(
    count: int, eps: float
) -> None:
    batch = photos(count, seed=count)
    fit = ZcaFit((4, 5, 3))
    for start in range(0, count, 7):
        fit.update(batch[start : start + 7])
    mean, matrix = fit.finish(eps=eps)
    np.testing.assert_allclose(mean, batch.mean(axis=(0, 1, 2)), rtol=1e-12)
    assert (matrix.shape, matrix.dtype) == ((60, 60), np.float32)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-5 * np.abs(matrix).max())
    np.testing.assert_allclose(whiten(batch, mean=mean, matrix=matrix), whiten_plainly(batch, eps), atol=2e-3)


def test_whitened_photos_are_uncorrelated() -> None:
    batch = photos(500)
    fit = ZcaFit((4, 5, 3))
    fit.update(batch)
    mean, matrix = fit.finish(eps=EPS)
    rows = whiten(batch, mean=mean, matrix=matrix).reshape(500, -1)
    np.testing.assert_allclose(rows.T @ rows / 500, np.eye(60), atol=1e-3)


@pytest.mark.parametrize("count", [20, 300])
def test_what_is_constant_in_training_is_not_blown_up(count: int) -> None:
    batch = photos(count)
    batch[:, 0] = 50.0  # a black border, say
    fit = ZcaFit((4, 5, 3))
    fit.update(batch)
    mean, matrix = fit.finish(eps=EPS)
    seen = whiten(batch, mean=mean, matrix=matrix)
    batch[:, 0, 0] += 1.0  # at inspection it is a level brighter
    assert np.abs(whiten(batch, mean=mean, matrix=matrix) - seen).max() < 1.0


def test_whitening_needs_photos_of_one_shape() -> None:
    fit = ZcaFit((4, 5, 3))
    with pytest.raises(UserError, match=r"of one shape \(4, 5, 3\), got \(5, 4, 3\)"):
        fit.update(np.zeros((2, 5, 4, 3)))
    with pytest.raises(UserError, match="fitted on training photos, got none"):
        fit.finish(eps=EPS)
