"""The report in a real browser: no script runs, no policy is broken, it fits a phone, it follows dark and light."""

from __future__ import annotations

import pytest
from playwright.sync_api import sync_playwright

from teliti.report import render_report
from unit.report.learning_records import hostile_network_record, network_record
from unit.report.report_records import (
    hostile_pictures,
    hostile_record,
    inspection_pictures,
    inspection_record,
)

pytestmark = pytest.mark.browser
CHROMIUM = "/usr/bin/chromium"
SWITCHES = [
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield browser
        browser.close()


@pytest.fixture
def show(chromium, tmp_path):
    """Open a report; gives the page and everything that it complained of or asked for."""
    opened = []

    def open_report(record, pictures, **options):
        path = tmp_path / "report.html"
        path.write_bytes(render_report(record, pictures).encode("utf-8"))
        page = chromium.new_page(**options)
        opened.append(page)
        events = []
        page.on("console", lambda message: events.append(message.text))
        page.on("pageerror", lambda error: events.append(str(error)))
        page.on("dialog", lambda dialog: (events.append("dialog"), dialog.dismiss()))
        page.on("request", lambda request: events.append(request.url) if request.url.startswith("http") else None)
        page.goto(path.as_uri())
        return page, events

    yield open_report
    for page in opened:
        page.close()


def test_hostile_names_run_nothing(show):
    page, events = show(hostile_record(), hostile_pictures())
    assert events == []
    assert page.title().startswith("</title><script>")  # the payload, as text
    assert page.locator("script").count() == 0
    assert page.locator("section").count() >= 10


def test_style_is_applied_under_the_policy(show):
    record = inspection_record()
    page, events = show(record, inspection_pictures(record))
    assert events == []
    radius = page.eval_on_selector("section", "node => getComputedStyle(node).borderRadius")
    assert radius == "10px"
    widths = page.eval_on_selector_all("img", "nodes => nodes.map(node => node.naturalWidth)")
    assert min(widths) > 0


@pytest.mark.parametrize("width", [1280, 390])
def test_page_never_scrolls_sideways(show, width):
    record = inspection_record()
    page, _ = show(record, inspection_pictures(record), viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for hostile in (hostile_record, network_record, hostile_network_record):
        page, events = show(hostile(), hostile_pictures(), viewport={"width": width, "height": 800})
        assert events == []
        page.eval_on_selector_all("details", "nodes => nodes.forEach(node => node.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_dark_and_light_have_readable_contrast(show):
    record = inspection_record()
    for scheme in ("light", "dark"):
        page, _ = show(record, inspection_pictures(record), color_scheme=scheme)
        for selector in ("section p.lead", "td.num", ".meta li", ".tile-note", "figcaption .file"):
            ink, paper = page.eval_on_selector(selector, _COLOURS)
            assert _contrast(ink, paper) >= 4.5, (scheme, selector)
        label, paper = page.eval_on_selector("svg.chart text", _SVG_COLOURS)
        assert _contrast(label, paper) >= 4.5, scheme


def test_printing_opens_what_is_folded_and_hides_the_contents(show):
    record = inspection_record()
    page, _ = show(record, inspection_pictures(record), color_scheme="dark")
    refused = page.locator("details table", has_text="notes.txt.png")
    assert not refused.is_visible()
    page.emulate_media(media="print")
    assert refused.is_visible()
    assert not page.locator("nav").is_visible()
    assert page.eval_on_selector("body", "node => getComputedStyle(node).backgroundColor") == "rgb(255, 255, 255)"


_BACKGROUND = """
    let at = node;
    while (getComputedStyle(at).backgroundColor === 'rgba(0, 0, 0, 0)') at = at.parentElement;
    const paper = getComputedStyle(at).backgroundColor;
"""
_COLOURS = f"node => {{ {_BACKGROUND} return [getComputedStyle(node).color, paper]; }}"
_SVG_COLOURS = f"node => {{ {_BACKGROUND} return [getComputedStyle(node).fill, paper]; }}"


def _contrast(first, second):
    """Contrast ratio of two `rgb(r, g, b)` colours, from 1 to 21 (Web Content Accessibility Guidelines 2)."""
    low, high = sorted(map(_luminance, (first, second)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour):
    channels = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("width", [960, 1100, 1200, 1300])
def test_no_table_is_cut_on_the_screens_of_laptops(show, width):
    page, _ = show(
        inspection_record(), inspection_pictures(inspection_record()), viewport={"width": width, "height": 800}
    )
    cut = "boxes => boxes.filter(box => box.scrollWidth > box.clientWidth).map(box => box.innerText)"
    assert page.locator(".scroll").count() > 3
    assert page.locator(".scroll").evaluate_all(cut) == []
