"""Photos of every kind for tests: good ones whose pixels are known, and broken ones with the reason to expect.

All are made here from a few lines of arithmetic, a few kilobytes each. `good_photos` and `broken_photos` give the
files by name; `write_files` puts them into a folder.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

HEIGHT, WIDTH = 24, 32
LOSSLESS = ("PNG", "BMP", "TIFF", "WEBP", "PPM")


class Broken(NamedTuple):
    """A file that must be refused, and words that its reason must contain."""

    data: bytes
    reason: str


def draw_ramp(height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.uint8]:
    """(height, width, 3) uint8 RGB without any symmetry: each corner has a colour of its own."""
    rows, columns = np.mgrid[0:height, 0:width]
    red, green = rows * 255 // max(height - 1, 1), columns * 255 // max(width - 1, 1)
    return np.dstack((red, green, (rows * 7 + columns * 3) % 256)).astype(np.uint8)


def encode(pixels: NDArray[np.generic], kind: str, mode: str | None = None, **options: object) -> bytes:
    """The pixels as a file of a Pillow format, converted to a Pillow mode first."""
    image = Image.fromarray(pixels)
    file = io.BytesIO()
    (image if mode is None else image.convert(mode)).save(file, kind, **(options | _lossless(kind)))
    return file.getvalue()


def encode_deep(pixels: NDArray[np.generic], suffix: str) -> bytes:
    """16-bit or float pixels (H, W), RGB or RGBA, by OpenCV."""
    order = {2: pixels, 3: pixels[..., [2, 1, 0, 3][: pixels.shape[-1]]] if pixels.ndim == 3 else pixels}[pixels.ndim]
    return cv2.imencode(suffix, order)[1].tobytes()


def encode_turned(upright: NDArray[np.uint8], orientation: int, kind: str) -> bytes:
    """A file that stores turned pixels and says so, so that a reader which obeys shows `upright`."""
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: upright.transpose(1, 0, 2)[::-1],
        7: upright.transpose(1, 0, 2)[::-1, ::-1],
        8: upright.transpose(1, 0, 2)[:, ::-1],
    }[orientation]
    pixels = np.ascontiguousarray(stored)
    if kind == "TIFF":
        return encode(pixels, kind, tiffinfo={274: orientation})
    exif = Image.Exif()
    exif[274] = orientation
    return encode(pixels, kind, exif=exif.tobytes())


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """One PNG chunk with its right checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_file(
    image_size: tuple[int, int], body: bytes, *, depth: int = 8, colour: int = 0, before: bytes = b"", end: bool = True
) -> bytes:
    """A PNG of any header and any compressed body, however wrong."""
    height, width = image_size
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    data = png_chunk(b"IDAT", body) if body else b""
    return b"\x89PNG\r\n\x1a\n" + header + before + data + (png_chunk(b"IEND", b"") if end else b"")


def good_photos() -> dict[str, bytes]:
    """Files that every door must take, one of each kind that factories produce."""
    ramp = draw_ramp()
    grey = ramp[..., 0]
    deep = np.linspace(0, 65535, HEIGHT * WIDTH).astype(np.uint16).reshape(HEIGHT, WIDTH)
    see_through = np.dstack((ramp, grey))
    exif = {f"turned-{value}.jpg": encode_turned(ramp, value, "JPEG") for value in range(2, 9)}
    return exif | {
        "plain.jpg": encode(ramp, "JPEG"),
        "progressive.jpg": encode(ramp, "JPEG", progressive=True),
        "grey.jpg": encode(grey, "JPEG"),
        "cmyk.jpg": encode(ramp, "JPEG", "CMYK"),
        "plain.png": encode(ramp, "PNG"),
        "grey.png": encode(grey, "PNG"),
        "grey-alpha.png": encode(ramp, "PNG", "LA"),
        "alpha.png": encode(see_through, "PNG"),
        "palette.png": encode(ramp, "PNG", "P"),
        "one-bit.png": encode(ramp, "PNG", "1"),
        "deep.png": encode(deep, "PNG"),
        "deep-colour.png": encode_deep(np.dstack([deep] * 3), ".png"),
        "plain.bmp": encode(ramp, "BMP"),
        "palette.bmp": encode(ramp, "BMP", "P"),
        "plain.tif": encode(ramp, "TIFF"),
        "packed.tif": encode(ramp, "TIFF", compression="tiff_lzw"),
        "deep.tif": encode(deep, "TIFF"),
        "float.tif": encode(grey.astype(np.float32) / 255, "TIFF"),
        "plain.webp": encode(ramp, "WEBP"),
        "plain.gif": encode(ramp, "GIF"),
        "plain.ppm": encode(ramp, "PPM"),
        "grey.pgm": encode(grey, "PPM"),
        "misnamed.png": encode(ramp, "JPEG"),
        "one-pixel.png": encode(ramp[:1, :1], "PNG"),
        "thin.png": encode(draw_ramp(1, 400), "PNG"),
    }


def broken_photos() -> dict[str, Broken]:
    """About sixty files that every door must refuse, by name."""
    return _pretenders() | _cut_short() | _broken_jpeg() | _broken_png() | _broken_others()


def write_files(folder: Path, files: Mapping[str, bytes | Broken]) -> list[Path]:
    """Write the files below the folder, which is made, and return their paths."""
    paths = []
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.data if isinstance(content, Broken) else content)
        paths.append(path)
    return paths


def _lossless(kind: str) -> dict[str, object]:
    return {"lossless": True} if kind == "WEBP" else {}


def _pretenders() -> dict[str, Broken]:
    """Content that is no picture at all."""
    noise = np.random.default_rng(0).integers(128, 255, 500, np.uint8).tobytes()
    return {
        "empty.png": Broken(b"", "empty file"),
        "empty.jpg": Broken(b"", "empty file"),
        "zeros.png": Broken(bytes(400), "only zero bytes"),
        "byte.jpg": Broken(b"\xff", "not an image"),
        "letter.png": Broken(b"Dear colleague,\nplease find the photos attached.\n", "the content is text"),
        "table.jpg": Broken(b"path,label\na.png,ok\n", "the content is text"),
        "page.jpg": Broken(b"<!doctype html><title>404</title>", "web page or markup"),
        "drawing.png": Broken(b"  <svg xmlns='http://www.w3.org/2000/svg'/>", "web page or markup"),
        "report.png": Broken(b"%PDF-1.7\n" + noise, "a PDF"),
        "bundle.jpg": Broken(b"PK\x03\x04" + noise, "a zip archive"),
        "packed.bmp": Broken(b"\x1f\x8b\x08" + noise, "a gzip file"),
        "program.png": Broken(b"\x7fELF" + noise, "a program"),
        "phone.jpg": Broken(b"\0\0\0\x18ftypheic" + noise, "HEIC"),
        "scan.jpg": Broken(b"\0\0\0\x0cjP  \r\n\x87\n" + noise, "JPEG 2000"),
        "layers.tif": Broken(b"8BPS\0\x01" + noise, "Photoshop"),
        "noise.png": Broken(noise, "no known image format"),
        "car.bmp": Broken(b"BMW makes cars and motor cycles in Munich.", "the content is text"),
        "mark.jpg": Broken(b"\xff\xd8\xff", "truncated JPEG"),
        "mark.png": Broken(b"\x89PNG\r\n\x1a\n", "truncated PNG"),
        "mark.gif": Broken(b"GIF89a", "GIF"),
        "mark.tif": Broken(b"II*\0", "TIFF"),
        "mark.webp": Broken(b"RIFF\x10\0\0\0WEBP", "truncated WebP"),
    }


def _cut_short() -> dict[str, Broken]:
    """Each format cut in the middle and just before its end."""
    ramp = draw_ramp()
    files = {kind: encode(ramp, kind) for kind in ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "PPM", "GIF")}
    files["PROGRESSIVE"] = encode(ramp, "JPEG", progressive=True)
    files["LZW"] = encode(ramp, "TIFF", compression="tiff_lzw")
    suffixes = {"JPEG": "jpg", "PROGRESSIVE": "jpg", "TIFF": "tif", "LZW": "tif"}
    names = {"JPEG": "JPEG", "PROGRESSIVE": "JPEG", "LZW": "TIFF", "WEBP": "WebP"}
    return {
        f"{kind.lower()}-cut-{place}.{suffixes.get(kind, kind.lower())}": Broken(data[:end], names.get(kind, kind))
        for kind, data in files.items()
        for place, end in (("middle", len(data) // 2), ("end", len(data) - 8))
    }


def _broken_jpeg() -> dict[str, Broken]:
    plain = encode(draw_ramp(), "JPEG")
    return {
        "huge.jpg": Broken(_with_frame(plain, height=65000, width=65000), "65000 x 65000 pixels is over the limit"),
        "claims.jpg": Broken(_with_frame(plain, height=9000, width=9000), "truncated, or a decompression bomb"),
        "flat.jpg": Broken(_with_frame(plain, height=0, width=WIDTH), "32 x 0 pixels"),
        "twelve-bit.jpg": Broken(_with_frame(plain, height=HEIGHT, width=WIDTH, bits=12), "8 bits a sample"),
        "no-frame.jpg": Broken(b"\xff\xd8\xff\xe0\0\x04ab\xff\xd9", "no image inside"),
        "scan-bomb.jpg": Broken(scan_bomb(150), "scans are over the limit of 100"),
    }


def strip_bomb(strips: int) -> bytes:
    """A TIFF one pixel wide whose rows are all strips of their own, and all the same byte."""
    longs = {256: 1, 257: strips, 273: strips, 278: 1, 279: strips}
    shorts = {258: 8, 259: 1, 262: 1, 277: 1}
    places = 8 + 2 + 12 * (len(longs) + len(shorts)) + 4
    entries = b""
    for tag in sorted(longs | shorts):
        many = tag in {273, 279}
        kind, count = (4, strips) if many else ((4, 1) if tag in longs else (3, 1))
        entries += struct.pack("<HHII", tag, kind, count, places if many else (longs | shorts)[tag])
    directory = struct.pack("<H", len(longs) + len(shorts)) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<I", 4) * strips


def scan_bomb(scans: int) -> bytes:
    """A progressive JPEG whose last scan is repeated: a small file that takes long to decode."""
    data = encode(draw_ramp(), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * scans + b"\xff\xd9"


def _with_frame(jpeg: bytes, *, height: int, width: int, bits: int = 8) -> bytes:
    frame = jpeg.index(b"\xff\xc0")
    return jpeg[: frame + 4] + struct.pack(">BHH", bits, height, width) + jpeg[frame + 9 :]


def _broken_png() -> dict[str, Broken]:
    rows = zlib.compress(bytes((WIDTH + 1) * HEIGHT))
    plain = encode(draw_ramp(), "PNG")
    size = (HEIGHT, WIDTH)
    blank = zlib.compress(bytes(4_000_000))
    return {
        "huge.png": Broken(png_file((60000, 60000), rows), "60000 x 60000 pixels is over the limit of 100 megapixels"),
        "wide.png": Broken(png_file((1, 2**31 - 1), rows), "over the limit"),
        "bomb.png": Broken(png_file((9000, 9000), blank, depth=1), "decompression bomb"),
        "flat.png": Broken(png_file((0, WIDTH), rows), "32 x 0 pixels"),
        "checksum.png": Broken(plain[:60] + bytes([plain[60] ^ 1]) + plain[61:], "wrong checksum"),
        "no-pixels.png": Broken(png_file(size, b""), "no image inside"),
        "no-end.png": Broken(png_file(size, rows, end=False), "truncated PNG"),
        "not-packed.png": Broken(png_file(size, b"these bytes are not compressed"), "damaged PNG"),
        "few-rows.png": Broken(png_file(size, zlib.compress(bytes(99))), "damaged PNG"),
        "no-palette.png": Broken(png_file(size, rows, colour=3), "damaged PNG"),
        "odd-depth.png": Broken(png_file(size, rows, depth=7), "damaged PNG"),
    }


def _broken_others() -> dict[str, Broken]:
    bmp, gif = encode(draw_ramp(), "BMP"), encode(draw_ramp(), "GIF")
    webp = b"VP8X" + struct.pack("<I", 10) + bytes(4) + b"\xfe\x3f\x00" * 2  # a canvas of 16383 x 16383
    huge_tiff = encode(draw_ramp(), "TIFF")
    size_entry = struct.pack("<HHII", 256, 4, 1, WIDTH)
    return {
        "huge.bmp": Broken(bmp[:18] + struct.pack("<ii", 2**30, 2**30) + bmp[26:], "BMP"),
        "flat.bmp": Broken(bmp[:18] + struct.pack("<ii", WIDTH, 0) + bmp[26:], "32 x 0 pixels"),
        "huge.gif": Broken(gif[:6] + b"\xff\xff\xff\xff" + gif[10:], "65535 x 65535 pixels is over the limit"),
        "huge.webp": Broken(b"RIFF" + struct.pack("<I", 4 + len(webp)) + b"WEBP" + webp, "over the limit"),
        "huge.tif": Broken(
            huge_tiff.replace(size_entry, struct.pack("<HHII", 256, 4, 1, 2**30)).replace(
                struct.pack("<HHIHH", 256, 3, 1, WIDTH, 0), struct.pack("<HHII", 256, 4, 1, 2**30)
            ),
            "over the limit",
        ),
        "strips.tif": Broken(strip_bomb(70_000), "70,000 strips are over the limit of 65,535"),
        "nowhere.tif": Broken(b"II*\0\xff\xff\xff\x7f" + bytes(64), "TIFF"),
        "huge.ppm": Broken(b"P6 60000 60000 255\n" + bytes(100), "truncated PPM"),
        "words.ppm": Broken(b"P6 wide high 255\n" + bytes(100), "unreadable header"),
        "no-white.pgm": Broken(b"P5 4 4 0\n" + bytes(16), "largest sample"),
        "letters.pgm": Broken(b"P2 2 2 255\n1 2 three 4\n", "samples must be numbers"),
        "bright.pgm": Broken(b"P2 2 2 9\n1 2 3 10\n", "samples must be 0 to 9"),
    }
