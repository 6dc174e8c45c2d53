"""The report: one page, no script, nothing outside, every section where its keys are, safe with any name."""

import copy
import re
import time
from collections import Counter
from html.parser import HTMLParser

import numpy as np
import pytest

from teliti.report import ReportPictures, render_report
from teliti.report.markup import visible
from unit.report.report_records import (
    PAYLOADS,
    hostile_pictures,
    hostile_record,
    inspection_pictures,
    inspection_record,
    photo,
    regression_record,
    steel_record,
)

NO_PICTURES = ReportPictures()


def sections(page):
    """Keys of the sections of a page, in order."""
    return re.findall(r'<section id="(\w+)">', page)


def section(page, key):
    """The markup of one section."""
    return re.search(rf'<section id="{key}">(.*?)</section>', page, re.DOTALL)[1]


def words(markup):
    """The text of some markup as a reader sees it."""
    plain = re.sub(r"<[^>]+>", "", markup.replace("&nbsp;", " "))
    return re.sub(r"\s+", " ", plain).strip()


@pytest.fixture(scope="module")
def record():
    return inspection_record()


@pytest.fixture(scope="module")
def page(record):
    return render_report(record, inspection_pictures(record))


def test_sections_stand_in_reading_order(page):
    assert sections(page) == [
        "verdict", "numbers", "proofs", "confusion", "curves", "classes", "mistakes", "samples", "view", "data",
        "training", "parity", "times", "environment", "recipe",
    ]  # fmt: skip
    assert re.findall(r'href="#(\w+)"', page) == sections(page)


def test_verdict_says_it_in_plain_words(page, record):
    found = words(section(page, "verdict"))
    matrix = record["test"]["confusion_matrix"]
    assert "The inspector sorted 525 photos of “elpv” into “defective” and “functional”." in found
    assert "sealed test part: nothing was chosen on them" in found
    assert f"At the threshold 0.41 it got {record['test']['accuracy']:.1%}".replace("%", " %") in found
    assert f"Of 100 “defective” parts, about {100 * matrix[0][1] / 165:.0f} would slip through" in found
    assert f"Of 100 “functional” parts, about {100 * matrix[1][0] / 360:.0f} would be rejected by mistake" in found


def test_key_numbers_stand_beside_the_largest_class(page, record):
    rows = dict(re.findall(r"<tr><th[^>]*>([^<]*)<.*?</th>(.*?)</tr>", section(page, "numbers"), re.DOTALL))
    accuracy = re.findall(r"<td[^>]*>([^<]+)</td>", rows["Accuracy"])
    low, high = record["test"]["intervals"]["accuracy"]
    assert accuracy == [
        f"{100 * record['test']['accuracy']:.1f} %", f"{100 * low:.1f} to {100 * high:.1f} %", "68.6 %", "89.3 %",
    ]  # fmt: skip
    assert "0.0 %" in rows["Recall"]  # "functional" is the largest class
    assert "100.0 %" in rows["Specificity"]
    assert "0.500" in rows["ROC AUC"]


def test_measures_without_a_positive_class_are_means():
    assert "mean of the classes" in section(render_report(steel_record(), NO_PICTURES), "numbers")


def test_warnings_are_not_overlooked(record):
    warned = {**record, "warnings": ["Accuracy 97 % flatters: recall is 50 %."]}
    assert "<strong>Mind</strong> Accuracy 97 % flatters" in section(render_report(warned, NO_PICTURES), "verdict")


def test_confusion_matrix_counts_and_names_the_errors(page, record):
    matrix = section(page, "confusion")
    assert f"{record['test']['confusion_matrix'][0][1]}<span" in matrix
    assert "· missed" in matrix
    assert "· false alarm" in matrix
    assert matrix.count('scope="col"') == 4


def test_statements_follow_from_the_record_when_it_has_none(record):
    without = {key: value for key, value in record.items() if key != "statements"}
    assert section(render_report(without, NO_PICTURES), "proofs") == section(
        render_report(record, NO_PICTURES), "proofs"
    )


def test_mistakes_are_shown_with_their_photos(page, record):
    shown = section(page, "mistakes")
    first = record["mistakes"][0]
    assert shown.count("<img ") == len(record["mistakes"])
    assert f'alt="Photo {first["name"]}: actual {first["label"]}, predicted {first["predicted"]}"' in shown
    assert f"score {first['score']:.3f}" in shown


def test_mistake_without_its_photo_is_still_listed(record):
    shown = section(render_report(record, NO_PICTURES), "mistakes")
    assert shown.count("no picture") == len(record["mistakes"])


def test_every_picture_is_described(page):
    assert page.count("<img ") == len(re.findall(r'<img [^>]*alt="[^"]+"', page)) > 24


def test_network_view_says_sizes_and_fit(page):
    assert "128 by 128 pixels" in words(section(page, "view"))
    assert "64 by 64 pixels, fit: letterbox" in words(section(page, "view"))


def test_refused_photos_are_all_listed_and_folded(page, record):
    data = section(page, "data")
    assert "<summary>Refused photos (3)</summary>" in data
    for refused in record["data"]["refused"]:
        assert refused["name"] in data
        assert refused["reason"] in data


def test_pairs_across_a_given_split_are_an_error():
    data = section(render_report(steel_record(), NO_PICTURES), "data")
    assert "<strong>Error</strong> Near-duplicate photos on both sides of the given split: 1 pair" in data
    assert "train/<wbr>a.jpg" in data


def test_conflicting_labels_are_an_error(record):
    changed = copy.deepcopy(record)
    changed["data"]["duplicates"]["label_conflicts"] = [{"first": "a.png", "second": "b.png", "kind": "bytes"}]
    assert "with different labels: 1 pair" in section(render_report(changed, NO_PICTURES), "data")


def test_duplicates_that_were_not_looked_for_are_not_called_absent(record):
    changed = copy.deepcopy(record)
    changed["data"]["duplicates"] = {"searched": False, "groups": 0}
    assert "Near-duplicate photos were not looked for." in section(render_report(changed, NO_PICTURES), "data")


def test_chosen_setting_is_marked(page):
    assert section(page, "training").count("✓ chosen") == 1


@pytest.mark.parametrize(
    ("changed", "words_said"), [(0, "the same verdict as the trained one on 525"), (2, "verdict of 2")]
)
def test_parity_says_changed_verdicts(record, changed, words_said):
    page = render_report({**record, "parity": {**record["parity"], "changed_verdicts": changed}}, NO_PICTURES)
    assert words_said in section(page, "parity")
    assert ("callout error" in section(page, "parity")) is bool(changed)


def test_recipe_keeps_its_lines_and_the_command_is_there(page, record):
    assert "[data]\nsource = &quot;elpv&quot;\n" in section(page, "recipe")
    assert record["command"] in section(page, "recipe")


def test_folds_are_said(record):
    changed = copy.deepcopy(record)
    changed["data"]["split"] = {"origin": "folds", "folds": 5}
    page = render_report(changed, NO_PICTURES)
    assert "Each was scored by a head trained without it (5-fold cross-validation)." in words(section(page, "verdict"))
    assert "Validation" not in section(page, "numbers")


def test_regression_stands_beside_the_mean():
    page = render_report(regression_record(), NO_PICTURES)
    assert "always predicting the mean would be 0.333 away" in words(section(page, "verdict"))
    assert "<h2>Predicted against true</h2>" in page
    assert "Always the mean" in section(page, "numbers")
    assert "is <bdi>1.000</bdi>, called <bdi>0.310</bdi>" in section(page, "mistakes")
    assert "score " not in section(page, "mistakes")  # it is what was predicted


def test_useless_regression_is_called_so():
    record = regression_record()
    record["test"]["r2"] = -0.2
    assert "no better than always predicting the mean" in render_report(record, NO_PICTURES)


def test_page_has_no_script_and_nothing_outside(page):
    assert not re.search(r"<script|<link|<iframe|\son\w+=|\sstyle=|https?:", page)
    assert set(re.findall(r'src="(data:image/\w+)', page)) == {"data:image/jpeg"}
    assert page.index("Content-Security-Policy") < page.index("<style>")


def test_names_of_strangers_stay_text():
    page = render_report(hostile_record(), hostile_pictures())
    page.encode("utf-8")
    reader = _Reader(page)
    assert not reader.tags & {"script", "iframe", "object", "embed", "link", "form", "base"}
    assert reader.count["style"] == reader.count["title"] == 1
    assert all(not key.startswith("on") and key != "style" for key, _ in reader.attributes)
    assert all(value.startswith("#") for key, value in reader.attributes if key == "href")
    assert all(value.startswith("data:image/jpeg;base64,") for key, value in reader.attributes if key == "src")
    assert not re.search("[\u202a-\u202e\u2066-\u2069\ud800-\udfff\x00\x1b]", page)
    for payload in PAYLOADS:
        assert visible(payload) in reader.words


@pytest.mark.parametrize("make", [inspection_record, steel_record, regression_record])
def test_any_missing_or_empty_key_leaves_the_rest_standing(make):
    whole = make()
    for path in _paths(whole):
        for replacement in (None, "missing", []):
            record = copy.deepcopy(whole)
            *above, last = path
            table = record
            for key in above:
                table = table[key]
            if replacement == "missing":
                del table[last]
            else:
                table[last] = replacement
            assert "</html>" in render_report(record, NO_PICTURES), path


def test_an_empty_record_makes_a_page():
    assert sections(render_report({}, NO_PICTURES)) == []


def test_a_full_report_is_small_and_quick(record):
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (320, 320, 3), dtype=np.uint8) for _ in range(4)]  # the worst case for JPEG
    pictures = ReportPictures(
        samples={f"class {at}": [(f"{n}.png", noise[n % 4]) for n in range(12)] for at in range(40)},
        mistakes={row["name"]: noise[0] for row in record["mistakes"]},
        network_view=("a.png", noise[1], noise[2]),
    )
    start = time.perf_counter()
    page = render_report(record, pictures)
    assert time.perf_counter() - start < 3.0
    assert len(page) < 3_000_000
    assert "class 39" in page


def test_photos_are_left_as_they_were(record):
    image = photo(1)
    before = image.copy()
    render_report(record, ReportPictures(samples={"defective": [("a.png", image)]}))
    assert np.array_equal(image, before)


def _paths(record, above=(), *, depth=3):
    for key, value in record.items():
        yield (*above, key)
        if isinstance(value, dict) and depth > 1:
            yield from _paths(value, (*above, key), depth=depth - 1)


class _Reader(HTMLParser):
    """Tags, attributes and text of a page, as a parser sees them."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.count, self.attributes, self.words = Counter(), [], ""
        self.feed(page)
        self.tags = set(self.count)

    def handle_starttag(self, tag, attrs):
        self.count[tag] += 1
        self.attributes += attrs

    def handle_data(self, data):
        self.words += data
