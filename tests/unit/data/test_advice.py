"""Every kind of finding says what to do, and what it names exists; the page shows it beside the photos."""

import pytest

from teliti.data.findings import KINDS, Finding, summarise_findings
from teliti.recipe import parse_recipe
from teliti.report.check_page import render_check
from teliti.transforms.prepare import build_chain

DO = {
    "label_file": "Correct the named line", "unlisted": "Add it to the label file or convert it",
    "empty": "Copy the photo again from its source", "broken": "Copy or take the photo again",
    "uniform": "Exclude it: it shows no part", "dark": "Exclude it or take it again",
    "bright": "take it again with less exposure", "low_contrast": "Look for fog, a dirty lens or a missing light",
    "blurred": "Take it again in focus", "odd_size": "Check whether it comes from another camera",
    "odd_shape": "Check whether it was cropped", "odd_mode": "Save all photos the same way",
    "turned": "Rotate the pixels to be safe", "small_defect": "Raise data.image_size, or cut the photo into tiles",
    "duplicate": "Exclude the copies", "label_conflict": "relabel or exclude the others",
    "leak": "Move both into one part", "group_leak": "Move the whole group into one part",
    "few_photos": "Collect more photos of it", "imbalance": "Read recall and precision instead of accuracy",
    "shortcut": "photograph all classes under one light", "label_error": "relabel it, exclude it, or leave it",
    "outlier": "exclude it if not", "overlap": "Write down what tells them apart",
    "split_price": "Believe the grouped figure", "learning_curve": "Compare with what one more photo costs you",
    "add_photo": "Label it and add it",
}  # fmt: skip


def test_every_kind_has_its_advice_here():
    assert list(DO) == list(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_advice_reaches_record_and_page_from_a_finding_alone(kind):
    finding = Finding(kind, "warning", "It was seen.", ("a.png",))
    (row,) = summarise_findings([finding])
    assert DO[kind] in row["advice"]
    record = {"source": "s", "photos": 1, "refused": 0, "summary": [row], "findings": [finding.to_record()]}
    page = render_check(record, {})
    assert DO[kind] in page
    assert row["title"] in page
    assert "It was seen." in page


def test_what_the_advice_names_exists():
    assert "clahe" in KINDS["low_contrast"].advice
    assert "tile" in KINDS["small_defect"].advice
    steps = [{"step": "clahe"}, {"step": "tile", "size": 32}]
    assert build_chain(steps, image_size=(32, 32), fit="letterbox").tile is not None
    assert parse_recipe({"data": {"image_size": 300}}).data.image_size == 300
