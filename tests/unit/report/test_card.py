"""The model card: what a bundle is for, its numbers, where it comes from, as Markdown that shows any name."""

import html
import re

import pytest
from markdown_it import MarkdownIt

from teliti.report import render_card
from teliti.report.card import markdown
from teliti.report.markup import visible
from unit.report.report_records import PAYLOADS, hostile_record, inspection_record, regression_record, steel_record

READER = MarkdownIt("commonmark", {"html": True}).enable("table")


def headings(card):
    """The second-level headings of a card."""
    return re.findall(r"^## (.*)$", card, re.MULTILINE)


def test_card_has_use_limits_results_and_provenance():
    card = render_card(inspection_record())
    assert headings(card) == [
        "Use", "Limits", "Results", "Results per class", "Threshold", "Data", "Provenance",
        "Licence of the backbone's weights",
    ]  # fmt: skip
    assert "A photo taken for “defective” is rejected, any other passes." in card
    assert "Score at which a photo is rejected: 0.41." in card
    assert "579344248a93e23026e6b78f1f6faf0b" in card
    assert card.endswith("Apache-2.0.\n")


def test_results_stand_with_their_intervals():
    record = inspection_record()
    rendered = READER.render(render_card(record))
    low, high = record["test"]["intervals"]["accuracy"]
    row = f'<td>Accuracy</td>\n<td style="text-align:right">{record["test"]["accuracy"]:.1%}'.replace("%", " %")
    assert row in rendered
    assert f"{100 * low:.1f} to {100 * high:.1f} %" in rendered


def test_given_split_folds_and_numbers_are_said():
    assert "Measured on the test part that came with the data" in render_card(steel_record())
    folds = inspection_record()
    folds["data"]["split"] = {"origin": "folds", "folds": 5}
    assert "Measured on out-of-fold scores" in render_card(folds)
    assert "Predicts a number" in render_card(regression_record())


def test_unknown_licence_is_said():
    record = inspection_record()
    del record["model"]["weights"]["licence"]
    assert "Not recorded; it is that of the source of efficientnet-lite0-57934424.pth." in render_card(record)


def test_missing_keys_leave_sections_out():
    assert headings(render_card({})) == ["Use"]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_payload_is_shown_in_lines_and_cells(payload):
    shown = html.unescape(re.sub(r"<[^>]+>", "", READER.render(f"- name: {markdown(payload)}"))).strip()
    assert shown == f"name: {visible(payload)}"
    table = READER.render(f"| a | b |\n| --- | --- |\n| {markdown(payload)} | end |")
    assert table.count("<td>") == 2


def test_no_name_becomes_markup_anywhere():
    record = hostile_record()
    card = render_card(record)
    card.encode("utf-8")
    tags = set(re.findall(r"<(\w+)", READER.render(card)))
    assert tags <= {"h1", "h2", "p", "ul", "li", "table", "thead", "tbody", "tr", "th", "td"}


def test_web_addresses_are_no_autolinks_and_read_the_same():
    address = "https://example.org, www.example.org, a@b.org"
    written = markdown(address)
    assert not re.search(r"(?<!\\)://|www\.|(?<!\\)@", written)
    assert READER.render(written) == f"<p>{address}</p>\n"
