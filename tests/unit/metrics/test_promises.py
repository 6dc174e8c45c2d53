"""What a number of photos can promise, against scipy's binomial law."""

import pytest
from scipy.stats import binom

from teliti.errors import RecipeError
from teliti.metrics.promises import errors_that_prove, make_promise, photos_that_prove


@pytest.mark.parametrize("photos", [0, 1, 58, 59, 298, 299, 1000])
@pytest.mark.parametrize("rate", [0.01, 0.05, 0.5])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_as_many_errors_as_the_binomial_law_allows(photos, rate, confidence):
    allowed = errors_that_prove(rate, photos, confidence=confidence)
    assert allowed < 0 or binom.cdf(allowed, photos, rate) <= 1 - confidence
    assert allowed == photos or binom.cdf(allowed + 1, photos, rate) > 1 - confidence


@pytest.mark.parametrize(("rate", "confidence", "photos"), [(0.01, 0.95, 299), (0.05, 0.95, 59), (0.1, 0.9, 22)])
def test_photos_that_prove_a_rate(rate, confidence, photos):
    assert photos_that_prove(rate, confidence=confidence) == photos
    assert errors_that_prove(rate, photos, confidence=confidence) == 0
    assert errors_that_prove(rate, photos - 1, confidence=confidence) == -1


def test_a_promise_that_cannot_be_proven_says_what_is_missing_and_what_is_proven_instead():
    promise = make_promise(0.01, "proven", photos=100)
    assert (promise.held, promise.allowed, promise.needed, promise.more) == (False, 0, 299, 199)
    assert promise.bound == pytest.approx(0.0295, abs=5e-5)
    assert promise.to_record()["more"] == 199


def test_an_expected_rate_takes_one_photo_more_than_its_inverse():
    assert not make_promise(0.05, "expected", photos=18).held
    assert make_promise(0.05, "expected", photos=19).held
    assert make_promise(0.05, "expected", photos=99).allowed == 4


def test_an_observed_rate_is_what_it_is():
    promise = make_promise(0.07, "observed", photos=100)
    assert (promise.held, promise.allowed, promise.needed, promise.more) == (True, 7, None, None)


def test_a_rate_of_one_is_no_promise():
    assert make_promise(1.0, "proven", photos=3).allowed == 3
    assert photos_that_prove(1.0, confidence=0.95) == 0


@pytest.mark.parametrize("guarantee", ["proven", "expected"])
def test_never_cannot_be_promised(guarantee):
    with pytest.raises(
        RecipeError,
        match=rf"A rate that is to be {guarantee} must be above 0, got 0\. No number "
        r"of photos shows that something never happens; ask for 0\.01, for instance\.$",
    ):
        make_promise(0.0, guarantee, photos=100)
