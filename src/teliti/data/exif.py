"""What a camera wrote into the file: its name, the moment, how it was held. Nothing here makes pixels.

The block is looked for by its mark and read by offsets that are checked; what is damaged is simply not known.
Source: Exif 3.0 (CIPA DC-008); PNG third edition, eXIf; WebP container specification, EXIF.
"""

from __future__ import annotations

from dataclasses import dataclass

from teliti.data.formats.tags import MAKE, MODEL, MOMENT, MOMENT_TAKEN, read_orientation, read_texts
from teliti.data.sniff import ImageFormat

_MARKS: dict[ImageFormat, bytes] = {"jpeg": b"Exif\0\0", "png": b"eXIf", "webp": b"EXIF"}
_REACH = 1 << 18  # bytes in which the mark is looked for; cameras write it first
_CHUNK_SIZE = 4  # WebP has the length of a chunk behind its mark, PNG before it


@dataclass(frozen=True, slots=True)
class Exif:
    """What is known; empty where nothing is.

    Attributes:
        camera: Maker and model.
        moment: When it was taken, as "YYYY:MM:DD HH:MM:SS".
        orientation: 1 to 8; 1 is upright.
    """

    camera: str = ""
    moment: str = ""
    orientation: int = 1


def read_exif(data: bytes, kind: ImageFormat) -> Exif:
    """The camera's words in an encoded photo.

    Args:
        data: The encoded file.
        kind: Its format.
    """
    block = _find_block(data, kind)
    if not block:
        return Exif()
    texts = read_texts(block)
    words = [texts.get(tag, "") for tag in (MAKE, MODEL)]
    camera = words[1] if words[0] and words[1].startswith(words[0]) else " ".join(filter(None, words))
    return Exif(camera, texts.get(MOMENT_TAKEN) or texts.get(MOMENT, ""), read_orientation(block))


def _find_block(data: bytes, kind: ImageFormat) -> bytes:
    if kind == "tiff":
        return data
    mark = _MARKS.get(kind)
    place = data.find(mark, 0, _REACH) if mark else -1
    if kind == "webp" and place < 0 and mark:
        place = data.rfind(mark)  # WebP keeps it behind the pixels
    if place < 0 or mark is None:
        return b""
    block = data[place + len(mark) + (_CHUNK_SIZE if kind == "webp" else 0) :]
    return block[:_REACH].removeprefix(b"Exif\0\0")
