"""Points in feature space: outliers, clusters, a map, and whom to ask next."""

import numpy as np
import pytest

from teliti.training.features.embedding import (
    choose_to_label,
    draw_map,
    find_clusters,
    find_outliers,
    fit_space,
    neighbour_distances,
)


@pytest.fixture
def blobs():
    """Three groups of 40, 30 and 20 points in 50 dimensions, and where they belong."""
    rng = np.random.default_rng(0)
    home = np.repeat([0, 1, 2], [40, 30, 20])
    return (8 * rng.normal(size=(3, 50))[home] + rng.normal(size=(90, 50))).astype(np.float32), home


def test_the_space_keeps_what_varies_most(blobs):
    features, _ = blobs
    space = fit_space(features, components=5)
    points = space.place(features)
    assert points.shape == (90, 5)
    assert space.axes @ space.axes.T == pytest.approx(np.eye(5), abs=1e-4)
    z = (features - features.mean(axis=0)) / features.std(axis=0)
    exact = np.linalg.svd(z, compute_uv=False)[:2]
    assert np.linalg.norm(points[:, :2], axis=0) == pytest.approx(exact, rel=1e-3)


def test_constant_features_and_few_photos_do_no_harm():
    points = fit_space(np.ones((3, 7), np.float32)).place(np.ones((3, 7), np.float32))
    assert points.shape[0] == 3
    assert np.isfinite(points).all()


def test_distances_to_neighbours_are_those_of_brute_force(blobs):
    features, _ = blobs
    apart = np.linalg.norm(features[:, None] - features[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    expected = np.sort(apart, axis=1)[:, :10].mean(axis=1)
    assert neighbour_distances(features, features, skip_self=True) == pytest.approx(expected, rel=1e-3)


def test_a_stranger_is_an_outlier_and_the_others_are_not(blobs):
    features, _ = blobs
    strange = np.concatenate([features, np.full((1, 50), 60.0, np.float32)])
    places, deviations = find_outliers(strange)
    assert places.tolist() == [90]
    assert deviations[0] > 6
    assert len(find_outliers(features)[0]) == 0


def test_clusters_are_the_groups_the_largest_first(blobs):
    features, home = blobs
    found = find_clusters(features, seed=0)
    assert np.array_equal(found, home)


def test_neighbours_stay_neighbours_on_the_map(blobs):
    features, home = blobs
    flat, method = draw_map(features, seed=0)
    assert method == "t-SNE"
    assert flat.min() == 0.0
    assert flat.max() == 1.0
    nearest = np.linalg.norm(flat[:, None] - flat[None], axis=2)
    np.fill_diagonal(nearest, np.inf)
    assert (home[nearest.argmin(axis=1)] == home).mean() > 0.95
    assert draw_map(features[:5], seed=0)[1] == "principal components"


def test_the_next_photos_are_unsure_and_unlike_one_another(blobs):
    features, home = blobs
    unsure = np.full(90, 0.8)
    unsure[home == 0] = 0.01
    chosen, worth = choose_to_label(features, features[home == 0], unsure, count=5)
    assert set(home[chosen]) == {1, 2}
    assert (np.diff(worth) <= 0).all()
    assert len(choose_to_label(features[:3], features, unsure[:3], count=10)[0]) == 3
