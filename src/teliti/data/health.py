"""The health of a photo in a few numbers: size, light, contrast, sharpness, colour, and what its file says.

Everything is measured on the photo shrunk to at most 512 pixels, which is about what a network sees: the noise of a
large sensor is not its sharpness. One small row a photo, kept by content; limits are in `oddities`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from teliti.data.decode import read_image_header
from teliti.data.exif import read_exif
from teliti.data.formats.header import Header
from teliti.data.looking import Look
from teliti.data.sniff import ImageFormat
from teliti.types import UInt8Image

SPACE = "health-2"
LONGEST_SIDE = 512
_ABOUT = "photo health: size, light, contrast, sharpness, colour, file"
_ROW = struct.Struct("<IIIB8f")
_INTEGERS = (("height", "<u4"), ("width", "<u4"), ("file_size", "<u4"), ("orientation", "u1"))
_FLOATS = ("mean", "deviation", "low", "high", "common", "clipped", "blur", "colour")
ROW_TYPE = np.dtype([*_INTEGERS, *((name, "<f4") for name in _FLOATS)])
"""The numbers of a row, as an array sees them."""
_TEXTS = 3  # mode, camera, moment
_COLOUR_SIDE = 64
_BOX = 9  # pixels of the box that sharpness is judged with
_FINE = 6  # bits behind the point that smoothing is rounded to
_STRIP = 96  # lines
_NEAR = 2  # grey levels that count as the same
_PNG_KINDS = {0: "grey", 2: "colour", 3: "palette", 4: "grey with alpha", 6: "colour with alpha"}
_JPEG_KINDS = {1: "8-bit grey", 3: "8-bit colour", 4: "CMYK"}


@dataclass(frozen=True, slots=True)
class Health:
    """One photo's numbers.

    Attributes:
        height: Pixels, upright.
        width: Pixels, upright.
        file_size: Bytes of the encoded file.
        orientation: EXIF, 1 to 8.
        mean: Grey level, 0 to 255.
        deviation: Standard deviation of the grey levels.
        low: Grey level that 1 % of the pixels stay below or at.
        high: Grey level that 99 % of the pixels stay below or at.
        common: Share of the pixels within 2 levels of the most common level.
        clipped: Share of the pixels at 0 or 255.
        blur: 0 sharp to 1 without any fine detail; NaN where the photo has no detail at all.
        colour: Mean of the largest minus the smallest channel, 0 to 255; 0 for grey.
        mode: How the file stores pixels.
        camera: From EXIF; empty where unknown.
        moment: From EXIF; empty where unknown.
    """

    height: int
    width: int
    file_size: int
    orientation: int
    mean: float
    deviation: float
    low: float
    high: float
    common: float
    clipped: float
    blur: float
    colour: float
    mode: str = ""
    camera: str = ""
    moment: str = ""

    def to_row(self) -> bytes:
        """What the cache keeps."""
        numbers = _ROW.pack(
            self.height, self.width, self.file_size, self.orientation, self.mean, self.deviation, self.low, self.high,
            self.common, self.clipped, self.blur, self.colour,
        )  # fmt: skip
        return numbers + "\0".join((self.mode, self.camera, self.moment)).encode("utf-8", "replace")

    @classmethod
    def from_row(cls, row: bytes) -> Health:
        """Inverse of `to_row`."""
        numbers, (mode, camera, moment) = split_row(row)
        return replace(cls(*_ROW.unpack(numbers)), mode=mode, camera=camera, moment=moment)


def measure_health(image: UInt8Image, data: bytes) -> Health:
    """The health of a decoded photo.

    Args:
        image: (H, W) grey or (H, W, 3) RGB uint8, upright.
        data: The encoded file it came from.
    """
    kind, header = read_image_header(data)
    exif = read_exif(data, kind)
    grey = _shrink(image if image.ndim == 2 else np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8))
    counts = cv2.calcHist([grey], [0], None, [256], [0, 256]).ravel().astype(np.float64)
    shares = counts / counts.sum()
    levels = np.arange(256)
    mean = float(shares @ levels)
    below = np.cumsum(shares)
    return Health(
        height=image.shape[0],
        width=image.shape[1],
        file_size=min(len(data), 2**32 - 1),
        orientation=exif.orientation,
        mean=mean,
        deviation=float(np.sqrt(shares @ (levels - mean) ** 2)),
        low=float(np.searchsorted(below, 0.01)),
        high=float(np.searchsorted(below, 0.99)),
        common=_common_share(shares),
        clipped=float(shares[0] + shares[255]),
        blur=measure_blur(grey),
        colour=_colourfulness(image),
        mode=_describe_mode(kind, header, data, is_grey=image.ndim == 2),
        camera=exif.camera,
        moment=exif.moment,
    )


def split_row(row: bytes) -> tuple[bytes, list[str]]:
    """A row's numbers, as `ROW_TYPE` reads them, and its three words: mode, camera, moment."""
    return row[: _ROW.size], row[_ROW.size :].decode("utf-8").split("\0")


def health_look() -> Look:
    """How the health of a photo is measured and kept."""
    return Look(SPACE, _ABOUT, lambda image, data: measure_health(image, data).to_row(), _is_whole)


def measure_blur(grey: UInt8Image) -> float:
    """How little of the fine detail a further blur would take away: 0 sharp, 1 blurred; NaN without detail.

    A sharp photo loses most differences between neighbours under a box of 9 pixels, a blurred one keeps them. The
    measure is a ratio, so that contrast does not enter. F. Crete and others, "The blur effect: perception and
    estimation with a new no-reference perceptual blur metric" (2007).

    Args:
        grey: (H, W) uint8.
    """
    return max(blur_by_direction(grey), default=float("nan"))


def blur_by_direction(grey: UInt8Image, *, every: int = 1, least: int = 0) -> list[float]:
    """The same measure along the rows and along the columns; a direction without any detail is left out.

    Args:
        grey: (H, W) uint8.
        every: Only every so many lines are looked at, rows and columns alike.
        least: Differences up to so many grey levels are no detail.
    """
    values = (_kept_share(grey[::every], least=least), _kept_share(grey.T[::every], least=least))
    return [value for value in values if value is not None]


def _kept_share(grey: UInt8Image, *, least: int) -> float | None:
    """How much of the differences from column to column a blur along the rows leaves; None without differences.

    In whole numbers and in strips, whose arrays stay in the processor's cache: a tenth of the time.
    """
    total = kept = 0.0
    if grey.shape[1] == 1:
        return None
    for top in range(0, len(grey), _STRIP):
        fine = grey[top : top + _STRIP].astype(np.uint16, order="K") << _FINE
        along = (_BOX, 1)
        if not fine.flags.c_contiguous:  # columns of the photo: OpenCV wants them as they lie in memory
            fine, along = fine.T, (1, _BOX)
        smooth = cv2.blur(fine, along)
        here, before = (np.s_[:, 1:], np.s_[:, :-1]) if along[1] == 1 else (np.s_[1:], np.s_[:-1])
        own, left = (cv2.absdiff(one[here], one[before]) for one in (fine, smooth))
        own = cv2.threshold(own, least << _FINE, 0, cv2.THRESH_TOZERO)[1] if least else own
        total += cv2.sumElems(own)[0]
        kept += cv2.sumElems(cv2.min(own, left))[0]
    return kept / total if total > 0.0 else None


def _is_whole(row: bytes) -> bool:
    try:
        return len(row) >= _ROW.size and row[_ROW.size :].decode("utf-8").count("\0") == _TEXTS - 1
    except UnicodeDecodeError:
        return False


def _shrink(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = grey.shape
    scale = LONGEST_SIDE / max(height, width)
    if scale >= 1.0:
        return grey
    size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(grey, size_wh, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _common_share(shares: NDArray[np.float64]) -> float:
    top = int(np.argmax(shares))
    return float(shares[max(0, top - _NEAR) : top + _NEAR + 1].sum())


def _colourfulness(image: UInt8Image) -> float:
    if image.ndim == 2:
        return 0.0
    small = cv2.resize(image, (_COLOUR_SIDE, _COLOUR_SIDE), interpolation=cv2.INTER_AREA)
    return float(np.mean(small.max(axis=2).astype(np.int16) - small.min(axis=2)))


def _describe_mode(kind: ImageFormat, header: Header, data: bytes, *, is_grey: bool) -> str:
    """How the pixels are stored, in words; formats without a say of their own by what was decoded."""
    if kind == "png":
        return f"{data[24]}-bit {_PNG_KINDS.get(data[25], 'colour')}"  # IHDR: bit depth, colour type
    if kind == "jpeg" and header.layout:
        return _JPEG_KINDS.get(header.layout[0], "8-bit colour")
    return f"{kind} grey" if is_grey else f"{kind} colour"
