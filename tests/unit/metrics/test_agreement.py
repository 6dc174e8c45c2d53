"""Agreement beside scikit-learn and the worked examples of the papers."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from teliti.errors import UserError
from teliti.metrics.agreement import MISSING, agreement_interval, cohen_kappa, fleiss_kappa, krippendorff_alpha

# Fleiss (1971): fourteen raters, ten subjects, five categories
FLEISS = [
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
]  # fmt: skip
# Krippendorff (2011), "Computing Krippendorff's alpha-reliability", part C; 0 is missing
CODERS = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0], [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
    [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0], [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
]  # fmt: skip


@pytest.mark.parametrize("seed", range(5))
def test_two_raters_as_scikit_learn_has_it(seed):
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 4, 80)
    second = np.where(rng.random(80) < 0.6, first, rng.integers(0, 4, 80))
    weights = rng.integers(0, 3, 80).astype(float)
    assert cohen_kappa(first, second) == pytest.approx(cohen_kappa_score(first, second))
    weighted = cohen_kappa_score(first, second, sample_weight=weights)
    assert cohen_kappa(first, second, weights=weights) == pytest.approx(weighted)


def test_the_published_example_of_fleiss():
    ratings = np.array([np.repeat(np.arange(5), row) for row in FLEISS])
    assert fleiss_kappa(ratings) == pytest.approx(0.210, abs=5e-4)


def test_the_published_example_of_krippendorff():
    ratings = np.array(CODERS).T - 1
    assert krippendorff_alpha(ratings) == pytest.approx(0.743, abs=5e-4)


@pytest.mark.parametrize("measure", [fleiss_kappa, krippendorff_alpha])
def test_a_weight_of_two_is_the_photo_twice(measure):
    ratings = np.random.default_rng(0).integers(0, 3, (20, 3))
    weights = np.ones(20)
    weights[4] = 2.0
    assert measure(ratings, weights=weights) == pytest.approx(measure(np.concatenate([ratings, ratings[4:5]])))


def test_full_agreement_is_one_and_one_word_is_nothing():
    labels = np.array([0, 1, 2, 1])
    assert cohen_kappa(labels, labels) == 1.0
    assert fleiss_kappa(np.stack([labels] * 3, axis=1)) == 1.0
    assert krippendorff_alpha(np.stack([labels] * 3, axis=1)) == 1.0
    assert np.isnan(cohen_kappa(np.zeros(4, int), np.zeros(4, int)))
    assert np.isnan(krippendorff_alpha(np.array([[0, MISSING], [MISSING, 1]])))


def test_the_interval_holds_the_value_and_is_seeded():
    rng = np.random.default_rng(1)
    first = rng.integers(0, 2, 200)
    second = np.where(rng.random(200) < 0.8, first, 1 - first)

    def measure(weights):
        return cohen_kappa(first, second, weights=weights)

    low, high = agreement_interval(measure, 200, seed=3)
    assert low < cohen_kappa(first, second) < high
    assert (low, high) == agreement_interval(measure, 200, seed=3)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: cohen_kappa(np.array([0]), np.array([0, 1])), "must label the same photos, got 1 and 2"),
        (lambda: cohen_kappa(np.array([], int), np.array([], int)), "got 0 and 0"),
        (lambda: fleiss_kappa(np.array([[0], [1]])), "at least two raters"),
        (lambda: fleiss_kappa(np.array([[0, MISSING]])), "must have labelled every photo"),
    ],
)
def test_what_cannot_be_compared_is_refused(call, words):
    with pytest.raises(UserError, match=words):
        call()
