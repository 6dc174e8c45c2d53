"""The envelope: what training photos keep lies inside, what they never did lies outside, with value and limit."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from teliti.metrics.envelope import Envelope, Limits, envelope_from_record, fit_envelope, usual_range

RNG = np.random.default_rng(7)
USUAL = {
    "light": RNG.normal(120.0, 10.0, 400),
    "blur": RNG.normal(0.4, 0.02, 400),
    "size": np.full(400, 300.0),
    "scale": RNG.normal(0.5, 0.01, 400),
}
INSIDE = {"light": 121.0, "blur": 0.4, "size": 300.0, "scale": 0.5}


@pytest.fixture(scope="module")
def envelope() -> Envelope:
    found = fit_envelope(USUAL, action="warn")
    assert found is not None
    return found


def test_photos_like_the_training_photos_are_inside(envelope: Envelope) -> None:
    rows = [dict(zip(USUAL, row, strict=True)) for row in zip(*USUAL.values(), strict=True)]
    assert sum(bool(envelope.outside(row)) for row in rows) <= 0.01 * len(rows)
    assert envelope.outside(INSIDE) == ()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"light": 40.0}, "too dark: light 40 of 255, limit"),
        ({"light": 220.0}, "too bright: light 220 of 255, limit"),
        ({"blur": 0.8}, "too blurred: blur 0.80, limit"),
        ({"blur": 0.1}, "sharper or noisier than usual: blur 0.10, limit"),
        ({"size": 120.0}, "too few pixels: longer side 120, limit 240"),
        ({"size": 900.0}, "more pixels than usual: longer side 900, limit 375"),
        ({"scale": 0.2}, "part too small: 0.20 of the side, limit"),
        ({"scale": 0.9}, "part too large: 0.90 of the side, limit"),
        ({"light": float("nan")}, "too dark: light nan of 255, limit"),
    ],
)
def test_what_lies_outside_is_told_with_value_and_limit(changed: dict, said: str, envelope: Envelope) -> None:
    (phrase,) = envelope.outside(INSIDE | changed)
    assert phrase.startswith(said)


def test_a_limit_itself_lies_inside(envelope: Envelope) -> None:
    low = envelope.limits["light"].low
    assert low is not None
    assert envelope.outside(INSIDE | {"light": low}) == ()
    assert envelope.outside(INSIDE | {"light": np.nextafter(low, 0.0)}) != ()


def test_several_reasons_are_all_told(envelope: Envelope) -> None:
    assert len(envelope.outside(INSIDE | {"light": 10.0, "blur": 0.9})) == 2


@pytest.mark.parametrize("scales", [RNG.uniform(0.1, 0.9, 400), np.zeros(400), np.ones(400)])
def test_a_scale_that_photos_do_not_agree_on_is_left_out(scales: np.ndarray) -> None:
    found = fit_envelope(USUAL | {"scale": scales}, action="warn")
    assert found is not None
    assert set(found.limits) == {"light", "blur", "size"}


def test_limits_that_no_value_can_pass_are_none() -> None:
    found = fit_envelope({"light": np.array([5.0, 250.0]), "blur": np.array([0.01, 0.99])}, action="warn")
    assert found is not None
    assert [(one.low, one.high) for one in found.limits.values()] == [(None, None), (None, None)]


def test_without_photos_there_is_no_envelope() -> None:
    assert fit_envelope({"light": np.array([])}, action="warn") is None


def test_the_usual_range_of_few_photos_is_close_to_all_of_them() -> None:
    assert usual_range(np.array([1.0, 2.0, 3.0])) == pytest.approx((1.01, 2.99))


def test_a_record_gives_the_envelope_back(envelope: Envelope) -> None:
    told = replace(envelope, action="review", stress=({"photos": 12},))
    assert envelope_from_record(json.loads(json.dumps(told.to_record()))) == told
    assert envelope_from_record(None) is None


@pytest.mark.parametrize(
    "change", [{"schema": 2}, {"action": "shout"}, {"limits": {"light": {"low": 1}}}, {"limits": 5}, {"photos": None}]
)
def test_a_damaged_record_is_not_read(change: dict, envelope: Envelope) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        envelope_from_record(envelope.to_record() | change)


def test_a_limit_that_is_no_number_is_not_read() -> None:
    broken = Envelope({"light": Limits(float("nan"), None, (0.0,) * 11)}, 3)
    with pytest.raises(ValueError, match="a limit of nan"):
        envelope_from_record(broken.to_record())
