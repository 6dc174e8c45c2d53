"""From a predictor's answers to records: measures by class name, curves, the worst mistakes first."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from handmade import even_photo, write_brightness_bundle
from parts import encode_png
from teliti.data.origins import FileOrigin
from teliti.evaluation import (
    MAX_MISTAKES,
    curves_of,
    measure_classes,
    measure_numbers,
    mistakes_of,
    number_mistakes_of,
    scatter_of,
    score_samples,
    warnings_of,
)
from teliti.metrics.decision import Decision
from teliti.predictor import Predictor
from teliti.types import Sample, SilentReporter

TWO = Decision(classes=("good", "bad"), positive="bad", threshold=0.5)
THREE = Decision(classes=("a", "b", "c"))


def samples_of(count: int) -> list[Sample]:
    return [Sample(f"photo-{number}", FileOrigin("unused")) for number in range(count)]


def probs_of(*bad: float) -> np.ndarray:
    return np.array([[1 - value, value] for value in bad], dtype=np.float32)


@pytest.mark.parametrize("is_regression", [False, True])
def test_scores_come_with_the_photos_they_belong_to(is_regression: bool, tmp_path: Path) -> None:
    predictor = Predictor(write_brightness_bundle(tmp_path / "bundle", is_regression=is_regression))
    samples = []
    for number, grey in enumerate([51, None, 204]):
        path = tmp_path / f"{number}.png"
        path.write_bytes(b"" if grey is None else encode_png(even_photo(grey)))
        samples.append(Sample(path.name, FileOrigin(str(path))))
    scored = score_samples(predictor, samples, reporter=SilentReporter())
    expected = [[51], [204]] if is_regression else [[0.8, 0.2], [0.2, 0.8]]
    np.testing.assert_allclose(scored.outputs, expected, rtol=1e-6)
    assert scored.outputs.dtype == np.float32
    assert scored.used.tolist() == [0, 2]
    assert [(one.name, one.reason) for one in scored.refused] == [("1.png", "empty file")]


def test_measures_name_the_classes_and_are_json() -> None:
    labels = np.array([0, 0, 0, 1, 1])
    probs = probs_of(0.1, 0.2, 0.7, 0.9, 0.4)
    record = measure_classes(labels, probs, TWO.labels(probs), decision=TWO, seed=7)
    assert record["accuracy"] == pytest.approx(3 / 5)
    assert record["recall"] == pytest.approx(1 / 2)
    assert record["confusion_matrix"] == [[2, 1], [1, 1]]
    assert [row["class"] for row in record["per_class"]] == ["good", "bad"]
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_measures_of_numbers() -> None:
    record = measure_numbers(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 5.0]), seed=7)
    assert record["mae"] == pytest.approx(2 / 3)
    assert record["rmse"] == pytest.approx((4 / 3) ** 0.5)


def test_a_measure_that_flatters_gets_a_warning_and_a_good_one_none() -> None:
    labels = np.array([0] * 98 + [1] * 2)
    blind = probs_of(*[0.0] * 100)
    sentence = warnings_of(measure_classes(labels, blind, TWO.labels(blind), decision=TWO, seed=7))
    assert len(sentence) == 1
    assert "flatters" in sentence[0]
    seeing = probs_of(*[0.0] * 98, 1.0, 1.0)
    assert warnings_of(measure_classes(labels, seeing, TWO.labels(seeing), decision=TWO, seed=7)) == []


def test_curves_of_a_positive_class_with_its_histogram() -> None:
    labels = np.array([0, 0, 1, 1])
    record = curves_of(labels, probs_of(0.1, 0.4, 0.35, 0.8), decision=TWO)
    assert set(record) == {"roc", "pr", "histogram"}
    area = np.trapezoid(record["roc"]["tpr"], record["roc"]["fpr"])
    assert area == pytest.approx(0.75)  # one of four pairs is in the wrong order
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_without_a_positive_class_there_is_one_roc_curve_per_class() -> None:
    labels = np.array([0, 1, 2, 0])
    record = curves_of(labels, np.eye(3)[labels], decision=THREE)
    assert list(record["roc_per_class"]) == ["a", "b", "c"]


def test_a_class_without_photos_has_no_curve() -> None:
    labels = np.array([0, 1, 1, 0])
    record = curves_of(labels, np.eye(3)[labels], decision=THREE)
    assert list(record["roc_per_class"]) == ["a", "b"]


def test_with_classes_that_pass_all_others_are_the_positives() -> None:
    decision = Decision(classes=("a", "b", "c"), pass_classes=("a",))
    labels = np.array([0, 1, 2, 0])
    record = curves_of(labels, np.eye(3)[labels], decision=decision)
    assert record["roc"]["tpr"][-1] == 1.0


def test_mistakes_come_with_the_most_confident_first() -> None:
    labels = np.array([0, 0, 1, 1, 0])
    probs = probs_of(0.6, 0.1, 0.05, 0.9, 0.8)
    mistakes = mistakes_of(samples_of(5), labels, probs, preds=TWO.labels(probs), decision=TWO)
    assert [one["name"] for one in mistakes] == ["photo-2", "photo-4", "photo-0"]
    assert mistakes[0] == {
        "name": "photo-2", "label": "bad", "predicted": "good", "score": pytest.approx(0.05),
        "probs": {"good": pytest.approx(0.95), "bad": pytest.approx(0.05)},
    }  # fmt: skip


def test_no_mistake_gives_none_and_many_give_the_worst() -> None:
    labels, probs = np.zeros(60, dtype=np.int64), probs_of(*np.linspace(0.51, 0.99, 60))
    mistakes = mistakes_of(samples_of(60), labels, probs, preds=TWO.labels(probs), decision=TWO)
    assert len(mistakes) == MAX_MISTAKES
    assert mistakes[0]["name"] == "photo-59"
    assert mistakes_of(samples_of(60), labels + 1, probs, preds=TWO.labels(probs), decision=TWO) == []


def test_numbers_that_are_furthest_off_come_first() -> None:
    targets = np.array([1.0, 2.0, 3.0])
    mistakes = number_mistakes_of(samples_of(3), targets, np.array([1.5, 2.0, 0.0]))
    assert [one["name"] for one in mistakes] == ["photo-2", "photo-0", "photo-1"]
    assert mistakes[0] == {"name": "photo-2", "label": 3.0, "predicted": 0.0, "score": 0.0}
    assert len(number_mistakes_of(samples_of(99), np.zeros(99), np.ones(99))) == MAX_MISTAKES


@pytest.mark.parametrize(("count", "kept"), [(1, 1), (2000, 2000), (7001, 2000)])
def test_a_scatter_is_thinned_evenly(count: int, kept: int) -> None:
    targets = np.arange(count, dtype=float)
    record = scatter_of(targets, targets + 1)
    assert len(record["target"]) == kept
    assert (record["target"][0], record["target"][-1]) == (0.0, count - 1)
    assert np.allclose(np.array(record["pred"]) - record["target"], 1.0)
