"""Bundles that people have: the stored sample of every released schema opens and answers as it did."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from teliti.bundle import MANIFEST, SCHEMA, UPGRADES, open_bundle
from teliti.errors import BundleError
from teliti.metrics.review import Review
from teliti.predictor import Predictor

SAMPLES = Path(__file__).resolve().parents[1] / "data" / "bundles"
NAMES = sorted(path.name for path in SAMPLES.iterdir() if (path / MANIFEST).is_file())


def copy_with(tmp_path: Path, name: str, **changes: object) -> Path:
    """A sample whose manifest says something else."""
    folder = tmp_path / "bundle"
    shutil.copytree(SAMPLES / name, folder)
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | changes))
    return folder


def test_every_schema_has_a_sample_and_a_way_up() -> None:
    numbers = {int(name.partition("-")[0]) for name in NAMES}
    assert numbers == set(range(1, SCHEMA + 1)) == {*UPGRADES, SCHEMA}


@pytest.mark.parametrize("name", NAMES)
def test_a_stored_bundle_opens_and_its_golden_photos_get_their_scores(name: str) -> None:
    predictor = Predictor.open(SAMPLES / name, threads=1)
    test = predictor.self_test()
    assert test["passed"]
    assert test["photos"] >= 2
    golden = predictor.bundle.golden[0]
    answer = predictor.predict([SAMPLES / name / golden.file])[0]
    outputs = list((answer.probs or answer.values).values()) or [answer.score]
    assert outputs == pytest.approx(golden.outputs, abs=1e-5)


def test_every_kind_of_answer_has_a_sample() -> None:
    kinds = {(opened.task, len(opened.golden[0].outputs)) for opened in map(open_bundle, map(SAMPLES.joinpath, NAMES))}
    assert kinds == {("classification", 2), ("multilabel", 2), ("regression", 1), ("regression", 2)}


def test_the_first_schema_reviews_nothing() -> None:
    bundle = open_bundle(SAMPLES / "1")
    assert "review" not in json.loads((SAMPLES / "1" / MANIFEST).read_text())["decision"]
    assert (bundle.decision.review, bundle.decision.evidence) == (Review(), {})


def test_what_an_older_bundle_does_say_is_kept(tmp_path: Path) -> None:
    decision = json.loads((SAMPLES / "1" / MANIFEST).read_text())["decision"]
    review = Review(low=0.3, high=0.6).to_record(())
    bundle = open_bundle(copy_with(tmp_path, "1", decision=decision | {"review": review}))
    assert (bundle.decision.review.low, bundle.decision.review.high) == (0.3, 0.6)


def test_what_a_later_version_added_is_no_obstacle(tmp_path: Path) -> None:
    bundle = open_bundle(copy_with(tmp_path, str(SCHEMA), something={"new": 1}))
    assert bundle.manifest["something"] == {"new": 1}


def test_a_newer_schema_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        BundleError, match=rf"has bundle schema {SCHEMA + 1}, this version reads 1 to {SCHEMA}"
    ) as caught:
        open_bundle(copy_with(tmp_path, "1", schema=SCHEMA + 1))
    assert caught.value.hint == "A newer Teliti made it: pip install --upgrade teliti."
