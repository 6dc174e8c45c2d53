"""Names from strangers become harmless before they reach a terminal or a spreadsheet."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teliti.cli.escaping import visible
from teliti.files import spreadsheet_cell


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain name.png", "plain name.png"),
        ("ünïcödé 写真 👩‍🔧.png", "ünïcödé 写真 👩‍🔧.png"),
        ("two\nlines\tand\ra tab", r"two\nlines\tand\ra tab"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("invoice\u202egnp.exe", r"invoice\u202egnp.exe"),
        ("a\u2066b\u2069c\u200fd", r"a\u2066b\u2069c\u200fd"),
        ("bad\udcff\udc80byte", r"bad\xff\x80byte"),
        ("half\ud83dpair", r"half\ud83dpair"),
        ("tag\U000e0041", r"tag\U000e0041"),
        ("[bold]markup[/bold] :smile:", "[bold]markup[/bold] :smile:"),
    ],
)
def test_what_has_no_shape_is_written_out(name: str, shown: str) -> None:
    assert visible(name) == shown


@given(st.text(st.characters()))
def test_nothing_unseen_is_left(name: str) -> None:
    left = {unicodedata.category(character) for character in visible(name) if character not in "\u200c\u200d"}
    assert left.isdisjoint({"Cc", "Cf", "Cs", "Zl", "Zp"})
    visible(name).encode("utf-8")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_a_formula_gets_an_apostrophe(start: str) -> None:
    assert spreadsheet_cell(f"{start}1+1") == f"'{start}1+1"


@pytest.mark.parametrize("text", ["", "part-1.png", "1=1", "a@b"])
def test_other_cells_stay(text: str) -> None:
    assert spreadsheet_cell(text) == text
