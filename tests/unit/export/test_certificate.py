"""The certificate's arithmetic: who agrees with whom, and on which photos."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from teliti.data.origins import FileOrigin
from teliti.export.certificate import PathAnswers, agree, compare_paths, photo_list
from teliti.predictor import Prediction
from teliti.types import Sample

SAMPLES = [Sample(f"{n}.png", FileOrigin(f"/{n}.png"), "bad" if n < 4 else "good") for n in range(10)]


def path(name: str, scores: list[float], *, refused: dict[int, str] | None = None) -> PathAnswers:
    """A path that rejects from 0.5 on."""
    refused = refused or {}
    predictions, logits = {}, {}
    for at, score in enumerate(scores):
        if at not in refused:
            label, verdict = ("bad", "reject") if score >= 0.5 else ("good", "pass")
            predictions[at] = Prediction(verdict, label, {"bad": score, "good": 1 - score}, score)
            logits[at] = np.array([score, 0.0], np.float32)
    return PathAnswers(name, predictions, logits, refused)


TRUTH = [0.9, 0.9, 0.9, 0.9, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]


def test_equal_paths_agree() -> None:
    one = compare_paths(path("a", TRUTH), path("b", TRUTH), SAMPLES)
    assert (one["between"], one["photos"], one["changed_verdicts"], one["changed"]) == (["a", "b"], 10, 0, [])
    assert agree(one)


def test_a_changed_verdict_is_named_with_both_answers() -> None:
    one = compare_paths(path("a", TRUTH), path("b", [0.4, *TRUTH[1:]]), SAMPLES)
    assert one["changed"] == [{"path": "0.png", "verdicts": ["reject", "pass"], "scores": [0.9, 0.4]}]
    assert one["max_abs_difference"] == pytest.approx(0.5)
    assert not agree(one)


def test_logits_that_differ_and_photos_that_one_cannot_read_are_no_agreement() -> None:
    assert not agree(compare_paths(path("a", TRUTH), path("b", [0.91, *TRUTH[1:]]), SAMPLES))
    unread = compare_paths(path("a", TRUTH), path("b", TRUTH, refused={3: "truncated"}), SAMPLES)
    assert (unread["photos"], unread["refused_by_one"]) == (9, 1)
    assert not agree(unread)


def test_every_changed_verdict_is_listed() -> None:
    many = [Sample(f"{n}.png", FileOrigin(f"/{n}.png"), "bad") for n in range(250)]
    one = compare_paths(path("a", [0.9] * 250), path("b", [0.1] * 250), many)
    assert [each["path"] for each in one["changed"]] == [sample.name for sample in many]


def test_labels_that_differ_are_a_changed_verdict_whatever_passes() -> None:
    both = [Prediction("pass", None, {"a": 0.6, "b": p}, 0.6, labels=own) for p, own in
            ((0.6, ("a", "b")), (0.4, ("a",)))]  # fmt: skip
    first, second = (PathAnswers(name, {0: one}, {0: np.zeros(2)}) for name, one in zip("xy", both, strict=True))
    one = compare_paths(first, second, SAMPLES)
    assert one["changed"][0]["labels"] == [["a", "b"], ["a"]]
    assert one["max_abs_difference"] == pytest.approx(0.2)
    assert not agree(one)


def test_several_numbers_are_compared_each() -> None:
    first, second = (
        PathAnswers(name, {0: Prediction(None, None, {}, None, values={"x": 1.0, "y": y})}, {0: np.array([1.0, y])})
        for name, y in (("a", 50.0), ("b", 50.1))
    )
    one = compare_paths(first, second, SAMPLES)
    assert one["max_abs_difference"] == pytest.approx(0.1)
    assert one["max_logit_difference"] == pytest.approx(0.1 / 50.1)
    assert not agree(one)


def test_the_list_of_photos_is_what_sha256sum_prints() -> None:
    answers = PathAnswers("a", {}, {}, digests={1: "b" * 64, 0: "a" * 64})
    listed = photo_list(answers, SAMPLES)
    assert listed["photos"] == [{"path": "0.png", "sha256": "a" * 64}, {"path": "1.png", "sha256": "b" * 64}]
    text = f"{'a' * 64}  0.png\n{'b' * 64}  1.png\n"
    assert listed["sha256"] == hashlib.sha256(text.encode()).hexdigest()
