"""What one photo may cost: bytes, pixels and work, all checked before pixels are allocated."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """Caps of the image door.

    The time cap is a cap on work, not a clock: whether a photo is refused must not depend on how busy the
    machine is. Decoding time grows with pixels, and for progressive JPEG with scans times pixels; both are known
    from the headers.

    Attributes:
        max_bytes: Size of the encoded file.
        max_pixels: Height times width.
        free_pixels: Up to this many pixels a file may be as small as it likes.
        max_pixels_per_byte: Beyond `free_pixels`, more pixels a byte than this is a decompression bomb or a
            header that lies; noise alone keeps a real photo far below it.
        max_scans: Scans of a progressive JPEG; real files have about ten.
        max_scan_pixels: Scans times pixels: the time cap of progressive JPEG.
    """

    max_bytes: int = 256 * 1024**2
    max_pixels: int = 100_000_000
    free_pixels: int = 8_000_000
    max_pixels_per_byte: int = 256
    max_scans: int = 100
    max_scan_pixels: int = 600_000_000


DEFAULT_LIMITS = DecodeLimits()
