"""Every sentence of the card comes from its record, and both pages show them."""

from __future__ import annotations

import pytest

from teliti.report.stress_page import render_card, render_stress
from teliti.report.stress_words import (
    bounds_sentence,
    card_sentences,
    clean_sentence,
    kept_sentence,
    limit_sentence,
    title_of,
)
from teliti.transforms.sweeps import SWEEPS


def row(
    name: str, limit: float | None, broken: float | None, *, neutral: float = 1.0, why_not: str | None = None
) -> dict:
    return {
        "name": name, "limit": limit, "neutral": neutral, "first_broken": broken, "why_not": why_not, "levels": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        (row("darker", 0.7, 0.6), "Light may fall to 70 % of what it was; at 60 % no longer."),
        (row("darker", 0.3, None), "Light may fall to 30 % of what it was; further was not tried."),
        (row("darker", 1.0, 0.9), "Light must not fall: at 90 % verdicts no longer hold."),
        (row("brighter", 1.5, 1.75), "Light may rise to 150 % of what it was; at 175 % no longer."),
        (row("tint", None, None, neutral=0.0, why_not="the photos are grey"),
         "Colour of the light was not tried: the photos are grey."),
        (row("tint", 10.0, 20.0, neutral=0.0),
         "Red may rise and blue fall by 10 grey levels, or the other way round; at 20 grey levels no longer."),
        (row("blur", 0.75, 1.0, neutral=0.0),
         "Blur may reach 0.75 pixels (standard deviation, in a photo of 300 pixels); at 1 pixel no longer."),
        (row("pixels", 0.5, 0.35),
         "Photos may shrink to 50 % of their height and width; at 35 % no longer."),
        (row("noise", 0.0, 2.0, neutral=0.0),
         "There must not be more noise: at 2 grey levels verdicts no longer hold."),
        (row("jpeg", 40.0, 30.0, neutral=100.0),
         "Photos may be saved as JPEG of quality 40; at quality 30 no longer."),
        (row("rotation", 1.0, 2.0, neutral=0.0),
         "Parts may lie turned by 1 degree either way; at 2 degrees no longer."),
        (row("shift", 0.05, 0.1, neutral=0.0),
         "Parts may lie 5 % of the picture's side away from their place; at 10 % no longer."),
        (row("smaller", 0.9, 0.8),
         "The camera may stand farther away, until parts look 90 % as large; at 80 % no longer."),
        (row("larger", 1.0, 1.05), "The camera must not stand nearer: at 105 % verdicts no longer hold."),
        (row("occlusion", 0.005, 0.01, neutral=0.0),
         "Something may cover 0.5 % of the picture; at 1 % no longer."),
    ],
)  # fmt: skip
def test_a_limit_in_words(told: dict, sentence: str) -> None:
    assert limit_sentence(told) == sentence


NEVER = {
    "darker": ("Less light", "Light must not fall: at 90 % verdicts no longer hold."),
    "brighter": ("More light", "Light must not rise: at 110 % verdicts no longer hold."),
    "tint": (
        "Colour of the light",
        "The colour of the light must not change: at 5 grey levels verdicts no longer hold.",
    ),
    "blur": ("Focus", "The picture must stay as sharp as it is: at 0.5 pixels verdicts no longer hold."),
    "pixels": ("Pixels of the camera", "Photos must not have fewer pixels: at 80 % verdicts no longer hold."),
    "noise": ("Noise", "There must not be more noise: at 2 grey levels verdicts no longer hold."),
    "jpeg": ("JPEG", "Photos must not be saved as JPEG: at quality 90 verdicts no longer hold."),
    "rotation": ("Turned parts", "Parts must not lie turned: at 1 degree verdicts no longer hold."),
    "shift": ("Shifted parts", "Parts must not be shifted: at 1 % verdicts no longer hold."),
    "smaller": ("Camera farther away", "The camera must not stand farther away: at 95 % verdicts no longer hold."),
    "larger": ("Camera nearer", "The camera must not stand nearer: at 105 % verdicts no longer hold."),
    "occlusion": ("Dirt, glare, hands", "Nothing may cover the picture: at 0.5 % verdicts no longer hold."),
}


def test_every_sweep_has_words_for_no_change_at_all() -> None:
    found = {
        sweep.name: (
            title_of(sweep.name),
            limit_sentence(row(sweep.name, sweep.neutral, sweep.levels[0], neutral=sweep.neutral)),
        )
        for sweep in SWEEPS
    }
    assert found == NEVER


def test_numbers_hold_in_their_own_words() -> None:
    told = row("noise", 4.0, 8.0, neutral=0.0)
    assert limit_sentence(told) == "Noise may reach 4 grey levels; at 8 grey levels no longer."
    never = row("darker", 1.0, 0.9) | {"about": "numbers"}
    assert limit_sentence(never) == "Light must not fall: at 90 % numbers no longer hold."
    several = {"task": "regression", "clean": {"errors": [{"name": "x", "mae": 1.5}, {"name": "y", "mae": 20.0}]}}
    assert clean_sentence(several) == "As they are, the numbers of the photos err by x 1.500 and y 20.0 on average."


@pytest.fixture
def record() -> dict:
    level = {
        "level": 0.9, "unchanged": 0.97, "unchanged_interval": [0.93, 0.99], "accuracy": 0.9,
        "accuracy_interval": [0.85, 0.94], "miss_rate": 0.05, "miss_rate_interval": [0.02, 0.1], "loss": 0.01,
        "holds": True,
    }  # fmt: skip
    darker = row("darker", 0.9, 0.8) | {"levels": [level, level | {"level": 0.8, "holds": False, "loss": 0.2}]}
    rows = [darker, row("tint", None, None, why_not="the photos are grey")]
    record = {
        "name": "line <3>", "source": "photos", "photos": 200, "model_hash": "ab" * 32, "bundle_hash": "cd" * 32,
        "bounds": {"loss": 0.02, "changed": 0.1}, "sweeps": rows, "updated": True,
        "clean": {"accuracy": 0.91, "accuracy_interval": [0.86, 0.95], "bad": 60, "miss_rate": 0.05,
                  "miss_rate_interval": [0.02, 0.14]},
        "envelope": {"action": "warn", "limits": {"light": {"low": 41.25, "high": None, "low_from": "stress",
                                                            "high_from": "training"}}},
        "warnings": ["Few photos."],
    }  # fmt: skip
    return record | {"card": card_sentences(record)}


def test_the_card_has_a_sentence_for_each_sweep(record: dict) -> None:
    assert record["card"] == [
        {"name": "darker", "title": "Less light", "sentence": limit_sentence(record["sweeps"][0])},
        {"name": "tint", "title": "Colour of the light", "sentence": limit_sentence(record["sweeps"][1])},
    ]


def test_what_it_rests_on(record: dict) -> None:
    assert bounds_sentence(record) == (
        "Verdicts hold while at most 10 % of them change and accuracy falls, or the miss rate rises, by at most 2 "
        "points (or one photo), seen on 200 photos."
    )
    assert "(or one photo)" not in bounds_sentence(record | {"bounds": {"loss": 0.0, "changed": 0.1}})
    assert clean_sentence(record) == (
        "As they are, 91.0 % of the photos get the right answer (95 % interval 86.0 to 95.0 %), and 5.0 % of 60 photos "
        "that must not pass do pass (2.0 to 14.0 %)."
    )
    assert clean_sentence({"clean": {"accuracy": 0.91}}) == "As they are, 91.0 % of the photos get the right answer."


def test_what_became_of_the_limits(record: dict) -> None:
    assert kept_sentence(record) == (
        "The limits stand in the bundle now, and predict warns of photos outside. What runs with it must be restarted."
    )
    assert "predict shows to a person photos outside" in kept_sentence(record | {"envelope": {"action": "review"}})
    assert kept_sentence(record | {"updated": False}) == "The bundle was left as it was."
    assert kept_sentence(record | {"envelope": None}) == (
        "The bundle keeps no envelope: train it with decide.envelope for warnings."
    )


@pytest.mark.parametrize("page", ["card", "stress"])
def test_a_page_shows_every_sentence_the_limits_and_names_as_they_are(page: str, record: dict) -> None:
    html = (render_card(record) if page == "card" else render_stress(record, {})).replace("&nbsp;", " ")
    for one in record["card"]:
        assert one["sentence"] in html
    for said in ("Few photos.", bounds_sentence(record), clean_sentence(record)):
        assert said in html
    assert ("41.2 (stress)" if page == "stress" else "from 41.2") in html
    assert (kept_sentence(record) in html) is (page == "stress")
    assert "line &lt;3&gt;" in html
    assert "<script" not in html
    assert ("97.0 % (93.0 to 99.0 %)" in html) is (page == "stress")
