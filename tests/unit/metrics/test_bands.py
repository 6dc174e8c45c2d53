"""Grey bands: no larger than allowed, cheapest of all pairs of ends."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teliti.metrics.bands import band_of_share, least_probs_of_share
from teliti.metrics.cheapest import cheapest_band
from teliti.metrics.line import Line
from teliti.recipe import Cost

CUTS = np.linspace(0.025, 0.975, 20)
SCORED = st.lists(st.tuples(st.booleans(), st.integers(0, 19)), min_size=2, max_size=40).filter(
    lambda pairs: 0 < sum(flag for flag, _ in pairs) < len(pairs)
)


def arrays(pairs):
    return np.array([score / 20 for _, score in pairs]), np.array([flag for flag, _ in pairs])


@given(SCORED, st.sampled_from([0.0, 0.1, 0.4, 1.0]), st.booleans())
def test_a_band_takes_no_more_than_its_share(pairs, share, upwards):
    scores, positives = arrays(pairs)
    review = band_of_share(scores, positives, threshold=0.475, share=share, defect_rate=None, upwards=upwards)
    assert review.is_grey(scores).mean() <= share + 1e-9
    assert review.low <= 0.475 <= review.high
    assert not upwards or review.low == 0.475


def test_a_share_of_one_takes_every_photo():
    scores, positives = np.array([0.1, 0.4, 0.6, 1.0]), np.array([False, True, False, True])
    review = band_of_share(scores, positives, threshold=0.5, share=1.0, defect_rate=None, upwards=False)
    assert review.is_grey(scores)[:3].all()


def test_a_band_is_weighed_by_the_line():
    scores, positives = np.linspace(0.01, 0.99, 99), np.arange(99) >= 50
    on_line = band_of_share(scores, positives, threshold=0.505, share=0.1, defect_rate=0.01, upwards=True)
    assert on_line.is_grey(scores).sum() > 40  # defects are rare there, so that many of their scores fit in
    assert "10.0 % of the parts" not in on_line.sentence


@given(SCORED, st.sampled_from([None, 0.05, 0.5, 2.0]), st.sampled_from([None, 0.0, 0.2]))
def test_the_cheapest_band_is_the_cheapest_of_all_that_are_allowed(pairs, look, most):
    scores, positives = arrays(pairs)
    line = Line(Cost(miss=5, false_alarm=1, review=look), defect_rate=0.2)
    band = cheapest_band(scores, positives, line=line, cuts=CUTS, most_looks=most)
    weights = np.where(positives, 0.2 / positives.sum(), 0.8 / (~positives).sum())

    def seen(low, high):
        return weights[(scores >= low) & (scores < high)].sum()

    def cost(low, high):
        missed, alarms = weights[positives & (scores < low)].sum(), weights[~positives & (scores >= high)].sum()
        return 5 * missed + alarms + (look or 0) * seen(low, high)

    ends = [
        (low, high)
        for low in CUTS
        for high in CUTS
        if (low == high if look is None else low <= high and (most is None or seen(low, high) <= most + 1e-9))
    ]
    assert (band.low, band.high) in [(pytest.approx(low), pytest.approx(high)) for low, high in ends]
    assert cost(band.low, band.high) == pytest.approx(min(cost(*pair) for pair in ends), abs=1e-9)
    assert band.low <= band.threshold <= band.high


def test_with_many_photos_luck_is_smoothed_away():
    rng = np.random.default_rng(7)
    positives = np.arange(4000) < 800
    scores = np.where(positives, rng.beta(5, 2, 4000), rng.beta(2, 5, 4000))
    cuts = np.sort(scores)
    band = cheapest_band(scores, positives, line=Line(Cost(miss=1, false_alarm=1), defect_rate=0.5), cuts=cuts)
    assert band.threshold == pytest.approx(0.5, abs=0.03)  # by symmetry


def test_each_class_leaves_its_least_certain_photos():
    probs = np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.8, 0.2], [0.2, 0.8], [0.4, 0.6]])
    labels = probs.argmax(axis=1)
    review = least_probs_of_share(probs, labels, classes=("a", "b"), share=0.25)
    assert review.least_probs == (pytest.approx(0.65), 0.0)  # of two photos of "b" a quarter is none
    assert "a 0.650, b 0.000" in review.sentence
