"""The frame of every page: head with the content policy, header, contents, sections, footer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from teliti.report.markup import Html, document, element, join, name
from teliti.report.style import style_head


class Section(NamedTuple):
    """One section of a page.

    Attributes:
        key: Its place on the page, for links.
        heading: Its title.
        content: What it shows.
    """

    key: str
    heading: str
    content: Html


def frame_page(title: str, *, eyebrow: str, notes: Sequence[str], sections: Sequence[Section], version: Any) -> str:
    """One self-contained HTML document: no script, no outside link, encodable as UTF-8 whatever the names in it.

    Args:
        title: Of the page; may hold a stranger's name.
        eyebrow: What kind of page it is.
        notes: Short facts under the title; empty ones are left out.
        sections: In reading order.
        version: Of Teliti; None leaves it out.
    """
    head = join(
        [
            element("meta", charset="utf-8"),
            style_head(),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("meta", name="color-scheme", content="light dark"),
            element("meta", name="referrer", content="no-referrer"),
            element("title", title),
        ]
    )
    shown = [element("li", note) for note in notes if note]
    header = element(
        "header",
        element("p", eyebrow, class_="eyebrow"),
        element("h1", name(title)),
        element("ul", *shown, class_="meta"),
    )
    columns = element(
        "div",
        element("nav", element("ol", *map(_link, sections)), aria_label="Contents"),
        element("main", *map(_section, sections)),
        class_="columns",
    )
    footer = element("footer", element("p", "Made by Teliti", f" {version}" if version else "", "."))
    return document(head, join([header, columns, footer]))


def _link(section: Section) -> Html:
    return element("li", element("a", section.heading, href=f"#{section.key}"))


def _section(section: Section) -> Html:
    return element("section", element("h2", section.heading), section.content, id=section.key)
