"""Two bundles on the same photos: which verdicts change, what that proves, and what it costs.

The network measures brightness and nothing else; the bundles differ in their threshold, so every flip is known.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from handmade import CLASSES, even_photo, write_brightness_bundle
from parts import encode_png
from teliti.bundle import MANIFEST, SEEN_DIGITS, SEEN_FILE
from teliti.errors import CatalogError, RecipeError, UserError
from teliti.files import hash_file
from teliti.metrics.decision import Decision
from teliti.metrics.label_decision import LabelsDecision
from teliti.metrics.review import Review
from teliti.report.flips_page import render_flips
from teliti.workflow.changes.kinds import KINDS, kind_of
from teliti.workflow.changes.sums import judge_worse, say_flips
from teliti.workflow.flips import compare

GREYS = {"dark": (10, 60, 100, 140), "bright": (120, 180, 220, 250)}


def write_bundle_of(folder: Path, threshold: float | None = 0.5, **changes) -> Path:
    """A bundle that calls a photo bright from this brightness on, with changed attributes of its decision."""
    write_brightness_bundle(folder)
    decision = Decision(**{"classes": CLASSES, "positive": "bright", "threshold": threshold, "rule": "fixed"} | changes)
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | {"decision": decision.to_record()}))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four even photos of each class."""
    for name, values in GREYS.items():
        (tmp_path / "photos" / name).mkdir(parents=True)
        for grey in values:
            (tmp_path / "photos" / name / f"{grey}.png").write_bytes(encode_png(even_photo(grey, side=12)))
    return tmp_path / "photos"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return write_bundle_of(tmp_path / "old", 0.5)


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """Passes more: from 0.75, which is grey 191."""
    return write_bundle_of(tmp_path / "new", 0.75)


def test_exactly_the_photos_whose_verdict_changes_are_listed(old, new, folder):
    record = compare(old, new, folder)
    assert [(one["path"], one["old"]["verdict"], one["new"]["verdict"], one["kind"]) for one in record["flips"]] == [
        ("bright/180.png", "reject", "pass", "newly_missed"),
        ("dark/140.png", "reject", "pass", "false_alarm_gone"),
    ]
    assert (record["photos"], record["same"], record["changed"]) == (8, 6, 2)
    assert record["kinds"] == {"newly_missed": 1, "false_alarm_gone": 1}
    assert record["errors"]["only_old"] == record["errors"]["only_new"] == 1
    assert (record["missed"]["old"], record["missed"]["new"], record["missed"]["photos"]) == (1, 2, 4)
    assert (record["cost"], record["worse"]["shown"]) == (None, False)
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_the_same_bundle_twice_changes_nothing(old, folder):
    record = compare(old, old, folder)
    assert (record["flips"], record["changed"], record["errors"]["p"]) == ([], 0, 1.0)
    assert record["sentences"][0] == "None of 8 photos changes its verdict; of such photos fewer than 32.4 % do."


def test_without_labels_only_the_changes_are_told(old, new, folder):
    for labels, source in ((False, folder), (True, folder / "bright")):
        record = compare(old, new, source, labels=labels)
        assert "180.png" in " ".join(one["path"] for one in record["flips"])
        assert (record["labelled"], record["errors"], record["kinds"], record["worse"]) == (False, None, None, None)
        assert {one["kind"] for one in record["flips"]} == {None}
        assert "The photos have no labels" in record["sentences"][1]


def test_errors_are_counted_on_photos_that_neither_bundle_was_trained_with(old, new, folder):
    known = [hash_file(folder / "bright" / "180.png"), hash_file(folder / "dark" / "10.png")]
    for bundle, digest in zip((old, new), known, strict=True):
        (bundle / SEEN_FILE).write_text(f"{digest[:SEEN_DIGITS]}\n")
    record = compare(old, new, folder)
    assert (record["seen"], record["changed"], record["tested"]) == ({"old": 1, "new": 1}, 2, 6)
    assert [(one["path"], one["tested"]) for one in record["flips"]] == [
        ("bright/180.png", False),
        ("dark/140.png", True),
    ]
    assert "a bundle was trained with it" in render_flips(record, {}, KINDS)
    assert (record["errors"]["photos"], record["errors"]["only_new"], record["missed"]["photos"]) == (6, 0, 3)


def test_costs_are_those_given_else_those_of_the_bundle(tmp_path, old, folder):
    line = {"cost": {"miss": 10.0, "false_alarm": 1.0, "review": None}, "defect_rate": None, "parts": 1000,
            "per_day": False}  # fmt: skip
    priced = write_bundle_of(tmp_path / "priced", 0.75, evidence={"line": line})
    cost = compare(old, priced, folder)["cost"]
    assert (cost["old"], cost["new"]) == (1000 * (0.5 * 0.25 * 10 + 0.5 * 0.25), 1000 * 0.5 * 0.5 * 10)
    given = compare(old, priced, folder, decide={"cost": {"miss": 2, "false_alarm": 1}, "per_day": 400})["cost"]
    assert (given["new"], given["unit"]) == (400 * 0.5 * 0.5 * 2, "a day")
    with pytest.raises(RecipeError, match=r"decide\.cost"):
        compare(old, priced, folder, decide={"cost": {"mis": 2}})


def test_a_grey_band_is_a_verdict_of_its_own(tmp_path, old, folder):
    careful = write_bundle_of(tmp_path / "careful", 0.5, review=Review(low=0.3, high=0.6))
    kinds = {one["path"]: one["kind"] for one in compare(old, careful, folder)["flips"]}
    assert kinds == {
        "dark/100.png": "newly_reviewed",
        "dark/140.png": "false_alarm_gone",
        "bright/120.png": "newly_caught",
    }


def test_bundles_that_only_name_classes_are_compared_by_name(tmp_path, folder):
    old = write_bundle_of(tmp_path / "a", None, positive=None, rule="argmax")
    new = write_bundle_of(tmp_path / "b", None, positive=None, rule="argmax", review=Review(least_probs=(0.6, 0.5)))
    record = compare(old, new, folder)
    assert [(one["path"], one["kind"]) for one in record["flips"]] == [("bright/120.png", "newly_reviewed")]
    assert (record["missed"], record["has_verdicts"]) == (None, False)


def test_a_folder_gets_page_table_and_record(tmp_path, old, new, folder):
    (folder / "dark" / "broken.png").write_bytes(b"x")
    out = tmp_path / "out"
    record = compare(old, new, folder, out=out)
    assert record["refused"] == 1
    assert json.loads((out / "compare.json").read_text()) == record
    with (out / "flips.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["path"], row["kind"], row["new_verdict"]) for row in rows] == [
        ("bright/180.png", "newly_missed", "pass"),
        ("dark/140.png", "false_alarm_gone", "pass"),
    ]
    assert float(rows[0]["old_score"]) == pytest.approx(180 / 255, abs=1e-4)
    page = (out / "compare.html").read_text()
    assert page.count("data:image/jpeg") == 2
    assert "Newly missed (1)" in page
    assert "bright/<wbr>180.png" in page


def test_pairs_that_cannot_be_compared_are_refused_with_a_sentence(tmp_path, old, folder):
    numbers = write_brightness_bundle(tmp_path / "numbers", is_regression=True).path
    with pytest.raises(
        UserError,
        match=r"must both give a class, labels, or numbers of a photo, got a class and numbers\. "
        r"Measure both with `teliti evaluate`\.$",
    ):
        compare(old, numbers, folder)
    turned = write_bundle_of(tmp_path / "turned", 0.5, positive="dark")
    with pytest.raises(
        UserError,
        match=r"must reject the same classes, got bright and dark\. Train both with the same "
        r"data\.positive and data\.pass\.$",
    ):
        compare(old, turned, folder)
    other = write_bundle_of(tmp_path / "other", 0.5, classes=("black", "bright"))
    with pytest.raises(
        UserError,
        match=r"must have the same classes, got only OLD: dark; only NEW: black\. Train both on "
        r"labels of the same names\.$",
    ):
        compare(old, other, folder)
    (folder / "dark").rename(folder / "night")
    with pytest.raises(
        CatalogError,
        match=r"Label must be one of dark, bright, got \"night\".* Or compare the verdicts alone, with --no-labels\.$",
    ):
        compare(old, old, folder)
    (tmp_path / "empty" / "a").mkdir(parents=True)
    (tmp_path / "empty" / "a" / "x.png").write_bytes(b"x")
    with pytest.raises(CatalogError, match="has no usable photo"):
        compare(old, old, tmp_path / "empty")


def counted(old: int, new: int, only_old: int, only_new: int, *, photos: int, p: float) -> dict:
    return {"photos": photos, "old": old, "new": new, "only_old": only_old, "only_new": only_new, "p": p,
            "difference": (new - old) / photos, "interval": [-0.01, 0.02]}  # fmt: skip


def test_worse_is_said_where_a_test_shows_it_and_only_in_that_direction():
    even = counted(5, 5, 2, 2, photos=200, p=1.0)
    worse, better = counted(5, 25, 0, 20, photos=200, p=1e-5), counted(25, 5, 20, 0, photos=200, p=1e-5)
    none = {"cost": None, "missed": None, "false_alarms": None}
    assert judge_worse({"errors": worse, **none})["reasons"] == [
        "NEW makes more errors: 25 instead of 5 of 200 (adjusted p = 1e-05)."
    ]
    assert not judge_worse({"errors": better, **none})["shown"]
    missed = judge_worse({"errors": even, "missed": worse, "false_alarms": even, "cost": None})
    assert missed["reasons"] == ["NEW makes more missed defects: 25 instead of 5 of 200 (adjusted p = 3e-05)."]
    close = counted(5, 14, 1, 10, photos=200, p=0.02)  # of three tests this one alone is not enough
    assert not judge_worse({"errors": even, "missed": close, "false_alarms": even, "cost": None})["shown"]
    cost = {"interval": [3.0, 9.0], "unit": "a day"}
    assert judge_worse({"errors": even, **none, "cost": cost})["reasons"] == ["NEW costs more: 3 to 9 a day."]
    assert judge_worse({"errors": None}) is None


MEANINGS = {
    "newly_missed": ("Newly missed", "A defect that the old bundle stopped now passes."),
    "new_false_alarm": ("New false alarm", "A good part is rejected now."),
    "farther": ("Farther from the truth", "The number moves, and errs more than before."),
    "newly_wrong": ("Newly wrong", "The old bundle named the class, the new one names another."),
    "newly_refused": ("Newly refused", "The new bundle cannot use the photo."),
    "newly_reviewed": ("Newly shown to a person", "The old bundle decided by itself."),
    "caught_otherwise": ("Caught in another way", "Neither lets the defect pass."),
    "still_wrong": ("Wrong in another way", "Both name a wrong class."),
    "other_labels": ("Other labels, same verdict", "The verdict stays, and what was found on the photo is another."),
    "no_longer_refused": ("No longer refused", "The new bundle can use the photo."),
    "no_longer_reviewed": ("No longer shown to a person", "The new bundle decides by itself, and is right."),
    "false_alarm_gone": ("False alarm gone", "A good part is no longer rejected."),
    "nearer": ("Nearer to the truth", "The number moves, and errs no more than before."),
    "newly_right": ("Newly right", "The new bundle names the class, the old one did not."),
    "newly_caught": ("Newly caught", "A defect that passed is stopped now."),
}


def test_every_kind_of_a_change_stands_on_the_page_with_its_meaning(old, new, folder):
    record = compare(old, new, folder)
    assert KINDS == MEANINGS
    one = record["flips"][0]
    page = render_flips(record | {"flips": [one | {"kind": kind} for kind in KINDS]}, {}, KINDS)
    assert [text for pair in MEANINGS.values() for text in pair if text not in page] == []


def test_every_sentence_of_a_comparison_comes_from_its_record(old, new, folder):
    record = compare(old, new, folder, decide={"cost": {"miss": 10}})
    record |= {"seen": {"old": 3, "new": 0}}
    said = say_flips(record)
    assert said[0] == "2 of 8 photos change their verdict (7.1 to 59.1 % of such photos)."
    assert said[1].startswith("By itself OLD errs on 2 and NEW on 2 of 8 photos (errors gone: 1, added: 1).")
    assert said[2] == "Of 4 defects OLD lets 1 pass and NEW 2; 1 are newly missed, 0 newly caught (p = 1)."
    assert said[3].startswith("The verdicts cost 1,375 with OLD and 2,500 with NEW per 1,000 parts: +1,125")
    assert said[4] == "NEW is not shown to be worse; that does not prove it as good: read the intervals."
    assert said[5].startswith("OLD was trained with 3 of these photos (or its threshold")
    assert said[5].endswith("No others are left, so that the errors flatter: compare on photos that neither has seen.")
    assert "counted on the 5 others" in say_flips(record | {"tested": 5})[5]
    assert say_flips(record | {"errors": None, "tested": None})[2].endswith("chosen on them).")
    worse = say_flips(record | {"worse": {"shown": True, "reasons": ["x"]}})
    assert "NEW is shown to be worse." in worse
    nothing = say_flips(record | {"errors": record["errors"] | {"interval": None}})
    assert "their errors cannot be compared" in nothing[1]


def write_labels_bundle(folder: Path, threshold: float, *, dark: float = 0.5) -> Path:
    """The same network with two labels: bright, which rejects, from a threshold on; and dark."""
    write_brightness_bundle(folder)
    decision = LabelsDecision(CLASSES, (dark, threshold), positive="bright")
    manifest = json.loads((folder / MANIFEST).read_text())
    changed = {"task": "multilabel", "decision": decision.to_record()}
    (folder / MANIFEST).write_text(json.dumps(manifest | changed))
    return folder


def test_of_several_labels_each_tells_which_photos_gain_and_lose_it(tmp_path, folder):
    old, new = write_labels_bundle(tmp_path / "a", 0.5), write_labels_bundle(tmp_path / "b", 0.75, dark=0.1)
    lines = [f"{name}/{grey}.png,{name}" for name, greys in GREYS.items() for grey in greys]
    labels = folder / "labels.csv"
    labels.write_text("\n".join(["path,label", *lines]) + "\n")
    record = compare(old, new, labels, out=tmp_path / "out")
    rows = {row["label"]: row for row in record["labels"]}
    assert (rows["bright"]["gained"], rows["bright"]["lost"]) == (0, 2)  # grey 140 and 180
    assert (rows["dark"]["gained"], rows["dark"]["lost"]) == (3, 0)  # 140, 180 and 220
    assert (rows["dark"]["old"], rows["dark"]["only_new"]) == (2, 2)
    assert (record["changed"], record["relabelled"], record["same"]) == (2, 1, 5)
    (other,) = [one for one in record["flips"] if one["kind"] == "other_labels"]
    assert (other["path"], other["old"]["labels"], other["new"]["labels"]) == (
        "bright/220.png", ["bright"], ["dark", "bright"]
    )  # fmt: skip
    assert "Photos that keep their verdict and change their labels: 1." in record["sentences"]
    page = (tmp_path / "out" / "compare.html").read_text()
    assert "<h2>Label by label</h2>" in page
    assert "Photos that gain or lose each label" in page
    assert "Of many labels one in twenty looks changed by chance at p below 0.05." in page
    assert "Other labels, same verdict (1)" in page
    assert "reject</bdi><span> (<bdi>dark, bright</bdi>)</span>" in page
    bare = compare(old, new, labels, labels=False)
    assert set(bare["labels"][0]) == {"label", "gained", "lost"}
    assert "one in twenty" not in render_flips(bare, {}, KINDS)
    with pytest.raises(UserError, match="got labels and a class"):
        compare(old, write_bundle_of(tmp_path / "c"), labels)


@pytest.mark.parametrize(
    ("label", "before", "after", "kind"),
    [
        ("bad", "reject", "pass", "newly_missed"),
        ("bad", "refused", "pass", "newly_missed"),
        ("bad", "pass", "refused", "newly_caught"),
        ("bad", "review", "reject", "caught_otherwise"),
        ("bad", "reject", "refused", "newly_refused"),
        ("good", "pass", "reject", "new_false_alarm"),
        ("good", "reject", "review", "false_alarm_gone"),
        ("good", "pass", "review", "newly_reviewed"),
        ("good", "review", "pass", "no_longer_reviewed"),
        ("good", "refused", "pass", "no_longer_refused"),
        ("good", "pass", "refused", "newly_refused"),
        ("bad", "reject", "reject", "other_labels"),
    ],
)
def test_what_a_change_of_verdict_means(label, before, after, kind):
    from teliti.types import Sample
    from teliti.workflow.changes.kinds import Truth

    truth = Truth(("bad", "good"), frozenset({"bad"}), has_verdicts=True)
    assert kind_of(Sample("a", None, label=label), before, after, truth=truth) == kind
    assert kind in KINDS


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        ("a", "b", "newly_wrong"),
        ("b", "a", "newly_right"),
        ("b", "c", "still_wrong"),
        ("review", "c", "still_wrong"),
        ("a", "review", "newly_reviewed"),
        ("b", "refused", "newly_refused"),
    ],
)
def test_what_a_change_of_name_means(before, after, kind):
    from teliti.types import Sample
    from teliti.workflow.changes.kinds import Truth

    truth = Truth(("a", "b", "c"), frozenset(), has_verdicts=False)
    assert kind_of(Sample("x", None, label="a"), before, after, truth=truth) == kind
