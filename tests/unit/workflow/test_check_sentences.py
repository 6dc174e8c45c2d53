"""Sentences of a check are made from its numbers: learning curve, shortcuts, labels, outliers, what to label next."""

from types import SimpleNamespace

import numpy as np
import pytest

from teliti.data.findings import Finding
from teliti.types import SilentReporter
from teliti.workflow.checks import features as check_features
from teliti.workflow.checks.curve import judge_curve, judge_price, say_curve
from teliti.workflow.checks.features import describe_set, judge_labels, say_worth, why_no_features
from teliti.workflow.checks.properties import judge_shortcut

ROWS = [{"photos": 100, "score": 0.8}, {"photos": 1200, "score": 0.9}]


@pytest.mark.parametrize(
    ("gain", "answer"),
    [
        ((0.02, 0.06), "More photos would help."),
        ((-0.005, 0.005), "More photos of the same kind would hardly help: better labels, light or classes would."),
        ((-0.02, 0.06), "Whether more photos would help cannot be told: the gain of 4.0 points is uncertain."),
    ],
)
def test_whether_more_photos_help_is_answered_by_the_interval_of_the_gain(gain, answer):
    """The level is known less well, since the same left-out photos judge all sizes."""
    record = {"rows": ROWS, "double": {"score": 0.94, "interval": [0.88, 0.98], "gain_interval": list(gain)}}
    sentence = say_curve(record["rows"], record["double"])
    assert sentence.startswith(
        "With 1,200 photos to learn from the balanced accuracy is 90.0%; twice as many would give about 94.0% "
    )
    assert "by a power law through 2 sizes." in sentence
    assert sentence.endswith(answer)
    found = judge_curve(record | {"sentence": sentence})
    assert (found.kind, found.message, found.score) == ("learning_curve", sentence, pytest.approx(0.04))


@pytest.mark.parametrize(("interval", "severity"), [([0.02, 0.1], "warning"), ([-0.01, 0.1], "info"), (None, "info")])
def test_a_flattering_split_is_a_warning(interval, severity):
    found = judge_price({"grouped": 0.8, "random": 0.86, "difference": 0.06, "interval": interval})
    assert (found.severity, found.score) == (severity, 0.06)
    assert found.message.startswith("Accuracy you would have believed with a random split: 86.0%.")
    words = "The random split flatters by 2.0 to 10.0 points." if severity == "warning" else "not shown to be real."
    assert found.message.endswith(words)


def shortcut(name="brightness", score=0.9, p_value=0.001, interval=(0.85, 0.95)):
    return {"property": name, "score": score, "chance": 0.5, "p_value": p_value, "interval": interval and [*interval]}


def test_a_property_that_tells_the_class_is_said_with_its_numbers():
    found = judge_shortcut(shortcut())
    assert found.severity == "warning"
    assert found.message == (
        "The brightness alone tells the class with a balanced accuracy of 90.0% (85.0% to 95.0%); guessing gives 50.0% "
        "(p = 0.001, corrected)."
    )
    assert judge_shortcut(shortcut(interval=(0.52, 0.6))).severity == "info"
    assert judge_shortcut(shortcut(interval=None)).message.count("%") == 2
    assert judge_shortcut(shortcut(p_value=0.5)) is None
    dated = judge_shortcut(shortcut("file date"))
    assert dated.message.endswith("Copying the files class by class does this too.")


def set_of(names, classes, targets):
    samples = [SimpleNamespace(name=name, label=classes[at]) for name, at in zip(names, targets, strict=True)]
    return SimpleNamespace(
        photos=SimpleNamespace(samples=samples, targets=np.array(targets), catalog=SimpleNamespace(classes=classes)),
        points=np.random.default_rng(0).normal(size=(len(names), 3)),
    )


def test_a_wrong_label_is_named_with_what_it_looks_like():
    targets = [0] * 40 + [1] * 40
    probs = np.where(np.array(targets)[:, None] == [0, 1], 0.98, 0.02)
    probs[3] = [0.01, 0.99]
    (found,) = judge_labels(set_of([f"{at}.png" for at in range(80)], ("good", "bad"), targets), probs)
    assert (found.kind, found.paths, found.label, found.action) == ("label_error", ("3.png",), "bad", "relabel")
    assert found.message.startswith('It is labelled "good" and looks like "bad"; the label is wrong with probability ')


def test_classes_that_overlap_are_named_with_their_share():
    rng = np.random.default_rng(1)
    targets = rng.integers(0, 2, 200)
    probs = np.full((200, 2), 0.5) + rng.normal(0, 0.01, 200)[:, None] * [1, -1]
    found = judge_labels(set_of([str(at) for at in range(200)], ("a", "b"), targets.tolist()), probs)
    (overlap,) = [one for one in found if one.kind == "overlap"]
    assert overlap.message.startswith('"a" and "b" overlap: ')
    assert overlap.message.endswith("are taken for the other.")


def test_an_outlier_is_told_by_its_neighbours():
    known = set_of([str(at) for at in range(60)], ("a",), [0] * 60)
    known.points[7] += 40.0
    _, found = describe_set(known, seed=1, reporter=SilentReporter())
    assert isinstance(found[0], Finding)
    assert found[0].paths == ("7",)
    assert "nearest neighbours are" in found[0].message
    assert found[0].message.endswith("robust deviations farther away than those of other photos.")


def test_why_a_photo_is_worth_labelling_is_said_with_and_without_a_head():
    assert say_worth("bad", 0.5312) == ('The most likely class is "bad" with 53%; it is unlike what was chosen before.')
    assert say_worth(None, 0.0) == "It is unlike the labelled photos."


def test_why_features_are_left_out_is_said(monkeypatch):
    recipe = SimpleNamespace(train=SimpleNamespace(mode="features"))
    photos = [SimpleNamespace(samples=range(count)) for count in (5, 9_000, 100)]
    assert why_no_features(photos[0], recipe, asked=None) == "5 photos are fewer than 30"
    assert why_no_features(photos[1], recipe, asked=None) == (
        "9,000 photos are more than 5,000; --features computes them all the same"
    )
    assert why_no_features(photos[1], recipe, asked=True) is None
    assert why_no_features(photos[2], recipe, asked=False) == "not asked for"
    monkeypatch.setattr(check_features, "is_installed", lambda name: name != "torch")
    assert why_no_features(photos[2], recipe, asked=None) == (
        'torch is not installed; pip install "teliti[train]" brings it'
    )
