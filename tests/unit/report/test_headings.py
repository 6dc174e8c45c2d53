"""Headings, captions, hints and column titles of the pages after a training, each from a record that has everything."""

from __future__ import annotations

import html
import re

import numpy as np
import pytest

from teliti.report import ReportPictures, render_report
from teliti.report.evidence_page import render_evidence
from teliti.report.flips_page import render_flips
from teliti.report.stress_page import render_card, render_stress
from teliti.workflow.changes.kinds import KINDS
from unit.report.learning_records import network_record
from unit.report.report_records import inspection_record, regression_record, steel_record

PHOTO = np.zeros((8, 8, 3), np.uint8)


def texts(page: str, pattern: str) -> list[str]:
    """What a reader sees of every element of a kind, in order and once."""
    parted = re.sub(r'(<span class="meaning">|</p>)', r" \1", page)
    found = (html.unescape(re.sub(r"<[^>]+>", "", one)) for one in re.findall(pattern, parted, re.DOTALL))
    return list(dict.fromkeys(re.sub(r"[\s\u00a0]+", " ", one).strip() for one in found))


def headings(page: str) -> list[str]:
    return texts(page, r"<h2>(.*?)</h2>")


def captions(page: str) -> list[str]:
    return texts(page, r"<caption>(.*?)</caption>")


def hints(page: str) -> list[str]:
    return texts(page, r'<p class="hint">(.*?)</p>')


def columns(page: str) -> list[str]:
    return texts(page, r'<th scope="col"[^>]*>(.*?)</th>')


def notes(page: str) -> list[str]:
    """The eyebrow, the title, and the short facts under it."""
    header = re.search(r"<header>(.*?)</header>", page, re.DOTALL)[1]
    return texts(header, r"<(?:p class=\"eyebrow\"|h1|li)>(.*?)</(?:p|h1|li)>")


TRAINED = {
    "inspection": (inspection_record, [
        "Verdict", "Key numbers", "What the numbers prove, and what not", "Confusion matrix", "Curves and threshold",
        "Class by class", "Worst mistakes", "Data", "Training", "Trained against exported", "Times", "Environment",
        "Make it again",
    ], [
        "Measures on the test part", "Photos of the test part by actual and predicted class",
        "Measures per class on the test part", "Photos per class and part", "Near-duplicate pairs",
        "Refused photos and why", "Settings tried", "Engines probed on this machine", "Time per step",
        "Installed packages",
    ]),
    "several classes": (steel_record, [
        "Verdict", "Key numbers", "What the numbers prove, and what not", "Confusion matrix", "Curves and threshold",
        "Class by class", "Data",
    ], [
        "Measures on the test part", "Photos of the test part by actual and predicted class",
        "Measures per class on the test part", "Pairs that cross the split",
    ]),
    "numbers": (regression_record, [
        "Verdict", "Key numbers", "What the numbers prove, and what not", "Predicted against true", "Worst mistakes",
        "Data",
    ], ["Measures on the test part"]),
}  # fmt: skip


@pytest.mark.parametrize("name", TRAINED)
def test_the_report_of_a_run(name: str) -> None:
    make, expected, tables = TRAINED[name]
    page = render_report(make(), ReportPictures())
    assert headings(page) == expected
    assert captions(page) == tables


def test_key_numbers_say_what_they_are() -> None:
    page = render_report(inspection_record(), ReportPictures())
    assert texts(page, r'<th scope="row">([^<]*<span class="meaning">.*?)</th>') == [
        "Accuracy verdicts that are right",
        "Accuracy without the threshold most probable class",
        "Balanced accuracy mean of the classes' recalls",
        "Recall positives found",
        "Specificity others left alone",
        "Precision alarms that are right",
        "F1 precision and recall in one",
        "F1, mean of classes every class counts the same",
        "ROC AUC ranking, 0.5 is guessing",
        "PR AUC ranking where positives are rare",
        "Log loss probabilities; 0 is best",
        "Brier score probabilities; 0 is best",
    ]
    assert texts(page, r'<p class="tile-label">(.*?)</p>') == [
        "Right verdicts",
        "Missed defects",
        "False alarms",
        "ROC AUC",
    ]


def test_a_report_of_a_network_has_how_it_learnt() -> None:
    page = render_report(network_record(), ReportPictures())
    assert headings(page)[7:] == [
        "Data",
        "How it learnt",
        "Layer by layer",
        "Training",
        "Trained against exported",
        "Times",
        "Environment",
        "Make it again",
    ]
    assert captions(page)[6:] == [
        "One row an epoch",
        "Layers with 10.0 % of dead or saturated units or more",
        "Layers in the order in which they run",
        "Timed on this machine before the first step",
        "Time per step",
        "Installed packages",
    ]
    assert hints(page) == [
        "Dot: test. Band: its interval. Tick: always the largest class.",
        "Training numbers are taken while the weights move, with the random changes; the others at the epoch's end.",
        "Sizes are channels x height x width; one multiply-add counts as one.",
    ]


COUNTED = {"photos": 40, "old": 4, "new": 6, "only_old": 1, "only_new": 3, "difference": 0.05, "p": 0.6,
           "interval": [-0.04, 0.15]}  # fmt: skip


def flip(kind: str | None, *, tested: bool = True) -> dict:
    said = {"verdict": "pass", "score": 0.25, "reasons": []}
    return {"path": f"{kind}.png", "label": "bad", "kind": kind, "tested": tested, "old": said, "new": said}


FLIPS = {
    "source": "line/photos", "old": "a", "new": "b", "photos": 40, "refused": 2, "share": 0.3, "version": "1",
    "sentences": ["Twelve change.", "NEW is not shown to be worse."], "worse": {"shown": False, "reasons": []},
    "errors": COUNTED, "missed": COUNTED, "false_alarms": COUNTED,
    "cost": {"old": 10.0, "new": 14.0, "difference": 4.0, "interval": [1.0, 7.0], "unit": "a day"},
    "labels": [{"label": "bar", "gained": 2, "lost": 1, **COUNTED}],
    "directions": [{"old": "reject", "new": "pass", "kind": "newly_missed", "photos": 1}],
    "flips": [flip(kind) for kind in KINDS],
}  # fmt: skip


def test_the_page_of_a_comparison() -> None:
    page = render_flips(FLIPS, {f"{kind}.png": PHOTO for kind in KINDS}, KINDS)
    assert notes(page) == [
        "Teliti compare",
        "Old and new bundle on photos",
        "old: a",
        "new: b",
        "40 photos",
        "2 files not used",
    ]
    assert headings(page) == [
        "What changed",
        "Errors side by side",
        "Label by label",
        "From which verdict to which",
        "Newly missed (1)",
        "New false alarm (1)",
        "Farther from the truth (1)",
        "Newly wrong (1)",
        "Newly refused (1)",
        "Newly shown to a person (1)",
        "Caught in another way (1)",
        "Wrong in another way (1)",
        "Other labels, same verdict (1)",
        "No longer refused (1)",
        "No longer shown to a person (1)",
        "False alarm gone (1)",
        "Nearer to the truth (1)",
        "Newly right (1)",
        "Newly caught (1)",
    ]
    assert captions(page) == [
        "The same photos, twice",
        "What the verdicts cost",
        "Photos that gain or lose each label",
        "30.0 % of the photos change their verdict",
    ]
    assert columns(page) == [
        "",
        "Photos",
        "Old",
        "New",
        "Gone",
        "Added",
        "Difference, 95 % interval",
        "p",
        "Label",
        "Gain it",
        "Lose it",
        "Wrong, old",
        "Wrong, new",
        "Verdict",
        "What it means",
    ]
    assert hints(page) == [
        "Wrong answers are counted before any person looks. p: McNemar's exact test of gone against added.",
        "Of many labels one in twenty looks changed by chance at p below 0.05.",
    ]
    for meaning in (meaning for _, meaning in KINDS.values()):
        assert meaning in html.unescape(page)


def test_more_photos_than_a_page_shows_stand_in_the_table() -> None:
    page = render_flips({**FLIPS, "flips": [flip(None)] * 30}, {}, KINDS)
    assert "Changed verdicts (30)" in headings(page)
    assert "6 more stand in flips.csv." in hints(page)
    assert "no picture" in page


LEVEL = {
    "level": 0.9, "unchanged": 0.97, "unchanged_interval": [0.93, 0.99], "accuracy": 0.9,
    "accuracy_interval": [0.85, 0.94], "miss_rate": 0.05, "miss_rate_interval": [0.02, 0.1], "loss": 0.01,
    "holds": True, "errors": [{"name": "number", "mae": 1.5, "interval": [1.0, 2.0]}],
}  # fmt: skip
BROKEN = LEVEL | {"level": 0.8, "holds": False}
STRESS = {
    "name": "line", "source": "photos", "photos": 200, "model_hash": "ab" * 32, "bundle_hash": "cd" * 32,
    "bounds": {"loss": 0.02, "changed": 0.1}, "updated": False, "warnings": [],
    "sweeps": [{"name": "darker", "limit": 0.9, "neutral": 1.0, "first_broken": 0.8, "why_not": None,
                "levels": [LEVEL, BROKEN]}],
    "clean": {"accuracy": 0.91, "bad": 60, "miss_rate": 0.05},
    "envelope": {"action": "warn", "limits": {
        name: {"low": 0.5, "high": None, "low_from": "stress", "high_from": "training"}
        for name in ("light", "blur", "size", "scale")
    }},
}  # fmt: skip
NUMBERS = STRESS | {
    "task": "regression", "tolerance": {"values": {"number": 1.5}, "from": "error"},
    "clean": {"errors": [{"name": "number", "mae": 1.5, "interval": [1.0, 2.0]}]},
}  # fmt: skip


def test_the_page_of_a_stress() -> None:
    page = render_stress(STRESS, {"": PHOTO, "darker limit": PHOTO, "darker first_broken": PHOTO})
    assert notes(page) == [
        "Teliti stress",
        "How far line holds",
        "photos",
        "200 photos",
        "model abababababab",
        "bundle cdcdcdcdcdcd",
    ]
    assert headings(page) == ["How far things may go", "What this rests on", "Less light", "The envelope"]
    assert captions(page) == [
        "The last level in a row that holds",
        "Each level on the same photos, with 95 % intervals",
        "Measured on every photo before the network",
    ]
    assert columns(page) == [
        "What",
        "How far",
        "Level",
        "Verdicts unchanged",
        "Right answers",
        "Missed",
        "Points lost",
        "Holds",
        "",
        "At least",
        "At most",
    ]
    assert texts(page, r"<figcaption[^>]*>(.*?)</figcaption>") == [
        "The upright line: the last level that holds",
        "as it is",
        "still holds",
        "no longer",
    ]
    assert texts(page, r"<text[^>]*>([^<]*)</text>") == [
        "0 %",
        "25 %",
        "50 %",
        "75 %",
        "100 %",
        "as is",
        "90 %",
        "80 %",
        "Less light",
        "Share of photos",
    ]


def test_the_page_of_a_stress_of_numbers() -> None:
    page = render_stress(NUMBERS, {})
    assert columns(page) == [
        "What",
        "How far",
        "Level",
        "Numbers unchanged",
        "Mean absolute error",
        "Tolerances lost",
        "Holds",
        "",
        "At least",
        "At most",
    ]
    (basis,) = texts(page, r'<section id="basis">.*?</h2>(.*?)</section>')
    assert basis == (
        "As they are, the numbers of the photos err by 1.500 (95 % interval 1.000 to 2.000) on average. Numbers hold "
        "while at most 10 % of them move by more than 1.500 and the mean absolute error rises by no more than that, "
        "seen on 200 photos. The tolerance is that of the bundle: its own mean absolute error on these photos. Set "
        "another with --tolerance. One thing was changed at a time, by computing. Two changes at once, shadows, "
        "glare, another lens or another product are not covered. The bundle was left as it was."
    )


def test_the_camera_set_up_card() -> None:
    page = render_card(STRESS)
    assert notes(page) == [
        "Teliti camera set-up card",
        "Camera set-up for line",
        "photos",
        "200 photos",
        "model abababababab",
        "bundle cdcdcdcdcdcd",
    ]
    assert headings(page) == ["How far things may go", "What this rests on", "Watched by predict"]
    assert texts(page, r"<dt>(.*?)</dt>") == [
        "Light (mean grey level, of 255)",
        "Blur (0 sharp, 1 without detail)",
        "Longer side (pixels)",
        "Part (share of the picture's side)",
    ]


EVIDENCE = {
    "how": "otsu", "photos": 60, "left_out": 3, "status": "clean", "sentence": "No sign of cheating.",
    "views": {view: {"roc_auc": 0.7, "interval": [0.6, 0.8]} for view in ("whole", "part", "background")},
}  # fmt: skip


def test_the_page_of_the_evidence() -> None:
    page = render_evidence({"source": "photos", "evidence": EVIDENCE}, [("a.png", {"whole": PHOTO})])
    assert notes(page) == ["Teliti evaluation", "Where the evidence is", "photos", "60 photos", "parts by otsu"]
    assert headings(page) == ["Does the net look at the part?", "What the net was shown"]
    assert captions(page) == ["How well the classes are told apart"]
    assert columns(page) == ["Shown", "ROC AUC", "95 % interval", "0 to 1, the tick is chance"]
    assert hints(page) == [
        "Parts by otsu. What is covered is mid-grey. For the background alone the part of one photo of every other "
        "class is covered as well, so that the hole itself tells nothing. What lies outside the marked part counts as "
        "background.",
        "3 photos were left out: no part was found.",
    ]
