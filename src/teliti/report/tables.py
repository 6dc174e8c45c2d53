"""The blocks that sections are built from: tables with scopes, key-value lists, folded lists, callouts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from teliti.report.markup import EMPTY, Html, element, join

Tone = Literal["error", "warning", "good"]


def table(caption: str, *, head: Sequence[str], rows: Sequence[Sequence[str]], numeric_from: int = 1) -> Html:
    """A table that scrolls sideways on a narrow screen; the first cell of each row is its header.

    Args:
        caption: Said to screen readers and shown above the table.
        head: Column titles.
        rows: One cell per column; a plain string is escaped.
        numeric_from: Columns from this one on are set flush right.
    """
    titles = [
        element("th", title, scope="col", class_=_alignment(column, numeric_from)) for column, title in enumerate(head)
    ]
    body = [
        element(
            "tr",
            element("th", row[0], scope="row", class_=_alignment(0, numeric_from)),
            *(element("td", cell, class_=_alignment(at, numeric_from)) for at, cell in enumerate(row[1:], start=1)),
        )
        for row in rows
    ]
    written = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *titles)),
        element("tbody", *body),
    )
    return scrolling(written, label=caption)


def scrolling(content: Html, *, label: str) -> Html:
    """Wide content in a region of its own that can be scrolled by touch and by keyboard."""
    return element("div", content, class_="scroll", role="region", aria_label=label, tabindex=0)


def facts(rows: Sequence[tuple[str, str | None]]) -> Html:
    """Terms and their values; a row whose value is None or empty is left out, and so is an empty list."""
    kept = [(term, value) for term, value in rows if value]
    pairs = [element("div", element("dt", term), element("dd", value)) for term, value in kept]
    return element("dl", *pairs, class_="facts") if pairs else EMPTY


def bullets(items: Sequence[str], *, class_: str | None = None) -> Html:
    """A list; empty when there is nothing in it."""
    return element("ul", *(element("li", item) for item in items), class_=class_) if items else EMPTY


def folded(summary: str, *content: Html) -> Html:
    """Content that opens on a click and is open in print; empty when there is none."""
    inside = join(content)
    return element("details", element("summary", summary), inside) if inside else EMPTY


def callout(message: str, *, tone: Tone = "warning") -> Html:
    """One sentence that must not be overlooked; its tone is a word too, not only a colour."""
    words = {"error": "Error", "warning": "Mind", "good": "Good"}
    return element("p", element("strong", words[tone]), " ", message, class_=f"callout {tone}")


def _alignment(column: int, numeric_from: int) -> str | None:
    return "num" if column >= numeric_from else None
