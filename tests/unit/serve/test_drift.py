"""What the drift says of a line that changes, and of one that does not."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from handmade import CLASSES, write_brightness_bundle
from teliti.bundle import MANIFEST, open_bundle
from teliti.errors import BundleError
from teliti.metrics.decision import Decision
from teliti.metrics.envelope import fit_envelope
from teliti.metrics.stability import fit_histogram, histogram_from_record
from teliti.serve.drift import START, VALIDATION, Drift, LineDrift
from teliti.types import Prediction
from teliti.workflow.learning.packing import _score_histogram


def test_nothing_is_said_before_there_is_enough() -> None:
    drift = Drift(photos=20)
    for number in range(39):
        drift.add(number / 40)
        assert math.isnan(drift.index())
    drift.add(0.5)
    assert not math.isnan(drift.index())


@pytest.mark.parametrize(("shift", "moved"), [(0.0, False), (0.15, True)])
@pytest.mark.parametrize("has_validation", [True, False])
def test_a_line_that_moved_is_seen(shift: float, moved: bool, has_validation: bool) -> None:
    random = np.random.default_rng(3)
    drift = Drift(fit_histogram(random.beta(2, 8, 400), source="validation photos") if has_validation else None)
    for score in [] if has_validation else random.beta(2, 8, 500):
        drift.add(score)
    for score in random.beta(2, 8, 500) + shift:
        drift.add(score)
    assert (drift.index() > 0.25) == moved
    assert moved or drift.index() < 0.1


def test_equal_scores_are_no_drift() -> None:
    drift = Drift(photos=20)
    for _ in range(40):
        drift.add(0.0)
    assert drift.index() == pytest.approx(0, abs=1e-9)


def test_scores_and_photos_are_followed_by_what_the_bundle_keeps(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    opened = write_brightness_bundle(tmp_path / "line")
    assert set(LineDrift(opened).scores) == {START}
    envelope = fit_envelope({"light": random.normal(120, 10, 400)}, action="warn")
    known = replace(opened, envelope=envelope, scores=fit_histogram(random.beta(2, 8, 400), source="validation photos"))
    drift = LineDrift(known, photos=100)
    for score, light in zip(random.beta(2, 8, 100), random.normal(150, 10, 100), strict=True):
        drift.add(Prediction("pass", "dark", {}, score, (), conditions={"light": light}))
    assert drift.scores[VALIDATION].index() < 0.25
    assert math.isnan(drift.scores[START].index())
    assert drift.conditions["light"].index() > 1


def test_a_bundle_is_packed_with_the_scores_that_its_threshold_was_chosen_on() -> None:
    bright = np.linspace(0.01, 0.99, 50)
    fit = SimpleNamespace(chooser_outputs=np.stack([1 - bright, bright], axis=1), chooser_name="validation photos")
    decision = Decision(CLASSES, "bright", threshold=0.5, rule="fixed", sentence="By hand.")
    packed = _score_histogram(SimpleNamespace(candidate=SimpleNamespace(fit=fit), answers=decision))
    assert histogram_from_record(packed) == fit_histogram(
        bright.astype(np.float32).tolist(), source="validation photos"
    )
    fit.chooser_outputs = fit.chooser_outputs[:5]
    assert _score_histogram(SimpleNamespace(candidate=SimpleNamespace(fit=fit), answers=decision)) is None


def test_a_damaged_histogram_is_refused(tmp_path: Path) -> None:
    write_brightness_bundle(tmp_path)
    manifest = json.loads((tmp_path / MANIFEST).read_text(encoding="utf-8"))
    manifest["scores"] = {"edges": [1.0], "counts": [1.0], "source": "x"}
    (tmp_path / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(BundleError, match="must have growing edges"):
        open_bundle(tmp_path)
