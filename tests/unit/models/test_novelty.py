"""Novelty: numpy and torch agree, strangers are far, and the weights survive being written."""

import numpy as np
import torch

from teliti.models.novelty import NoveltyWeights, novelty_module
from teliti.training.features.novelty import fit_novelty, settle_novelty


def features(count: int, *, seed: int, width: int = 60) -> np.ndarray:
    """Photos that vary in five directions, and a little in all."""
    rng = np.random.default_rng(seed)
    mix = np.random.default_rng(0).normal(size=(5, width))
    return (rng.normal(size=(count, 5)) @ mix + 0.1 * rng.normal(size=(count, width))).astype(np.float32)


def learnt(count: int = 100) -> NoveltyWeights:
    weights = fit_novelty(features(count, seed=1))
    return settle_novelty(weights, weights.measure(features(50, seed=2))).weights


def test_known_photos_are_usual_and_strangers_are_not():
    for count in (40, 400):  # fewer photos than features, and more
        weights = learnt(count)
        known = weights.measure(features(200, seed=3))
        assert 0.8 < np.median(known) < 1.2
        stranger = np.random.default_rng(4).normal(size=(50, 60)).astype(np.float32)
        assert weights.measure(stranger).min() > 2 * np.quantile(known, 0.99)


def test_torch_measures_the_same():
    weights, rows = learnt(), features(20, seed=5) * np.linspace(0.5, 50, 20, dtype=np.float32)[:, None]
    with torch.inference_mode():
        np.testing.assert_allclose(novelty_module(weights)(torch.from_numpy(rows)).numpy(), weights.measure(rows), 1e-6)


def test_what_never_varied_in_training_is_noticed_and_nothing_overflows():
    rows = features(100, seed=1)
    rows[:, 0] = 3.0
    weights = fit_novelty(rows)
    odd = rows[:2].copy()
    odd[0, 0], odd[1, 0] = 30.0, 1e30
    usual, far, absurd = weights.measure(rows[2:3])[0], *weights.measure(odd)
    assert far > 3 * usual
    assert np.isfinite(absurd)
    assert absurd > far


def test_between_two_classes_is_nowhere_and_a_common_centre_would_not_see_it():
    rows, classes = features(400, seed=1), np.repeat([0, 1], 200)
    apart = np.random.default_rng(9).normal(size=60).astype(np.float32)
    rows[classes == 1] += 20 * apart
    known, between = features(100, seed=3), features(100, seed=4) + 10 * apart
    by_class, common = fit_novelty(rows, classes), fit_novelty(rows)
    assert by_class.measure(between).min() > np.quantile(by_class.measure(known), 0.99)
    assert common.measure(between).min() < np.median(common.measure(known))
    with torch.inference_mode():
        got = novelty_module(by_class)(torch.from_numpy(between)).numpy()
    np.testing.assert_allclose(got, by_class.measure(between), 1e-6)


def test_a_class_of_few_photos_has_no_centre_of_its_own():
    rows = features(104, seed=1)
    weights = fit_novelty(rows, np.repeat([0, 1], [100, 4]))
    np.testing.assert_allclose(weights.centres[1], 0.0, atol=1e-6)
    assert np.abs(weights.centres[0]).max() > 0.0


def test_a_file_of_before_centres_has_one_in_the_middle():
    weights = fit_novelty(features(50, seed=1))
    older = {name: values for name, values in weights.to_arrays().items() if name != "novelty_centres"}
    rows = features(3, seed=2)
    np.testing.assert_allclose(NoveltyWeights.from_arrays(older).measure(rows), weights.measure(rows), 1e-6)


def test_weights_survive_being_written():
    weights = learnt()
    again = NoveltyWeights.from_arrays(weights.to_arrays())
    rows = features(3, seed=6)
    np.testing.assert_array_equal(again.measure(rows), weights.measure(rows))
    assert NoveltyWeights.from_arrays({}) is None


def test_two_photos_are_enough_to_fit():
    weights = fit_novelty(features(2, seed=1))
    assert np.isfinite(weights.measure(features(3, seed=2))).all()
