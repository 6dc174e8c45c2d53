"""Properties of photos that should have nothing to do with the label, and whether they tell it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from teliti.data.findings import Finding, Severity
from teliti.data.health_table import HealthTable
from teliti.data.origins import FileOrigin
from teliti.metrics.shortcuts import Shortcut, holm, measure_shortcut
from teliti.types import Record, Reporter, Sample
from teliti.workflow.checks.photos import Examined

SIGNIFICANT = 0.05  # corrected p-value
STRONG = 0.1  # of the way from chance to certainty, at the lower end of the interval
FEWEST_PHOTOS = 20
_FILE_DATE = "file date"
_NUMBERS: dict[str, Callable[[HealthTable], NDArray[np.float64]]] = {
    "brightness": lambda table: table.column("mean"),
    "contrast": lambda table: table.column("deviation"),
    "sharpness": lambda table: table.column("blur"),
    "colour": lambda table: table.column("colour"),
    "size in pixels": lambda table: table.column("height") * table.column("width"),
    "width to height": lambda table: table.column("width") / table.column("height"),
    "file size": lambda table: table.column("file_size"),
    "date taken": lambda table: table.column("moment"),
}
_NAMES = {"camera": "camera", "way of saving": "mode"}


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
    with reporter.task("Testing properties against the label", len(_NUMBERS) + len(_NAMES) + 2) as advance:
        for name, values in _properties(examined.samples, examined.healths):
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


def plain_folder(sample: Sample) -> str:
    """The sample's folder without the parts that name its class or its split."""
    own = {"", ".", str(sample.label), str(sample.split)}
    return "/".join(part for part in sample.name.split("/")[:-1] if part not in own)


def _properties(samples: Sequence[Sample], healths: HealthTable) -> Iterator[tuple[str, NDArray[Any]]]:
    """One property after the other with its (N,) values, so that one alone is in memory."""
    for name, column in _NUMBERS.items():
        yield name, column(healths)
    for name, key in _NAMES.items():
        words, of_photo = healths.words(key)
        yield name, np.array(words)[of_photo]
    yield _FILE_DATE, np.array([_file_date(sample) for sample in samples], dtype=np.float64)
    folders = [plain_folder(sample) for sample in samples]
    pairs = {(folder, sample.label) for folder, sample in zip(folders, samples, strict=True)}
    are_classes = len(pairs) == len(set(folders)) == len({label for _, label in pairs})
    yield "folder", np.array([""] * len(folders) if are_classes else folders)


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
        "interval": [round(end, 4) for end in one.interval],
        "chance": round(one.chance, 4),
        "p_value": round(p_value, 5),
        "photos": one.photos,
    }


def _range_of(row: Record) -> str:
    return f" ({row['interval'][0]:.1%} to {row['interval'][1]:.1%})" if row["interval"] else ""
