"""Dividing photos with several labels: shares near the wanted ones, groups whole, no part without a label."""

from __future__ import annotations

import numpy as np
import pytest

from teliti.data.split import fewest_groups, fold_samples, needs_folds, split_samples
from teliti.errors import SplitError
from teliti.recipe import SplitFractions

DEFAULT = SplitFractions()
SHARES = np.array([0.5, 0.3, 0.1, 0.04])


def draw(photos: int, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).random((photos, len(SHARES))) < SHARES).astype(np.int64)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_part_has_its_share_of_every_label(seed: int) -> None:
    labels = draw(600, seed)
    parts = np.array(split_samples(labels, np.arange(600), fractions=DEFAULT, seed=seed))
    for part, share in (("train", 0.6), ("val", 0.2), ("test", 0.2)):
        own = labels[parts == part]
        assert abs(len(own) - 600 * share) <= 6
        np.testing.assert_array_less(np.abs(own.sum(axis=0) - share * labels.sum(axis=0)), 2.0)
        assert abs((own.sum(axis=1) == 0).sum() - share * (labels.sum(axis=1) == 0).sum()) <= 6


def test_a_random_split_is_further_from_the_shares_than_ours() -> None:
    labels, worst = draw(200), {"ours": 0.0, "random": 0.0}
    parts = np.array(split_samples(labels, np.arange(200), fractions=DEFAULT, seed=7)) == "test"
    random = np.random.default_rng(7).permutation(200) < 40
    for name, inside in (("ours", parts), ("random", random)):
        worst[name] = float(np.abs(labels[inside].sum(axis=0) / labels.sum(axis=0) - 0.2).max())
    assert worst["ours"] < worst["random"]


def test_groups_stay_on_one_side_and_a_seed_gives_the_same_parts() -> None:
    labels, groups = draw(300), np.repeat(np.arange(100), 3)
    parts = np.array(split_samples(labels, groups, fractions=DEFAULT, seed=3))
    assert all(len(set(parts[groups == group])) == 1 for group in range(100))
    assert parts.tolist() == split_samples(labels, groups, fractions=DEFAULT, seed=3)
    assert parts.tolist() != split_samples(labels, groups, fractions=DEFAULT, seed=4)


def test_the_rarest_label_reaches_every_part() -> None:
    labels = np.zeros((40, 2), np.int64)
    labels[:20, 0], labels[[3, 17, 33], 1] = 1, 1
    parts = np.array(split_samples(labels, np.arange(40), fractions=DEFAULT, seed=1))
    assert sorted(parts[[3, 17, 33]]) == ["test", "train", "val"]


def test_folds_share_every_label() -> None:
    labels = draw(200)
    folds = fold_samples(labels, np.arange(200), folds=5, seed=1)
    assert np.bincount(folds).tolist() == pytest.approx([40] * 5, abs=3)
    counts = np.stack([labels[folds == fold].sum(axis=0) for fold in range(5)])
    assert (np.ptp(counts, axis=0) <= 2).all()


def test_several_numbers_are_spread_over_the_parts() -> None:
    numbers = np.random.default_rng(0).normal(size=(300, 2)) * [1.0, 100.0]
    parts = np.array(split_samples(numbers, np.arange(300), fractions=DEFAULT, seed=2))
    for part in ("train", "val", "test"):
        np.testing.assert_allclose(numbers[parts == part].mean(axis=0) / [1.0, 100.0], 0.0, atol=0.2)


@pytest.mark.parametrize(
    ("labels", "groups", "message"),
    [
        ([[1, 0], [0, 1], [1, 0], [0, 1], [1, 1]] * 2, None, r"without label"),
        ([[1, 0]] * 2 + [[0, 1]] * 9 + [[0, 0]] * 9, None, r'Label "a" must have at least 3 separate photos'),
        ([[1, 0]] * 4 + [[0, 1]] * 9, [0, 0, 0, 0, *range(1, 10)], r"4 photos, but groups and near-duplicates stay"),
    ],
)
def test_too_few_photos_are_refused_by_name(labels: list, groups: list | None, message: str) -> None:
    matrix = np.array(labels)
    if "without" in message:
        matrix[:, 0] = 1
    with pytest.raises(SplitError, match=message) as caught:
        split_samples(
            matrix, np.arange(len(matrix)) if groups is None else np.array(groups), fractions=DEFAULT, seed=0,
            class_names=["a", "b"],
        )  # fmt: skip
    assert "leave the label out" in caught.value.hint


def test_groups_too_large_to_divide_are_refused() -> None:
    labels = np.array([[1, 0], [0, 1], [0, 0]] * 4)
    groups = np.array([0, 1, 2, 3, 4, 5, 0, 1, 2, 6, 7, 8])
    parts = split_samples(labels, groups, fractions=DEFAULT, seed=0)
    assert {"train", "val", "test"} == set(parts)
    everything = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 2, 2])
    with pytest.raises(SplitError, match="must have at least 5 separate photos for 5 folds, got 3"):
        fold_samples(labels, everything, folds=5, seed=0)


def test_the_fewest_separate_photos_count_both_sides_of_a_label() -> None:
    labels = np.array([[1, 0], [1, 0], [1, 1], [0, 1]])
    assert fewest_groups(labels, np.arange(4)) == 1  # one photo lacks the first label
    assert fewest_groups(labels.astype(float), np.arange(4)) == 4
    assert needs_folds(labels, DEFAULT)
    assert not needs_folds(np.tile(labels, (100, 1)), DEFAULT)
