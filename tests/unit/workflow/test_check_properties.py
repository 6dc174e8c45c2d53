"""A property that goes with the class is found, whichever it is, and one that does not stays quiet."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from teliti.data.health import Health
from teliti.data.health_table import HealthTable
from teliti.data.origins import BytesOrigin
from teliti.data.thumbnail_file import StoredFingerprints
from teliti.types import Catalog, Sample, SilentReporter
from teliti.workflow.checks.photos import Examined
from teliti.workflow.checks.properties import find_shortcuts

USUAL = Health(300, 400, 50_000, 1, 120.0, 30.0, 40.0, 220.0, 0.1, 0.0, 0.4, 0.0, "8-bit grey")
DAYS = ("2024:05:01 10:00:00", "2024:06:01 10:00:00")


def examined(*changes: dict[str, object], photos: int = 60) -> Examined:
    """Photos that differ a little by chance, and each class by one of the changes."""
    draw, labels = np.random.default_rng(1), ("good", "bad")
    healths = HealthTable(
        replace(USUAL, mean=120 + draw.normal(0, 5), camera=f"A{draw.integers(3)}", moment=DAYS[draw.integers(2)])
        if not changes
        else replace(USUAL, **changes[at % 2])
        for at in range(photos)
    )
    samples = tuple(Sample(f"{at}.png", BytesOrigin(b""), labels[at % 2]) for at in range(photos))
    return Examined(Catalog("s", samples, (), "classification", labels), samples, healths, StoredFingerprints(), ())


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("brightness", {"mean": 100.0}, {"mean": 140.0}),
        ("contrast", {"deviation": 20.0}, {"deviation": 40.0}),
        ("sharpness", {"blur": 0.3}, {"blur": 0.5}),
        ("colour", {"colour": 1.0}, {"colour": 30.0}),
        ("size in pixels", {"height": 300, "width": 400}, {"height": 600, "width": 800}),
        ("width to height", {"height": 300, "width": 400}, {"height": 400, "width": 300}),
        ("file size", {"file_size": 50_000}, {"file_size": 90_000}),
        ("date taken", {"moment": DAYS[0]}, {"moment": DAYS[1]}),
        ("camera", {"camera": "Maker A"}, {"camera": "Maker B"}),
        ("way of saving", {"mode": "8-bit grey"}, {"mode": "8-bit colour"}),
    ],
)
def test_each_property_is_found_where_it_tells_the_class(name: str, good: dict, bad: dict) -> None:
    rows, findings = find_shortcuts(examined(good, bad), seed=7, reporter=SilentReporter())
    assert name in [row["property"] for row in rows if row["score"] == 1.0]
    (found,) = [one for one in findings if one.message.startswith(f"The {name} alone tells the class")]
    assert found.severity == "warning"


def test_properties_that_vary_by_chance_are_no_findings() -> None:
    rows, findings = find_shortcuts(examined(), seed=7, reporter=SilentReporter())
    assert {"brightness", "camera", "date taken"} <= {row["property"] for row in rows}
    assert findings == []


def test_few_photos_say_nothing() -> None:
    assert find_shortcuts(examined({}, {"mean": 10.0}, photos=18), seed=7, reporter=SilentReporter()) == ([], [])
