"""The health of many photos in columns: about sixty bytes a photo, where an object for each would be ten times that.

Numbers stay as the cache keeps them; a word, such as the camera, is kept once with its number by photo.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from teliti.data.health import ROW_TYPE, Health, split_row
from teliti.types import IntArray

_MOMENT_FORMAT = "%Y:%m:%d %H:%M:%S"


class HealthTable:
    """The health of the photos of a set, in the order in which they were added.

    Args:
        healths: To begin with.
    """

    def __init__(self, healths: Iterable[Health] = ()) -> None:
        self._rows = bytearray()
        self._words = {"mode": _Words(), "camera": _Words()}
        self._moments = array("d")
        for one in healths:
            self.append(one.to_row())

    def append(self, row: bytes) -> None:
        """Add the photo whose health is this row of the cache."""
        numbers, (mode, camera, moment) = split_row(row)
        self._rows += numbers
        self._words["mode"].append(mode)
        self._words["camera"].append(camera)
        self._moments.append(read_moment(moment))

    def __len__(self) -> int:
        return len(self._moments)

    def column(self, name: str) -> NDArray[np.float64]:
        """(N,) float64, a number of `Health` by its name, or "moment" in seconds since 1970, NaN where unknown."""
        if name == "moment":
            return np.array(self._moments, dtype=np.float64)
        return np.frombuffer(self._rows, dtype=ROW_TYPE)[name].astype(np.float64)

    def words(self, name: str) -> tuple[Sequence[str], IntArray]:
        """The different words of "mode" or "camera", and (N,) int64 which of them each photo has."""
        known = self._words[name]
        return list(known.numbers), np.array(known.of_photo, dtype=np.int64)

    def sizes(self) -> list[tuple[int, int]]:
        """(N) height and width in pixels."""
        both = np.stack([self.column("height"), self.column("width")], axis=1).astype(np.int64)
        return [(height, width) for height, width in both.tolist()]

    def only(self, places: IntArray) -> HealthTable:
        """The photos at these places, (M,) int, as a table of their own."""
        chosen = HealthTable()
        chosen._rows += np.frombuffer(self._rows, dtype=ROW_TYPE)[places].tobytes()
        chosen._moments.extend(self.column("moment")[places].tolist())
        chosen._words = {name: known.only(places) for name, known in self._words.items()}
        return chosen


class _Words:
    """A word a photo."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.of_photo = array("I")

    def append(self, word: str) -> None:
        self.of_photo.append(self.numbers.setdefault(word, len(self.numbers)))

    def only(self, places: IntArray) -> _Words:
        chosen = _Words()
        chosen.numbers = self.numbers
        chosen.of_photo.extend(np.array(self.of_photo, dtype=np.int64)[places].tolist())
        return chosen


def read_moment(text: str) -> float:
    """Seconds since 1970 of an EXIF moment; NaN where it is none."""
    try:
        return datetime.strptime(text, _MOMENT_FORMAT).timestamp()
    except (ValueError, OverflowError):
        return float("nan")
