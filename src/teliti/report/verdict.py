"""The run's verdict in plain words, and its four largest numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from teliti.report.markup import EMPTY, Html, element, join, quoted_name, unbroken
from teliti.report.reading import Outcome, class_names, is_folds, is_regression, table_at, tables_at
from teliti.report.several import is_multilabel, label_words, number_names, number_words
from teliti.report.tables import callout
from teliti.report.wording import (
    MISSING,
    count,
    is_interval,
    is_number,
    number,
    number_interval,
    per_hundred,
    percent,
    percent_interval,
)
from teliti.types import JsonMapping

MOST_NAMES = 4


def verdict(record: JsonMapping) -> Html:
    """What was inspected, how good it was, what that means per hundred parts, and every warning."""
    warnings = [callout(str(warning)) for warning in record.get("warnings") or ()]
    if not table_at(record, "test"):
        return join(warnings)
    words = _regression_words(record) if is_regression(record) else _classification_words(record)
    words = [_what_was_inspected(record), *label_words(table_at(record, "test"))] if is_multilabel(record) else words
    return join([unbroken(element("p", *words, class_="lead")), _tiles(record), *warnings])


def _classification_words(record: JsonMapping) -> list[str]:
    measures = table_at(record, "test")
    outcome = Outcome.of(record)
    words: list[str] = [_what_was_inspected(record)]
    if is_number(measures.get("accuracy")):
        words += [" ", *_accuracy_words(record, measures)]
    if outcome is not None:
        words += [" ", *_miss_words(outcome), " ", *_alarm_words(outcome)]
    return words


def _what_was_inspected(record: JsonMapping) -> Html:
    split = table_at(record, "data", "split")
    source = table_at(record, "data").get("source")
    verb = "rated" if is_regression(record) else "searched" if is_multilabel(record) else "sorted"
    photos = count(table_at(record, "test").get("n"), "photo")
    if is_folds(record):
        how = f"{split['folds']}-fold cross-validation" if split.get("folds") else "cross-validation"
        part = f"Each was scored by a head trained without it ({how})."
    elif split.get("origin") == "given":
        part = "They are the test part that came with the data."
    else:
        part = "They are the sealed test part: nothing was chosen on them."
    of = [" of ", quoted_name(source)] if source else []
    return join([f"The inspector {verb} {photos}", *of, *_class_words(record), f". {part}"])


def _class_words(record: JsonMapping) -> list[str]:
    classes = class_names(record)
    if not classes:
        return []
    return [
        " for labels " if is_multilabel(record) else " into ",
        f"{len(classes)} classes" if len(classes) > MOST_NAMES else joined_names(classes),
    ]


def _accuracy_words(record: JsonMapping, measures: JsonMapping) -> list[str]:
    threshold = table_at(record, "threshold")
    at = f"At the threshold {threshold['value']:.3g} " if is_number(threshold.get("value")) else "It "
    done = "it got " if is_number(threshold.get("value")) else "got "
    words = [at, done, element("strong", percent(measures["accuracy"])), " of them right"]
    interval = _interval(measures, "accuracy")
    if is_interval(interval):
        words.append(f" (95 % interval {percent_interval(interval)})")
    if is_number(measures.get("majority_accuracy")):
        words.append(f"; always naming the largest class would get {percent(measures['majority_accuracy'])}")
    return [*words, "."]


def _miss_words(outcome: Outcome) -> list[str]:
    if not outcome.bad_photos:
        return ["No photo of ", joined_names(outcome.bad), " was in the test part, so nothing is known about misses."]
    missed = outcome.missed / outcome.bad_photos
    return [
        "Of 100 ", joined_names(outcome.bad), " parts, ", element("strong", per_hundred(missed)), " would slip through",
        _hundred_interval(outcome.missed_interval), ".",
    ]  # fmt: skip


def _alarm_words(outcome: Outcome) -> list[str]:
    if not outcome.good_photos:
        return ["No good part was in the test part, so nothing is known about false alarms."]
    alarms = outcome.false_alarms / outcome.good_photos
    return [
        "Of 100 ", joined_names(outcome.good), " parts, ", element("strong", per_hundred(alarms)),
        " would be rejected by mistake",
        _hundred_interval(outcome.alarm_interval), ".",
    ]  # fmt: skip


def _hundred_interval(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f" (95 % interval {100 * interval[0]:.0f} to {100 * interval[1]:.0f})"


def _regression_words(record: JsonMapping) -> list[str]:
    measures = table_at(record, "test")
    words: list[str] = [_what_was_inspected(record)]
    if number_names(record):
        return [*words, *number_words(measures)]
    if is_number(measures.get("mae")):
        words += [
            " On average a prediction is ",
            element("strong", number(measures["mae"])),
            " away from the true value",
        ]
        interval = _interval(measures, "mae")
        words += [f" (95 % interval {number_interval(interval)})"] if is_interval(interval) else []
        mean_error = baseline_error(measures, "mae")
        words += [f"; always predicting the mean would be {number(mean_error)} away"] if mean_error is not None else []
        words.append(".")
    if is_number(measures.get("r2")):
        explained = f" The predictions explain {percent(measures['r2'])} of the variance (R²)."
        useless = f" That is no better than always predicting the mean (R² {number(measures['r2'])})."
        words.append(explained if measures["r2"] > 0 else useless)
    return words


def baseline_error(measures: JsonMapping, key: str) -> Any:
    """What "always the mean" scores, where the record says it."""
    value = measures.get(f"baseline_{key}")
    return value if is_number(value) else None


def joined_names(names: Sequence[str]) -> Html:
    """Class names in a sentence, each kept apart from the text around it; beyond four the rest is counted."""
    shown = [quoted_name(item) for item in names[:MOST_NAMES]]
    if len(names) > MOST_NAMES:
        return join([Html(", ".join(shown)), f" and {len(names) - MOST_NAMES} more"])
    return join([Html(", ".join(shown[:-1])), " and " if len(shown) > 1 else None, *shown[-1:]])


def _tiles(record: JsonMapping) -> Html:
    measures = table_at(record, "test")
    if number_names(record):
        tiles = [
            _error_tile(row, "mae", f"Mean absolute error of {row.get('name')}")
            for row in tables_at(measures, "per_number")[:3]
        ]
        tiles.append(_tile("R², mean", number(measures.get("r2")), interval=MISSING))
    elif is_regression(record):
        tiles = [
            _error_tile(measures, "mae", "Mean absolute error"),
            _error_tile(measures, "rmse", "Root mean squared error"),
        ]
        tiles.append(_tile("R²", number(measures.get("r2")), interval=number_interval(_interval(measures, "r2"))))
    elif is_multilabel(record):
        tiles = _label_tiles(measures)
    else:
        tiles = _classification_tiles(record, measures)
    shown = [tile for tile in tiles if tile]
    return element("div", *shown, class_="tiles") if shown else EMPTY


def _classification_tiles(record: JsonMapping, measures: JsonMapping) -> list[Html]:
    base = measures.get("majority_accuracy")
    beside = f"largest class: {percent(base)}" if is_number(base) else ""
    interval = percent_interval(_interval(measures, "accuracy"))
    tiles = [_tile("Right verdicts", percent(measures.get("accuracy")), interval=interval, beside=beside)]
    outcome = Outcome.of(record)
    if outcome is None:
        interval = percent_interval(_interval(measures, "balanced_accuracy"))
        tiles.append(_tile("Balanced accuracy", percent(measures.get("balanced_accuracy")), interval=interval))
    else:
        tiles.append(
            _count_tile("Missed defects", outcome.missed, outcome.bad_photos, interval=outcome.missed_interval)
        )
        tiles.append(
            _count_tile("False alarms", outcome.false_alarms, outcome.good_photos, interval=outcome.alarm_interval)
        )
    interval = number_interval(_interval(measures, "roc_auc"))
    tiles.append(_tile("ROC AUC", number(measures.get("roc_auc")), interval=interval, beside="guessing: 0.5"))
    return tiles


def _label_tiles(measures: JsonMapping) -> list[Html]:
    base, found = measures.get("majority_subset_accuracy"), table_at(measures, "verdicts")
    tiles = [
        _tile(
            "All labels right", percent(measures.get("subset_accuracy")),
            interval=percent_interval(_interval(measures, "subset_accuracy")),
            beside=f"commonest labels: {percent(base)}" if is_number(base) else "",
        )
    ]  # fmt: skip
    for label, events, photos, key in (
        ("Missed defects", "missed", "bad", "missed_interval"),
        ("False alarms", "false_alarms", "good", "alarm_interval"),
    ):
        if found:
            spread = found.get(key)
            tiles.append(
                _count_tile(label, found[events], found[photos], interval=(spread[0], spread[1]) if spread else None)
            )
    for label, key, written, spread_of in (
        ("F1, mean of labels", "f1_macro", percent, percent_interval),
        ("ROC AUC, mean of labels", "roc_auc", number, number_interval),
    ):
        tiles.append(_tile(label, written(measures.get(key)), interval=spread_of(_interval(measures, key))))
    return tiles[:4]


def _count_tile(label: str, events: int, photos: int, *, interval: tuple[float, float] | None) -> Html:
    share = percent(events / photos) if photos else MISSING
    return _tile(label, share, interval=percent_interval(interval), beside=f"{number(events)} of {number(photos)}")


def _error_tile(measures: JsonMapping, key: str, label: str) -> Html:
    base = baseline_error(measures, key)
    beside = f"always the mean: {number(base)}" if base is not None else ""
    return _tile(label, number(measures.get(key)), interval=number_interval(_interval(measures, key)), beside=beside)


def _tile(label: str, value: str, *, interval: str, beside: str = "") -> Html:
    if value == MISSING:
        return EMPTY
    between = f"95 %: {interval}" if interval != MISSING else ""
    return element(
        "div",
        element("p", label, class_="tile-label"),
        element("p", value, class_="tile-value"),
        element("p", between, class_="tile-note") if between else None,
        element("p", beside, class_="tile-note") if beside else None,
        class_="tile",
    )


def _interval(measures: JsonMapping, key: str) -> Any:
    return table_at(measures, "intervals").get(key, measures.get(f"{key}_interval"))
