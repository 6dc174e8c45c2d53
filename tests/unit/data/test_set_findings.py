"""Copies, labels and splits that contradict one another."""

import pytest

from teliti.data.duplicates import DuplicatePair
from teliti.data.findings import KINDS, SEVERITIES, Finding, sort_findings, summarise_findings
from teliti.data.origins import FileOrigin
from teliti.data.set_findings import find_class_sizes, find_copies, find_group_leaks, find_unused
from teliti.types import Refused, Sample


def sample(name, label="ok", split=None, group=None):
    return Sample(name, FileOrigin(name), label, split, group)


@pytest.mark.parametrize(
    ("first", "second", "kind", "paths"),
    [
        (sample("a"), sample("b"), "duplicate", ("b", "a")),
        (sample("a"), sample("b", "bad"), "label_conflict", ("b", "a")),
        (sample("a", split="test"), sample("b", split="train"), "leak", ("b", "a")),
        (sample("a", split="train"), sample("b", split="test"), "leak", ("a", "b")),
    ],
)
def test_what_a_pair_means(first, second, kind, paths):
    (found,) = find_copies([first, second], [DuplicatePair(0, 1, "flipped", 0.9)])
    assert (found.kind, found.paths) == (kind, paths)
    assert f"a flipped copy of {paths[1]}" in found.message


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("bytes", "It is a byte copy of a."),
        ("resaved", "It is the same picture, saved again, as a."),
        ("resized", "It is a resized copy of a."),
        ("flipped", "It is a flipped copy of a."),
        ("rotated", "It is a turned copy of a."),
    ],
)
def test_how_a_copy_was_made_is_said(kind, words):
    (found,) = find_copies([sample("a"), sample("b")], [DuplicatePair(0, 1, kind, 0.9)])
    assert found.message == words


def test_a_leak_names_the_parts():
    pair = [sample("a", split="train"), sample("b", split="test")]
    (found,) = find_copies(pair, [DuplicatePair(0, 1, "bytes", 1.0)])
    assert found.message == "It is a byte copy of b, yet it lies in train and the other in test."


def test_copies_with_two_labels_on_both_sides_of_the_split_are_told_as_both():
    pair = [sample("a", split="train"), sample("b", "bad", split="test")]
    (found,) = find_copies(pair, [DuplicatePair(0, 1, "bytes", 1.0)])
    assert found.kind == "label_conflict"
    assert found.message.endswith("They also lie on both sides of the split, in test and in train.")


def test_a_group_on_both_sides_is_counted():
    samples = [sample(f"{at}", split="train" if at < 3 else "test", group="lot-1") for at in range(5)]
    (found,) = find_group_leaks([*samples, sample("x", split="test", group="lot-2")])
    assert found.message == 'The photos of group "lot-1" lie on several sides of the split: 3 in train, 2 in test.'


def test_many_leaking_groups_are_counted_not_listed():
    samples = [sample(f"{at}-{part}", split=part, group=str(at)) for at in range(60) for part in ("train", "test")]
    found = find_group_leaks(samples)
    assert len(found) == 51
    assert found[-1].message.startswith("10 more groups")


def test_small_and_uneven_classes():
    samples = [sample(str(at), "ok") for at in range(300)] + [sample(f"b{at}", "bad") for at in range(9)]
    found = find_class_sizes([*samples, *(sample(f"c{at}", "dent") for at in range(20))])
    assert [(one.kind, one.severity) for one in found] == [
        ("few_photos", "error"), ("few_photos", "warning"), ("imbalance", "warning"),
    ]  # fmt: skip
    assert found[0].message == 'Class "bad" has 9 photos, fewer than 10.'
    assert 'always says "ok" would be right 91.2% of the time' in found[2].message


@pytest.mark.parametrize(
    ("reason", "kind", "action", "message"),
    [
        ("empty file", "empty", "exclude", "The file is empty."),
        ("truncated JPEG", "broken", "exclude", "It cannot be read: truncated JPEG."),
        ("not an image file (.txt)", "unlisted", None, "It is not used: not an image file (.txt)."),
        ("not in the label file", "unlisted", None, "It is not used: not in the label file."),
        ("a folder of 3 files, none of them a photo", "unlisted", None,
         "It is not used: a folder of 3 files, none of them a photo."),
    ],
)  # fmt: skip
def test_files_that_are_not_used(reason, kind, action, message):
    (found,) = find_unused([Refused("x", reason)])
    assert (found.kind, found.action, found.paths) == (kind, action, ("x",))
    assert found.message == message


def test_every_kind_has_a_title_and_advice():
    for kind in KINDS.values():
        assert kind.title[0].isupper()
        assert kind.advice.endswith(".")


def test_the_worst_comes_first_and_kinds_stay_together():
    found = [
        Finding("blurred", "warning", "m", ("a",), 1.0), Finding("leak", "error", "m", ("b", "c"), 0.9),
        Finding("blurred", "warning", "m", ("d",), 2.0), Finding("shortcut", "info", "m"),
    ]  # fmt: skip
    assert [one.paths for one in sort_findings(found)] == [("b", "c"), ("d",), ("a",), ()]
    rows = summarise_findings(found)
    assert [(row["kind"], row["count"], row["photos"]) for row in rows] == [
        ("leak", 1, 2), ("blurred", 2, 2), ("shortcut", 1, 0),
    ]  # fmt: skip
    assert rows[0]["advice"] == KINDS["leak"].advice
    assert [row["severity"] for row in rows] == list(SEVERITIES)


def test_a_finding_as_a_record():
    one = Finding("label_error", "warning", "m", ("a",), 0.5, "relabel", "bad")
    assert one.to_record() == {
        "kind": "label_error", "severity": "warning", "paths": ["a"], "message": "m", "score": 0.5,
        "suggestion": {"action": "relabel", "label": "bad"},
    }  # fmt: skip
    assert "suggestion" not in Finding("turned", "info", "m").to_record()
