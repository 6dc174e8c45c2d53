"""The one escaping door of pages and cards: nothing reaches the page except through `element` and `text`.

File and class names come from strangers. `visible` makes every character that could reorder, hide or break a
line readable instead of active; `element` escapes every plain string and refuses attributes that could act.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable

_HIDDEN_CATEGORIES = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # controls, formats (bidi), surrogates, line and paragraph ends
_JOINERS = {"\u200c", "\u200d"}  # needed to write Persian, Indic scripts and joined emoji
_ESCAPED_BYTES = range(0xDC80, 0xDD00)  # how Python keeps bytes of a file name that is not UTF-8 (PEP 383)
_NUMBER_AND_PERCENT = re.compile(r"(\d) %")
_VOID = {"br", "img", "meta", "circle", "line", "path", "rect"}
_SVG_SHAPES = {"circle", "line", "path", "rect"}


class Html(str):
    """Markup that is safe as it stands; made only in this file."""

    __slots__ = ()


EMPTY = Html()
Attribute = str | int | float | bool | None


def visible(value: str, *, keep: str = "") -> str:
    """The text with every control, bidi, line-breaking and non-UTF-8 character written out.

    A right-to-left override becomes `<U+202E>`, the byte 0xFF of a file name `<0xFF>`, a newline `<U+000A>`;
    the result always encodes as UTF-8.

    Args:
        value: Any text.
        keep: Characters that stay as they are.
    """
    if value.isascii() and value.isprintable():
        return value
    return "".join(character if character in keep else _visible_character(character) for character in value)


def text(value: str, *, keep: str = "") -> Html:
    """Plain text as markup that shows exactly that text."""
    return Html(html.escape(visible(value, keep=keep), quote=True))


def name(value: object) -> Html:
    """A file or class name, kept apart from the writing direction around it; long paths may break after a slash."""
    return element("bdi", Html(text(str(value)).replace("/", "/<wbr>")))


def quoted_name(value: object) -> Html:
    """A name between quotation marks, as it stands in a sentence."""
    return join(["\u201c", name(value), "\u201d"])


def element(tag: str, *children: str | None, **attributes: Attribute) -> Html:
    """One HTML or SVG element.

    Args:
        tag: Its name, a literal of the program.
        children: `Html` is taken as it is, any other string is escaped, None is left out.
        attributes: By name; a trailing underscore is dropped and the others become dashes (`class_`,
            `aria_label`). None and False leave the attribute out, True writes its bare name.

    Raises:
        ValueError: an attribute that could run script, load something or override the style sheet.
    """
    written = "".join(_attribute(key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items())
    if tag in _VOID:
        return Html(f"<{tag}{written}/>" if tag in _SVG_SHAPES else f"<{tag}{written}>")
    return Html(f"<{tag}{written}>{join(children)}</{tag}>")


def unbroken(content: Html) -> Html:
    """The markup with every per cent sign on the line of its number."""
    return Html(_NUMBER_AND_PERCENT.sub("\\1&nbsp;%", content))


def join(children: Iterable[str | None]) -> Html:
    """Several pieces one after the other; plain strings are escaped, None is left out."""
    return Html("".join(child if isinstance(child, Html) else text(child) for child in children if child is not None))


def raw_text(tag: str, content: str) -> Html:
    """A `style` element, whose content HTML does not escape.

    Raises:
        ValueError: the content could end the element.
    """
    if "</" in content:
        raise ValueError(f'The content of <{tag}> must be free of "</".')
    return Html(f"<{tag}>{content}</{tag}>")


def document(head: Html, body: Html) -> str:
    """A whole HTML document."""
    root = element("html", element("head", head), element("body", body), lang="en")
    return f"<!doctype html>\n{root}\n"


def _visible_character(character: str) -> str:
    code = ord(character)
    if code in _ESCAPED_BYTES:
        return f"<0x{code - 0xDC00:02X}>"
    if unicodedata.category(character) in _HIDDEN_CATEGORIES and character not in _JOINERS:
        return f"<U+{code:04X}>"
    return character


def _attribute(key: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    if value is True:
        return f" {key}"
    written = f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
    if key == "style" or key.startswith("on"):
        raise ValueError(f'Attribute must be free of script and style, got "{key}". Use a class of the style sheet.')
    if key == "href" and not written.startswith("#"):
        raise ValueError(f'href must be a place on the same page, got "{written}".')
    if key == "src" and not written.startswith("data:image/"):
        raise ValueError(f'src must be a picture inside the page, got "{written[:40]}".')
    return f' {key}="{text(written)}"'
