"""What the test part showed where a photo may have several labels, or several numbers: words, rows and tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from teliti.report.figures import interval_bar
from teliti.report.markup import EMPTY, Html, element, join, name
from teliti.report.reading import list_at, table_at, tables_at
from teliti.report.tables import table
from teliti.report.wording import (
    MISSING,
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

SHARES = {
    "subset_accuracy": ("All labels right", "photos without any wrong label"),
    "hamming_loss": ("Hamming loss", "labels that are wrong, of all photos' labels"),
    "precision_macro": ("Precision", "labels found that are there, mean of the labels"),
    "recall_macro": ("Recall", "labels there that are found, mean of the labels"),
    "f1_macro": ("F1", "mean of the labels"),
    "precision_micro": ("Precision, pooled", "every label of every photo counts the same"),
    "recall_micro": ("Recall, pooled", "every label of every photo counts the same"),
    "f1_micro": ("F1, pooled", "every label of every photo counts the same"),
}
POINTS = {
    "roc_auc": ("ROC AUC", "ranking, mean of the labels; 0.5 is guessing"),
    "pr_auc": ("PR AUC", "ranking where a label is rare, mean of the labels"),
    "log_loss": ("Log loss", "probabilities; 0 is best"),
    "brier": ("Brier score", "probabilities; 0 is best"),
}
_BASELINES = {"subset_accuracy": "majority_subset_accuracy", "hamming_loss": "majority_hamming_loss"}
FEW_PHOTOS = 30


def is_multilabel(record: JsonMapping) -> bool:
    """True when a photo may have several labels."""
    return record.get("task") == "multilabel"


def number_names(record: JsonMapping) -> list[str]:
    """What several numbers are called; empty for one."""
    return [str(item) for item in list_at(record, "numbers")]


def shown_answer(value: Any) -> str:
    """A class, a number, the names of several labels or several numbers, as words."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {number(own)}" for key, own in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "no label"
    return number(value) if is_number(value) else str(value)


def label_rows(measures: JsonMapping) -> list[tuple[str, list[str]]]:
    """Key and cells (title, value, interval, bar, always the commonest) of every measure of labels."""
    rows = []
    for key, (label, meaning) in {**SHARES, **POINTS}.items():
        if not is_number(measures.get(key)):
            continue
        is_share = key in SHARES
        interval, base = table_at(measures, "intervals").get(key), measures.get(_BASELINES.get(key, ""))
        printed = (percent_interval if is_share else number_interval)(interval)
        bar = interval_bar(measures[key], interval, baseline=base) if key not in {"log_loss", "brier"} else EMPTY
        title = join([label, element("span", meaning, class_="meaning")])
        value = percent if is_share else number
        rows.append((key, [title, value(measures[key]), printed, bar, value(base) if is_number(base) else MISSING]))
    return rows


def per_label(record: JsonMapping) -> Html:
    """Recall, precision, specificity, F1 and areas of each label, with its threshold."""
    thresholds = {str(row.get("label")): row for row in tables_at(record, "threshold", "per_label")}
    rows = []
    for row in tables_at(record, "test", "per_label"):
        interval = table_at(row, "intervals").get("recall")
        own = thresholds.get(str(row.get("label")), {})
        rows.append([
            name(row.get("label")), number(row.get("n")), number(own.get("value")), percent(row.get("recall")),
            percent_interval(interval), percent(row.get("precision")),
            percent(row.get("specificity")), percent(row.get("f1")), number(row.get("roc_auc")),
            number(row.get("pr_auc")),
        ])  # fmt: skip
    head = ["Label", "Photos", "Threshold", "Recall", "95 % interval", "Precision", "Specificity", "F1"]
    return table("Measures per label on the test part", head=[*head, "ROC AUC", "PR AUC"], rows=rows) if rows else EMPTY


def per_number(record: JsonMapping) -> Html:
    """The errors of each number, beside what "always the mean" scores."""
    rows = [
        [
            name(row.get("name")), number(row.get("mae")), number_interval(table_at(row, "intervals").get("mae")),
            number(row.get("baseline_mae")), number(row.get("rmse")), number(row.get("r2")),
        ]
        for row in tables_at(record, "test", "per_number")
    ]  # fmt: skip
    head = ["Number", "Mean absolute error", "95 % interval", "Always the mean", "Root mean squared error", "R²"]
    return table("Errors per number on the test part", head=head, rows=rows) if rows else EMPTY


def number_words(measures: JsonMapping) -> list[Html | str]:
    """How far off each of several numbers is, and what they explain together."""
    words: list[Html | str] = []
    for row in tables_at(measures, "per_number"):
        words += [" ", name(row.get("name")), " is ", element("strong", number(row.get("mae"))), " off on average"]
        base = row.get("baseline_mae")
        words.append(f" (always its mean: {number(base)})." if is_number(base) else ".")
    if is_number(measures.get("r2")):
        words.append(f" The mean R² of the numbers is {number(measures['r2'])}.")
    return words


def number_statements(record: JsonMapping) -> list[str]:
    """On how many photos the error of each number rests."""
    return [
        f"The mean absolute error of {quoted(row['name'])}, {number(row['mae'])}, comes from "
        f"{count(row['n'], 'test photo')}; for photos like these its 95 % interval is "
        f"{number_interval(table_at(row, 'intervals')['mae'])}."
        for row in tables_at(record, "test", "per_number")
        if is_number(row.get("mae")) and is_interval(table_at(row, "intervals").get("mae"))
    ]


def label_words(measures: JsonMapping) -> list[Html | str]:
    """How good the labels were, and what that means for pass and reject."""
    words: list[Html | str] = []
    if is_number(measures.get("subset_accuracy")):
        words += [" On ", element("strong", percent(measures["subset_accuracy"])), " of them every label was right"]
        interval = table_at(measures, "intervals").get("subset_accuracy")
        words += [f" (95 % interval {percent_interval(interval)})"] if is_interval(interval) else []
        base = measures.get("majority_subset_accuracy")
        words += [f"; always naming the commonest labels would get {percent(base)}"] if is_number(base) else []
        words.append(".")
    return [*words, *(f" {sentence}" for sentence in verdict_sentences(measures))]


def verdict_sentences(measures: JsonMapping) -> list[str]:
    """Misses and false alarms of the photos that have a rejected label; empty where nothing is rejected."""
    found = table_at(measures, "verdicts")
    if not found:
        return []
    sentences = []
    for total, wrong, interval, what in (
        ("bad", "missed", "missed_interval", "with a rejected label {} passed (missed)"),
        ("good", "false_alarms", "alarm_interval", "without one {} rejected by mistake (false alarms)"),
    ):
        photos, events = found.get(total), found.get(wrong)
        verb = f"{number(events)}" if total == "bad" else f"{number(events)} {'was' if events == 1 else 'were'}"
        spread = f", 95 % interval of the share {percent_interval(found[interval])}" if found.get(interval) else ""
        sentences.append(f"Of {count(photos, 'photo')} {what.format(verb)}{spread}.")
    return sentences


def few_photos(record: JsonMapping) -> list[str]:
    """Which labels were tested on too few photos to be sure of."""
    small = [row for row in tables_at(record, "test", "per_label") if is_number(row.get("n")) and row["n"] < FEW_PHOTOS]
    if not small:
        return []
    named = listed([f"{quoted(row['label'])} ({row['n']})" for row in small])
    return [
        f"Fewer than {FEW_PHOTOS} test photos with the label: {named}. A few more could change their numbers a lot."
    ]
