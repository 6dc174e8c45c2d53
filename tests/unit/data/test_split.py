"""Divided by class, whole groups on one side, the same each time; and a sentence where it cannot be done."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teliti.data.split import fewest_groups, fold_samples, merge_groups, needs_folds, split_samples, stratify
from teliti.errors import SplitError
from teliti.recipe import SplitFractions

DEFAULT = SplitFractions()
SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}


def alone(count):
    return np.arange(count)


@st.composite
def pure_groups(draw):
    """Labels and groups of one to three classes, each of five to eight groups of one to four photos, mixed up."""
    labels, groups = [], []
    for label in range(draw(st.integers(1, 3))):
        for _ in range(draw(st.integers(5, 8))):
            size = draw(st.integers(1, 4))
            groups += [len(set(groups))] * size
            labels += [label] * size
    order = np.array(draw(st.permutations(range(len(labels)))))
    return np.array(labels)[order], np.array(groups)[order]


def test_shares_are_exact_where_no_group_hinders():
    labels = np.repeat([0, 1, 2], [100, 50, 10])
    parts = np.array(split_samples(labels, alone(160), fractions=DEFAULT, seed=7))
    for part, share in SHARES.items():
        assert np.bincount(labels[parts == part]).tolist() == [100 * share, 50 * share, 10 * share]


def test_rounding_favours_no_part_over_many_small_classes():
    labels = np.repeat(np.arange(200), 7)
    parts = split_samples(labels, alone(1400), fractions=DEFAULT, seed=1)
    assert [parts.count(part) for part in SHARES] == [840, 280, 280]


@pytest.mark.parametrize("empty", ["val", "test"])
def test_a_part_of_share_zero_stays_empty_even_beside_huge_groups(empty):
    other = "test" if empty == "val" else "val"
    fractions = SplitFractions(**{"train": 0.75, empty: 0.0, other: 0.25})
    parts = split_samples(np.repeat([0, 1], 40), alone(80), fractions=fractions, seed=1)
    assert [parts.count(part) for part in ("train", empty, other)] == [60, 0, 20]
    assert set(split_samples(np.zeros(30, int), np.repeat([0, 1, 2], 10), fractions=fractions, seed=0)) == {
        "train",
        other,
    }


def test_the_seed_decides_and_nothing_else():
    labels = np.repeat([0, 1], 50)
    first = split_samples(labels, alone(100), fractions=DEFAULT, seed=1)
    assert first == split_samples(labels, alone(100), fractions=DEFAULT, seed=1)
    assert first != split_samples(labels, alone(100), fractions=DEFAULT, seed=2)


def test_every_photo_may_come_into_every_part():
    parts = np.array([split_samples(np.zeros(40, int), alone(40), fractions=DEFAULT, seed=seed) for seed in range(60)])
    tested = (parts == "test").mean(axis=0)
    assert tested.min() > 0.02
    assert tested.max() < 0.5


@given(pure_groups(), st.integers(0, 50))
def test_groups_stay_whole_and_no_part_lacks_a_class(labelled, seed):
    labels, groups = labelled
    parts = np.array(split_samples(labels, groups, fractions=DEFAULT, seed=seed))
    assert len(parts) == len(labels)
    assert all(len(set(parts[groups == group])) == 1 for group in np.unique(groups))
    for label in np.unique(labels):
        for part, share in SHARES.items():
            count = int(((labels == label) & (parts == part)).sum())
            assert count >= 1
            assert abs(count - share * (labels == label).sum()) <= 4  # no further than the largest group


@given(st.lists(st.integers(1, 12), min_size=12, max_size=60), st.integers(0, 2**31))
def test_groups_of_several_classes_stay_whole_and_shares_stay_near(sizes, seed):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    labels = np.random.default_rng(seed).integers(0, 2, len(groups))
    try:
        parts = np.array(split_samples(labels, groups, fractions=DEFAULT, seed=seed))
    except SplitError:
        return  # a class sat in fewer than three groups; its sentence has tests of its own
    assert all(len(set(parts[groups == group])) == 1 for group in np.unique(groups))
    share = (parts == "train").mean()
    assert abs(share - 0.6) <= 2 * max(sizes) / len(groups) + 0.05


def test_three_pairs_go_into_three_parts():
    labels, groups = np.repeat([0, 1], 6), np.repeat(np.arange(6), 2)
    parts = split_samples(labels, groups, fractions=DEFAULT, seed=1)
    assert sorted(parts[:6:2]) == sorted(parts[6::2]) == ["test", "train", "val"]


@given(pure_groups(), st.integers(2, 5), st.integers(0, 50))
def test_folds_keep_groups_whole_and_hold_every_class(labelled, folds, seed):
    labels, groups = labelled
    numbers = fold_samples(labels, groups, folds=folds, seed=seed)
    assert np.array_equal(numbers, fold_samples(labels, groups, folds=folds, seed=seed))
    assert all(len(set(numbers[groups == group])) == 1 for group in np.unique(groups))
    for label in np.unique(labels):
        counts = np.bincount(numbers[labels == label], minlength=folds)
        assert counts.min() >= 1
        assert counts.max() - counts.min() <= 8


@given(st.integers(2, 5), st.lists(st.integers(1, 4), min_size=20, max_size=60), st.integers(0, 1000))
def test_folds_hold_about_the_same_number(folds, sizes, seed):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    numbers = fold_samples((np.arange(len(sizes)) % 2)[groups], groups, folds=folds, seed=seed)
    counts = np.bincount(numbers, minlength=folds)
    assert counts.max() - counts.min() <= 2 * max(sizes) + 2
    assert set(numbers) == set(range(folds))


def test_folds_of_single_photos_are_of_one_size():
    counts = np.bincount(fold_samples(np.repeat([0, 1, 2], [13, 7, 9]), alone(29), folds=5, seed=0))
    assert counts.max() - counts.min() <= 1


def test_groups_of_several_classes_are_balanced_as_well_as_scikit_learn_does():
    from sklearn.model_selection import StratifiedGroupKFold

    rng = np.random.default_rng(0)
    groups = rng.integers(0, 60, 400)
    labels = (rng.random(400) < np.linspace(0.1, 0.6, 60)[groups]).astype(int)
    theirs = np.zeros(400, int)
    splitter = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    for fold, (_, inside) in enumerate(splitter.split(labels, labels, groups)):
        theirs[inside] = fold

    def worst(numbers):
        return max(abs(labels[numbers == fold].mean() - labels.mean()) for fold in range(5))

    ours = fold_samples(labels, groups, folds=5, seed=0)
    assert worst(ours) <= worst(theirs) + 0.05
    assert np.bincount(ours).min() >= 60


def test_numbers_are_stratified_by_size():
    values = np.random.default_rng(0).normal(size=400)
    parts = np.array(split_samples(values, alone(400), fractions=DEFAULT, seed=3))
    for part, share in SHARES.items():
        assert (parts == part).sum() == pytest.approx(400 * share, abs=4)
        own = np.quantile(values[parts == part], [0.1, 0.5, 0.9])
        assert own == pytest.approx(np.quantile(values, [0.1, 0.5, 0.9]), abs=0.2)
    assert len(np.unique(stratify(values))) == 8
    assert len(np.unique(stratify(np.zeros(50)))) == 1


def test_one_odd_number_among_equal_ones_is_no_obstacle():
    numbers = np.array([0.3] + [1.0] * 99)
    assert set(split_samples(numbers, alone(100), fractions=DEFAULT, seed=0)) == set(SHARES)
    assert np.bincount(fold_samples(numbers, alone(100), folds=5, seed=0)).tolist() == [20] * 5


@given(st.lists(st.sampled_from([0.0, 0.25, 1.0, 7.5, -3.0]) | st.floats(-5, 5), min_size=1, max_size=200))
def test_bins_of_numbers_are_in_order_and_large_enough(numbers):
    values = np.array(numbers)
    bins = stratify(values)
    counts = np.bincount(bins)
    assert len(counts) <= 8
    assert len(counts) == 1 or counts.min() >= 10
    assert (np.diff(bins[np.argsort(values, kind="stable")]) >= 0).all()
    assert all(len(set(bins[values == value])) == 1 for value in values)


def test_a_class_with_too_few_photos_is_named():
    labels = np.repeat([0, 1], [30, 2])
    sentence = (
        r'Class "crack" must have at least 3 separate photos for train and val and test, got 2\. Add photos of it'
    )
    with pytest.raises(SplitError, match=sentence):
        split_samples(labels, alone(32), fractions=DEFAULT, seed=1, class_names=["ok", "crack"])


def test_a_class_is_named_by_its_own_index():
    labels = np.repeat([0, 2], [20, 1])
    with pytest.raises(SplitError, match='Class "dent" must have at least 3'):
        split_samples(labels, alone(21), fractions=DEFAULT, seed=0, class_names=("ok", "hole", "dent"))
    with pytest.raises(SplitError, match="Class 2 must have at least 3"):
        split_samples(labels, alone(21), fractions=DEFAULT, seed=0)


def test_photos_of_one_group_count_once():
    labels = np.repeat([0, 1], [30, 9])
    groups = np.concatenate([np.arange(30), np.repeat([30, 31], [5, 4])])
    sentence = r"got 2 \(9 photos, but groups and near-duplicates stay together\)"
    with pytest.raises(SplitError, match=sentence) as caught:
        split_samples(labels, groups, fractions=DEFAULT, seed=1)
    assert "data.near_duplicates = false" in caught.value.hint


def test_too_few_numbers_are_refused():
    with pytest.raises(
        SplitError, match="The set must have at least 3 separate photos for train and val and test, got 2"
    ):
        split_samples(np.array([0.5, 1.5]), alone(2), fractions=DEFAULT, seed=0)


def test_tangled_groups_are_divided_or_refused_but_never_leave_a_class_out():
    rng = np.random.default_rng(1)
    refused = 0
    for _ in range(200):
        labels, groups = rng.integers(0, 4, 14), rng.integers(0, 5, 14)
        try:
            parts = np.array(split_samples(labels, groups, fractions=DEFAULT, seed=0))
        except SplitError as error:
            refused += "has no photo in the" in str(error) and "its groups are too large to divide" in str(error)
            continue
        assert all(set(labels[parts == part]) == set(labels) for part in SHARES)
    assert refused >= 1


def test_more_folds_than_photos_are_refused():
    with pytest.raises(SplitError, match="Class 1 must have at least 5 separate photos for 5 folds, got 4"):
        fold_samples(np.repeat([0, 1], [20, 4]), alone(24), folds=5, seed=1)


def test_one_fold_is_no_fold():
    with pytest.raises(SplitError, match=r"data\.folds must be at least 2, got 1\. Use 5, or 0"):
        fold_samples(np.zeros(4, int), alone(4), folds=1, seed=1)


def test_no_photos():
    with pytest.raises(SplitError, match=r"There are no photos to divide\. Give labelled photos\."):
        split_samples(np.zeros(0, int), alone(0), fractions=DEFAULT, seed=1)


def test_thousands_of_classes_are_divided_or_refused_within_seconds():
    labels = np.arange(12_000) % 2_000
    start = time.perf_counter()
    assert split_samples(labels, alone(12_000), fractions=DEFAULT, seed=0).count("train") == 7200
    with pytest.raises(SplitError, match="at least 7 separate photos"):
        fold_samples(labels, alone(12_000), folds=7, seed=0)
    assert time.perf_counter() - start < 5.0


def test_users_groups_and_copies_join():
    groups = merge_groups(["a", None, "a", None, "b", None], [[1, 3], [2, 5], [0], [4]])
    assert groups.tolist() == [0, 1, 0, 1, 2, 0]
    assert merge_groups([], []).tolist() == []


@given(st.lists(st.sampled_from([None, "a", "b", "c"]), min_size=1, max_size=20), st.data())
def test_joined_groups_are_the_connected_parts(user, data):
    pairs = data.draw(st.lists(st.tuples(*[st.integers(0, len(user) - 1)] * 2), max_size=8))
    merged = merge_groups(user, pairs)
    reach = np.array(
        [[a == b or (user[a] is not None and user[a] == user[b]) for b in range(len(user))] for a in range(len(user))]
    )
    for a, b in pairs:
        reach[a, b] = reach[b, a] = True
    for _ in user:
        reach |= reach @ reach
    assert np.array_equal(merged[:, None] == merged[None, :], reach)


def test_when_a_class_is_too_small_for_one_test_part():
    assert needs_folds(np.repeat([0, 1], [1000, 149]), DEFAULT)
    assert not needs_folds(np.repeat([0, 1], [1000, 150]), DEFAULT)


def test_the_fewest_separate_photos_of_a_class():
    assert fewest_groups(np.array([0, 0, 0, 1, 1]), np.array([0, 1, 2, 3, 3])) == 1
    assert fewest_groups(np.array([0.5, 0.7, 0.9]), np.array([0, 0, 1])) == 2
