"""One PNG with a row of pictures for each photo: what every step makes of it. Only draws; the pictures are given.

The ground is a light grey and every picture has an outline, so that white and black photos alike are seen to end. A
caption is set in the first font of this machine that has all its characters; what no font has is written out, like
`<U+65E5>`, so that two names never look the same.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from teliti.report.markup import visible
from teliti.report.pictures import shrink_to
from teliti.types import UInt8Image

MAKER = "Teliti sheet"
"""What the PNG names as its software: a file that says so may be replaced by a new sheet."""

CELL_SIZE = 224
_FONT_SIZE, _SMALL_FONT_SIZE = 15, 12
_MARGIN, _GAP, _LINE = 16, 12, 22
_GROUND, _INK, _FAINT, _OUTLINE, _RULE = (242, 242, 240), (24, 24, 24), (96, 96, 96), (120, 120, 120), (205, 205, 202)
_ELLIPSIS = "..."
_FONT_FILES = (
    "DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "segoeui.ttf", "Arial Unicode.ttf",
    "Arial.ttf", "arial.ttf", "NotoSansCJK-Regular.ttc", "msgothic.ttc", "msyh.ttc", "Hiragino Sans GB.ttc",
)  # fmt: skip
_NO_CHARACTER = "\U0010fffe"  # never assigned, so every font draws its sign for "missing"

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One photo's row.

    Attributes:
        caption: Its name and label, above the pictures.
        pictures: Title and picture of each cell, (H, W, 3) uint8 RGB or (H, W) grey.
    """

    caption: str
    pictures: Sequence[tuple[str, UInt8Image]]


def draw_sheet(rows: Sequence[SheetRow], *, cell_size: int = CELL_SIZE) -> UInt8Image:
    """The sheet as a picture; large pictures are shrunk, tiny ones enlarged with their pixels as squares.

    Args:
        rows: At least one; each with at least one picture.
        cell_size: Longest side of a picture on the sheet, in pixels.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    cells = [[(title, _fit(image, cell_size), image.shape) for title, image in row.pictures] for row in rows]
    columns = max(len(row) for row in cells)
    heights = [max(picture.shape[0] for _, picture, _ in row) for row in cells]
    width = 2 * _MARGIN + columns * cell_size + (columns - 1) * _GAP
    height = 2 * _MARGIN + sum(heights) + len(rows) * (3 * _LINE + _GAP)
    page = Image.new("RGB", (width, height), _GROUND)
    pen = ImageDraw.Draw(page)
    top = _MARGIN
    for row, own, tallest in zip(rows, cells, heights, strict=True):
        pen.line([(_MARGIN, top), (width - _MARGIN, top)], fill=_RULE)
        _write(pen, (_MARGIN, top + 5), row.caption, room=width - 2 * _MARGIN, size=_FONT_SIZE)
        for column, (title, picture, shape) in enumerate(own):
            left = _MARGIN + column * (cell_size + _GAP)
            _write(pen, (left, top + _LINE + 4), title, room=cell_size, size=_FONT_SIZE)
            _paste(page, picture, (left, top + 2 * _LINE + 2))
            said = f"{shape[1]} x {shape[0]} px"  # width first, as image viewers say it
            _write(pen, (left, top + 2 * _LINE + picture.shape[0] + 5), said, room=cell_size, size=_SMALL_FONT_SIZE)
        top += tallest + 3 * _LINE + _GAP
    return np.asarray(page, dtype=np.uint8)


def encode_sheet(sheet: UInt8Image) -> bytes:
    """The PNG file of a sheet, which names its maker.

    Args:
        sheet: (H, W, 3) uint8 RGB.
    """
    about = PngInfo()
    about.add_text("Software", MAKER)
    file = io.BytesIO()
    Image.fromarray(sheet).save(file, "PNG", pnginfo=about)
    return file.getvalue()


def is_sheet(data: bytes) -> bool:
    """True for a file that `encode_sheet` made."""
    return data.startswith(b"\x89PNG") and b"tEXtSoftware\x00" + MAKER.encode() in data[:4096]


def _fit(image: UInt8Image, size: int) -> UInt8Image:
    """(h, w, 3) with the longer side at most `size`; a picture that fits twice or more is enlarged whole times."""
    colour = np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2RGB), dtype=np.uint8) if image.ndim == 2 else image
    times = size // max(colour.shape[:2])
    if times < 2:
        return shrink_to(colour, size)
    return colour.repeat(times, axis=0).repeat(times, axis=1)


def _paste(page: Image.Image, picture: UInt8Image, corner_xy: tuple[int, int]) -> None:
    left, top = corner_xy
    page.paste(Image.fromarray(np.ascontiguousarray(picture)), corner_xy)
    ImageDraw.Draw(page).rectangle(
        [left - 1, top - 1, left + picture.shape[1], top + picture.shape[0]], outline=_OUTLINE
    )


def _write(pen: ImageDraw.ImageDraw, corner_xy: tuple[int, int], text: str, *, room: int, size: int) -> None:
    """Text on one line; what is too long for the room loses its middle, so that the end of a name is kept."""
    plain = visible(text)
    font = _font_for(frozenset(plain), size)
    shown = _shorten("".join(_drawable(character, font) for character in plain), font, room=room)
    pen.text(corner_xy, shown, fill=_INK if size == _FONT_SIZE else _FAINT, font=font)


def _shorten(text: str, font: Font, *, room: int) -> str:
    if font.getlength(text) <= room:
        return text
    low, high = 0, len(text)  # characters that stay, found by halving
    while low < high:
        keep = (low + high + 1) // 2
        fits = font.getlength(_without_middle(text, keep)) <= room
        low, high = (keep, high) if fits else (low, keep - 1)
    return _without_middle(text, low)


def _without_middle(text: str, keep: int) -> str:
    return text[: keep - keep // 2] + _ELLIPSIS + (text[-(keep // 2) :] if keep // 2 else "")


def _font_for(characters: frozenset[str], size: int) -> Font:
    """The first font that has all characters, else the one that has most of them."""
    return max(_fonts(size), key=lambda font: sum(_has(font, character) for character in characters))


@cache
def _fonts(size: int) -> tuple[Font, ...]:
    """The fonts of this machine, and last Pillow's own, which has little more than ASCII."""
    found: list[Font] = []
    for name in _FONT_FILES:
        try:
            found.append(ImageFont.truetype(name, size))
        except OSError:  # not on this machine
            continue
    return (*found, ImageFont.load_default(size))


@cache
def _has(font: Font, character: str) -> bool:
    return character == " " or bytes(font.getmask(character)) != bytes(font.getmask(_NO_CHARACTER))


def _drawable(character: str, font: Font) -> str:
    if _has(font, character):
        return character
    return f"<U+{ord(character):04X}>"
