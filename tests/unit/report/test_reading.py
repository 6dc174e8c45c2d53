"""Records with missing keys are read as empty, and the outcome counts what an inspector is judged by."""

from teliti.metrics.intervals import wilson_interval
from teliti.report.reading import Outcome, has_val_part, list_at, matrix_at, per_class_rows, table_at


def test_missing_keys_read_as_empty():
    record = {"data": None, "test": {"confusion_matrix": [[1, 2]]}, "notes": "text"}
    assert table_at(record, "data", "split") == {}
    assert list_at(record, "notes") == []
    assert matrix_at(record["test"]) == []  # not square


def test_outcome_of_the_98_to_2_example():
    record = {"classes": ["ok", "bad"], "positive": "bad", "test": {"confusion_matrix": [[96, 2], [1, 1]]}}
    outcome = Outcome.of(record)
    assert (outcome.bad_photos, outcome.missed, outcome.good_photos, outcome.false_alarms) == (2, 1, 98, 2)
    assert outcome.missed_interval == wilson_interval(1, 2)
    assert outcome.alarm_interval == wilson_interval(2, 98)


def test_pass_classes_are_pooled():
    matrix = [[8, 1, 1], [0, 9, 1], [2, 0, 8]]
    record = {"classes": ["free", "crack", "dent"], "pass_classes": ["free"], "test": {"confusion_matrix": matrix}}
    outcome = Outcome.of(record)
    assert (outcome.bad, outcome.missed, outcome.false_alarms) == (("crack", "dent"), 2, 2)  # crack for dent is no miss


def test_no_outcome_without_good_and_bad_classes():
    record = {"classes": ["a", "b"], "positive": None, "test": {"confusion_matrix": [[1, 0], [0, 1]]}}
    assert Outcome.of(record) is None
    assert Outcome.of({**record, "positive": "a", "test": {}}) is None


def test_per_class_rows_find_their_names():
    rows = [{"class_index": 1, "n": 3}, {"class": "own", "n": 2}, {"n": 1}, {"class_index": 9}]
    record = {"classes": ["a", "b", "c"], "test": {"per_class": rows}}
    assert [row["class"] for row in per_class_rows(record)] == ["b", "own", "c", "9"]


def test_val_part_is_known_from_the_counts():
    assert has_val_part({"val": {"n": 5}, "data": {"counts": {"train": {"a": 3}, "val": {"a": 2}}}})
    assert not has_val_part({"val": {"n": 5}, "data": {"counts": {"train": {"a": 3}}}})  # measured out of fold
    assert has_val_part({"val": {"n": 5}})
