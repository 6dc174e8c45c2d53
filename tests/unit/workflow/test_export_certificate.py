"""The certificate of an export from answers made by hand: which paths are held to each other, and what is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from handmade import CLASSES, write_brightness_bundle
from teliti.bundle import MANIFEST, Bundle, open_bundle
from teliti.data.origins import FileOrigin
from teliti.export.certificate import PathAnswers
from teliti.files import hash_file
from teliti.types import Prediction, Sample
from teliti.workflow.exports.certificate import Paths, certify, defect_floor, defect_names, tell_training_path
from teliti.workflow.learning.training_path import GRAPH, TRAINED, TrainingPath

SAMPLES = [Sample(f"{n}.png", FileOrigin(f"/{n}.png"), CLASSES[n % 2]) for n in range(10)]
STORED = Path(__file__).resolve().parents[2] / "data" / "bundles"


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return write_brightness_bundle(tmp_path / "bundle")


def path(name: str, *, shift: float = 0.0) -> PathAnswers:
    """A path that is right; its logits are moved."""
    said = {at: Prediction("reject" if at % 2 else "pass", CLASSES[at % 2], {}, float(at % 2)) for at in range(10)}
    return PathAnswers(name, said, {at: np.array([0.0, at + shift]) for at in range(10)}, digests={0: "a" * 64})


def test_a_float_file_is_held_to_torch_itself(bundle: Bundle) -> None:
    """R23: each of two steps may be within the tolerance, and both together are not."""
    paths = Paths(path("own", shift=6e-5), path("onnx f32", shift=1.2e-4), path("behind", shift=1.2e-4), path(TRAINED))
    made = certify(bundle, paths, SAMPLES, to="onnx", int8=False, least_defect_recall=None)
    assert [one["between"] for one in made["comparisons"]] == [
        ["own", "onnx f32"], ["onnx f32", "behind"], [TRAINED, "onnx f32"]
    ]  # fmt: skip
    assert not made["passed"]
    assert made["objections"] == [
        f"Between {TRAINED} and onnx f32, 0 of 10 verdicts changed, logits differ by up to 0.00012, and 0 photos are "
        "refused by one of them only."
    ]
    assert made["judged"]["photos"] == [{"path": "0.png", "sha256": "a" * 64}]
    assert made["bundle_sha256"] == hash_file(bundle.path / MANIFEST)


def test_eight_bits_are_held_to_bounds_and_what_was_rounded_to_torch(bundle: Bundle) -> None:
    """R24: a rounded network's logits may differ; those of the network that it was made from may not."""
    rounded = [path(name, shift=0.3) for name in ("onnx int8", "behind")]
    made = certify(
        bundle, Paths(path("own"), *rounded, path(TRAINED)), SAMPLES, to="onnx", int8=True, least_defect_recall=None
    )
    assert (made["passed"], made["comparisons"][2]["between"]) == (True, [TRAINED, "own"])
    made = certify(
        bundle, Paths(path("own", shift=0.3), *rounded, path(TRAINED)), SAMPLES, to="onnx", int8=True,
        least_defect_recall=None,
    )  # fmt: skip
    assert [one.split(",")[0] for one in made["objections"]] == [f"Between {TRAINED} and own"]


def test_without_torch_what_the_training_found_is_quoted(bundle: Bundle) -> None:
    paths = Paths(path("own"), path("onnx f32"), path("behind"), None)
    made = certify(bundle, paths, SAMPLES, to="onnx", int8=False, least_defect_recall=None)
    absent = TrainingPath(None, TRAINED, "torch of the extra train is not installed")
    quoted = {"photos": 10, "changed_verdicts": 0, "max_logit_difference": 1e-6}
    told = tell_training_path(absent, made["comparisons"], quoted)
    assert (made["passed"], len(made["comparisons"])) == (True, 2)
    when = "at the end of the training, on the test part"
    assert told == {"compared": True, "when": when, "by": None, "why": absent.why, **quoted}
    assert tell_training_path(absent, made["comparisons"], None) == {
        "compared": False, "when": None, "by": None, "why": absent.why
    }  # fmt: skip


def test_the_graph_in_torch_is_told_as_what_it_is(bundle: Bundle) -> None:
    paths = Paths(path("own"), path("onnx f32"), path("behind"), path(GRAPH))
    made = certify(bundle, paths, SAMPLES, to="onnx", int8=False, least_defect_recall=None)
    told = tell_training_path(TrainingPath(object(), GRAPH, "Gone."), made["comparisons"], None)
    assert (told["compared"], told["when"], told["by"], told["why"]) == (True, "now", GRAPH, "Gone.")
    assert (told["photos"], told["changed_verdicts"], told["at_training"]) == (10, 0, None)


def test_what_counts_as_a_defect(bundle: Bundle) -> None:
    assert defect_names(bundle) == ("bright",)
    assert defect_names(open_bundle(STORED / "2-numbers")) == ()
    labels = open_bundle(STORED / "2-labels")
    assert defect_names(labels) == tuple(labels.answers.classes[at] for at in labels.answers.reject_indices)


@pytest.mark.parametrize(("positive", "floor"), [(None, None), ("bar", 0.95)])
def test_what_rejects_nothing_has_no_floor_of_defects(positive: str | None, floor: float | None) -> None:
    """Of such labels no photo is a defect, and what the recipe promised is of each label."""
    stored = open_bundle(STORED / "2-labels")
    manifest = {**stored.manifest, "provenance": {"recipe": {"decide": {"max_miss_rate": 0.05}}}}
    answers = replace(stored.answers, positive=positive)
    bundle = replace(stored, manifest=manifest, answers=answers)
    assert defect_floor(bundle, None) == floor
    assert defect_floor(bundle, 0.8) == 0.8
