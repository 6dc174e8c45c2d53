"""The page of a check: every finding with its photos, hostile names as text, nothing active."""

import re

import numpy as np
import pytest

from teliti.report.check_page import MOST_CARDS, render_check

HOSTILE = '</title><script>alert(1)</script>"><img src=x onerror=alert(2)>\u202egnp.exe'


def check_record(name: str = "good/a.png", label: str = "good") -> dict:
    """A record with every part that the page draws."""

    def finding(kind, severity, *paths, **more):
        return {
            "kind": kind,
            "severity": severity,
            "paths": list(paths),
            "message": f"About {name}.",
            "score": 0.5,
            **more,
        }

    suggestion = {"suggestion": {"action": "relabel", "label": label}}
    findings = [
        finding("leak", "error", name, "b.png"),
        *(finding("label_error", "warning", f"{name}{at}", **suggestion) for at in range(MOST_CARDS + 3)),
        finding("imbalance", "warning"),
    ]
    row = {"photos": 2, "advice": "Do this."}
    return {
        "schema": 1, "version": "0.1", "source": f"/data/{name}", "photos": 120, "refused": 1,
        "classes": {label: 100, "bad": 20}, "findings": findings, "features": {"computed": True, "reason": None},
        "summary": [
            {"kind": "leak", "severity": "error", "title": "Leak", "count": 1, **row},
            {"kind": "label_error", "severity": "warning", "title": "Label", "count": MOST_CARDS + 3, **row},
            {"kind": "imbalance", "severity": "warning", "title": "Uneven", "count": 1, **row},
        ],
        "properties": [
            {"property": "brightness", "score": 0.8, "interval": [0.7, 0.9], "chance": 0.5, "p_value": 0.01}
        ],
        "learning_curve": {
            "rows": [
                {"share": s, "photos": int(100 * s), "score": 0.7 + s / 10, "interval": [0.6, 0.9]}
                for s in (0.1, 0.5, 1.0)
            ],
            "double": {"photos": 200, "score": 0.85, "interval": [0.8, 0.9]},
            "sentence": "More photos would help.",
        },
        "split_price": {"grouped": 0.8, "random": 0.9, "difference": 0.1, "interval": [0.05, 0.15]},
        "map": {"method": "t-SNE", "points": [[0.1, 0.2], [0.9, 0.8]], "labels": [label, "bad"], "clusters": [0, 1]},
        "clusters": [{"photos": 2, "classes": {label: 1, "bad": 1}, "example": name}],
    }  # fmt: skip


@pytest.fixture
def pictures():
    return {"good/a.png": np.zeros((40, 60, 3), np.uint8), "b.png": np.full((40, 60), 200, np.uint8)}


def test_everything_stands_on_the_page(pictures):
    page = render_check(check_record(), pictures)
    for words in (
        "Do this.", "About good/", "More photos would help.", "brightness", "70.0 to 90.0 %", "Random split",
        "3 more stand in findings.csv", "suggested:", "Learning curve; dashed: forecast", "t-SNE", "Group 1: 2 photos",
        "Teliti check", "Check of ", "What was found", "Errors", "Warnings",
        "Can the label be told from something else?", "One property at a time", "p, corrected",
        "How well one property alone tells the class, judged on photos left out. Tick: guessing.",
        "Would more photos help?", "Learning curve on photos left out", "200.0 %, forecast",
        "Photos learnt from", "Balanced accuracy", "Learning curve: 80.0 % with 100 photos, forecast 85.0 % with 200",
        "What a careless split would claim", "Accuracy by out-of-fold answers",
        "Groups and near-duplicates kept together",
        "Map of the photos", "Map of 2 photos by t-SNE: photos that look alike lie together",
        "Photos that look alike lie together (t-SNE)", "The middle photo of each group of photos that look alike:",
        "Photos per class",
    ):  # fmt: skip
        assert words in page, words
    assert page.count("<img") == 3  # the pair, and the middle of the group


def test_hostile_names_are_text():
    page = render_check(check_record(HOSTILE, HOSTILE), {})
    assert "<script" not in page
    assert not re.search(r"<img[^>]*onerror", page)
    assert "\u202e" not in page
    assert "&lt;script&gt;" in page


def test_no_findings_are_good_news_and_what_was_left_out_is_said():
    quiet = {"source": "x", "photos": 3, "refused": 0, "summary": [], "findings": [], "classes": {}}
    page = render_check(quiet | {"features": {"computed": False, "reason": "not asked for"}}, {})
    assert "Nothing was found." in page
    assert "learning curve were left out: not asked for" in page
