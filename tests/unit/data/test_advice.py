"""Every kind of finding says what to do, and what it names exists; the page shows it beside the photos."""

import pytest

from teliti.data.findings import KINDS, Finding, summarise_findings
from teliti.recipe import parse_recipe
from teliti.report.check_page import render_check
from teliti.transforms.prepare import build_chain

DO = {
    "label_file": (
        "Wrong row of the label file",
        "Correct the named line; nothing is trained on a label file with a wrong row.",
    ),
    "unlisted": ("Not used", "Add it to the label file or convert it, or take it away if it is not meant."),
    "empty": ("Empty file", "Copy the photo again from its source; an empty file is a transfer that broke off."),
    "broken": ("Cannot be read", "Copy or take the photo again; training leaves it out and says so."),
    "uniform": ("Nothing on it", "Exclude it: it shows no part. A closed shutter or a missing part looks like this."),
    "dark": ("Too dark", "Exclude it or take it again; if the line really makes such photos, keep enough of them."),
    "bright": ("Too bright", "Exclude it or take it again with less exposure: what is clipped cannot be won back."),
    "low_contrast": (
        "Low contrast",
        "Look for fog, a dirty lens or a missing light; the prepare step clahe helps where all are so.",
    ),
    "blurred": ("Blurred", "Take it again in focus; fine defects are gone from it, whatever its label says."),
    "odd_size": ("Odd size", "Check whether it comes from another camera or was cut out; use photos of one set-up."),
    "odd_shape": ("Odd shape", "Check whether it was cropped; the frame that fills it up may become a clue."),
    "odd_mode": (
        "Odd colour mode",
        "Save all photos the same way: a way of saving that goes with one class is learnt instead.",
    ),
    "turned": (
        "Turned by its EXIF tag",
        "Teliti turns it upright; other programs may not. Rotate the pixels to be safe.",
    ),
    "small_defect": (
        "Defect too small for the input size",
        "Raise data.image_size, or cut the photo into tiles with the prepare step tile.",
    ),
    "duplicate": ("The same photo again", "Exclude the copies: they count a photo twice and add nothing."),
    "label_conflict": (
        "Copies with different labels",
        "One label is wrong: look at the photo, relabel or exclude the others.",
    ),
    "leak": (
        "Copies on both sides of the split",
        "Move both into one part: a test photo that was learnt by heart says nothing about new parts.",
    ),
    "group_leak": (
        "A group on both sides of the split",
        "Move the whole group into one part, or correct the group column.",
    ),
    "few_photos": ("Class with few photos", "Collect more photos of it before trusting any number about it."),
    "imbalance": ("Uneven classes", "Read recall and precision instead of accuracy, and collect the rare class first."),
    "shortcut": (
        "The label can be told without the defect",
        "Make sure that it is the defect itself: photograph all classes under one light, camera, day and folder rule.",
    ),
    "label_error": (
        "Label that may be wrong",
        "Look at the photo: relabel it, exclude it, or leave it where the label is right.",
    ),
    "outlier": ("Unlike all other photos", "Look whether it belongs to the set at all; exclude it if not."),
    "overlap": (
        "Classes that overlap",
        "Write down what tells them apart, relabel by it, or join them into one class.",
    ),
    "split_price": (
        "What a careless split would claim",
        "Believe the grouped figure; photos of one group never cross a part.",
    ),
    "learning_curve": ("What more photos would give", "Compare with what one more photo costs you."),
    "add_photo": ("Worth labelling next", "Label it and add it: the inspector is unsure about photos like this."),
}


def test_every_kind_has_its_advice_here():
    assert list(DO) == list(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_advice_reaches_record_and_page_from_a_finding_alone(kind):
    finding = Finding(kind, "warning", "It was seen.", ("a.png",))
    (row,) = summarise_findings([finding])
    assert (row["title"], row["advice"]) == DO[kind]
    record = {"source": "s", "photos": 1, "refused": 0, "summary": [row], "findings": [finding.to_record()]}
    page = render_check(record, {})
    assert all(text in page for text in DO[kind])
    assert "It was seen." in page


def test_what_the_advice_names_exists():
    assert "clahe" in KINDS["low_contrast"].advice
    assert "tile" in KINDS["small_defect"].advice
    steps = [{"step": "clahe"}, {"step": "tile", "size": 32}]
    assert build_chain(steps, image_size=(32, 32), fit="letterbox").tile is not None
    assert parse_recipe({"data": {"image_size": 300}}).data.image_size == 300
