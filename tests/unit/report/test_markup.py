"""The escaping door: whatever a name contains, the page shows it and does nothing else."""

import html
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teliti.report.markup import EMPTY, Html, element, join, name, raw_text, text, unbroken, visible
from unit.report.report_records import PAYLOADS


class _Reader(HTMLParser):
    """Tags and text of a document, as a browser's parser would see them."""

    def __init__(self, document: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.words = ""
        self.feed(document)
        self.close()

    def handle_starttag(self, tag, attrs):  # noqa: ARG002
        self.tags.append(tag)

    def handle_data(self, data):
        self.words += data


@pytest.mark.parametrize("payload", PAYLOADS)
def test_payload_is_text_and_nothing_but_text(payload):
    reader = _Reader(element("p", payload, title=payload))
    assert reader.tags == ["p"]
    assert reader.words == visible(payload)


@given(st.text(st.characters()))
def test_any_text_comes_back_as_its_visible_form(value):
    assert html.unescape(text(value)) == visible(value)
    assert "<" not in text(value)
    text(value).encode("utf-8")


def test_hidden_characters_are_written_out():
    assert visible("a\u202eb\n\udcff\ud800\x00") == "a<U+202E>b<U+000A><0xFF><U+D800><U+0000>"
    assert visible("two\nlines\x1b", keep="\n") == "two\nlines<U+001B>"


def test_ordinary_scripts_and_joined_emoji_stay():
    for word in ("Oberfläche", "ひび割れ", "خراش", "\u0645\u06cc\u200c\u062e", "👩\u200d🔧", "50 % / ok"):
        assert visible(word) == word


def test_name_is_isolated_and_breaks_after_a_slash():
    assert name("ok/a&b.png") == "<bdi>ok/<wbr>a&amp;b.png</bdi>"


def test_safe_markup_is_not_escaped_twice():
    assert join([Html("<b>x</b>"), "<", None, EMPTY]) == "<b>x</b>&lt;"


def test_per_cent_sign_stays_with_its_number():
    assert unbroken(text("95 % of 3 photos")) == "95&nbsp;% of 3 photos"


def test_attributes_are_named_and_left_out():
    assert element("td", "x", class_="num", aria_label=None, hidden=False) == '<td class="num">x</td>'
    assert element("details", open=True) == "<details open></details>"
    assert element("circle", cx=1.50001, r=3) == '<circle cx="1.5" r="3"/>'


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"onclick": "x()"}, 'Attribute must be free of script and style, got "onclick"'),
        ({"style": "color:red"}, 'Attribute must be free of script and style, got "style"'),
        ({"href": "javascript:alert(1)"}, "href must be a place on the same page"),
        ({"src": "https://example.org/x.png"}, "src must be a picture inside the page"),
    ],
)
def test_attributes_that_could_act_are_refused(attributes, message):
    with pytest.raises(ValueError, match=message):
        element("a", **attributes)


def test_style_that_could_end_its_element_is_refused():
    with pytest.raises(ValueError, match='The content of <style> must be free of "</"'):
        raw_text("style", "p{}</style><script>")
