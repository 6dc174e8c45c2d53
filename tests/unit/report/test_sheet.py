"""Preview sheets: every picture at its place, on any ground, with any name."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from photos import draw_ramp
from teliti.report.sheet import MAKER, SheetRow, draw_sheet, encode_sheet, is_sheet

GROUND = (242, 242, 240)


def find(sheet: np.ndarray, picture: np.ndarray) -> tuple[int, int]:
    """(row, column) where the picture stands on the sheet, to the last bit."""
    match = cv2.matchTemplate(sheet, picture, cv2.TM_SQDIFF)
    row, column = divmod(int(match.argmin()), match.shape[1])
    cut = sheet[row : row + picture.shape[0], column : column + picture.shape[1]]
    np.testing.assert_array_equal(cut, picture)
    return row, column


def test_pictures_stand_in_rows_and_columns() -> None:
    first, second = draw_ramp(120, 150), draw_ramp(150, 120)[..., ::-1]
    rows = [SheetRow("a.png", [("original", first), ("1 turn", second)]), SheetRow("b.png", [("original", second)])]
    sheet = draw_sheet(rows, cell_size=160)
    assert sheet.dtype == np.uint8
    a, b = find(sheet, first), find(sheet[: sheet.shape[0] // 2], second)
    assert a[0] == b[0]
    assert b[1] - a[1] == 160 + 12
    assert find(sheet[sheet.shape[0] // 2 :], second)[1] == a[1]


@pytest.mark.parametrize("grey", [0, 128, 242, 255])
def test_an_outline_ends_every_picture(grey: int) -> None:
    picture = np.full((100, 120, 3), grey, dtype=np.uint8)
    sheet = draw_sheet([SheetRow("x", [("original", picture)])], cell_size=120)
    outlined = (sheet == 120).all(axis=2)
    top, left = (int(place) for place in np.argwhere(outlined)[0])
    assert outlined[top, left : left + 122].all()
    assert outlined[top + 101, left : left + 122].all()
    assert outlined[top : top + 102, [left, left + 121]].all()
    assert (sheet[top + 1 : top + 101, left + 1 : left + 121] == grey).all()


def test_large_pictures_are_shrunk_and_tiny_ones_enlarged_whole_times() -> None:
    large = draw_sheet([SheetRow("x", [("original", np.zeros((900, 300, 3), np.uint8))])], cell_size=90)
    assert (large == 0).all(axis=2).sum() == 90 * 30
    tiny = np.array([[0, 255], [255, 0]], dtype=np.uint8)  # grey
    squares = np.kron(tiny, np.ones((4, 4), np.uint8))[..., None].repeat(3, axis=2)
    find(draw_sheet([SheetRow("x", [("original", tiny)])], cell_size=9), squares)


def test_captions_are_ink_and_stay_on_the_sheet() -> None:
    picture = np.full((60, 60, 3), 255, dtype=np.uint8)
    short = draw_sheet([SheetRow("a", [("original", picture)])])
    long = draw_sheet([SheetRow("long-" * 100 + "end.png", [("original" * 20, picture)])])
    assert short.shape == long.shape
    ink = (long < 100).all(axis=2)
    assert ink.sum() > (short < 100).all(axis=2).sum()
    assert not ink[:, :10].any()
    assert not ink[:, -10:].any()


@pytest.mark.parametrize(
    "name",
    ["日本.png", "\u202egnp.exe", "bad\udcff.png", "a\nb\x1b[2J.png", "", "ärger → “x”.png", "🙂.png", "\U0010fffe"],
)
def test_any_name_is_drawn_and_no_two_look_the_same(name: str) -> None:
    picture = draw_ramp(60, 60)
    sheets = [draw_sheet([SheetRow(text, [("original", picture)])]) for text in (name, f"{name}.", "other")]
    assert len({sheet.tobytes() for sheet in sheets}) == 3


def test_without_a_font_of_the_machine_pillows_own_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    from teliti.report import sheet as module

    monkeypatch.setattr(module, "_FONT_FILES", ())
    module._fonts.cache_clear()
    try:
        rows = [[SheetRow(text, [("original", draw_ramp(60, 60))])] for text in ("日", "本")]
        assert draw_sheet(rows[0]).tobytes() != draw_sheet(rows[1]).tobytes()  # written out
    finally:
        module._fonts.cache_clear()


def test_the_file_names_its_maker() -> None:
    sheet = draw_sheet([SheetRow("x", [("original", draw_ramp())])])
    data = encode_sheet(sheet)
    with Image.open(io.BytesIO(data)) as opened:
        assert opened.text["Software"] == MAKER
        np.testing.assert_array_equal(np.asarray(opened), sheet)
    assert is_sheet(data)
    assert not is_sheet(cv2.imencode(".png", sheet)[1].tobytes())
    assert not is_sheet(b"")
