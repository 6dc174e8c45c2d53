"""An encoded photo to its plain pixels, as a file: what the child process that decodes uploads does.

Only the image door is loaded here, neither the network nor its engine, so that the child starts soon and stays small.
"""

from __future__ import annotations

from teliti.data.decode import DecodeLimits, decode_photo
from teliti.data.formats.netpbm import write_netpbm


def uncompress_photo(data: bytes, *, max_bytes: int, max_pixels: int) -> bytes:
    """The photo as PGM or PPM: the same upright 8-bit pixels, nothing left that needs a codec.

    Args:
        data: The encoded photo, whole.
        max_bytes: Its largest size.
        max_pixels: Its largest height times width.

    Raises:
        PhotoRefused: it cannot be used; see `decode_photo`.
    """
    return write_netpbm(decode_photo(data, limits=DecodeLimits(max_bytes=max_bytes, max_pixels=max_pixels)))
