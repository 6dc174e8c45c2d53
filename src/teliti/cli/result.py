"""What `train`, `evaluate` and `demo` found, drawn for the terminal from their record; nothing is computed here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from teliti.cli.escaping import visible
from teliti.cli.output import print_line, print_sentences
from teliti.cli.several import label_table, number_table
from teliti.cli.wording import (
    format_count,
    format_interval,
    format_number,
    format_photos,
    format_seconds,
    is_in_units,
)
from teliti.report.consequences import decision_sentences
from teliti.report.several import verdict_sentences
from teliti.report.story import ending_sentences, finding_rows

if TYPE_CHECKING:
    from rich.console import Console

    from teliti.types import Record

_CLASSIFICATION = {
    "accuracy": "accuracy",
    "accuracy_at_half": "accuracy at score 0.5",
    "balanced_accuracy": "balanced accuracy",
    "recall": "recall",
    "precision": "precision",
    "specificity": "specificity",
    "f1": "F1",
    "f1_macro": "F1, mean of classes",
    "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC",
    "log_loss": "log loss",
    "brier": "Brier score",
}
_LABELS = {
    "subset_accuracy": "all labels right",
    "hamming_loss": "Hamming loss",
    "f1_macro": "F1, mean of labels",
    "recall_macro": "recall, mean of labels",
    "precision_macro": "precision, mean of labels",
    "f1_micro": "F1, pooled",
    "roc_auc": "ROC AUC, mean of labels",
    "pr_auc": "PR AUC, mean of labels",
    "log_loss": "log loss",
    "brier": "Brier score",
}
_TITLES = {"classification": _CLASSIFICATION, "multilabel": _LABELS}
_OF_A_THRESHOLD = {"accuracy_at_half", "f1"}  # without one they repeat the rows beside them
_REGRESSION = {"mae": "mean absolute error", "rmse": "root mean square error", "r2": "R2"}
_WORTH_SAYING_S = 0.1
_MOST_REFUSED = 10
_MOST_CLASSES = 12
_MOST_FINDINGS = 2


def print_result(console: Console, record: Record) -> None:
    """The measures with their intervals, how verdicts are made, and what to be careful about.

    Args:
        console: Where to print.
        record: As the workflow's `train` or `evaluate` returns it.
    """
    measures = record["test"]
    console.print()
    console.print(Text(_headline(record), style="bold"))
    console.print(_measure_table(record))
    if len(measures.get("per_class") or ()) > 2:
        console.print(_class_table(measures["per_class"]))
    if measures.get("per_label"):
        console.print(label_table(record))
    if measures.get("per_number"):
        console.print(number_table(record))
    print_sentences(console, _facts(record), mark="-")
    print_sentences(console, record.get("warnings") or (), mark="!", style="bold yellow")
    _print_refused(console, record)
    print_sentences(console, _side_facts(record), mark="-")


def print_places(console: Console, record: Record) -> None:
    """Where the run folder, the report and the bundle are, one line each, ready to be copied."""
    console.print()
    for title, key in (("Run", "run"), ("Report", "report"), ("Bundle", "bundle")):
        if record.get(key):
            print_line(console, f"{title:<8}{record[key]}")


def print_next(console: Console, commands: Mapping[str, str]) -> None:
    """Commands to try next, each under the words that say what it does.

    Args:
        console: Where to print.
        commands: What for, by command line.
    """
    console.print()
    console.print(Text("Next", style="bold"))
    for command, purpose in commands.items():
        print_line(console, f"  # {purpose}", style="dim")
        print_line(console, f"  {command}")


def _headline(record: Record) -> str:
    photos = format_photos(record["test"]["n"])
    origin = record.get("data", {}).get("split", {}).get("origin")
    if origin is None:
        return f"Measured on {photos}"
    if origin == "folds":
        return f"Measured on {photos}, each by a fold that did not learn from it"
    return f"Measured on {photos} of the sealed test part"


def _measure_table(record: Record) -> Table:
    measures = record["test"]
    is_regression = record.get("task") == "regression"
    is_arg_max = (record.get("threshold") or {}).get("value") is None
    baseline = _regression_baseline(measures) if is_regression else _majority_baseline(measures)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="")
    table.add_column("")
    table.add_column("value", justify="right")
    table.add_column("95 % interval")
    table.add_column(_baseline_title(str(record.get("task"))), justify="right")
    intervals = {"accuracy": measures.get("accuracy_interval"), **(measures.get("intervals") or {})}
    titles = _REGRESSION if is_regression else _TITLES.get(str(record.get("task")), _CLASSIFICATION)
    for key, title in titles.items():
        if key in measures and not (key in _OF_A_THRESHOLD and is_arg_max):
            unit = is_in_units(key)
            value = Text(format_number(measures[key], in_units=unit), style="bold")
            beside = format_number(baseline[key], in_units=unit) if baseline.get(key) is not None else ""
            table.add_row(title, value, format_interval(intervals.get(key), in_units=unit), beside)
    return table


def _baseline_title(task: str) -> str:
    titles = {"regression": "always the mean", "multilabel": "always the commonest"}
    return titles.get(task, "always the largest class")


def _majority_baseline(measures: Record) -> dict[str, float]:
    share = measures.get("majority_accuracy")
    if share is not None:
        return {"accuracy": share, "accuracy_at_half": share}
    labels = {key: measures.get(f"majority_{key}") for key in ("subset_accuracy", "hamming_loss")}
    return {key: value for key, value in labels.items() if value is not None}


def _regression_baseline(measures: Record) -> dict[str, float]:
    return {key: measures[f"baseline_{key}"] for key in _REGRESSION if f"baseline_{key}" in measures}


def _class_table(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="")
    table.add_column("class", overflow="fold")
    for title in ("photos", "recall", "precision", "F1"):
        table.add_column(title, justify="right")
    for row in rows[:_MOST_CLASSES]:
        numbers = (format_number(row.get(key)) for key in ("recall", "precision", "f1"))
        table.add_row(visible(str(row["class"])), format_count(row["n"]), *numbers)
    if len(rows) > _MOST_CLASSES:
        table.caption = f"and {len(rows) - _MOST_CLASSES} classes more: all of them are in the report"
    return table


def _facts(record: Record) -> Iterator[str]:
    if record.get("data"):
        yield record["data"]["split"]["sentence"]
    if record.get("positive_sentence"):
        yield record["positive_sentence"]
    mistakes = _mistakes_in_words(record)
    if mistakes:
        yield mistakes
    yield from verdict_sentences(record["test"])
    yield from _learning_facts(record)
    threshold = record.get("threshold") or {}
    if threshold.get("sentence"):
        yield threshold["sentence"]
    elif threshold.get("value") is not None:
        yield f"Threshold {threshold['value']:.3f} ({threshold['rule']})."
    yield from decision_sentences(record)


def _learning_facts(record: Record) -> Iterator[str]:
    """Of a trained network: why it ended, which epoch was kept, and the first findings of the diagnosis."""
    sentences, found = ending_sentences(record), finding_rows(record)
    if sentences:
        yield " ".join(sentences)
    for row in found[:_MOST_FINDINGS]:
        yield f"{row['title']}: {row['measure']} To try: {row['advice']}"
    more = len(found) - _MOST_FINDINGS
    if more > 0:
        yield f"The report names {more} more {'finding' if more == 1 else 'findings'} about the training."


def _mistakes_in_words(record: Record) -> str:
    """Misses and false alarms of a two-class inspector, counted in its confusion matrix."""
    classes, matrix = record.get("classes") or [], record["test"].get("confusion_matrix")
    if record.get("positive") not in classes or len(classes) != 2 or not matrix:
        return ""
    bad = classes.index(record["positive"])
    good = 1 - bad
    return (
        f'Of {format_photos(sum(matrix[bad]))} of "{classes[bad]}" {format_count(matrix[bad][good])} passed (missed); '
        f'of {format_photos(sum(matrix[good]))} of "{classes[good]}" {format_count(matrix[good][bad])} '
        "were rejected (false alarms)."
    )


def _side_facts(record: Record) -> Iterator[str]:
    parity = record.get("parity")
    if parity:
        yield (
            "Exported network against trained network: largest difference "
            f"{parity['max_abs_difference']:.1e}, changed verdicts {parity['changed_verdicts']}."
        )
    evidence = record.get("evidence")
    if evidence and evidence["sentence"] not in (record.get("warnings") or ()):
        yield str(evidence["sentence"])
    price = record.get("split_price")
    if price:
        yield str(price["sentence"])
    seconds = record.get("seconds") or {}
    if seconds:
        said = {name: value for name, value in seconds.items() if value >= _WORTH_SAYING_S or name == "total"}
        yield f"Time: {', '.join(f'{name} {format_seconds(value)}' for name, value in said.items())}."


def _print_refused(console: Console, record: Record) -> None:
    count = record.get("refused") or 0
    if not count:
        return
    were = "file was" if count == 1 else "files were"
    print_sentences(console, [f"{format_count(count)} {were} refused:"], mark="!", style="bold yellow")
    refused = record.get("refused_photos") or []
    lines = [f"{photo['path']}: {photo['reason']}" for photo in refused[:_MOST_REFUSED]]
    if count > len(lines):
        where = "refused.csv in the run folder" if record.get("run") else "--json"
        lines.append(f"and {format_count(count - len(lines))} more: see {where}")
    print_sentences(console, lines, mark=" ")
