"""Numbers without `keras_compatible`: what a network gets, statistics of the training part, whitening that fits."""

from __future__ import annotations

import numpy as np
import pytest

from teliti.errors import UserError
from teliti.transforms import generator_standardize
from teliti.workflow.generator import ImageDataGenerator

pytestmark = pytest.mark.filterwarnings("ignore:.* switches .*:UserWarning")


@pytest.fixture
def photos() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (40, 6, 5, 3), dtype=np.uint8)


def test_order_of_the_steps(photos: np.ndarray) -> None:
    generator = ImageDataGenerator(
        preprocessing_function=lambda photo: 255 - photo, rescale=1 / 255, samplewise_std_normalization=True
    )
    result = generator.standardize(photos[0])
    expected = (255 - photos[0]) / 255.0
    expected = (expected - expected.mean()) / (expected.std() + 1e-6)
    np.testing.assert_allclose(result, expected, atol=1e-5)
    assert result.dtype == np.float32


def test_the_given_array_stays_as_it_is(photos: np.ndarray) -> None:
    kept = photos.copy()

    def blacken(photo: np.ndarray) -> np.ndarray:
        photo[:] = 0
        return photo

    ImageDataGenerator(preprocessing_function=blacken, rescale=0.5).standardize(photos)
    np.testing.assert_array_equal(photos, kept)


def test_photos_of_a_batch_are_standardised_alone(photos: np.ndarray) -> None:
    generator = ImageDataGenerator(samplewise_std_normalization=True)
    alone = np.stack([generator.standardize(photo) for photo in photos])
    np.testing.assert_allclose(generator.standardize(photos), alone, atol=1e-6)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_featurewise_numbers_of_the_fitted_photos(photos: np.ndarray, data_format: str) -> None:
    batch = photos if data_format == "channels_last" else photos.transpose(0, 3, 1, 2)
    generator = ImageDataGenerator(featurewise_std_normalization=True, rescale=1 / 255, data_format=data_format)
    generator.fit(batch)
    axes = (0, 1, 2) if data_format == "channels_last" else (0, 2, 3)
    numbers = generator.standardize(batch)
    np.testing.assert_allclose(numbers.mean(axis=axes), 0, atol=1e-5)
    np.testing.assert_allclose(numbers.std(axis=axes), 1, atol=1e-4)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_whitened_photos_are_uncorrelated(data_format: str) -> None:
    photos = np.random.default_rng(5).integers(0, 256, (400, 3, 2, 3)).astype(np.float32)
    photos[:, 1:] = 0.5 * photos[:, 1:] + 0.5 * photos[:, :1]  # neighbours alike
    photos = photos if data_format == "channels_last" else photos.transpose(0, 3, 1, 2)
    generator = ImageDataGenerator(zca_whitening=True, data_format=data_format)
    generator.fit(photos)
    white = generator.standardize(photos).reshape(len(photos), -1)
    second_moments = white.T @ white / len(white)
    np.testing.assert_allclose(second_moments, np.eye(18), atol=1e-3)


def test_whitening_agrees_with_keras_where_photos_span_the_space() -> None:
    photos = np.random.default_rng(6).uniform(0, 255, (90, 4, 4, 3)).astype(np.float32)
    ours, theirs = (ImageDataGenerator(zca_whitening=True, keras_compatible=compatible) for compatible in (False, True))
    ours.fit(photos)
    theirs.fit(photos)
    np.testing.assert_allclose(ours.standardize(photos[:3]), theirs.standardize(photos[:3].copy()), atol=1e-2)


def test_whitening_that_cannot_fit_is_refused_before_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generator_standardize, "_memory_bytes", lambda: 16_000_000_000)
    generator = ImageDataGenerator(zca_whitening=True)
    with pytest.raises(UserError, match=r"got a matrix of 90\.6 GB for photos of 224x224x3 .*Use smaller photos"):
        generator.fit(np.zeros((2, 224, 224, 3), dtype=np.uint8))


def test_the_memory_of_this_machine_is_known_where_it_can_be() -> None:
    present = generator_standardize._memory_bytes()
    assert present is None or present > 100_000_000


@pytest.mark.parametrize("switch", ["featurewise_center", "featurewise_std_normalization", "zca_whitening"])
@pytest.mark.parametrize("compatible", [False, True])
def test_without_fit_a_warning(photos: np.ndarray, switch: str, compatible: bool) -> None:
    generator = ImageDataGenerator(keras_compatible=compatible, **{switch: True})
    with pytest.warns(UserWarning, match="has no effect before fit") as said:
        result = generator.standardize(photos[0].astype(np.float32))
    assert {str(warning.message).partition(" ")[0] for warning in said} == {"featurewise_center", switch}
    np.testing.assert_allclose(result, photos[0], rtol=1e-6)


def test_mean_can_be_set() -> None:
    generator = ImageDataGenerator(featurewise_center=True)
    generator.mean = np.array([1.0, 2.0, 3.0], dtype=np.float32)
    np.testing.assert_allclose(generator.standardize(np.full((2, 2, 3), 5.0))[0, 0], [4, 3, 2])


def test_statistics_do_not_lose_digits() -> None:
    photos = np.full((64, 64, 64, 1), 200.0, dtype=np.float32)
    photos[::2] += 0.25
    generator = ImageDataGenerator(featurewise_std_normalization=True)
    generator.fit(photos)
    assert generator.mean.item() == pytest.approx(200.125, abs=1e-5)
    assert generator.std.item() == pytest.approx(0.125, abs=1e-6)


def test_fit_on_augmented_photos(photos: np.ndarray) -> None:
    generator = ImageDataGenerator(featurewise_center=True, brightness_range=(0.5, 0.5))
    generator.fit(photos, augment=True, rounds=2, seed=1)
    np.testing.assert_allclose(generator.mean.ravel(), 0.5 * photos.mean(axis=(0, 1, 2)), rtol=1e-4)
    moving = [ImageDataGenerator(featurewise_center=True, rotation_range=40, zoom_range=0.3) for _ in range(3)]
    for own, seed in zip(moving, (1, 1, 2), strict=True):
        own.fit(photos, augment=True, seed=seed)
    np.testing.assert_array_equal(moving[0].mean, moving[1].mean)
    assert not np.array_equal(moving[0].mean, moving[2].mean)


def test_photos_of_another_rank_or_odd_channels(photos: np.ndarray) -> None:
    generator = ImageDataGenerator(featurewise_center=True)
    with pytest.raises(UserError, match=r"given to fit must be an array of rank 4, got shape \(6, 5, 3\)"):
        generator.fit(photos[0])
    with pytest.warns(UserWarning, match="given to fit have 2 channels on axis 3"):
        generator.fit(photos[..., :2])
