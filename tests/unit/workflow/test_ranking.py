"""What is said of variants: helps, harms, inside the noise, and nothing more."""

from __future__ import annotations

import json

import pytest

from teliti.workflow.searches.ranking import HARMS, HELPS, NOISE, rank_variants

NONE = [0.80, 0.82, 0.81, 0.79, 0.83]


def rank(judged: dict[str, list[float | None]], measure: str = "accuracy") -> dict:
    values = {name: {measure: series} for name, series in judged.items()}
    seconds = dict.fromkeys(judged, 1.5)
    return rank_variants(values, seconds, measure=measure, reference="none", factor="prepare", test_to_train=0.25)


def shifted(by: float, wobble: float = 0.002) -> list[float]:
    return [value + by + wobble * (-1) ** place for place, value in enumerate(NONE)]


def test_a_clear_gain_helps_and_is_recommended() -> None:
    record = rank({"none": NONE, "clahe": shifted(0.05), "median": shifted(0.0, 0.01)})
    verdicts = {row["factors"]["prepare"]: (row["difference"] or {}).get("verdict") for row in record["rows"]}
    assert verdicts == {"none": None, "clahe": HELPS, "median": NOISE}
    assert (record["shown_to_help"], record["recommended"]) == (["clahe"], "clahe")
    assert record["best"]["shown_to_help"]
    assert record["sentences"][0].startswith('"clahe": helps, accuracy +0.050 against none (+0.0')
    assert record["sentences"][1].endswith("is inside the noise: shown neither to help nor to harm.")
    assert record["sentences"][2] == 'Shown to help: "clahe".'
    row = record["rows"][1]
    assert (row["repeats"], row["seconds"], row["mean"]) == (5, 1.5, pytest.approx(0.8604))
    assert row["interval"][0] < row["mean"] < row["interval"][1]
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_a_clear_loss_harms_and_none_is_the_choice() -> None:
    record = rank({"none": NONE, "segment": shifted(-0.05)})
    assert record["rows"][1]["difference"]["verdict"] == HARMS
    assert (record["shown_to_help"], record["recommended"]) == ([], "none")
    assert record["sentences"][-1] == 'No variant is shown to help, so "none" is the choice.'


def test_the_best_mean_alone_recommends_nothing() -> None:
    record = rank({"none": NONE, "clahe": [0.85, 0.78, 0.84, 0.80, 0.84]})
    assert record["best"] == {"factors": {"prepare": "clahe"}, "mean": pytest.approx(0.822), "shown_to_help": False}
    assert record["recommended"] == "none"
    assert record["sentences"][-1].endswith('"clahe" has the best mean, by no more than chance can do.')


def test_an_error_helps_when_it_falls() -> None:
    record = rank({"none": NONE, "clahe": shifted(-0.05), "median": shifted(0.05)}, "mae")
    assert [row["difference"]["verdict"] for row in record["rows"][1:]] == [HELPS, HARMS]
    assert record["best"]["factors"] == {"prepare": "clahe"}


def test_one_of_many_comparisons_needs_more() -> None:
    hardly = [value + gain for value, gain in zip(NONE, [0.010, 0.030, 0.016, 0.025, 0.009], strict=True)]
    assert rank({"none": NONE, "a": hardly})["rows"][1]["difference"]["verdict"] == HELPS
    others = {f"other {number}": shifted(0.0, 0.01 + number / 1000) for number in range(8)}
    record = rank({"none": NONE, "a": hardly, **others})
    difference = record["rows"][1]["difference"]
    assert (difference["verdict"], difference["interval"][0] > 0) == (NOISE, True)
    assert "not as one of 9 comparisons" in record["sentences"][0]


def test_what_cannot_be_told_is_said_so() -> None:
    record = rank({"none": NONE, "same": NONE, "gap": [None, 0.9, 0.9, 0.9, 0.9], "step": [v + 0.5 for v in NONE]})
    same, gap, step = record["sentences"][:3]
    assert same == '"same": accuracy is the same as that of none in every repeat.'
    assert gap == '"gap": accuracy is undefined in some repeats, so nothing can be said.'
    assert "differs from none by +0.500 in every repeat alike" in step
    assert [row["difference"]["verdict"] for row in record["rows"][1:]] == [NOISE] * 3
    assert record["rows"][2]["mean"] is None


def test_several_that_help_are_listed_by_their_gain() -> None:
    record = rank({"none": NONE, "a": shifted(0.04), "b": shifted(0.08)})
    assert record["shown_to_help"] == ["b", "a"]
    assert '"b", "a"' in record["sentences"][-1]


def test_shares_stay_between_nought_and_one() -> None:
    record = rank({"none": NONE, "a": [1.0, 1.0, 0.9, 1.0, 1.0]})
    assert record["rows"][1]["interval"][1] == 1.0
