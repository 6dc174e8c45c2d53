"""Confident learning beside cleanlab, and on labels whose errors are known."""

import numpy as np
import pytest
from cleanlab.count import compute_confident_joint
from cleanlab.filter import find_label_issues

from teliti.errors import UserError
from teliti.metrics.label_errors import confident_joint, find_label_errors


def noisy(seed: int, *, photos: int = 400, classes: int = 3, share: float = 0.1):
    """True labels, given labels, and probabilities that mostly know the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, photos)
    given = truth.copy()
    wrong = rng.choice(photos, int(share * photos), replace=False)
    given[wrong] = (given[wrong] + rng.integers(1, classes, len(wrong))) % classes
    logits = rng.normal(0, 1, (photos, classes))
    logits[np.arange(photos), truth] += 5.0
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return truth, given, probs


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("classes", [2, 3, 6])
def test_the_published_method_agrees_with_cleanlab(seed, classes):
    _, given, probs = noisy(seed, classes=classes)
    joint = compute_confident_joint(given, probs, calibrate=True)
    assert confident_joint(given, probs, most_demanded=1.0) == pytest.approx(joint, abs=1.0)  # theirs are rounded
    theirs = find_label_issues(given, probs, filter_by="confident_learning", n_jobs=1)
    ours = find_label_errors(given, probs, most_demanded=1.0)
    assert sorted(ours.photos.tolist()) == np.flatnonzero(theirs).tolist()


@pytest.mark.parametrize("seed", range(3))
def test_planted_errors_are_found_the_surest_first(seed):
    truth, given, probs = noisy(seed)
    found = find_label_errors(given, probs)
    hits = truth[found.photos] != given[found.photos]
    assert hits.mean() > 0.75
    assert hits.sum() > 0.75 * (truth != given).sum()
    assert (np.diff(found.probabilities) <= 0).all()
    assert (found.labels[hits] == truth[found.photos[hits]]).mean() > 0.9


def test_an_easy_class_does_not_demand_the_impossible():
    labels = np.array([0] * 50 + [1] * 51)
    probs = np.repeat([[0.99, 0.01], [0.01, 0.99]], [50, 51], axis=0)
    probs[100] = [0.9, 0.1]
    assert find_label_errors(labels, probs, most_demanded=1.0).photos.tolist() == []
    found = find_label_errors(labels, probs)
    assert (found.photos.tolist(), found.labels.tolist()) == ([100], [0])
    assert found.probabilities == pytest.approx([0.9])


def test_perfect_labels_have_no_suspects():
    labels = np.arange(30) % 3
    assert len(find_label_errors(labels, np.eye(3)[labels]).photos) == 0
    assert np.array_equal(confident_joint(labels, np.eye(3)[labels]), 10 * np.eye(3))


def test_a_class_that_nobody_was_given_suspects_nobody():
    labels = np.array([0, 0, 1, 1])
    probs = np.array([[0.9, 0.05, 0.05]] * 2 + [[0.1, 0.2, 0.7]] * 2)
    assert 2 not in find_label_errors(labels, probs).labels


@pytest.mark.parametrize(
    ("labels", "probs", "words"),
    [
        ([0, 1], [[0.5, 0.5]], r"\(N, K\) with N labels"),
        ([], [], r"\(N, K\) with N labels"),
        ([0, 2], [[0.5, 0.5]] * 2, r"0..1, got 0 to 2"),
    ],
)
def test_what_does_not_match_is_refused(labels, probs, words):
    with pytest.raises(UserError, match=words):
        find_label_errors(np.array(labels, dtype=np.int64), np.array(probs))
