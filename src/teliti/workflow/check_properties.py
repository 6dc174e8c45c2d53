"""Properties of photos that should have nothing to do with the label, and whether they tell it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from teliti.data.findings import Finding, Severity
from teliti.data.health import Health
from teliti.data.origins import FileOrigin
from teliti.metrics.shortcuts import Shortcut, holm, measure_shortcut
from teliti.types import Record, Reporter, Sample
from teliti.workflow.check_photos import Examined

SIGNIFICANT = 0.05  # corrected p-value
STRONG = 0.1  # of the way from chance to certainty, at the lower end of the interval
FEWEST_PHOTOS = 20
_FILE_DATE = "file date"
_MOMENT_FORMAT = "%Y:%m:%d %H:%M:%S"
_NUMBERS: dict[str, Callable[[Health], float]] = {
    "brightness": lambda one: one.mean,
    "contrast": lambda one: one.deviation,
    "sharpness": lambda one: one.blur,
    "colour": lambda one: one.colour,
    "size in pixels": lambda one: float(one.height) * one.width,
    "width to height": lambda one: one.width / one.height,
    "file size": lambda one: float(one.file_size),
    "date taken": lambda one: read_moment(one.moment),
}
_NAMES: dict[str, Callable[[Health], str]] = {
    "camera": lambda one: one.camera,
    "way of saving": lambda one: one.mode,
}


def find_shortcuts(examined: Examined, *, seed: int, reporter: Reporter) -> tuple[list[Record], list[Finding]]:
    """Test every property against the class.

    Args:
        examined: With classes.
        seed: Of folds, shuffles and draws.
        reporter: Told how far it is.

    Returns:
        One record a property that varies: {"property", "score", "interval", "chance", "p_value" (corrected), "photos"},
        the strongest first; and findings for those that tell the class better than chance.
    """
    labels = examined.labels()
    if len(labels) < FEWEST_PHOTOS:
        return [], []
    tested: dict[str, Shortcut] = {}
    properties = _properties(examined.samples, examined.healths)
    with reporter.task("Testing properties against the label", len(properties)) as advance:
        for name, values in properties.items():
            result = measure_shortcut(values, labels, seed=seed)
            if result is not None:
                tested[name] = result
            advance(1)
    corrected = holm(np.array([one.p_value for one in tested.values()]))
    rows = [_row(name, one, p_value) for (name, one), p_value in zip(tested.items(), corrected.tolist(), strict=True)]
    rows.sort(key=lambda row: -float(row["score"]))
    return rows, [finding for row in rows if (finding := judge_shortcut(row)) is not None]


def judge_shortcut(row: Record) -> Finding | None:
    """The finding of one row of `find_shortcuts`; None where the property does not tell the class."""
    if row["p_value"] > SIGNIFICANT or row["score"] <= row["chance"]:
        return None
    low = row["interval"][0] if row["interval"] else row["score"]
    is_strong = low >= row["chance"] + STRONG * (1.0 - row["chance"])
    severity: Severity = "warning" if is_strong and row["property"] != _FILE_DATE else "info"
    message = (
        f"The {row['property']} alone tells the class with a balanced accuracy of {row['score']:.1%}"
        f"{_range_of(row)}; guessing gives {row['chance']:.1%} (p = {row['p_value']:.3g}, corrected)."
    )
    if row["property"] == _FILE_DATE:
        message += " Copying the files class by class does this too."
    return Finding("shortcut", severity, message, score=row["score"])


def read_moment(text: str) -> float:
    """Seconds since 1970 of an EXIF moment; NaN where it is none."""
    try:
        return datetime.strptime(text, _MOMENT_FORMAT).timestamp()
    except (ValueError, OverflowError):
        return float("nan")


def plain_folder(sample: Sample) -> str:
    """The sample's folder without the parts that name its class or its split."""
    own = {str(sample.label), str(sample.split)}
    return "/".join(part for part in PurePosixPath(sample.name).parts[:-1] if part not in own)


def _properties(samples: Sequence[Sample], healths: Sequence[Health]) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {
        name: np.array([number(one) for one in healths], dtype=np.float64) for name, number in _NUMBERS.items()
    }
    found |= {name: np.array([word(one) for one in healths]) for name, word in _NAMES.items()}
    found[_FILE_DATE] = np.array([_file_date(sample) for sample in samples], dtype=np.float64)
    folders = [plain_folder(sample) for sample in samples]
    pairs = {(folder, sample.label) for folder, sample in zip(folders, samples, strict=True)}
    if not len(pairs) == len(set(folders)) == len({label for _, label in pairs}):  # folders that are the classes
        found["folder"] = np.array(folders)
    return found


def _file_date(sample: Sample) -> float:
    if not isinstance(sample.origin, FileOrigin):
        return float("nan")
    try:
        return os.stat(sample.origin.path).st_mtime  # noqa: PTH116 - the origin keeps a plain string
    except OSError:
        return float("nan")


def _row(name: str, one: Shortcut, p_value: float) -> Record:
    return {
        "property": name,
        "score": round(one.score, 4),
        "interval": [round(end, 4) for end in one.interval] if one.interval else None,
        "chance": round(one.chance, 4),
        "p_value": round(p_value, 5),
        "photos": one.photos,
    }


def _range_of(row: Record) -> str:
    return f" ({row['interval'][0]:.1%} to {row['interval'][1]:.1%})" if row["interval"] else ""
