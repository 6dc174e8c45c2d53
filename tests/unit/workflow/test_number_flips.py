"""Two bundles that predict numbers: which photos move, whether the new one errs more, and in which words.

The old bundle measures a photo's mean grey value; the new one sees the photo under another gamma.
"""

from __future__ import annotations

import csv
import html
import json
from pathlib import Path

import pytest

from handmade import even_photo, write_brightness_bundle
from parts import encode_png
from teliti.bundle import MANIFEST
from teliti.errors import UserError
from teliti.metrics.number_rule import NumberRule
from teliti.report.flips_page import render_flips
from teliti.report.number_words import numbers_in_words, tolerance_sentence
from teliti.transforms.prepare import build_chain
from teliti.types import Prediction
from teliti.workflow.changes.kinds import KINDS
from teliti.workflow.changes.numbers import judge_worse_numbers, say_number_flips
from teliti.workflow.flips import compare
from teliti.workflow.shared.tolerances import check_tolerance, names_of, values_of

GREYS = range(20, 180, 8)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`old` and `new` bundles, and 20 photos whose label is the grey value and 2 more."""
    folder = tmp_path_factory.mktemp("numbers")
    for name, steps in (("old", []), ("new", [{"step": "gamma", "gamma": 0.8}])):
        write_brightness_bundle(folder / name, is_regression=True)
        chain = build_chain(steps, image_size=(8, 8), fit="letterbox")
        manifest = json.loads((folder / name / MANIFEST).read_text())
        (folder / name / MANIFEST).write_text(json.dumps(manifest | {"prepare": chain.to_record()}))
    (folder / "photos").mkdir()
    rows = ["path,label"]
    for grey in GREYS:
        (folder / "photos" / f"{grey}.png").write_bytes(encode_png(even_photo(grey)))
        rows.append(f"{grey}.png,{grey + 2}")
    (folder / "photos" / "labels.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_photos_whose_number_moves_are_listed(place: Path, tmp_path: Path) -> None:
    record = compare(place / "old", place / "new", place / "photos" / "labels.csv", out=tmp_path / "out")
    assert (record["task"], record["photos"], record["labelled"], record["tested"]) == ("regression", 20, True, 20)
    assert record["tolerance"] == {"values": {"number": pytest.approx(2.0, abs=0.01)}, "from": "error"}
    assert record["changed"] == len(record["flips"]) == record["kinds"]["farther"]
    moved = [one["moved"] for one in record["flips"]]
    assert moved == sorted(moved, reverse=True)
    assert record["worse"]["shown"]
    assert record["worse"]["reasons"][0].startswith("NEW errs more: by ")
    assert record["sentences"][0].startswith(f"The number of {record['changed']} of 20 photos moves by more than 2.0")
    assert record["sentences"][1] == (
        "The tolerance is that of OLD: its own mean absolute error on these photos. Set another with --tolerance."
    )
    assert json.loads((tmp_path / "out" / "compare.json").read_text()) == record
    with (tmp_path / "out" / "flips.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(rows[0]["old_verdict"]), rows[0]["kind"]] == [pytest.approx(float(rows[0]["label"]) - 2), "farther"]
    page = html.unescape((tmp_path / "out" / "compare.html").read_text())
    assert "NEW is shown to be worse. NEW errs more" in page
    assert "Old and new are mean absolute errors. p: Fisher's randomisation test" in page
    assert "Farther from the truth" in page
    assert "From which verdict" not in page


def test_the_other_way_round_nothing_is_worse(place: Path) -> None:
    record = compare(place / "new", place / "old", place / "photos" / "labels.csv", tolerance=1.0)
    assert (record["tolerance"]["from"], record["worse"]["shown"]) == ("given", False)
    assert set(record["kinds"]) == {"nearer"}
    assert "NEW is not shown to be worse" in " ".join(record["sentences"])
    assert not [one for one in record["sentences"] if "tolerance" in one]


def test_the_same_bundle_twice_moves_nothing(place: Path) -> None:
    record = compare(place / "old", place / "old", place / "photos" / "labels.csv")
    assert (record["flips"], record["amounts"][0]["p"]) == ([], 1.0)
    assert record["sentences"][0].startswith("The number of none of 20 photos moves by more than 2.0")


def test_without_labels_the_spread_of_the_answers_is_the_measure(place: Path) -> None:
    record = compare(place / "old", place / "new", place / "photos", labels=False)
    assert (record["labelled"], record["worse"], record["amounts"], record["kinds"]) == (False, None, None, None)
    assert record["tolerance"]["from"] == "spread"
    assert record["tolerance"]["values"]["number"] == pytest.approx(4.61, abs=0.02)
    assert "a tenth of the standard deviation of its answers" in record["sentences"][1]
    assert "The photos have no labels" in record["sentences"][2]
    page = render_flips(record, {}, KINDS)
    assert "Changed numbers (" in page
    assert "Changed verdicts" not in page


def row(name: str = "number", **changes: object) -> dict:
    return {"name": name, "photos": 40, "old": 1.0, "new": 2.0, "smaller": 5, "larger": 30, "difference": 1.0,
            "interval": [0.5, 1.5], "p": 0.001} | changes  # fmt: skip


def test_worse_is_said_of_each_number_and_only_upwards() -> None:
    better, even = row("y", difference=-1.0, new=0.5), row("z", p=0.06)
    record = {"amounts": [row("x"), better, even], "numbers": ["x", "y", "z"]}
    worse = judge_worse_numbers(record)
    assert worse["reasons"] == ["NEW errs more on x: by 2 on average instead of 1 (adjusted p = 0.003)."]
    assert judge_worse_numbers({"amounts": None}) is None


def test_every_sentence_comes_from_the_record() -> None:
    record = {
        "photos": 50, "changed": 3, "share_interval": [0.01, 0.16], "numbers": ["x", "y"], "seen": {"old": 0, "new": 0},
        "tolerance": {"values": {"x": 0.5, "y": 20.0}, "from": "given"}, "amounts": [row("x"), row("y", photos=0)],
        "worse": {"shown": True, "reasons": [], "p": {}}, "tested": 50,
    }  # fmt: skip
    assert say_number_flips(record) == [
        "The number of 3 of 50 photos moves by more than x 0.500, y 20.0 (1.0 to 16.0 % of such photos).",
        "OLD errs by 1 and NEW by 2 on average on x, over 40 photos (nearer: 5, farther: 30; randomisation test: p = "
        "0.001). The mean changes by +0.5 to +1.5.",
        "No photo can be used by both, so that their errors cannot be compared.",
        "NEW is shown to be worse.",
    ]
    assert numbers_in_words({"number": 12.345}) == "12.3"
    assert tolerance_sentence({"from": "given"}, whose="OLD") == ""


def test_several_numbers_are_named() -> None:
    rule = NumberRule(("x", "y"))
    assert names_of(rule) == ("x", "y")
    assert values_of(Prediction(None, None, {}, None, values={"y": 2.0, "x": 1.0}), ("x", "y")) == [1.0, 2.0]


@pytest.mark.parametrize(
    ("tolerance", "rule", "said"),
    [
        (-1.0, NumberRule(), "A tolerance must be a number from 0 on, got -1"),
        ({"x": 1.0}, NumberRule(("x", "y")), "A tolerance must be given for x, y, got x"),
        (1.0, None, "A tolerance must stand beside bundles that predict numbers"),
    ],
)
def test_a_tolerance_that_cannot_be_is_told(tolerance: object, rule: object, said: str) -> None:
    with pytest.raises(UserError, match=said):
        check_tolerance(tolerance, rule)


def test_numbers_of_other_names_cannot_be_compared(place: Path, tmp_path: Path) -> None:
    other = write_brightness_bundle(tmp_path / "other", is_regression=True).path
    manifest = json.loads((other / MANIFEST).read_text())
    (other / MANIFEST).write_text(json.dumps(manifest | {"decision": {"numbers": ["x"]}}))
    with pytest.raises(UserError, match="must predict the same numbers, got one without a name and x"):
        compare(place / "old", other, place / "photos")
