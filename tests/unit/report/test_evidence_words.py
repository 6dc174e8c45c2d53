"""The sentence about the evidence comes from the record, and the page shows it with the three views."""

from __future__ import annotations

import numpy as np
import pytest

from teliti.report.evidence_page import render_evidence
from teliti.report.evidence_words import evidence_sentence


def view(area: float, low: float, high: float) -> dict:
    return {"roc_auc": area, "interval": [low, high]}


def tell(status: str, background: dict) -> dict:
    views = {"whole": view(0.97, 0.94, 0.99), "part": view(0.61, 0.5, 0.7), "background": background}
    record = {
        "how": "otsu", "photos": 60, "left_out": 3, "status": status, "why_unknown": None, "views": views,
    }  # fmt: skip
    return record | {"sentence": evidence_sentence(record)}


CHEATING = tell("cheating", view(0.93, 0.85, 0.98))
CLEAN = tell("clean", view(0.52, 0.41, 0.63))
UNKNOWN = {"how": "otsu", "photos": 0, "left_out": 60, "status": "unknown", "why_unknown": "no photo has a part marked",
           "views": {}}  # fmt: skip


def test_a_cheat_is_named_with_its_interval() -> None:
    assert CHEATING["sentence"] == (
        "The net may be cheating: it tells the classes apart by the background alone, with ROC AUC 0.930 (95 % "
        "interval 0.850 to 0.980), where 0.5 is chance; by the whole photo it is 0.970 (95 % interval 0.940 to 0.990), "
        "by the part alone 0.610 (95 % interval 0.500 to 0.700)."
    )


def test_no_cheat_is_not_a_promise() -> None:
    assert CLEAN["sentence"] == (
        "No sign of cheating: by the background alone ROC AUC is 0.520 (95 % interval 0.410 to 0.630), not shown to be "
        "above chance (0.5); by the part alone it is 0.610 (95 % interval 0.500 to 0.700), by the whole photo 0.970 "
        "(95 % interval 0.940 to 0.990)."
    )


def test_of_labels_the_one_that_the_background_tells_best_is_named() -> None:
    background = view(0.71, 0.6, 0.8) | {"per_label": [
        {"label": "dent", "roc_auc": 0.5, "interval": [0.3, 0.7]},
        {"label": "crack", "roc_auc": 0.9, "interval": [0.8, 0.95]},
    ]}  # fmt: skip
    views = CHEATING["views"] | {"background": background}
    labels = {"labels": ["dent", "crack"], "by_background": ["crack"], "views": views}
    assert evidence_sentence(CHEATING | labels) == (
        "The net may be cheating: it tells the labels by the background alone, with the labels' mean ROC AUC 0.710 "
        '(95 % interval 0.600 to 0.800), where 0.5 is chance; of label "crack" it is 0.900 (95 % interval 0.800 to '
        "0.950); by the whole photo it is 0.970 (95 % interval 0.940 to 0.990), by the part alone 0.610 (95 % interval "
        "0.500 to 0.700)."
    )
    page = render_evidence({"evidence": CHEATING | labels | {"not_judged": ["scratch"]}}, [])
    assert "Background alone: crack" in page
    assert "Not judged: scratch. Asked are at most eight labels, each with at least eight photos" in page


def test_what_could_not_be_judged_says_why() -> None:
    assert evidence_sentence(UNKNOWN) == (
        "Whether the net looks at the part could not be judged: no photo has a part marked."
    )


@pytest.mark.parametrize("evidence", [CHEATING, CLEAN, UNKNOWN | {"sentence": evidence_sentence(UNKNOWN)}])
def test_the_page_shows_the_sentence_the_views_and_photos(evidence: dict) -> None:
    photo = np.full((20, 20, 3), 90, np.uint8)
    shown = [("a<b>.png", {"whole": photo, "part": photo, "background": photo})]
    html = render_evidence({"source": "photos", "evidence": evidence}, shown).replace("&nbsp;", " ")
    assert evidence["sentence"] in html
    assert ("0.940 to 0.990" in html) is bool(evidence["views"])
    assert html.count("data:image/jpeg") == 3
    assert "a&lt;b&gt;.png" in html
    assert "were left out: no part was found" in html
