"""What a reader knows about a photo before any pixel is allocated."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Header:
    """Sizes and the bytes that make pixels.

    Attributes:
        height: Stored rows, before orientation.
        width: Stored columns, before orientation.
        payload: The encoded photo, without the parts that make no pixels where these could be left out.
        orientation: EXIF orientation 1 to 8 that is still to be applied.
        scans: Passes over the pixels that decoding takes.
        layout: The reader's own note on how pixels are stored.
    """

    height: int
    width: int
    payload: bytes
    orientation: int = 1
    scans: int = 1
    layout: tuple[int, ...] = ()
