"""Planted oddities are named, each once, and a set is judged by itself."""

from dataclasses import replace

import numpy as np
import pytest

from teliti.data.health import Health
from teliti.data.health_table import HealthTable
from teliti.data.oddities import find_odd_photos, robust_distances

USUAL = Health(300, 400, 50_000, 1, 120.0, 30.0, 40.0, 220.0, 0.1, 0.0, 0.4, 0.0, "8-bit grey")


def healthy_set(count: int = 40) -> list[Health]:
    rng = np.random.default_rng(0)
    return [
        replace(USUAL, mean=120 + rng.normal(0, 5), deviation=30 + rng.normal(0, 2), blur=0.4 + rng.normal(0, 0.02))
        for _ in range(count)
    ]


def find(healths):
    table = HealthTable(healths)
    return find_odd_photos([f"{at}.png" for at in range(len(table))], table)


def test_a_healthy_set_has_no_findings():
    assert find(healthy_set()) == []


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"common": 0.99}, "uniform", "99% of its pixels"),
        ({"low": 100.0, "high": 103.0}, "uniform", "span 3"),
        ({"high": 25.0, "low": 2.0}, "dark", "brighter than 25 of 255"),
        ({"mean": 40.0}, "dark", "far below the set's 1"),
        ({"low": 230.0, "high": 255.0}, "bright", "darker than 230 of 255"),
        ({"mean": 200.0}, "bright", "far above the set's 1"),
        ({"low": 100.0, "high": 110.0}, "low_contrast", "span 10 of 255"),
        ({"deviation": 4.0}, "low_contrast", "deviate by 4.0, far below the set's"),
        ({"blur": 0.9}, "blurred", "0.90 (limit 0.85"),
        ({"blur": 0.7}, "blurred", "0.70, far above the set's 0.4"),
        ({"height": 20, "width": 27}, "odd_size", "below 32 pixels"),
        ({"height": 1200, "width": 1600}, "odd_size", "1200 pixels, far from the set's 300"),
        ({"width": 1300}, "odd_shape", "more than 4 times"),
        ({"width": 300, "height": 450}, "odd_shape", "0.67 times as wide as high"),
        ({"mode": "CMYK"}, "odd_mode", 'stored as "CMYK", 40 of 41 photos as "8-bit grey"'),
        ({"colour": 40.0}, "odd_mode", "It has colours"),
        ({"orientation": 6}, "turned", "not stored upright"),
    ],
)
def test_a_planted_oddity_is_named(change, kind, words):
    found = [one for one in find([*healthy_set(), replace(USUAL, **change)]) if one.kind == kind]
    assert [one.paths for one in found] == [("40.png",)]
    assert words in found[0].message


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"low": 100.0, "high": 110.0}, "Its grey levels span 10 of 255 (limit 12)."),
        ({"high": 25.0, "low": 2.0}, "Nothing on it is brighter than 25 of 255 (limit 32)."),
        ({"low": 230.0, "high": 255.0}, "Nothing on it is darker than 230 of 255 (limit 223)."),
        ({"blur": 0.9}, "Its blur is 0.90 (limit 0.85; 0 is sharp)."),
        ({"height": 20, "width": 27}, "Its shorter side is below 32 pixels."),
        ({"width": 1300}, "One side is more than 4 times the other."),
        ({"mean": 40.0}, "Its mean grey level is 40, far below the set's 119."),
        ({"mean": 200.0}, "Its mean grey level is 200, far above the set's 119."),
        ({"deviation": 4.0}, "Its grey levels deviate by 4.0, far below the set's 29.7."),
        ({"blur": 0.7}, "Its blur is 0.70, far above the set's 0.41 (0 is sharp)."),
        ({"height": 1200, "width": 1600}, "Its shorter side is 1200 pixels, far from the set's 300."),
        ({"width": 300, "height": 450}, "It is 0.67 times as wide as high, far from the set's 1.33."),
        ({"common": 0.99}, "99% of its pixels have one grey level; 98 % of them span 180."),
        ({"mode": "CMYK"}, 'It is stored as "CMYK", 40 of 41 photos as "8-bit grey".'),
        ({"colour": 40.0}, "It has colours, the other photos are grey."),
        ({"orientation": 6}, "Its EXIF tag says that it is not stored upright."),
    ],
)
def test_what_is_odd_is_said_in_a_whole_sentence(change, sentence):
    assert sentence in [one.message for one in find([*healthy_set(), replace(USUAL, **change)])]


def test_a_grey_photo_among_coloured_ones():
    (found,) = find([*(replace(one, colour=50.0) for one in healthy_set()), USUAL])
    assert (found.kind, found.paths) == ("odd_mode", ("40.png",))
    assert found.message == "It is grey, the other photos have colours."


def test_a_second_population_is_one_finding_about_the_set():
    found = find([*healthy_set(), *(replace(one, mean=one.mean + 90) for one in healthy_set(10))])
    assert [(one.kind, one.paths, one.severity) for one in found] == [("bright", (), "info")]
    assert found[0].message == (
        "10 of 50 photos stand apart from the others, for instance 40.png, 41.png, 42.png, 43.png, 44.png."
    )


def test_a_whole_set_of_tiny_photos_is_one_finding():
    (found,) = find([replace(one, height=8, width=8) for one in healthy_set()])
    assert (found.kind, found.severity, found.paths) == ("odd_size", "info", ())
    assert found.message.startswith("40 of 40 photos break the limit, for instance 0.png, 1.png")


def test_an_empty_photo_is_not_also_dark_and_blurred():
    found = find([*healthy_set(), replace(USUAL, mean=0.0, low=0.0, high=0.0, common=1.0, blur=float("nan"))])
    assert [one.kind for one in found] == ["uniform"]


def test_few_photos_are_judged_by_absolute_limits_alone():
    assert find([USUAL, replace(USUAL, mean=200.0)]) == []


def test_many_turned_photos_are_one_finding():
    (found,) = find([replace(one, orientation=8) for one in healthy_set()])
    assert found.kind == "turned"
    assert found.paths == ()
    assert found.message.startswith("40 of 40 photos are turned by their EXIF tag, for instance 0.png")


def test_no_photos_have_no_findings():
    assert find([]) == []


def test_robust_distances_ignore_what_is_unknown():
    values = np.array([1.0, 2.0, 3.0, np.nan, 100.0])
    distances = robust_distances(values, gap=1.0)
    assert distances[3] == 0.0
    assert distances[4] == pytest.approx((100 - 2.5) / 1.4826)
    assert (robust_distances(np.array([np.nan]), gap=1.0) == 0.0).all()
