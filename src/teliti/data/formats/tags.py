"""Integer and text tags of the directories of a TIFF structure, which EXIF blocks and TIFF files share.

Source: TIFF Revision 6.0 (Adobe, 1992), section 2; Exif 3.0 (CIPA DC-008) for the orientation.
"""

from __future__ import annotations

import struct

WIDTH, HEIGHT, BITS, COMPRESSION, ORIENTATION, SAMPLES, SAMPLE_FORMAT = 256, 257, 258, 259, 274, 277, 339
MAKE, MODEL, MOMENT, EXIF_DIRECTORY, MOMENT_TAKEN = 271, 272, 306, 34665, 36867
_PIECES = (273, 324)  # strips, tiles
_TEXT = 2
_MAX_TEXT = 80
_TYPES = {1: ("B", 1), 3: ("H", 2), 4: ("I", 4)}
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_MAX_ENTRIES = 512
_MAX_VALUES = 16
_LAST_ORIENTATION = 8


def read_tags(block: bytes) -> dict[int, tuple[int, ...]]:
    """Byte, short and long tags of the first directory; what is damaged is left out."""
    order = _ORDERS.get(block[:4])
    if order is None:
        return {}
    try:
        (start,) = struct.unpack_from(f"{order}I", block, 4)
        (count,) = struct.unpack_from(f"{order}H", block, start)
    except struct.error:
        return {}
    tags = {}
    for index in range(min(count, _MAX_ENTRIES)):
        try:
            tag, values = _read_entry(block, order, start + 2 + 12 * index)
        except struct.error:
            continue
        if values:
            tags[tag] = values
    return tags


def count_pieces(block: bytes) -> int:
    """Of how many strips or tiles the first page says it is made; 1 where it does not say."""
    order = _ORDERS.get(block[:4])
    if order is None:
        return 1
    pieces = 1
    try:
        (start,) = struct.unpack_from(f"{order}I", block, 4)
        (count,) = struct.unpack_from(f"{order}H", block, start)
        for index in range(min(count, _MAX_ENTRIES)):
            tag, _, length = struct.unpack_from(f"{order}HHI", block, start + 2 + 12 * index)
            pieces = max(pieces, length) if tag in _PIECES else pieces
    except struct.error:
        return pieces
    return pieces


def read_orientation(block: bytes) -> int:
    """The EXIF orientation, 1 to 8, of an EXIF block with or without its `Exif` mark; 1 when there is none."""
    (value, *_) = read_tags(block.removeprefix(b"Exif\0\0")).get(ORIENTATION, (1,))
    return value if 1 <= value <= _LAST_ORIENTATION else 1


def read_texts(block: bytes) -> dict[int, str]:
    """Text tags of the first directory and of the camera's own; what is damaged or not printable is left out."""
    order = _ORDERS.get(block[:4])
    if order is None:
        return {}
    texts: dict[int, str] = {}
    try:
        (first,) = struct.unpack_from(f"{order}I", block, 4)
        texts |= _texts_of(block, order, first)
    except struct.error:
        return texts
    for camera in read_tags(block).get(EXIF_DIRECTORY, ())[:1]:
        try:
            texts |= _texts_of(block, order, camera)
        except struct.error:
            continue
    return texts


def _texts_of(block: bytes, order: str, start: int) -> dict[int, str]:
    (count,) = struct.unpack_from(f"{order}H", block, start)
    texts = {}
    for index in range(min(count, _MAX_ENTRIES)):
        place = start + 2 + 12 * index
        tag, kind, length = struct.unpack_from(f"{order}HHI", block, place)
        if kind != _TEXT or not 1 <= length <= _MAX_TEXT:
            continue
        text_at = place + 8 if length <= 4 else struct.unpack_from(f"{order}I", block, place + 8)[0]
        text = block[text_at : text_at + length].split(b"\0")[0].decode("ascii", "replace").strip()
        if text.isprintable() and text:
            texts[tag] = text
    return texts


def _read_entry(block: bytes, order: str, place: int) -> tuple[int, tuple[int, ...]]:
    tag, kind, length = struct.unpack_from(f"{order}HHI", block, place)
    if kind not in _TYPES or not 1 <= length <= _MAX_VALUES:
        return tag, ()
    code, size = _TYPES[kind]
    inline = size * length <= 4
    value_at = place + 8 if inline else struct.unpack_from(f"{order}I", block, place + 8)[0]
    return tag, struct.unpack_from(f"{order}{length}{code}", block, value_at)
