"""What the numbers of a run do and do not prove, as plain sentences, each from the record's own values.

Bounds on rare events are the exact one-sided binomial ones (C. Clopper and E. Pearson, 1934); for no event in n
photos that is 1 - 0.05 ** (1 / n), the "rule of three".
"""

from __future__ import annotations

from collections.abc import Sequence

from teliti.metrics.intervals import clopper_pearson_upper
from teliti.report.reading import (
    Outcome,
    has_val_part,
    is_folds,
    is_regression,
    matrix_at,
    per_class_rows,
    table_at,
    tables_at,
)
from teliti.report.several import few_photos, is_multilabel, number_names, number_statements
from teliti.report.story import augment_words, chooser_words, head_words, is_network, origin_words
from teliti.report.wording import (
    count,
    is_interval,
    is_number,
    listed,
    number,
    number_interval,
    percent,
    percent_interval,
    quoted,
)
from teliti.types import JsonMapping

FEW_PHOTOS = 30
_CONFIDENCE = "at 95 % confidence"


def statements(record: JsonMapping) -> list[str]:
    """Sentences for the reader who has to rely on the numbers; those whose values are missing are left out.

    Args:
        record: A run's record.
    """
    groups = (
        _measured(record),
        _rare_events(record),
        _prevalence(record),
        _small_classes(record),
        few_photos(record),
        _network(record),
        _threshold(record),
        _folds(record),
        _copies(record),
        _price(record),
        _coverage(record),
        _refusals(record),
    )
    return [sentence for group in groups for sentence in group]


def _measured(record: JsonMapping) -> list[str]:
    measures = table_at(record, "test")
    if number_names(record):  # one mean of several units proves little
        return number_statements(record)
    key = "mae" if is_regression(record) else "subset_accuracy" if is_multilabel(record) else "accuracy"
    printed, spread = (number, number_interval) if is_regression(record) else (percent, percent_interval)
    interval = table_at(measures, "intervals").get(key, measures.get(f"{key}_interval"))
    if not (is_number(measures.get(key)) and is_number(measures.get("n")) and is_interval(interval)):
        return []
    subject = "The mean absolute error" if is_regression(record) else "The accuracy"
    subject = "The share of photos with every label right" if is_multilabel(record) else subject
    return [
        f"{subject} of {printed(measures[key])} comes from {count(measures['n'], 'test photo')}; for photos "
        f"like these its 95 % interval is {spread(interval)}."
    ]


def _rare_events(record: JsonMapping) -> list[str]:
    outcome, verdicts = Outcome.of(record), table_at(record, "test", "verdicts")
    if verdicts:
        return [
            _event(verdicts["missed"], verdicts["bad"], what="defective", done="missed"),
            _event(verdicts["false_alarms"], verdicts["good"], what="good", done="rejected by mistake"),
        ]
    if outcome is None:
        return _wrong_names(record)
    bad, good = listed([quoted(item) for item in outcome.bad]), listed([quoted(item) for item in outcome.good])
    return [
        _event(outcome.missed, outcome.bad_photos, what=bad, done="missed"),
        _event(outcome.false_alarms, outcome.good_photos, what=good, done="rejected by mistake"),
    ]


def _wrong_names(record: JsonMapping) -> list[str]:
    matrix = matrix_at(table_at(record, "test"))
    photos = sum(sum(row) for row in matrix)
    right = sum(row[at] for at, row in enumerate(matrix))
    return [_event(photos - right, photos, what="", done="given a wrong class")] if photos else []


def _event(events: int, photos: int, *, what: str, done: str) -> str:
    subject = f"{what} test photo".strip()
    if not photos:
        return f"No {subject} was there, so nothing is known about how many would be {done}."
    bound = percent(clopper_pearson_upper(events, photos))
    if not events:
        return (
            f"None of {count(photos, subject)} was {done}; that proves only, {_CONFIDENCE}, that at most {bound} are."
        )
    verb = "was" if events == 1 else "were"
    return (
        f"{number(events)} of {count(photos, subject)} {verb} {done}; {_CONFIDENCE} the true share is at most {bound}."
    )


def _prevalence(record: JsonMapping) -> list[str]:
    outcome = Outcome.of(record)
    if outcome is None or not outcome.bad_photos or not outcome.good_photos:
        return []
    share = outcome.bad_photos / (outcome.bad_photos + outcome.good_photos)
    bad = listed([quoted(item) for item in outcome.bad])
    return [
        f"In the test part {percent(share)} of the photos are {bad}. Where they "
        "are rarer, recall and specificity stay, but a larger share of the alarms is false: precision, F1 and accuracy "
        "do not carry over."
    ]


def _small_classes(record: JsonMapping) -> list[str]:
    small = [row for row in per_class_rows(record) if is_number(row.get("n")) and row["n"] < FEW_PHOTOS]
    if not small:
        return []
    named = listed([f"{quoted(row['class'])} ({row['n']})" for row in small])
    first, interval = small[0]["class"], table_at(small[0], "intervals").get("recall")
    spread = percent_interval(interval)
    tail = f"; the recall of {quoted(first)} may be anything from {spread}" if is_interval(interval) else ""
    return [f"Fewer than {FEW_PHOTOS} test photos: {named}. A few photos more could change their numbers a lot{tail}."]


def _network(record: JsonMapping) -> list[str]:
    photos = table_at(record, "history", "photos")
    if not (is_network(record) and is_number(photos.get("learnt"))):
        return []
    changes = augment_words(record)
    shown = f"changed at random each time they were shown ({changes})" if changes else "shown without random changes"
    chosen = "epoch and its calibration were" if "calibrated by" in head_words(record) else "epoch was"
    return [
        f"The network itself learnt, from {origin_words(record)}, on {count(photos['learnt'], 'training photo')}, "
        f"{shown}. The {chosen} chosen on the {chooser_words(record)}, so numbers on those flatter; the test photos "
        "had no say."
    ]


def _threshold(record: JsonMapping) -> list[str]:
    threshold = table_at(record, "threshold")
    value, rule = threshold.get("value"), threshold.get("rule")
    if tables_at(threshold, "per_label"):
        return [f"{threshold.get('sentence')} Where that was on measured photos, numbers at the thresholds flatter."]
    if not is_number(value):
        return []
    if rule in ("fixed", "argmax"):
        return [f"The threshold {value:.3g} was fixed beforehand; no photo had a say in it."]
    if is_folds(record):
        return [
            f"The threshold {value:.3g} was chosen on the same out-of-fold scores that were measured, so the numbers "
            "at this threshold flatter a little; those without a threshold (ROC AUC, PR AUC) do not."
        ]
    where = "the validation photos" if has_val_part(record) else "out-of-fold scores of the training photos"
    where = f"the {chooser_words(record)}" if is_network(record) else where
    return [f"The threshold {value:.3g} was chosen on {where}; the test photos had no say in it."]


def _folds(record: JsonMapping) -> list[str]:
    if not is_folds(record):
        return []
    folds = table_at(record, "data", "split").get("folds")
    times = f"{folds}-fold cross-validation" if is_number(folds) else "cross-validation"
    return [
        f"Measured by {times}: each photo was scored by a head that was trained without it. The shipped bundle was "
        "trained afterwards with the same choices on all of them; it has not been tested itself."
    ]


def _copies(record: JsonMapping) -> list[str]:
    found = table_at(record, "data", "duplicates")
    crossing = tables_at(found, "crossing")
    if crossing:
        verb = "crosses" if len(crossing) == 1 else "cross"
        return [
            f"{count(len(crossing), 'pair')} of near-duplicate photos {verb} the given split, so part of the test was "
            "seen in training: the numbers are too good by an unknown amount."
        ]
    sentences = []
    if found.get("groups"):
        sentences.append(
            f"{count(found.get('photos'), 'near-duplicate photo')} in {count(found['groups'], 'group')} were kept on "
            "one side of the split, so that no known copy of a training photo was tested."
        )
    if found.get("user_groups"):
        sentences.append(f"{count(found['user_groups'], 'group')} of the label file were kept whole across the split.")
    return sentences


def _price(record: JsonMapping) -> list[str]:
    """What a careless split would have claimed, where groups or near-duplicates were kept together."""
    price = table_at(record, "split_price")
    if not price.get("sentence"):
        return []
    if price.get("by") == "network":
        return [str(price["sentence"])]
    return [f"{price['sentence']} Both are out-of-fold answers for the photos that were learnt from."]


def _coverage(record: JsonMapping) -> list[str]:
    if not table_at(record, "test"):
        return []
    source = table_at(record, "data").get("source")
    place = f"one source, {quoted(source)}" if source else "one source"
    sentences = [
        f"Training and test photos come from {place}: a new camera, light, lot or product is not covered, nor a kind "
        "of defect that is not among these photos."
    ]
    if table_at(record, "data", "split").get("origin") == "given":
        sentences.append(
            "The split came with the data; Teliti cannot know whether photos of one part are on both sides."
        )
    return sentences


def _refusals(record: JsonMapping) -> list[str]:
    refused: Sequence[object] = tables_at(record, "data", "refused")
    if not refused:
        return []
    verb = "was" if len(refused) == 1 else "were"
    return [f"{count(len(refused), 'photo')} {verb} refused and {verb} counted in none of these numbers."]
