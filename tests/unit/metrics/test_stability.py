"""The population stability index against numbers by hand, and the bins that it is taken over."""

from __future__ import annotations

import numpy as np
import pytest

from teliti.metrics.stability import (
    FEWEST,
    LATEST,
    fit_histogram,
    histogram_from_record,
    histogram_of_deciles,
    stability_index,
)


def test_by_hand() -> None:
    index = stability_index([10, 90], [30, 70])
    p, q = np.array([10.5, 90.5]) / 101, np.array([30.5, 70.5]) / 101
    assert index == pytest.approx(float(((q - p) * np.log(q / p)).sum()))
    assert stability_index([5, 7, 9], [5, 7, 9]) == 0


def test_bins_hold_equal_shares() -> None:
    found = fit_histogram(np.linspace(0, 1, 1000).tolist(), source="validation photos")
    assert found.counts == (100,) * 10
    assert found.bin(0.0) == 0
    assert found.bin(found.edges[0]) == 1  # an edge belongs to the bin above it
    assert found.bin(7.0) == 9
    assert histogram_from_record(found.to_record()) == found


@pytest.mark.parametrize("photos", [FEWEST, 60, 200, 1000])
def test_few_photos_alone_look_like_no_drift(photos: int) -> None:
    random = np.random.default_rng(photos)
    indices = []
    for _ in range(100):
        before = fit_histogram(random.normal(size=photos).tolist(), source="x")
        now = np.bincount([before.bin(value) for value in random.normal(size=LATEST)], minlength=len(before.counts))
        indices.append(stability_index(before.counts, now.tolist()))
    assert np.mean(indices) < 0.1


def test_too_few_and_all_equal() -> None:
    assert fit_histogram([0.5] * (FEWEST - 1), source="x") is None
    assert histogram_of_deciles([0.0] * 11, photos=FEWEST - 1, source="x") is None
    equal = fit_histogram([0.5] * 100, source="x")
    assert equal.counts == (0, 100)


def test_deciles_give_the_bins_of_their_photos() -> None:
    values = np.random.default_rng(1).gamma(2.0, size=2000)
    deciles = np.quantile(values, np.linspace(0, 1, 11)).tolist()
    found = histogram_of_deciles(deciles, photos=2000, source="training")
    assert found.counts == pytest.approx([200] * 10)
    assert np.bincount([found.bin(value) for value in values]) == pytest.approx(found.counts, abs=2)
    few = histogram_of_deciles(deciles, photos=60, source="training")
    assert (len(few.counts), sum(few.counts)) == (3, 60)
    tied = histogram_of_deciles([1.0] * 5 + [2.0] * 6, photos=2000, source="training")
    assert tied.counts == (0, 1000, 1000)


@pytest.mark.parametrize(
    "record",
    [{"edges": [1, 0], "counts": [1, 1, 1]}, {"edges": [0], "counts": [1]}, {"edges": [0], "counts": [1, "x"]}],
)
def test_a_damaged_record_is_refused(record: dict) -> None:
    with pytest.raises(ValueError, match=r"growing edges|could not convert"):
        histogram_from_record({**record, "source": "x"})
