"""The page of the service in a real browser: photos dropped, verdicts read, nothing but its own script runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from browser.test_report import CHROMIUM, SWITCHES
from handmade import even_photo, write_brightness_bundle
from parts import encode_png
from served import BRIGHT, DARK, TOKEN, Running, running_service

pytestmark = pytest.mark.browser
MARKUP = "<img src=x onerror=alert(1)>.png"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("service")
    write_brightness_bundle(folder / "line", grey=(0.4, 0.6))
    with running_service(folder, "--no-journal") as running:
        yield running


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("photos")
    grey = encode_png(even_photo(128))
    content = {"pass.png": DARK, "reject.png": BRIGHT, "review.png": grey, "broken.png": b"no photo", MARKUP: DARK}
    for name, data in content.items():
        (folder / name).write_bytes(data)
    return {name: folder / name for name in content}


@pytest.fixture(params=[(1280, "light"), (390, "dark")])
def page(service: Running, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The page, wide and light or narrow and dark; afterwards nothing unusual was said on its console."""
    width, scheme = request.param
    said: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: (said.append("dialog"), dialog.dismiss()))
        page.goto(f"http://127.0.0.1:{service.port}/")
        yield page
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        browser.close()
    # a browser logs every answer of 4xx by itself
    assert [line for line in said if not re.match(r"Failed to load resource: .* (401|422) ", line)] == []


def test_photos_get_their_verdicts(page: Page, photos: dict[str, Path]) -> None:
    """S10: also one whose name is markup."""
    page.fill("#token", TOKEN)
    page.press("#token", "Tab")
    expect(page.locator("#model")).to_have_value("line")
    page.set_input_files("#files", list(photos.values()))
    rows = page.locator("#answers li")
    expect(rows).to_have_count(len(photos))
    shown = {row.locator(".name").inner_text(): row.locator(".verdict").inner_text() for row in rows.all()}
    assert shown == {"pass.png": "pass", "reject.png": "reject", "review.png": "review", "broken.png": "refused",
                     MARKUP: "pass"}  # fmt: skip
    assert "not an image" in rows.filter(has_text="broken.png").inner_text()
    assert rows.filter(has_text="broken.png").locator("img").count() == 0
    assert "score 0.502 is between" in rows.filter(has_text="review.png").inner_text()
    assert rows.filter(has_text="reject.png").locator("img").evaluate("node => node.naturalWidth") > 0
    assert page.locator("#said").inner_text() == ""


def test_without_a_token_nothing_is_sent(page: Page, photos: dict[str, Path]) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.set_input_files("#files", photos["pass.png"])
    expect(page.locator("#said")).to_contain_text("First give the token")
    assert asked == []
    assert page.evaluate("document.activeElement.id") == "token"


def test_a_wrong_token_is_said_and_the_same_photo_can_be_chosen_again(page: Page, photos: dict[str, Path]) -> None:
    page.fill("#token", "wrong")
    page.set_input_files("#files", [photos["pass.png"], photos["reject.png"]])
    expect(page.locator("#said")).to_contain_text("No verdict for pass.png: The request must carry the service's token")
    expect(page.locator("#said")).to_contain_text("1 more photo was not sent.")
    assert page.locator("#answers li").count() == 0
    page.fill("#token", TOKEN)
    page.set_input_files("#files", photos["pass.png"])
    expect(page.locator("#answers .verdict")).to_have_text("pass")


def test_a_photo_can_be_dropped(page: Page) -> None:
    page.fill("#token", TOKEN)
    dropped = page.evaluate_handle(
        """bytes => {
            const carried = new DataTransfer();
            carried.items.add(new File([new Uint8Array(bytes)], "dropped.png", {type: "image/png"}));
            return carried;
        }""",
        list(BRIGHT),
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": dropped})
    expect(page.locator("#answers .verdict")).to_have_text("reject")
    expect(page.locator("#answers .name")).to_have_text("dropped.png")


def test_the_heat_map_is_drawn_when_it_is_asked_for(page: Page, tmp_path: Path) -> None:
    corner = even_photo(20, side=70)
    corner[:20, 50:] = 255
    (tmp_path / "corner.png").write_bytes(encode_png(corner))
    page.fill("#token", TOKEN)
    page.check("#heat")
    page.set_input_files("#files", tmp_path / "corner.png")
    expect(page.locator("#answers li")).to_contain_text("red: what speaks for bright")
    picture = page.locator("#answers img")
    assert picture.evaluate("node => [node.naturalWidth, node.naturalHeight]") == [8, 8]  # as the network sees it
